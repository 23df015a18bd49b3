"""The files beside the store: their names, and what happens to them when it is damaged."""

import itertools
import os
from datetime import UTC, datetime
from pathlib import Path

SET_ASIDE_KEPT = 5  # damaged files kept for inspection; a failing card makes many
PAGE_BYTES = 4096
LENGTH_CAP = 1 << 30  # a header with a larger size is invalid


def sibling(path: Path, suffix: str) -> Path:
    """Return the path of a file that belongs to `path`, such as agent.sqlite3-wal."""
    return path.with_name(path.name + suffix)


def aside_name(path: Path) -> Path:
    """Return an unused name with the date, such as agent.damaged-20261122T101530Z.sqlite3."""
    date = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    again = itertools.chain([""], (f"-{count}" for count in itertools.count(1)))
    names = (path.with_name(f"{path.stem}.damaged-{date}{each}{path.suffix}") for each in again)
    return next(name for name in names if not name.exists())


def restore_length(path: Path) -> None:
    """Extend a truncated file, with zeros, to the size in its header.

    SQLite reads no page of a shorter file. The added pages take no space on the disk.
    """
    with path.open("rb") as file:
        header = file.read(32)
    page = int.from_bytes(header[16:18], "big")
    length = page * int.from_bytes(header[28:32], "big")
    if page == PAGE_BYTES and path.stat().st_size < length <= LENGTH_CAP:
        os.truncate(path, length)


def delete_oldest(path: Path, kept: int) -> None:
    """Delete the files set aside for `path`, except for the newest `kept`."""
    aside = sorted(
        path.parent.glob(f"{path.stem}.damaged-*{path.suffix}"),
        key=lambda each: each.stat().st_mtime,
    )
    for old in aside[: max(0, len(aside) - kept)]:
        delete_database(old)


def delete_database(path: Path) -> None:
    """Delete a database with the files that SQLite keeps beside it, as far as they exist."""
    for suffix in ("", "-journal", "-wal", "-shm"):
        sibling(path, suffix).unlink(missing_ok=True)
