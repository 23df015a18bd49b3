"""`sqlite_utils.Database`, imported without NumPy.

sqlite-utils imports NumPy and pandas if they are installed, to recognise their types. The store has
no such values, and the imports would cost `blink-agent sync` 15 MB of memory.
"""

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["DamageError", "Database"]


@contextmanager
def _without(*modules: str) -> Iterator[None]:
    """Make modules that are not loaded yet look as if they were not installed."""
    hidden = [name for name in modules if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type] # None: see importlib
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


with _without("numpy", "pandas"):
    from sqlite_utils import Database


class DamageError(sqlite3.DatabaseError):
    """The file can be read, but its parts contradict each other."""
