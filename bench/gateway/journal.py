"""What both sides write down beside their storage. Only the standard library."""

import json
import os
import time
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Journal:
    """The file CONTROL/journal: one `write` a line, `WHAT RECORD SECONDS CONTENT`.

    WHAT is `accepted` or `delivered`, SECONDS the monotonic clock, CONTENT the record's checksum.
    To be opened after the storage: CONTROL/begun says so.
    """

    def __init__(self, control: Path) -> None:
        self._file = opened(control / "journal")
        (control / "begun").touch()

    def accepted(self, record: str, content: Mapping[str, Any]) -> None:
        """Write down that the storage has accepted `record` now."""
        os.write(self._file, line("accepted", record, content))

    def delivered(self, record: str) -> None:
        """Write down that the storage has recorded now that the server has `record`."""
        os.write(self._file, line("delivered", record, {}))


def opened(file: Path) -> int:
    """Open a file for appending whole lines."""
    return os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def line(what: str, record: str, content: Mapping[str, Any]) -> bytes:
    """Return a line of the journal, or of what has arrived."""
    return f"{what} {record} {time.monotonic():.3f} {checksum(content)}\n".encode()


def checksum(content: Mapping[str, Any]) -> str:
    """Return a short text that depends on all of a record's content."""
    return f"{zlib.crc32(json.dumps(content, sort_keys=True).encode()):08x}"


def enough(control: Path) -> bool:
    """Return whether no more records are wanted."""
    return (control / "enough").exists()


def tell_idle(control: Path, idle: bool) -> None:
    """Leave CONTROL/idle there while nothing is unsent."""
    file = control / "idle"
    if idle:
        file.touch()
    else:
        file.unlink(missing_ok=True)
