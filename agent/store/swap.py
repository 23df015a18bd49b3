"""Replace a damaged store by a new file, so that a power cut at any point loses nothing.

The old file is linked to its new name and then replaced, so a file always exists at its path. Its
WAL is moved between these two steps. It is moved before the replacement, because SQLite would write
its pages into the new file otherwise. It is moved after the link, because `undo_swap` finds the WAL
of an interrupted swap by that link.
"""

import contextlib
import os
from pathlib import Path

from agent.files import sync_path

SIDE_FILES = ("-wal", "-shm")


def swap(path: Path, new: Path, aside: Path) -> None:
    """Set the file at `path` aside with its WAL and rename the new one into place.

    Each step is on the disk before the next: a file system need not keep their order.
    """
    if path.exists():
        os.link(path, aside)
        sync_path(path.parent)
    _move_side_files(path, aside)
    sync_path(path.parent)
    new.replace(path)
    sync_path(path.parent)


def undo_swap(path: Path) -> None:
    """Give the file at `path` its WAL back if a swap was interrupted before its last step."""
    if not path.exists() or path.stat().st_nlink == 1:
        return
    for aside in path.parent.glob(f"{path.stem}.damaged-*{path.suffix}"):
        if aside.samefile(path):
            _move_side_files(aside, path)
            sync_path(path.parent)
            aside.unlink()


def _move_side_files(database: Path, to: Path) -> None:
    for suffix in SIDE_FILES:
        with contextlib.suppress(FileNotFoundError):
            (database.parent / (database.name + suffix)).replace(to.parent / (to.name + suffix))
