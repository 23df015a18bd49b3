"""The data folder's disk: its free space, and waiting until names are on it.

ok    more than `DISK_ALARM_MB` is free
low   less: /readyz, /metrics, `blink-server check` and the log say so
full  less than `DISK_RESERVE_MB`: no new measurements are stored; they wait on the devices. The
      rest is for people, deletions and backups
"""

import logging
import math
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from django.conf import settings

log = logging.getLogger(__name__)

State = Literal["ok", "low", "full"]
MB = 1024 * 1024
# Seconds. How long a reading is used, and how often the log repeats a warning.
READ_EVERY_S = 5.0
WARN_EVERY_S = 3600.0


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def free_bytes() -> int:
    """Return the free space of the data folder's disk, or of its nearest existing parent."""
    folder = settings.DATA_DIR
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def state_of(free: int) -> State:
    """Return the state for this many free bytes."""
    if free < settings.DISK_RESERVE_MB * MB:
        return "full"
    return "low" if free < settings.DISK_ALARM_MB * MB else "ok"


class DiskWatch:
    """Reads the state every few seconds.

    While it is not ok, a warning is logged: at once, and every hour.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._state: State = "ok"
        self._read_s = self._warned_s = -math.inf

    def state(self) -> State:
        """Return the state, at most `READ_EVERY_S` old."""
        now_s = self._clock()
        if now_s - self._read_s >= READ_EVERY_S:
            free = free_bytes()
            before, self._state, self._read_s = self._state, state_of(free), now_s
            if self._state != before or now_s - self._warned_s >= WARN_EVERY_S:
                self._warn(free, before)
        return self._state

    def _warn(self, free: int, before: State) -> None:
        if self._state != "ok":
            log.warning("the disk is %s: %d MB are free", _WORDS[self._state], free // MB)
            self._warned_s = self._clock()
        elif before != "ok":
            log.info("the disk has room again: %d MB are free", free // MB)


_WORDS = {"low": "nearly full", "full": "full, new measurements are not stored"}
WATCH = DiskWatch()
