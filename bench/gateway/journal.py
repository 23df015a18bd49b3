"""What both sides write down beside their storage. Only the standard library."""

import os
import time
from pathlib import Path


class Journal:
    """The records that a storage has accepted, each with the time: one `write` a line."""

    def __init__(self, folder: Path) -> None:
        self._file = os.open(folder / "journal", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def accepted(self, record: str) -> None:
        """Write down that the storage has accepted `record` now (monotonic clock, in seconds)."""
        os.write(self._file, f"{record} {time.monotonic():.3f}\n".encode())


def enough(folder: Path) -> bool:
    """Return whether no more records are wanted."""
    return (folder / "enough").exists()


def tell_idle(folder: Path, idle: bool) -> None:
    """Leave FOLDER/idle there while nothing is unsent."""
    file = folder / "idle"
    if idle:
        file.touch()
    else:
        file.unlink(missing_ok=True)
