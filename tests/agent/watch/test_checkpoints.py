"""Checkpoints come in time, and no frame waits for one."""

import threading
import time
from typing import Any

import pytest

from agent.errors import StoreError
from agent.store.store import Store
from agent.system import systemd
from agent.watch import checkpoints
from tests.agent.watch.device import FPS, Device, Never


def test_checkpoints_come_at_most_ten_seconds_apart(device: Device) -> None:
    device.panel.presses = ["start"]
    durations: list[float] = []
    for second in range(1, 45):
        device.at(second, lambda: durations.append(device.the_session()["metrics"]["duration_s"]))
    device.power_off_at(45)
    device.run()
    behind = [second - kept for second, kept in zip(range(1, 45), durations, strict=True)]
    assert max(behind) <= 10.1


class SlowPuts:
    """`put` takes, of one revision, for as long as `released` is not set."""

    def __init__(self, device: Device, monkeypatch: pytest.MonkeyPatch, revision: int) -> None:
        self.begun, self.released = threading.Event(), threading.Event()
        self.in_time: list[bool] = []
        self.kept: list[dict[str, Any]] = []
        put = Store.put

        def slow(store: Store, document: dict[str, Any]) -> bool:
            if document["revision"] == revision:
                self.begun.set()
                self.in_time.append(self.released.wait(10))
            if kept := put(store, document):
                self.kept.append(document)
            return kept

        monkeypatch.setattr(Store, "put", slow)
        for frame in range(10 * 30, 15 * 30):  # the other thread has its turn
            device.camera.events[frame] = lambda: self.begun.wait(0.05) and None


def test_no_frame_waits_for_a_checkpoint(threaded: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """The card takes until the camera has gone on for half a minute."""
    puts = SlowPuts(threaded, monkeypatch, revision=2)
    threaded.panel.presses = ["start"]
    threaded.at(45, puts.released.set)
    threaded.power_off_at(46)
    threaded.run()
    assert puts.in_time == [True]
    assert threaded.camera.given == 46 * FPS + 1
    assert threaded.the_session()["metrics"]["frames"] == threaded.camera.given


def test_after_a_stall_the_newest_is_kept_and_nothing_has_waited_in_a_row(
    threaded: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    puts = SlowPuts(threaded, monkeypatch, revision=2)
    threaded.panel.presses = ["start"]
    threaded.at(45, puts.released.set)
    for frame in range(round(45 * FPS) + 1, round(50 * FPS)):  # as above
        threaded.camera.events[frame] = lambda: time.sleep(0.002)
    threaded.power_off_at(50)
    threaded.run()
    durations = [each["metrics"]["duration_s"] for each in puts.kept]
    assert [each["revision"] for each in puts.kept] == [1, 2, 3, 4]
    assert durations[1] < 15
    assert 45 <= durations[2] < 50


def test_a_late_checkpoint_never_replaces_a_final_document(
    threaded: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    puts = SlowPuts(threaded, monkeypatch, revision=2)
    threaded.panel.presses = ["start"]
    threaded.power_off_at(20)
    prune = threaded.store.prune
    monkeypatch.setattr(threaded.store, "prune", lambda keep: puts.released.set() or prune(keep))
    threaded.run()
    assert puts.in_time == [True], "what was asked is waited for, after the final document"
    assert [each["state"] for each in puts.kept] == ["active", "interrupted"]
    assert threaded.the_session()["metrics"]["duration_s"] == pytest.approx(20, abs=0.1)


def test_a_store_that_hangs_costs_no_frames_and_starves_the_watchdog(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "FINISH_S", 0.05)
    fed: list[float] = []
    monkeypatch.setattr(systemd, "watchdog", lambda: fed.append(device.clock.passed_s))
    device.worker = Never()
    device.panel.presses = ["start"]
    device.power_off_at(40)
    with pytest.raises(StoreError, match="did not answer"):
        device.run()
    assert device.camera.given == 40 * FPS + 1
    assert not [each for each in fed if 0 < each < 40]
    assert device.the_session()["metrics"]["duration_s"] == pytest.approx(40, abs=0.1)
