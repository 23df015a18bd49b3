"""Release the memory of mapped files that are no longer read."""

import contextlib
import ctypes
from pathlib import Path
from typing import BinaryIO

_MADV_RANDOM, _MADV_DONTNEED = 1, 4
"""Advice of madvise(2): no read-ahead, and drop the pages that were read."""


def release(file: BinaryIO) -> None:
    """Drop the pages of `file` from this process's memory, wherever it is mapped read-only.

    Pages that are read again are reloaded from the file automatically. Does nothing if madvise is
    not available.
    """
    with contextlib.suppress(OSError, AttributeError):
        madvise = ctypes.CDLL(None, use_errno=True).madvise
        for start, end in _mappings(Path(f"/proc/self/fd/{file.fileno()}").readlink()):
            for advice in (_MADV_RANDOM, _MADV_DONTNEED):
                madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), advice)


def _mappings(path: Path) -> list[tuple[int, int]]:
    """Return where `path` is mapped shared and read-only: other pages could lose data."""
    found = []
    with Path("/proc/self/maps").open(encoding="utf-8", errors="surrogateescape") as lines:
        for line in lines:
            addresses, mode, _, _, _, *name = line.rstrip("\n").split(maxsplit=5)
            if mode == "r--s" and name == [str(path)]:
                start, _, end = addresses.partition("-")
                found.append((int(start, 16), int(end, 16)))
    return found
