"""What the light shows between sessions, on a real store."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.clock import Clock
from agent.controls.light import LightState
from agent.store.reserve import RESERVE_BYTES
from agent.store.store import Store
from agent.watch.idle import LOOK_S, REFUSED_S, UNSENT_S, Idle
from tests.agent.disks import fill, small_disk
from tests.agent.documents import document


@dataclass(frozen=True, slots=True)
class HandClock(Clock):
    """Time that passes when told to."""

    passed: list[float]

    def monotonic_s(self) -> float:
        return sum(self.passed)


@dataclass
class Room:
    """A device on the wall, and somebody who looks at its light."""

    store: Store
    clock: HandClock
    idle: Idle

    def after(self, seconds: float) -> LightState:
        """What it shows so much later; nobody skips a look."""
        for _ in range(round(seconds / LOOK_S) or 1):
            self.clock.passed.append(LOOK_S)
            self.idle.light()
        return self.idle.light()


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    store = Store(tmp_path / "agent.sqlite3")
    clock = HandClock([0.0])
    yield Room(store, clock, Idle(store, clock))
    store.close()


def test_a_device_with_nothing_to_deliver_is_ready(room: Room) -> None:
    assert room.idle.light() == "ready"
    assert room.after(10 * UNSENT_S) == "ready"


def test_a_session_that_is_not_delivered_for_a_while_waits_until_it_is(room: Room) -> None:
    room.store.put(session := document(7))
    assert room.after(LOOK_S) == "ready", "delivery takes a moment"
    assert room.after(UNSENT_S) == "unsent"
    room.store.acknowledge(session["session_id"], 7)
    assert room.after(LOOK_S) == "ready"


def test_a_backlog_that_gets_on_does_not_wait(room: Room) -> None:
    backlog = [document(7) for _ in range(8)]
    for each in backlog:
        room.store.put(each)
    for each in backlog:
        assert room.after(UNSENT_S / 2) == "ready"
        room.store.acknowledge(each["session_id"], 7)


def test_what_the_server_refused_does_not_wait_for_a_network(room: Room) -> None:
    room.store.put(session := document(7))
    room.store.park(session["session_id"], 7, "blinks: expected columns of one length")
    assert room.after(2 * UNSENT_S) == "ready"


def test_a_device_that_was_never_enrolled_waits(room: Room) -> None:
    room.store.note("delivery", {"ok": False, "problem": "enrol it", "enrolled": False})
    assert room.after(LOOK_S) == "unsent"
    room.store.note("delivery", {"ok": True, "problem": None})
    assert room.after(LOOK_S) == "ready"


def test_a_session_that_could_not_begin_is_shown_for_a_while(room: Room) -> None:
    room.idle.refused()
    assert room.idle.light() == "fault"
    assert room.after(REFUSED_S + LOOK_S) == "ready"


def test_looking_writes_nothing(room: Room) -> None:
    room.after(LOOK_S)
    with_others = Store(room.store._file.path)
    with_others.data_version()
    before = with_others.data_version()
    room.after(UNSENT_S)
    assert with_others.data_version() == before
    with_others.close()


# A disk of its own


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", "4m") as folder:
        yield folder


def test_a_card_that_turns_read_only_is_a_fault_until_it_can_be_written(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert room.after(LOOK_S) == "ready"
    # What access(2) says of a file on such a card; nobody can remount one with files open.
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)
    assert room.after(LOOK_S) == "fault"
    monkeypatch.undo()
    assert room.after(LOOK_S) == "ready"
    assert room.store.noted("watch") == {"state": "ready"}


def test_a_full_disk_is_a_fault_that_status_names_until_there_is_room(
    disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store, clock = Store(disk / "agent.sqlite3"), HandClock([0.0])
    room = Room(store, clock, Idle(store, clock))
    (disk / "agent.sqlite3.reserve").unlink()
    filler = fill(disk, leaving=RESERVE_BYTES // 2)
    assert room.after(LOOK_S) == "fault"
    assert store.noted("watch") == {"state": "fault", "problem": "the disk is full"}
    room.after(4 * LOOK_S)
    filler.unlink()
    assert room.after(LOOK_S) == "ready"
    assert store.noted("watch") == {"state": "ready"}
    assert len([each for each in caplog.messages if "full" in each]) == 1
    store.close()
