"""Rate limits per device and per person, so that none can starve the others.

Messages beyond the limit are not read. They are not acknowledged (MQTT) or refused with status 429
(HTTP), so the device keeps them and sends them again. People get status 429 too.

The API's answers say what is left, in the headers `RateLimit` and `RateLimit-Policy` of
draft-ietf-httpapi-ratelimit-headers.
"""

import math
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import cast

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from server.care.models import Person
from server.common.parsing import MAX_DOCUMENT_BYTES
from server.devices.models import Device

# Sustained rate in documents per second, and burst size, for one device. A running session sends
# one document every ten seconds; a device that was offline for a year of daily sessions sends a few
# hundred at once. For HTTP, each process counts separately.
MQTT_PER_S, MQTT_AT_ONCE = 200.0, 2000
HTTP_PER_S, HTTP_AT_ONCE = 50.0, 1000
# For requests for commands, which a device sends every two seconds. They are counted separately, so
# that a device that sends many documents is still told its commands.
POLLS_PER_S, POLLS_AT_ONCE = 5.0, 100
# The same limits for a person, over all their browsers and scripts: one for all requests, and one
# for the requests that change something. A page takes a few requests, and a live page repeats one
# every few seconds.
PERSON_PER_S, PERSON_AT_ONCE = 20.0, 600
CHANGES_PER_S, CHANGES_AT_ONCE = 2.0, 120
# A large document counts as several, because parsing it takes longer.
BYTES_OF_ONE = 64 * 1024
# The attribute of a request that has its limits.
TOLD = "rate_limits"
# Maximum number of senders in memory before inactive ones are dropped.
MOST_KNOWN = 10_000


