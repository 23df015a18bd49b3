"""A full disk, a failing store or a lost camera is shown, and ends no more than it must."""

import contextlib
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from agent.cli import measuring, watch
from agent.config import AgentConfig
from agent.controls.panel import LightState
from agent.errors import CameraError, ConfigError, ControlsError, StoreError
from agent.watch import loop
from agent.watch.loop import showing_faults
from tests.agent.documents import document
from tests.agent.watch.device import Device


def test_a_hung_camera_ends_the_session_and_the_process(device: Device) -> None:
    def hang() -> None:
        raise CameraError("no frame within 3 s")

    device.panel.presses = ["start"]
    device.at(3, hang)
    with pytest.raises(CameraError):
        device.run()
    assert device.the_session()["ended_by"] == "camera_fault"
    assert not device.camera.running


def test_a_camera_that_hangs_and_does_not_stop_either_is_said_to_hang(
    device: Device, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What the light, `status` and the journal tell is the cause, not what came of it."""

    def fails(says: str) -> Callable[[], None]:
        def fail() -> None:
            raise CameraError(says)

        return fail

    monkeypatch.setattr(device.camera, "stop", fails("did not stop within 5 s"))
    monkeypatch.setattr(device.camera, "close", fails("did not close within 5 s"), raising=False)
    monkeypatch.setattr(measuring, "camera", lambda settings: device.camera)
    opened = partial(watch._camera, AgentConfig(), device.store)
    device.panel.presses = ["start"]
    device.at(3, fails("no frame within 3 s"))
    with pytest.raises(CameraError, match="no frame"), opened():
        device.run()
    assert device.the_session()["ended_by"] == "camera_fault"
    assert "did not stop" in caplog.text
    assert "did not close" in caplog.text
    with pytest.raises(CameraError, match="did not close"), opened():
        pass


@pytest.mark.parametrize("ended_by", ["camera_fault", "button"])
def test_a_session_is_saved_before_the_camera_is_stopped(
    device: Device, monkeypatch: pytest.MonkeyPatch, ended_by: str
) -> None:
    """libcamera holds Python's lock while it stops: if it hangs, systemd kills the process."""

    def hang() -> None:
        raise CameraError("no frame within 3 s")

    kept = []

    def stop() -> None:
        kept.append(device.the_session())
        device.stopping.set()

    monkeypatch.setattr(device.camera, "stop", stop)
    device.panel.presses = ["start"]
    if ended_by == "camera_fault":
        device.at(3, hang)
    else:
        device.at(3, lambda: device.panel.presses.append("stop"))
    with contextlib.suppress(CameraError):
        device.run()
    assert [(each["state"], each["ended_by"]) for each in kept] == [("ended", ended_by)]


def test_a_camera_that_is_unplugged_between_sessions_ends_the_process(device: Device) -> None:
    device.camera.unplugged = True
    with pytest.raises(CameraError, match="unplugged"):
        device.run()
    assert device.store.sessions(1) == []


def test_a_full_disk_refuses_a_new_session_and_shows_it(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(document: dict[str, Any]) -> bool:
        raise StoreError("the disk is full")

    monkeypatch.setattr(device.store, "put", full)
    device.panel.presses = ["start"]
    threading.Timer(0.6, device.stopping.set).start()
    device.run()
    assert device.panel.shown[-2:] == ["fault", "off"]
    assert device.camera.given == 0


@pytest.mark.parametrize(
    ("problem", "fails_at_s", "left"),
    [(None, 5, 1), ("the disk is full", 5, 0), ("the disk is full", None, 1)],
)
def test_delivered_sessions_make_room_on_a_full_disk_for_what_has_begun_and_for_nothing_else(
    device: Device,
    monkeypatch: pytest.MonkeyPatch,
    problem: str | None,
    fails_at_s: int | None,
    left: int,
) -> None:
    delivered = document(7)
    device.store.put(delivered)
    device.store.acknowledge(delivered["session_id"], 7)

    def refused(document: dict[str, Any]) -> bool:
        raise StoreError("it failed")

    def fails() -> None:
        monkeypatch.setattr(device.store, "put", refused)
        monkeypatch.setattr(device.store, "problem", lambda: problem)

    device.panel.presses = ["start"]
    if fails_at_s is None:  # before the session begins: pruning would not let it
        fails()
        threading.Timer(0.6, device.stopping.set).start()
    else:
        device.at(fails_at_s, fails)
        device.at(15, monkeypatch.undo)
        device.power_off_at(16)
    device.run()
    assert device.store.counts()["delivered"] == left


def test_a_store_that_fails_in_a_session_is_shown_while_it_does(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, shown = device.store.put, device.panel.shown
    seen: list[LightState] = []

    def full(document: dict[str, Any]) -> bool:
        raise StoreError("the disk is full")

    device.panel.presses = ["start"]
    device.at(5, lambda: monkeypatch.setattr(device.store, "put", full))
    device.at(15, lambda: seen.append(shown[-1]))
    device.at(16, lambda: monkeypatch.setattr(device.store, "put", put))
    device.at(25, lambda: seen.append(shown[-1]))
    device.power_off_at(26)
    device.run()
    assert seen == ["fault", "unseen"]


@pytest.mark.parametrize(
    "error",
    [CameraError("gone"), StoreError("read-only"), ControlsError("dead"), OSError("odd")],
)
def test_what_ends_the_process_is_shown_as_a_fault_before(
    device: Device, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "FAULT_S", 0.05)
    told: list[str] = []
    with (
        pytest.raises(SystemExit) as ended,
        showing_faults(device.panel, device.stopping),
        showing_faults(device.panel, device.stopping, told.append),
    ):
        raise error
    assert device.panel.shown == ["fault"]
    assert told == [str(error)]
    assert (ended.value.code, ended.value.__cause__) == (1, error)


def test_a_command_that_was_given_wrongly_is_no_fault_of_the_device(device: Device) -> None:
    with pytest.raises(ConfigError), showing_faults(device.panel, device.stopping):
        raise ConfigError("unknown key")
    assert device.panel.shown == []


def test_a_stop_does_not_wait_for_a_fault_to_be_seen(device: Device) -> None:
    device.stopping.set()
    begun_s = time.monotonic()
    with pytest.raises(SystemExit), showing_faults(device.panel, device.stopping):
        raise StoreError("read-only")
    assert time.monotonic() - begun_s < loop.FAULT_S / 2


def test_a_store_that_can_hardly_be_used_does_not_end_a_session(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StoreError("the disk is full")

    device.panel.presses = ["start"]
    device.at(2, lambda: monkeypatch.setattr(device.store, "next_command", full))
    device.at(3, lambda: monkeypatch.setattr(device.store, "note", full))
    device.at(4, lambda: setattr(device.camera, "frames_dropped", 1000))  # which is noted
    device.at(15, monkeypatch.undo)
    device.power_off_at(16)
    device.run()
    assert device.the_session()["metrics"]["duration_s"] == pytest.approx(16, abs=0.1)
