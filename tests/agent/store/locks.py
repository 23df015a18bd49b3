"""Another program that holds a write lock on the store, as a database browser does."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PROGRAM = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
db.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
db.execute("COMMIT")
"""


class Browser:
    """Holds the lock from its making until `leave`."""

    def __init__(self, path: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"locked\n"

    def leave(self) -> None:
        """A second call does nothing."""
        if self._process.poll() is None:
            self._process.communicate(timeout=30)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """The store is locked for the length of the block."""
    browser = Browser(path)
    try:
        yield
    finally:
        browser.leave()