class FairShare:
    """A rate limiter: each sender may send `at_once` documents in a burst, then `per_s`."""

    def __init__(
        self, per_s: float, at_once: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.at_once, self.window_s = at_once, math.ceil(at_once / per_s)
        self._each_s = 1 / per_s
        self._most_s = (at_once + 0.5) / per_s  # half a document's margin for rounding
        self._clock = clock
        self._paid_until_s: dict[Hashable, float] = {}

    def take(self, sender: Hashable, size: int = 0, documents: int = 1) -> float:
        """Return the seconds until `sender` may send so much. If 0, it is counted.

        `size` is in bytes.
        """
        now_s = self._clock()
        until_s = max(self._paid_until_s.get(sender, now_s), now_s)
        until_s += self._each_s * (documents + min(size, MAX_DOCUMENT_BYTES) // BYTES_OF_ONE)
        if until_s - now_s > self._most_s:
            return until_s - now_s - self._most_s
        self._paid_until_s[sender] = until_s
        if len(self._paid_until_s) > MOST_KNOWN:
            kept = {each: s for each, s in self._paid_until_s.items() if s > now_s}
            self._paid_until_s = kept
        return 0.0

    def left(self, sender: Hashable) -> tuple[int, int]:
        """Return how many small documents `sender` may send at once, and seconds until all are."""
        now_s = self._clock()
        used_s = max(self._paid_until_s.get(sender, now_s) - now_s, 0.0)
        return int((self._most_s - used_s) / self._each_s), math.ceil(used_s)


@dataclass(frozen=True, slots=True)
class Limit:
    """A sender's limit with the name that headers tell."""

    name: str
    share: FairShare
    sender: Hashable

    def policy(self) -> str:
        """Return the quota and the seconds in which it is free again: `"requests";q=600;w=30`."""
        return f'"{self.name}";q={self.share.at_once};w={self.share.window_s}'

    def state(self) -> str:
        """Return what is left, and the seconds until all of it is: `"requests";r=599;t=1`."""
        left, full_s = self.share.left(self.sender)
        return f'"{self.name}";r={left};t={full_s}'


# The documents of batches over HTTP, which cost the server as much as over MQTT. The request itself
# counts as one towards `DeviceThrottle` or `PersonThrottle`, and its size too.
BATCHED = FairShare(MQTT_PER_S, MQTT_AT_ONCE)


class _Throttle(BaseThrottle):
    """Refuses requests with status 429 and Retry-After while `waits_s` is not 0."""

    def limits(self, request: Request) -> list[Limit]:
        """Return the limits that the request counts towards."""
        raise NotImplementedError

    def waits_s(self, request: Request) -> float:
        """Return the seconds until the request may be made. If 0, it is counted."""
        raise NotImplementedError

    def allow_request(self, request: Request, view: object) -> bool:  # noqa: ARG002
        """Return whether the request may be made now."""
        self._wait_s = self.waits_s(request)
        request._request.__dict__.setdefault(TOLD, []).extend(self.limits(request))
        return self._wait_s == 0

    def wait(self) -> float:
        """Return the seconds for Retry-After."""
        return math.ceil(self._wait_s)


class DeviceThrottle(_Throttle):
    """The limit for documents of devices."""

    name = "documents"
    share = FairShare(HTTP_PER_S, HTTP_AT_ONCE)

    def limits(self, request: Request) -> list[Limit]:
        """Return the device's limit; none for people."""
        user = request.user
        return [Limit(self.name, self.share, user.pk)] if isinstance(user, Device) else []

    def waits_s(self, request: Request) -> float:
        """Return the seconds until the device may send so many bytes; 0 for people."""
        if not isinstance(request.user, Device):
            return 0.0
        size = request.META.get("CONTENT_LENGTH") or "0"
        return self.share.take(request.user.pk, int(size) if size.isdecimal() else 0)


class PollThrottle(DeviceThrottle):
    """The limit for requests for commands."""

    name = "polls"
    share = FairShare(POLLS_PER_S, POLLS_AT_ONCE)


REQUESTS = FairShare(PERSON_PER_S, PERSON_AT_ONCE)
CHANGES = FairShare(CHANGES_PER_S, CHANGES_AT_ONCE)


def person_waits_s(person: Person, method: str | None) -> float:
    """Return the seconds until the person may make this request. If 0, it is counted."""
    if method not in SAFE_METHODS and (wait_s := CHANGES.take(person.pk)):
        return wait_s
    return REQUESTS.take(person.pk)


class PersonThrottle(_Throttle):
    """The limit for people's requests."""

    def limits(self, request: Request) -> list[Limit]:
        """Return the person's limits for such a request; none for devices."""
        user = request.user
        if not isinstance(user, Person):
            return []
        changes = [] if request.method in SAFE_METHODS else [Limit("changes", CHANGES, user.pk)]
        return [Limit("requests", REQUESTS, user.pk), *changes]

    def waits_s(self, request: Request) -> float:
        """Return the seconds until the person may make this request; 0 for devices."""
        user = request.user
        return person_waits_s(user, request.method) if isinstance(user, Person) else 0.0


class LimitPages:
    """Middleware with the same limit for the pages of people who are logged in.

    It also tells the limits of requests to the API.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not _is_page_of(request):
            return _told(request, self.get_response(request))
        wait_s = person_waits_s(cast(Person, request.user), request.method)
        if not wait_s:
            return self.get_response(request)
        response = render(request, "429.html", status=429)
        response.headers["Retry-After"] = str(math.ceil(wait_s))
        return response


def _told(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """Add the headers for the limits that the request counted towards."""
    limits: list[Limit] = getattr(request, TOLD, [])
    if limits:
        response.headers["RateLimit-Policy"] = ", ".join(each.policy() for each in limits)
        response.headers["RateLimit"] = ", ".join(each.state() for each in limits)
    return response


def _is_page_of(request: HttpRequest) -> bool:
    """Return whether somebody who is logged in asks for a page."""
    is_page = not request.path.startswith("/api/")
    has_session = settings.SESSION_COOKIE_NAME in request.COOKIES  # else don't look for a user
    return is_page and has_session and request.user.is_authenticated
