"""What an update waits for: a moment in which nobody is measured, and room."""

import contextlib
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from agent.health.idle import is_idle
from agent.release import room
from agent.release.manifest import ReleaseError
from agent.store.store import Store
from agent.system.process_lock import process_lock
from tests.agent.documents import golden


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "agent.sqlite3"


def test_a_device_without_a_store_or_without_watch_is_idle(path):
    assert is_idle(path)
    store = Store(path)
    store.put(golden("started"))
    store.close()
    assert is_idle(path), "a row that a power cut left: watch closes it"


@pytest.mark.parametrize(
    ("state", "idle"),
    [("ready", True), ("fault", True), ("looking", True), ("starting", True), ("measuring", False),
     ("finishing", False), ("aiming", False), ("checking", False), (None, True)],
)  # fmt: skip
def test_only_what_watch_does_for_nobody_is_idle(path, state, idle):
    store = Store(path)
    if state:
        store.note("watch", {"state": state})
    with process_lock(path, "watch"):
        # The process that holds a lock can't ask for it: another one looks.
        assert looks(path) is idle
    store.close()


def test_a_session_in_the_store_is_not_idle_whatever_watch_says(path):
    store = Store(path)
    store.note("watch", {"state": "ready"})
    with process_lock(path, "watch"):
        assert looks(path)
        store.put(golden("started"))
        assert not looks(path)
        store.put(golden("final"))
        assert looks(path)
    store.close()


def test_a_store_that_can_t_be_read_is_not_idle(path):
    path.write_bytes(b"nonsense" * 1000)
    with process_lock(path, "watch"):
        assert not looks(path)


LOOKS = """
import sys
from pathlib import Path
from agent.health.idle import is_idle
print(is_idle(Path(sys.argv[1])))
"""


def looks(path: Path) -> bool:
    done = subprocess.run(
        [sys.executable, "-c", LOOKS, path], capture_output=True, text=True, check=True
    )
    return done.stdout.strip() == "True"


def test_looking_changes_nothing(path):
    Store(path).close()
    before = path.read_bytes()
    is_idle(path)
    assert path.read_bytes() == before
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_too_little_room_says_how_much_is_needed(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "free_bytes", lambda _: 500 << 20)
    with pytest.raises(ReleaseError, match="930 MB are needed, and 500 MB are free"):
        room.check_room(tmp_path, 130 << 20)
    monkeypatch.setattr(room, "free_bytes", lambda _: 930 << 20)
    room.check_room(tmp_path, 130 << 20)
    assert room.free_bytes(tmp_path / "not" / "there") > 0
