"""Give back memory that holds unmodified pages of files: code that only the start needed."""

import contextlib
import ctypes
from collections.abc import Iterator
from pathlib import Path

_MADV_DONTNEED = 4
"""Advice of madvise(2): drop these pages."""


def release() -> None:
    """Drop this process's unmodified pages of files.

    Pages that are used again are reloaded automatically, usually from the page cache. Of the pages
    of libraries and models, that is a third. Does nothing if the system has no madvise or doesn't
    list its mappings.
    """
    with contextlib.suppress(OSError, AttributeError):
        madvise = ctypes.CDLL(None, use_errno=True).madvise
        for start, end in list(_unmodified()):
            madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _MADV_DONTNEED)


def _unmodified() -> Iterator[tuple[int, int]]:
    """Yield the addresses of mapped regular files that are unmodified and can't be modified.

    A modified page of a private mapping would be lost. A mapping that can't be written any more may
    have such pages too, because the linker has filled in addresses.
    """
    addresses, is_safe = "", False
    with Path("/proc/self/smaps").open(encoding="utf-8", errors="surrogateescape") as lines:
        for line in lines:
            first, *more = line.rstrip("\n").split(maxsplit=5)
            if not first.endswith(":"):
                addresses, is_safe = first, _is_safe(*more)
            elif first == "Anonymous:" and is_safe and more[0] == "0":
                start, _, end = addresses.partition("-")
                yield int(start, 16), int(end, 16)


def _is_safe(mode: str, *more: str) -> bool:
    """Return whether this is a regular file that can't be written through the mapping.

    Drivers map memory under the names of devices, and can't always bring back a dropped page.
    """
    _offset, _device, _inode, *name = more
    return "w" not in mode and bool(name) and Path(name[0]).is_file()
