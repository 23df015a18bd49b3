"""The rescue of a damaged store: what it keeps, how little room it needs, how long it may take."""

import contextlib
import fcntl
import itertools
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.errors import StoreError
from agent.store import file, rescue
from agent.store.reserve import RESERVE_BYTES
from agent.store.store import Store
from tests.agent.disks import fill, room_left, small_disk
from tests.agent.documents import document, ids
from tests.agent.store.damage import damage_page, filled, flip_bit, set_aside

DELIVERED, PENDING = 50, 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", "8m") as folder:
        yield folder


def a_store(path: Path) -> tuple[list[str], list[str]]:
    """The ids of its delivered and of its pending sessions. One page in its middle is damaged."""
    made = [document(7) for _ in range(DELIVERED + PENDING)]
    with contextlib.closing(Store(path)) as store:
        for each in made:
            store.put(each)
        for each in made[:DELIVERED]:
            store.acknowledge(each["session_id"], 7)
    damage_page(path, share=0.3)
    return ids(made[:DELIVERED]), ids(made[DELIVERED:])


def test_what_was_acknowledged_stays_so(path: Path) -> None:
    delivered, pending = a_store(path)
    with contextlib.closing(Store(path)) as store:
        assert ids(store.pending(99)) == pending
        found = {each.session_id: each for each in store.newest() if each.delivered}
        assert set(found) <= set(delivered)
        assert len(found) > DELIVERED / 2


@pytest.mark.parametrize("claimed", [7, 8])
def test_an_acknowledgement_that_only_the_row_claims_is_not_believed(
    path: Path, claimed: int
) -> None:
    """A flipped bit there would make a session that nobody has look delivered."""
    made = filled(path, 3)
    with sqlite3.connect(path) as raw:  # the index is hidden from SQLite while the row changes
        raw.execute("PRAGMA writable_schema = ON")
        name = "sessions_pending"
        index = raw.execute("SELECT * FROM sqlite_schema WHERE name = ?", [name]).fetchone()
        raw.execute("DELETE FROM sqlite_schema WHERE name = ?", [name])
    raw.close()
    with sqlite3.connect(path) as raw:
        raw.execute(
            "UPDATE sessions SET acked_revision = ? WHERE session_id = ?",
            [claimed, made[1]["session_id"]],
        )
        raw.execute("PRAGMA writable_schema = ON")
        raw.execute("INSERT INTO sqlite_schema VALUES (?, ?, ?, ?, ?)", index)
    raw.close()
    with contextlib.closing(Store(path)) as store:
        assert len(set_aside(path)) == 1
        assert ids(store.pending(9)) == ids(made[1:])


def test_a_damaged_store_with_little_room_goes_on_without_the_delivered_sessions(
    disk: Path,
) -> None:
    path = disk / "agent.sqlite3"
    _, pending = a_store(path)
    fill(disk, leaving=path.stat().st_size * 2 // 3)
    for _ in range(2):  # the second start finds nothing to do
        with contextlib.closing(Store(path)) as store:
            assert ids(store.pending(99)) == pending
            assert store.counts()["delivered"] == 0
            store.note("watch", {"state": "ready"})
    assert len(set_aside(path)) == 1


def test_a_damaged_store_with_no_room_at_all_is_rescued_into_the_reserve(disk: Path) -> None:
    _, pending = a_store(disk / "agent.sqlite3")
    fill(disk, leaving=0)
    with contextlib.closing(Store(disk / "agent.sqlite3")) as store:
        assert ids(store.pending(99)) == pending
        assert store.put(document(7)), "there is room for the end of a session"
        assert store.problem() == "the disk is full"


def test_files_set_aside_earlier_make_room(disk: Path) -> None:
    path = disk / "agent.sqlite3"
    a_store(path)
    Store(path).close()
    damage_page(path, share=0.8)
    fill(disk, leaving=0)
    with contextlib.closing(Store(path)) as store:
        assert len(set_aside(path)) == 1
        assert store.counts()["pending"] > PENDING / 2


def test_a_rescue_for_which_there_is_no_room_leaves_everything_as_it_was(disk: Path) -> None:
    path = disk / "agent.sqlite3"
    made = [document(7, note="x" * 10_000) for _ in range(200)]
    with contextlib.closing(Store(path)) as store:
        for each in made:
            store.put(each)
    damage_page(path, share=0.5)
    filler = fill(disk, leaving=0)
    before = path.read_bytes()
    with pytest.raises(StoreError, match="the disk is full"):
        Store(path)
    assert path.read_bytes() == before
    assert not (disk / "agent.sqlite3.new").exists(), "it would fill the disk"
    assert room_left(disk) >= RESERVE_BYTES / 2
    filler.unlink()
    with contextlib.closing(Store(path)) as store:
        assert store.counts()["pending"] > 190


def test_others_wait_for_a_rescue_as_long_as_it_makes_progress(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file, "WAIT_S", 0.3)
    pings: list[float] = []
    new = path.with_name("agent.sqlite3.new")

    def build(begun: threading.Event) -> None:
        with path.with_name("agent.sqlite3.lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for number in range(15):
                new.write_bytes(bytes(number))
                begun.set()
                time.sleep(0.1)

    with contextlib.closing(Store(path, alive=lambda: pings.append(time.monotonic()))) as store:
        pings.clear()
        builder = threading.Thread(target=build, args=[begun := threading.Event()])
        builder.start()
        begun.wait(10)
        assert store.counts()["sessions"] == 0
        assert len(pings) >= 3
        builder.join()
        with path.with_name("agent.sqlite3.lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with pytest.raises(StoreError, match="locked by another process"):
                store.counts()


def test_a_rescue_reports_its_progress_throughout(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand long sessions on a slow card take longer than the watchdog waits."""
    made = [document(7, note="x" * 100_000) for _ in range(60)]
    with contextlib.closing(Store(path)) as store:
        for each in made:
            store.put(each)
    flip_bit(path, made[4]["session_id"], "row")
    copy = rescue._copy

    def slowly(*arguments: Any) -> int:
        time.sleep(0.02)
        return copy(*arguments)

    monkeypatch.setattr(rescue, "_copy", slowly)
    pings = [begun := time.monotonic()]
    with contextlib.closing(Store(path, alive=lambda: pings.append(time.monotonic()))) as store:
        pings.append(time.monotonic())
        assert store.counts()["pending"] == 60
    longest = max(later - earlier for earlier, later in itertools.pairwise(pings))
    assert pings[-1] - begun > 1.2
    assert longest < 0.8
