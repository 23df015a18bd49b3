"""Heartbeats: each part of the server regularly records that it is working.

They are stored in the database, because the parts are separate processes and may run on different
machines.
"""

import time
from datetime import timedelta

from django.db import IntegrityError, close_old_connections
from django.utils import timezone

from server.monitoring.models import Sign

CONSUMER = "consumer"

# Seconds. Rare enough for a memory card, frequent enough to notice a failure within a minute.
BEAT_S = 10.0
# Three missed heartbeats, plus the longest wait for a locked database.
ALIVE = timedelta(seconds=50)


def note_sign(name: str) -> None:
    """Record a heartbeat of this part of the server."""
    moment = timezone.now()
    if not Sign.objects.filter(pk=name).update(at=moment):
        try:
            Sign.objects.create(name=name, at=moment)
        except IntegrityError:  # another process of the same name has just recorded one
            return


class Heart:
    """Records heartbeats for a process that works in a loop."""

    def __init__(self, name: str, every_s: float = BEAT_S) -> None:
        self.name = name
        self.every_s = every_s
        self._last_s: float | None = None

    def beat(self) -> bool:
        """Record a heartbeat if one is due, and return whether it was.

        Raises `django.db.Error` if the database is unavailable.
        """
        now_s = time.monotonic()
        if self._last_s is not None and now_s - self._last_s < self.every_s:
            return False
        close_old_connections()
        note_sign(self.name)
        self._last_s = now_s
        return True


def age(name: str) -> timedelta | None:
    """Return the time since the last heartbeat, or `None` if there has been none."""
    at = Sign.objects.filter(pk=name).values_list("at", flat=True).first()
    return timezone.now() - at if at else None
