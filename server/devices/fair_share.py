"""Rate limits per device, so that one device can't starve the others.

Messages beyond the limit are not read. They are not acknowledged (MQTT) or refused with status 429
(HTTP), so the device keeps them and sends them again.
"""

import math
import time
from collections.abc import Callable, Hashable

from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

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
# A large document counts as several, because parsing it takes longer.
BYTES_OF_ONE = 64 * 1024
# Maximum number of senders in memory before inactive ones are dropped.
MOST_KNOWN = 10_000


class FairShare:
    """A rate limiter: each sender may send `at_once` documents in a burst, then `per_s`."""

    def __init__(
        self, per_s: float, at_once: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._each_s = 1 / per_s
        self._most_s = (at_once + 0.5) / per_s  # half a document's margin for rounding
        self._clock = clock
        self._paid_until_s: dict[Hashable, float] = {}

    def take(self, sender: Hashable, size: int = 0) -> float:
        """Return the seconds until `sender` may send `size` bytes. If 0, the bytes are counted."""
        now_s = self._clock()
        until_s = max(self._paid_until_s.get(sender, now_s), now_s)
        until_s += self._each_s * (1 + min(size, MAX_DOCUMENT_BYTES) // BYTES_OF_ONE)
        if until_s - now_s > self._most_s:
            return until_s - now_s - self._most_s
        self._paid_until_s[sender] = until_s
        if len(self._paid_until_s) > MOST_KNOWN:
            kept = {each: s for each, s in self._paid_until_s.items() if s > now_s}
            self._paid_until_s = kept
        return 0.0


class DeviceThrottle(BaseThrottle):
    """Refuses devices beyond their limit with status 429 and Retry-After. People have no limit."""

    share = FairShare(HTTP_PER_S, HTTP_AT_ONCE)
    wait_s = 0.0

    def allow_request(self, request: Request, view: object) -> bool:  # noqa: ARG002
        """Return whether the device is within its limit."""
        if isinstance(request.user, Device):
            size = request.META.get("CONTENT_LENGTH") or "0"
            self.wait_s = self.share.take(request.user.pk, int(size) if size.isdecimal() else 0)
        return self.wait_s == 0

    def wait(self) -> float:
        """Return the seconds for Retry-After."""
        return math.ceil(self.wait_s)


class PollThrottle(DeviceThrottle):
    """The limit for requests for commands."""

    share = FairShare(POLLS_PER_S, POLLS_AT_ONCE)
