"""How much of the disk a device and a person may take.

A document above a quota is deferred: it is not stored, and its device keeps it and sends it again.
HTTP answers 429 with Retry-After, or 503 while the disk is full; MQTT does not answer.

A day's amount is that of the sessions that changed on that day (UTC), each counted once at its
present size. So a session that is sent every ten seconds counts as much as one sent at its end.
"""

import logging
import math
import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db.models import Count, F, Sum
from django.db.models.functions import Coalesce
from rest_framework.exceptions import APIException, Throttled

from server.common.disk import MB, WATCH
from server.session_data.models import SessionData

log = logging.getLogger(__name__)

# What a row takes besides its document, with its indexes.
ROW_BYTES = 2048
DISK_FULL = "the server's disk is full; the document is kept on the device"
QUOTA_REACHED = "the quota of this device or person is reached; the document is kept on the device"
# Seconds until a client may try again. A day's quota is free again at midnight, UTC.
QUOTA_WAIT_S = 3600
DISK_WAIT_S = 300
WARN_EVERY_S = 60.0


class QuotaReached(Throttled):
    """A quota is reached: status 429."""

    default_code = "quota_reached"

    def __init__(self) -> None:
        super().__init__(QUOTA_WAIT_S, QUOTA_REACHED)


class DiskFull(APIException):
    """The disk is full: status 503."""

    status_code = 503
    default_code = "disk_full"
    default_detail = DISK_FULL
    wait = DISK_WAIT_S  # sent as Retry-After


_SIZE = Coalesce(Sum("document_bytes"), 0) + Count("pk") * ROW_BYTES


# The sums are read every few seconds, because that takes a while for a person with many sessions,
# and kept up to date in between. Other processes store, too: after so many bytes, read again, or
# after this part of what is left, if that is more. So this many processes don't exceed a quota by
# that.
READ_EVERY_S = 10.0
READ_EVERY_BYTES = 2 * MB
PROCESSES = 16
MOST_KNOWN = 10_000
Key = tuple[str, UUID | int, datetime | None]


@dataclass(slots=True)
class _Sum:
    """What is used, in bytes; when that was read; what this process has added since."""

    used: int
    read_s: float
    added: int = 0

    def is_fresh(self, most: float) -> bool:
        bytes_ = max(READ_EVERY_BYTES, (most - self.used) / PROCESSES)
        return time.monotonic() - self.read_s <= READ_EVERY_S and self.added < bytes_


_sums: dict[Key, _Sum] = {}


@dataclass(frozen=True, slots=True)
class Room:
    """What devices and people may still store. `full`: nothing, because the disk is full."""

    midnight: datetime
    full: bool = False

    def take(self, growth: int, device: UUID | None, person: int) -> str | None:
        """Take room for `growth` bytes. Returns why there is none, or `None`.

        A document that is not larger than the one that it replaces is only refused on a full disk.
        """
        if self.full:
            return DISK_FULL
        growth = max(growth, 0)
        sums = [(_sums.get(key), most) for key, most in self._limits(device, person)]
        known = [(each, most) for each, most in sums if each is not None]
        if growth and any(each.used + each.added + growth > most for each, most in known):
            _warn()
            return QUOTA_REACHED
        for each, _ in known:
            each.added += growth
        return None

    def _limits(self, device: UUID | None, person: int) -> list[tuple[Key, float]]:
        limits: list[tuple[Key, float]] = [
            (("user_id", person, self.midnight), _limit(settings.PERSON_MB_PER_DAY)),
            (("user_id", person, None), _limit(settings.PERSON_MB)),
        ]
        if device is not None:
            key = ("device_id", device, self.midnight)
            limits.append((key, _limit(settings.DEVICE_MB_PER_DAY)))
        return limits


def room_for(devices: Collection[UUID], people: Collection[int], now: datetime) -> Room:
    """Return the room that these devices and people have. Makes at most three queries."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if WATCH.state() == "full":
        return Room(midnight, full=True)
    _read_sums("device_id", devices, midnight, _limit(settings.DEVICE_MB_PER_DAY))
    _read_sums("user_id", people, midnight, _limit(settings.PERSON_MB_PER_DAY))
    _read_sums("user_id", people, None, _limit(settings.PERSON_MB))
    return Room(midnight)


def _limit(megabytes: int) -> float:
    return megabytes * MB or math.inf


def _read_sums(
    column: str, keys: Collection[UUID | int], since: datetime | None, most: float
) -> None:
    """Read the sums that are unknown or too old, unless there is no limit."""
    if most == math.inf:
        return
    known = {key: _sums.get((column, key, since)) for key in keys}
    stale = [key for key, each in known.items() if each is None or not each.is_fresh(most)]
    if not stale:
        return
    if len(_sums) > MOST_KNOWN:
        _sums.clear()
    rows = SessionData.objects.filter(**{f"{column}__in": stale}).order_by()
    if since:
        rows = rows.filter(updated_at__gte=since)
    found = dict(rows.values(column).annotate(used=_SIZE).values_list(column, "used"))
    for key in stale:
        _sums[column, key, since] = _Sum(found.get(key, 0), time.monotonic())


def used_by_people() -> list[tuple[str, int]]:
    """Return user names and the bytes they take, the largest first."""
    rows = SessionData.objects.order_by().values(name=F("user__username")).annotate(used=_SIZE)
    return [(row["name"], row["used"]) for row in rows.order_by("-used")]


_warned_s = -math.inf


def _warn() -> None:
    """Log that documents are deferred, at most once a minute."""
    global _warned_s  # noqa: PLW0603
    if time.monotonic() - _warned_s > WARN_EVERY_S:
        _warned_s = time.monotonic()
        log.warning("documents above the quota of their device or person are deferred")
