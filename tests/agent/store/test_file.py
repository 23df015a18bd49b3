"""The store's file: private, synced, of a known schema, shared by threads and processes."""

import contextlib
import sqlite3
import subprocess
import sys
import threading
import uuid
from pathlib import Path
from typing import Any

import pytest

from agent.errors import StoreError
from agent.store import commands
from agent.store import store as store_module
from agent.store.schema import MIGRATIONS
from agent.store.store import Store
from tests.agent.documents import document

EXPIRES_AT = "2099-01-01T00:00:00Z"

# Notes and news


def test_a_note_is_read_by_the_other_process(path: Path, store: Store) -> None:
    other = Store(path)
    store.note("watch", {"state": "measuring"})
    assert other.noted("watch") == {"state": "measuring"}
    assert other.noted("nothing") is None
    other.close()


def test_data_version_changes_only_when_another_connection_writes(path: Path, store: Store) -> None:
    other = Store(path)
    before = store.data_version()
    store.put(document(1))
    store.note("own", 1)
    assert store.data_version() == before
    other.note("own", 1)
    assert store.data_version() == before, "a note that says nothing new is no write"
    other.put(document(1))
    assert store.data_version() != before
    other.close()


# The file


def test_opening_the_store_loads_no_numpy_and_does_not_hide_it_from_others() -> None:
    """`sync` does without its 15 MB; `watch` needs it."""
    program = (
        "import sys, agent.store.store\n"
        "assert 'numpy' not in sys.modules and 'pandas' not in sys.modules\n"
        "import numpy\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=100)


def test_only_the_owner_can_read_the_file(path: Path, store: Store) -> None:
    store.put(document(7))
    modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    assert {"agent.sqlite3", "agent.sqlite3-wal"} <= modes.keys()
    assert set(modes.values()) == {0o600}


def test_a_commit_is_on_the_disk_before_put_returns(path: Path, store: Store) -> None:
    raw = store._file._db
    assert raw is not None
    assert raw.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert raw.execute("PRAGMA synchronous").fetchone() == (2,), "2 is FULL"


@pytest.mark.parametrize("version", range(len(MIGRATIONS)))
def test_a_store_of_every_older_schema_is_brought_up_to_date(path: Path, version: int) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as old:
        for script in MIGRATIONS[:version]:
            old.executescript(script)
        old.execute(f"PRAGMA user_version = {version}")
        old.execute("PRAGMA application_id = 0x424C4E4B")
    old.close()
    store = Store(path)
    assert store.put(document(7))
    store.close()


def test_a_store_of_a_newer_agent_is_refused_and_left_alone(path: Path) -> None:
    Store(path).close()
    with sqlite3.connect(path) as newer:
        newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(
        StoreError, match=r"expected schema 1 or older, found 99.*newer blink-agent"
    ):
        Store(path)
    assert [each.name for each in path.parent.glob("*damaged*")] == []


def test_the_database_of_another_program_is_refused_and_left_alone(path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as foreign:
        foreign.execute("CREATE TABLE theirs (x)")
    foreign.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="expected a Blinklog store, found a database"):
        Store(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("call", ["put", "take_in", "take_command"])
def test_no_other_process_writes_between_reading_and_writing(
    path: Path, store: Store, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite would refuse the second of the two at once, however long it may wait."""
    store.put(document(1, "a"))
    store.spool(document(2, "a"))
    store.add_command({"id": str(uuid.uuid4()), "command": "stop", "expires_at": EXPIRES_AT})
    takes = call == "take_command"
    module, name = (commands, "_waiting") if takes else (store_module, "_check_index")
    read, locked = getattr(module, name), []

    def meanwhile(*arguments: Any) -> Any:
        found = read(*arguments)
        with contextlib.closing(sqlite3.connect(path, timeout=0)) as other:
            try:
                other.execute("INSERT INTO notes VALUES ('other', '1')")
                other.commit()
            except sqlite3.OperationalError as error:
                locked.append(str(error))
        return found

    monkeypatch.setattr(module, name, meanwhile)
    calls = {"put": lambda: store.put(document(3, "a")), "take_in": store.take_in}
    assert calls.get(call, store.take_command)()
    assert locked == ["database is locked"]


def test_two_threads_with_separate_stores_never_deadlock(path: Path) -> None:
    def work(session_id: str) -> None:
        own = Store(path)
        for revision in range(1, 41):
            own.put(document(revision, session_id))
            own.acknowledge(session_id, revision)
        own.close()

    sessions = [document()["session_id"] for _ in range(3)]
    threads = [threading.Thread(target=work, args=[each]) for each in sessions]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    store = Store(path)
    assert {each.session_id: each.acked_revision for each in store.sessions(9)} == dict.fromkeys(
        sessions, 40
    )
    store.close()


def test_a_store_that_is_closed_twice_is_closed_once(path: Path) -> None:
    store = Store(path)
    store.close()
    store.close()
