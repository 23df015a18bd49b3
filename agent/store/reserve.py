"""Disk space that is held back, so that running sessions can be finished on a full disk."""

import contextlib
import logging
import os
from pathlib import Path

log = logging.getLogger(__name__)

# SQLite's -shm, and a two-hour session (150 kB) in both WAL and file, with margin
RESERVE_BYTES = 1 << 20


class Reserve:
    """The reserve of the store at `store`: a file beside it whose space is allocated."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self._file = store.with_name(store.name + ".reserve")

    def held(self) -> bool:
        """Return whether the space is reserved; reserve it if it is not and there is space."""
        if self._has_its_size():
            return True
        room = os.statvfs(self._store.parent)
        if room.f_bavail * room.f_frsize < RESERVE_BYTES:  # don't try: each attempt wears the card
            return False
        try:
            file = os.open(self._file, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                os.posix_fallocate(file, 0, RESERVE_BYTES)
            finally:
                os.close(file)
        except OSError:
            with contextlib.suppress(OSError):
                self._file.unlink()
            return False
        return True

    def use(self) -> bool:
        """Release the space; return False if there was none."""
        held = self._has_its_size()
        try:
            self._file.unlink()
        except OSError:
            return False
        if held:
            log.warning("%s: the disk is full: using the reserved space", self._store)
        return held

    def _has_its_size(self) -> bool:
        """Return whether the file has its full size: a power cut may have left a shorter one."""
        try:
            return self._file.stat().st_size >= RESERVE_BYTES
        except OSError:
            return False
