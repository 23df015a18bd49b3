"""Installations of their own, to back up and to restore to."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from django.db import connection

ROOT = Path(__file__).resolve().parents[3]
SHOW = """
import django; django.setup()
from server.session_data.models import SessionData
print("\\n".join(str(pk) for pk in SessionData.objects.values_list("pk", flat=True)))
"""


@dataclass
class Place:
    """An installation of its own: a data folder and a database."""

    folder: Path
    url: str = ""
    settings: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, good: bool = True) -> str:
        """`blink-server` with these; what it said."""
        return self.python("-m", "server.operations.cli", *arguments, good=good)

    def python(self, *arguments: str, good: bool = True) -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert (done.returncode == 0) == good, done.stderr
        return done.stdout if good else done.stderr

    def environment(self) -> dict[str, str]:
        own = ("DATABASE_URL", "BLINKLOG_", "STATE_DIRECTORY")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(own)}
        more = {"DATABASE_URL": self.url} if self.url else {}
        return (
            kept
            | more
            | {
                "BLINKLOG_DATA_DIR": str(self.folder),
                "BLINKLOG_SECRET_KEY": "for the length of a test",
                "DJANGO_SETTINGS_MODULE": "server.config.settings",
            }
            | self.settings
        )

    def sessions(self) -> set[str]:
        return set(self.python("-c", SHOW).split())


@contextmanager
def pouring(place: Place) -> Iterator[list[str]]:
    """Documents come in; those acknowledged so far."""
    acknowledged: list[str] = []
    with subprocess.Popen(
        [sys.executable, "-m", "tests.server.pourer"],
        cwd=ROOT,
        env=place.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as pourer:
        assert pourer.stdout is not None
        acknowledged += [pourer.stdout.readline().strip() for _ in range(50)]
        assert all(acknowledged)
        yield acknowledged
        pourer.communicate("", timeout=30)
        assert pourer.returncode == 0


on_sqlite = pytest.mark.skipif(connection.vendor != "sqlite", reason="runs with SQLite's turn")
on_postgres = pytest.mark.skipif(
    connection.vendor == "sqlite", reason="runs with PostgreSQL's turn"
)
