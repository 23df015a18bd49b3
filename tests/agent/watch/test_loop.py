"""The loop of watch, with a real store and controls that a test can press."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from agent.errors import CameraError
from agent.system import systemd
from agent.watch.loop import try_camera
from tests.agent.watch.device import FPS, Device, command, stop_when_done


def test_the_button_starts_a_session_and_a_long_press_ends_it(device: Device) -> None:
    device.panel.presses = ["start"]
    device.at(5, lambda: device.panel.presses.append("stop"))
    stop_when_done(device)
    device.run()
    session = device.the_session()
    assert (session["state"], session["ended_by"]) == ("ended", "button")
    assert session["started_at"] == "2026-11-22T10:00:00.000Z"
    assert 5 <= session["metrics"]["duration_s"] <= 6
    assert not device.camera.running


def test_the_start_is_in_the_store_before_the_first_frame(device: Device) -> None:
    device.panel.presses = ["start"]
    seen: list[dict[str, Any]] = []
    device.at(0, lambda: seen.append(device.the_session()))
    device.power_off_at(1)
    device.run()
    assert (seen[0]["revision"], seen[0]["state"]) == (1, "active")


def test_a_session_ends_by_itself_at_its_limit(device: Device) -> None:
    device.panel.presses = ["start"]
    stop_when_done(device)
    device.run(session_s=20.0)
    assert device.the_session()["ended_by"] == "time_limit"


def test_a_shutdown_ends_the_session_as_interrupted_with_all_it_measured(device: Device) -> None:
    device.panel.presses = ["start"]
    device.power_off_at(7)
    device.run()
    session = device.the_session()
    assert (session["state"], session["ended_by"]) == ("interrupted", "power_loss")
    assert session["metrics"]["duration_s"] == pytest.approx(7, abs=0.1)


def test_a_session_cut_off_by_power_is_closed_at_the_next_start(device: Device) -> None:
    recording = device.record(None)
    device.store.put(recording.document())
    device.stopping.set()
    device.run()
    session = device.the_session()
    assert (session["state"], session["ended_by"]) == ("interrupted", "power_loss")
    assert session["revision"] == 2


def test_commands_start_and_stop_as_the_button_does(device: Device) -> None:
    device.store.add_command(command("start"))
    device.at(4, lambda: device.store.add_command(command("stop")) and None)
    stop_when_done(device)
    device.run()
    assert device.the_session()["ended_by"] == "command"


def test_a_stop_that_was_meant_for_another_session_ends_nothing(device: Device) -> None:
    another = "0193a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b"
    device.panel.presses = ["start"]
    late = {**command("stop"), "session_id": another}
    device.at(2, lambda: device.store.add_command(late) and None)
    device.power_off_at(5)
    device.run()
    assert device.the_session()["ended_by"] == "power_loss"


def test_a_session_asked_for_by_id_has_that_id(device: Device) -> None:
    wish = "0193a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b"
    device.store.add_command({**command("start"), "session_id": wish})
    device.power_off_at(2)
    device.run()
    assert device.the_session()["session_id"] == wish


def test_an_expired_command_starts_nothing(device: Device) -> None:
    device.store.add_command(command("start"))
    device.clock.passed_s += 30
    threading.Timer(0.6, device.stopping.set).start()
    device.run()
    assert device.store.sessions(10) == []


@pytest.mark.parametrize("wrong", [timedelta(days=-2), timedelta(seconds=31), timedelta(days=400)])
def test_commands_are_obeyed_however_wrong_the_clock_is(device: Device, wrong: timedelta) -> None:
    device.clock.wrong = wrong
    device.store.add_command(command("start"))
    device.at(4, lambda: device.store.add_command(command("stop")) and None)
    stop_when_done(device)
    device.run()
    assert device.the_session()["ended_by"] == "command"


NEXT = "0193a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b"


def test_a_start_sent_right_after_the_stop_starts_the_next_session(device: Device) -> None:
    """It is there before the session's end is saved, when the session looks the last time."""
    device.panel.presses = ["start"]

    def stop_and_start() -> None:
        device.store.add_command(command("stop"))
        device.store.add_command({**command("start"), "session_id": NEXT})

    device.at(4, stop_and_start)
    device.at(8, device.stopping.set)
    device.run()
    second, first = (each.document for each in device.store.sessions(10))
    assert (first["ended_by"], second["session_id"]) == ("command", NEXT)


def in_a_look(device: Device, at_s: float, event: Callable[[], object]) -> None:
    """Call `event` while the session looks for commands, the first time after `at_s` seconds."""
    look, events = device.store.next_command, [event]

    def looking() -> dict[str, Any] | None:
        if events and device.clock.passed_s >= at_s:
            events.pop()()
        return look()

    device.store.next_command = looking  # type: ignore[method-assign]


