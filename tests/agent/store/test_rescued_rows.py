"""What the rescue makes of each row, whatever the damage has left in it."""

import sqlite3
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agent.store.database import Database
from agent.store.file import Rescue
from agent.store.rescue import BATCH_BYTES, rescue_sessions
from agent.store.rows import row_of
from agent.store.schema import MIGRATIONS
from tests.agent.documents import document

LOOSE = """
    CREATE TABLE sessions (
        number INTEGER PRIMARY KEY, document, checksum, revision, acked_revision, parked_reason);
    CREATE INDEX sessions_pending ON sessions (number)
        WHERE acked_revision < revision AND parked_reason IS NULL;
"""
"""The columns that are read, of any type: damage keeps to none."""


def database() -> Iterator[Database]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    yield Database(connection)
    connection.close()


@pytest.fixture
def damaged() -> Iterator[Database]:
    for found in database():
        found.executescript(LOOSE)
        yield found


@pytest.fixture
def new() -> Iterator[Database]:
    for found in database():
        found.executescript(MIGRATIONS[0])
        yield found


def add(damaged: Database, content: dict[str, Any], acked: object, **changes: object) -> None:
    row = row_of(content) | changes
    damaged.execute(
        "INSERT INTO sessions (document, checksum, revision, acked_revision) VALUES (?, ?, ?, ?)",
        [row["document"], row["checksum"], row["revision"], acked],
    )


def rescued(damaged: Database, new: Database, *, delivered: bool = True) -> int:
    """Return how many steps it took."""
    rescue = Rescue(datetime.now(UTC), Path("aside"), "a test", delivered)
    return sum(1 for _ in rescue_sessions(damaged, new, rescue))


def kept(new: Database) -> dict[str, int]:
    return dict(new.execute("SELECT session_id, acked_revision FROM sessions").fetchall())


def noted(new: Database) -> str:
    return str(new.execute("SELECT value FROM notes WHERE key = 'store'").fetchone()[0])


@pytest.mark.parametrize("acked", [1, 6, 7])
def test_an_acknowledged_revision_stays_so(damaged: Database, new: Database, acked: int) -> None:
    add(damaged, content := document(7), acked)
    rescued(damaged, new)
    assert kept(new) == {content["session_id"]: acked if acked == 7 else 0}, (
        "the index has it as pending unless it is the newest"
    )


@pytest.mark.parametrize("acked", [1, 6])
def test_an_older_acknowledgement_of_a_parked_session_stays_too(
    damaged: Database, new: Database, acked: int
) -> None:
    add(damaged, content := document(7), acked)
    damaged.execute("UPDATE sessions SET parked_reason = 'no'")
    rescued(damaged, new)
    assert kept(new) == {content["session_id"]: acked}


@pytest.mark.parametrize("acked", [0, -3, 8, 1 << 62, "7", "many", b"\x07", None, 6.5])
def test_what_can_not_be_an_acknowledged_revision_is_none(
    damaged: Database, new: Database, acked: object
) -> None:
    add(damaged, content := document(7), acked)
    damaged.execute("UPDATE sessions SET parked_reason = 'no'")
    rescued(damaged, new)
    assert kept(new) == {content["session_id"]: 0}


def test_a_session_that_has_just_begun_and_is_pending_stays_pending(
    damaged: Database, new: Database
) -> None:
    add(damaged, content := document(1), 0)
    rescued(damaged, new)
    assert kept(new) == {content["session_id"]: 0}


def test_the_note_counts_the_sessions_that_are_in_the_new_store(
    damaged: Database, new: Database
) -> None:
    add(damaged, document(7), 0)
    add(damaged, whole := document(7), 0)
    add(damaged, whole, 0)  # a second row of one session
    invalid = row_of(whole) | row_of({**document(7), "state": "ended"})
    text = invalid["document"].replace('"ended"', '"melted"', 1)
    add(damaged, document(7), 0, document=text, checksum=zlib.crc32(text.encode()))
    add(damaged, document(7), 0, checksum=1)
    rescued(damaged, new)
    assert len(kept(new)) == 2
    assert '"sessions_saved": 2' in noted(new)


def test_without_the_delivered_ones_the_others_stay(damaged: Database, new: Database) -> None:
    add(damaged, document(7), 7)
    add(damaged, active := document(1, state="active"), 1)
    add(damaged, pending := document(7), 6)
    rescued(damaged, new, delivered=False)
    assert kept(new) == {active["session_id"]: 1, pending["session_id"]: 0}


def test_a_step_that_can_be_committed_comes_after_each_mebibyte(
    damaged: Database, new: Database
) -> None:
    """One commit of everything would take a slow card longer than the watchdog waits."""
    assert BATCH_BYTES == 1 << 20
    for _ in range(50):
        add(damaged, document(7, note="x" * 100_000), 0)
    assert rescued(damaged, new) == 4, "after eleven sessions of 100 kB each, plus the rest"
