"""Another program locks the store, or nothing can be written: no measured session is lost."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.controls.panel import Action
from agent.errors import StoreError
from agent.store.store import Store
from agent.system.worker import Worker
from agent.watch.upkeep import RETRY_S
from tests.agent.documents import document
from tests.agent.store.locks import Browser
from tests.agent.watch.device import FPS, Device

WAIT_S = 0.1


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "agent.sqlite3"


@pytest.fixture
def impatient(path: Path) -> Iterator[Device]:
    """A device whose threads wait a tenth of a second for a lock. Idle time passes on its clock."""
    worker = Worker(lambda: contextlib.closing(Store(path, wait_s=WAIT_S)))
    with contextlib.closing(Store(path, wait_s=WAIT_S)) as store:
        device = Device(store, worker, path.parent)
        action = device.panel.action

        def timed(timeout_s: float) -> Action | None:
            device.clock.passed_s += timeout_s
            return action(timeout_s)

        device.panel.action = timed  # type: ignore[method-assign]
        yield device
    worker.close()


def when_idle(device: Device, after_s: float, event: Callable[[], object]) -> None:
    """Calls `event` once the device has been idle for so long on its clock."""
    action, idle = device.panel.action, [0.0]

    def counted(timeout_s: float) -> Action | None:
        idle[0] += timeout_s
        if timeout_s and idle[0] - timeout_s < after_s <= idle[0]:
            event()
        return action(timeout_s)

    device.panel.action = counted  # type: ignore[method-assign]


def beside(path: Path) -> list[Path]:
    return list(path.parent.glob("*.json"))


def test_a_session_that_ends_while_the_store_is_locked_arrives_whole(
    impatient: Device, path: Path
) -> None:
    impatient.panel.presses = ["start"]
    held: list[Browser] = []
    impatient.at(15, lambda: held.append(Browser(path)))
    impatient.camera.ends_after = round(30 * FPS)
    found: list[Any] = []
    when_idle(impatient, 2 * RETRY_S, lambda: found.append((beside(path), impatient.the_session())))
    when_idle(impatient, 2 * RETRY_S + 1, lambda: held.pop().leave())
    when_idle(impatient, 5 * RETRY_S, impatient.stopping.set)
    impatient.run()
    ((spooled, before),) = found
    assert (len(spooled), before["state"]) == (1, "active")
    session = impatient.the_session()
    assert (session["state"], session["ended_by"]) == ("ended", "command")
    assert session["metrics"]["duration_s"] == pytest.approx(30, abs=0.1)
    assert session["blinks"] is not None
    assert beside(path) == []
    assert impatient.store.noted("watch") == {"state": "stopped"}


def test_a_lock_through_a_whole_session_refuses_and_costs_nothing(
    impatient: Device, path: Path
) -> None:
    impatient.panel.presses = ["start"]
    impatient.camera.ends_after = round(30 * FPS)
    held = Browser(path)
    when_idle(impatient, 2 * RETRY_S, held.leave)
    when_idle(impatient, 5 * RETRY_S, impatient.stopping.set)
    begun_s = time.monotonic()
    impatient.run()
    assert impatient.camera.given == 30 * FPS
    session = impatient.the_session()
    assert (session["state"], session["metrics"]["frames"]) == ("ended", 30 * FPS)
    assert time.monotonic() - begun_s < 20
    assert beside(path) == []


def test_what_was_set_down_is_taken_in_before_a_session_counts_as_interrupted(
    impatient: Device, path: Path
) -> None:
    """Its final revision is the one that closing it would use."""
    final = document(4, state="ended")
    impatient.store.put(document(3, final["session_id"], state="active"))
    impatient.store.spool(final)
    impatient.stopping.set()
    impatient.run()
    assert impatient.the_session() == final


def test_a_store_that_is_locked_at_the_start_is_waited_for(impatient: Device, path: Path) -> None:
    impatient.store.put(document(3, state="active"))
    held = Browser(path)
    when_idle(impatient, 2, held.leave)
    when_idle(impatient, 2 * RETRY_S, impatient.stopping.set)
    impatient.run()
    assert impatient.the_session()["state"] == "interrupted"


def test_several_sessions_under_one_lock_all_arrive(impatient: Device, path: Path) -> None:
    impatient.panel.presses = ["start", "stop", "start", "stop"]
    held = Browser(path)
    when_idle(impatient, RETRY_S, held.leave)
    when_idle(impatient, 4 * RETRY_S, impatient.stopping.set)
    impatient.run()
    assert [each.state for each in impatient.store.sessions(9)] == ["ended", "ended"]


def test_a_document_that_can_be_written_nowhere_is_kept_trying(
    impatient: Device, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> bool:
        raise StoreError("read-only")

    def break_store() -> None:
        for name in ("put", "spool", "prune", "note", "take_in"):
            monkeypatch.setattr(impatient.store, name, fails)

    impatient.panel.presses = ["start"]
    impatient.camera.ends_after = round(15 * FPS)
    impatient.at(12, break_store)
    shown: list[str] = []
    when_idle(impatient, 4, lambda: impatient.panel.presses.append("start"))
    when_idle(impatient, 3 * RETRY_S, lambda: shown.append(impatient.panel.shown[-1]))
    when_idle(impatient, 3 * RETRY_S + 1, monkeypatch.undo)
    when_idle(impatient, 6 * RETRY_S, impatient.stopping.set)
    impatient.run()
    assert shown == ["fault"]
    session = impatient.the_session()
    assert (session["state"], session["ended_by"]) == ("ended", "command")
    assert session["metrics"]["duration_s"] == pytest.approx(15, abs=0.1)
    assert impatient.panel.shown[-2:] == ["ready", "off"]


def test_delivered_sessions_make_room_for_what_was_set_down(
    impatient: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_in = impatient.store.take_in

    def full() -> int:
        if impatient.store.counts()["delivered"]:
            raise StoreError("the disk is full")
        return take_in()

    impatient.store.put(delivered := document(7))
    impatient.store.acknowledge(delivered["session_id"], 7)
    impatient.store.spool(final := document(7))
    monkeypatch.setattr(impatient.store, "take_in", full)
    monkeypatch.setattr(impatient.store, "problem", lambda: "the disk is full")
    impatient.stopping.set()
    impatient.run()
    assert impatient.the_session() == final


def test_the_last_try_is_made_when_the_process_stops(
    impatient: Device, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    put = impatient.store.put

    def fails(*_: object) -> bool:
        raise StoreError("read-only")

    impatient.panel.presses = ["start"]
    impatient.at(5, lambda: monkeypatch.setattr(impatient.store, "put", fails))
    monkeypatch.setattr(impatient.store, "spool", fails)
    impatient.camera.ends_after = round(8 * FPS)
    when_idle(impatient, 1, lambda: monkeypatch.setattr(impatient.store, "put", put))
    when_idle(impatient, 1, impatient.stopping.set)
    impatient.run()
    assert impatient.the_session()["state"] == "ended"
    assert "saved nowhere" not in caplog.text