@pytest.mark.parametrize("ended_by", ["button", "time_limit"])
def test_a_start_that_arrives_as_the_session_ends_starts_the_next_one(
    device: Device, ended_by: str
) -> None:
    """The session looks every half second, and nobody reads what its last look finds."""

    def start() -> None:
        device.store.add_command({**command("start"), "session_id": NEXT})
        device.panel.presses += ["stop"] if ended_by == "button" else []

    device.panel.presses = ["start"]
    in_a_look(device, 9.8, start)
    device.at(14, device.stopping.set)
    device.run(session_s=10.3)
    second, first = (each.document for each in device.store.sessions(10))
    assert (first["ended_by"], second["session_id"]) == (ended_by, NEXT)


def test_a_start_during_a_session_is_dropped(device: Device) -> None:
    """Whoever then ends the session by hand does not want another one."""
    device.panel.presses = ["start"]
    device.at(3, lambda: device.store.add_command(command("start")) and None)
    device.at(5, lambda: device.panel.presses.append("stop"))
    threading.Timer(1.0, device.stopping.set).start()
    device.run()
    assert device.the_session()["ended_by"] == "button"
    assert device.store.take_command() is None


def test_a_stop_in_the_last_look_does_not_end_the_next_session(device: Device) -> None:
    def stop() -> None:
        device.store.add_command(command("stop"))
        device.panel.presses += ["stop", "start"]

    device.panel.presses = ["start"]
    in_a_look(device, 5, stop)
    device.at(8, device.stopping.set)
    device.run()
    second, first = (each.document for each in device.store.sessions(10))
    assert (first["ended_by"], second["ended_by"]) == ("button", "power_loss")


def test_the_light_asks_to_be_seen(device: Device) -> None:
    device.panel.presses = ["start"]
    device.power_off_at(4)
    device.run()
    assert device.panel.shown == ["ready", "starting", "measuring", "unseen", "finishing", "off"]


@pytest.mark.parametrize("second_s", [30, 300])
def test_a_command_cannot_begin_a_session_that_there_is_already(
    device: Device, caplog: pytest.LogCaptureFixture, second_s: int
) -> None:
    """Commands come from outside: neither session may be lost or written over."""
    wish = "0193a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b"
    device.store.add_command({**command("start"), "session_id": wish})
    device.power_off_at(100)
    device.run()
    first = device.the_session()
    device.stopping.clear()
    again = {**command("start"), "id": first["session_id"], "session_id": wish}
    device.store.add_command(again)
    device.power_off_at(100 + second_s)
    threading.Timer(0.6, device.stopping.set).start()
    device.run()
    assert device.the_session() == first
    assert device.panel.shown[-2:] == ["fault", "off"]
    assert f"the store has a newer revision of session {wish}" in caplog.text


def test_a_device_that_cannot_keep_up_says_so_once(
    device: Device, caplog: pytest.LogCaptureFixture
) -> None:
    device.panel.presses = ["start"]
    noted: list[Any] = []
    for second in range(1, 60):
        device.at(second, lambda: setattr(device.camera, "frames_dropped", device.camera.given))
        device.at(second + 0.5, lambda: noted.append(device.store.noted("watch")))
    device.power_off_at(60)
    device.run()
    words = [each.message for each in caplog.records if "keep up" in each.message]
    assert len(words) == 1
    assert "of 5" in words[0]  # about 300 were taken of about 600, after the first ten seconds
    assert "keeps_up" not in noted[0]
    assert noted[-1]["keeps_up"] is False
    assert "keeps_up" not in device.store.noted("watch")
    assert device.the_session()["metrics"]["frames_dropped"] >= 59 * FPS


def test_a_frame_lost_now_and_then_is_no_news(
    device: Device, caplog: pytest.LogCaptureFixture
) -> None:
    device.panel.presses = ["start"]
    device.at(5, lambda: setattr(device.camera, "frames_dropped", 10))
    device.power_off_at(30)
    device.run()
    assert not [each for each in caplog.records if "keep up" in each.message]
    assert device.the_session()["metrics"]["frames_dropped"] == 10


def test_the_watchdog_is_fed_by_frames_a_few_times_a_second(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    fed: list[float] = []
    monkeypatch.setattr(systemd, "watchdog", lambda: fed.append(device.clock.passed_s))
    device.panel.presses = ["start"]
    device.power_off_at(20)
    device.run()
    assert 20 <= len(fed) <= 60
    assert max(np.diff(fed)) < 1.0


def test_a_video_that_ends_ends_the_session(device: Device) -> None:
    device.panel.presses = ["start"]
    device.camera.ends_after = 60
    stop_when_done(device)
    device.run()
    assert device.the_session()["state"] == "ended"


def test_a_long_press_is_seen_at_the_next_frame(device: Device) -> None:
    device.panel.presses = ["start"]
    device.at(3.0, lambda: device.panel.presses.append("stop"))
    stop_when_done(device)
    device.run()
    assert device.camera.given == 3 * FPS + 1


def test_a_camera_is_tried_before_it_is_called_ready(device: Device) -> None:
    try_camera(device.camera, 1.0)
    assert (device.camera.given, device.camera.running) == (1, False)

    def hang() -> None:
        raise CameraError("no frame within 1 s")

    device.at(1 / FPS, hang)
    with pytest.raises(CameraError):
        try_camera(device.camera, 1.0)
    assert not device.camera.running
