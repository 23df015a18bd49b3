"""How much of the disk a device and a person may take.

A document above a quota is deferred: it is not stored, and its device keeps it and sends it again.
HTTP answers 429 with Retry-After, or 503 while the disk is full; MQTT does not answer.

A day's amount is that of the sessions that changed on that day (UTC), each counted once at its
present size. So a session that is sent every ten seconds counts as much as one sent at its end.
"""

import logging
import math
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from django.conf import settings
from django.db.models import Count, F, Q, Sum
from django.db.models.functions import Coalesce
from rest_framework.exceptions import APIException, Throttled

from server.common.disk import MB, WATCH
from server.session_data.models import SessionData

K = TypeVar("K", UUID, int)
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


@dataclass(slots=True)
class Room:
    """What may still be stored, in bytes, by keys of devices and people."""

    full: bool = False
    devices: dict[UUID, float] = field(default_factory=dict)
    people: dict[int, float] = field(default_factory=dict)

    def take(self, size: int, device: UUID | None, person: int) -> str | None:
        """Take room for a document of `size` bytes. Returns why there is none, or `None`."""
        size += ROW_BYTES
        if self.full:
            return DISK_FULL
        of_device = math.inf if device is None else self.devices.get(device, math.inf)
        if size > min(of_device, self.people.get(person, math.inf)):
            _warn()
            return QUOTA_REACHED
        self.people[person] = self.people.get(person, math.inf) - size
        if device is not None:
            self.devices[device] = of_device - size
        return None


def room_for(devices: Collection[UUID], people: Collection[int], now: datetime) -> Room:
    """Return the room that these devices and people have. Makes at most three queries."""
    if WATCH.state() == "full":
        return Room(full=True)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    today = Q(updated_at__gte=midnight)
    of_device, of_person, whole = (
        size * MB or math.inf
        for size in (
            settings.DEVICE_MB_PER_DAY,
            settings.PERSON_MB_PER_DAY,
            settings.PERSON_MB,
        )
    )
    room = Room()
    room.devices = _left("device_id", devices, of_device, today)
    room.people = _left("user_id", people, of_person, today)
    for person, left in _left("user_id", people, whole, Q()).items():
        room.people[person] = min(room.people[person], left)
    return room


def used_by_people() -> list[tuple[str, int]]:
    """Return user names and the bytes they take, the largest first."""
    rows = SessionData.objects.order_by().values(name=F("user__username")).annotate(used=_SIZE)
    return [(row["name"], row["used"]) for row in rows.order_by("-used")]


def _left(column: str, keys: Collection[K], most: float, which: Q) -> dict[K, float]:
    if math.isinf(most) or not keys:
        return dict.fromkeys(keys, math.inf)
    rows = SessionData.objects.filter(which, **{f"{column}__in": list(keys)}).order_by()
    used: Mapping[K, int] = dict(
        rows.values(column).annotate(used=_SIZE).values_list(column, "used")
    )
    return {key: most - used.get(key, 0) for key in keys}


_warned_s = -math.inf


def _warn() -> None:
    """Log that documents are deferred, at most once a minute."""
    global _warned_s  # noqa: PLW0603
    if time.monotonic() - _warned_s > WARN_EVERY_S:
        _warned_s = time.monotonic()
        log.warning("documents above the quota of their device or person are deferred")
