"""Disk space for an update."""

import os
from pathlib import Path

from agent.release.manifest import ReleaseError

INSTALL_BYTES = 700 << 20  # as deploy/install.sh wants it: a release has 370 MB
KEPT_BYTES = 100 << 20  # left for measuring: more than the 50 MB of `blink-agent doctor`


def check_room(folder: Path, archives: int) -> None:
    """Raise ReleaseError unless there is room for an installation and this many bytes beside it."""
    needed = archives + INSTALL_BYTES + KEPT_BYTES
    free = free_bytes(folder)
    if free < needed:
        raise ReleaseError("room", f"{needed >> 20} MB are needed, and {free >> 20} MB are free")


def free_bytes(folder: Path) -> int:
    """Return the free space of the folder's disk, or of that of its nearest existing parent."""
    there = next(each for each in (folder, *folder.parents) if each.exists())
    room = os.statvfs(there)
    return room.f_bavail * room.f_frsize
