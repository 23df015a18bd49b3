"""Signs of life: each part of the server notes now and then that it does its work.

In the database, because its parts are processes of their own, perhaps on machines of their own.
"""

import time
from datetime import timedelta

from django.db import IntegrityError, close_old_connections
from django.utils import timezone

from server.monitoring.models import Sign

CONSUMER = "consumer"

# Seconds. Rare enough for a memory card, often enough to notice within a minute.
BEAT_S = 10.0
# Three beats missed, and the longest wait for a locked database.
ALIVE = timedelta(seconds=50)


def note_sign(name: str) -> None:
    """This part of the server does its work now."""
    moment = timezone.now()
    if not Sign.objects.filter(pk=name).update(at=moment):
        try:
            Sign.objects.create(name=name, at=moment)
        except IntegrityError:  # another process of the same name was first: just now, too
            return


class Heart:
    """Beats for a process that works in a loop; raises `django.db.Error` without a database."""

    def __init__(self, name: str, every_s: float = BEAT_S) -> None:
        self.name = name
        self.every_s = every_s
        self._last_s: float | None = None

    def beat(self) -> bool:
        """Note a sign of life, if the last one is long enough ago; whether it was."""
        now_s = time.monotonic()
        if self._last_s is not None and now_s - self._last_s < self.every_s:
            return False
        close_old_connections()
        note_sign(self.name)
        self._last_s = now_s
        return True


def age(name: str) -> timedelta | None:
    """How long ago the last sign was; `None` if there never was one."""
    at = Sign.objects.filter(pk=name).values_list("at", flat=True).first()
    return timezone.now() - at if at else None
