"""No device is served so much that the others have to wait.

A device that floods us is passed over for a while, unread: what it sends meanwhile is not answered
(MQTT) or is answered with 429 (HTTP), and so waits on the device, which sends it again.
"""

import math
import time
from collections.abc import Callable, Hashable

from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from server.common.parsing import MAX_DOCUMENT_BYTES
from server.devices.models import Device

# Documents a second that one device may go on sending, and how many at once before that. A session
# sends one in ten seconds; a device that was away for a year of daily sessions, a few hundred.
# HTTP counts in each process by itself.
MQTT_PER_S, MQTT_AT_ONCE = 200.0, 2000
HTTP_PER_S, HTTP_AT_ONCE = 50.0, 1000
# A large document counts as several: reading it takes as long.
BYTES_OF_ONE = 64 * 1024
# Senders in memory, before those who have been quiet are forgotten.
MOST_KNOWN = 10_000


class FairShare:
    """`at_once` of each sender, and `per_s` from then on."""

    def __init__(
        self, per_s: float, at_once: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._each_s = 1 / per_s
        self._most_s = (at_once + 0.5) / per_s  # the half is for rounding
        self._clock = clock
        self._paid_until_s: dict[Hashable, float] = {}

    def take(self, sender: Hashable, size: int = 0) -> float:
        """Seconds until `sender` may send its next `size` bytes: 0, and then they are counted."""
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
    """429 with Retry-After for a device beyond its share. People have their own pace."""

    share = FairShare(HTTP_PER_S, HTTP_AT_ONCE)
    wait_s = 0.0

    def allow_request(self, request: Request, view: object) -> bool:  # noqa: ARG002
        """Whether it may, now."""
        if isinstance(request.user, Device):
            size = request.META.get("CONTENT_LENGTH") or "0"
            self.wait_s = self.share.take(request.user.pk, int(size) if size.isdecimal() else 0)
        return self.wait_s == 0

    def wait(self) -> float:
        """Seconds: Retry-After."""
        return math.ceil(self.wait_s)
