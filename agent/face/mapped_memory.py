"""Give back the memory of files that are mapped and no longer read."""

import contextlib
import ctypes
from pathlib import Path
from typing import BinaryIO

_MADV_RANDOM, _MADV_DONTNEED = 1, 4
"""Advice of madvise(2): read no more than what is asked for, and forget what was read."""


def release(file: BinaryIO) -> None:
    """Take the pages of `file` out of this process's memory, wherever it is mapped for reading.

    What is read again comes back from the file by itself. Costs nothing where it does not work.
    """
    with contextlib.suppress(OSError, AttributeError):
        madvise = ctypes.CDLL(None, use_errno=True).madvise
        for start, end in _mappings(Path(f"/proc/self/fd/{file.fileno()}").readlink()):
            for advice in (_MADV_RANDOM, _MADV_DONTNEED):
                madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), advice)


def _mappings(path: Path) -> list[tuple[int, int]]:
    """Where `path` is mapped, shared and read-only: forgetting any other page could lose data."""
    found = []
    with Path("/proc/self/maps").open(encoding="utf-8", errors="surrogateescape") as lines:
        for line in lines:
            addresses, mode, _, _, _, *name = line.rstrip("\n").split(maxsplit=5)
            if mode == "r--s" and name == [str(path)]:
                start, _, end = addresses.partition("-")
                found.append((int(start, 16), int(end, 16)))
    return found
