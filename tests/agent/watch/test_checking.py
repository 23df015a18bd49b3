"""Checking the counting in watch: what the light asks, what is kept, and how it ends."""

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from agent.controls.panel import Action
from agent.errors import CameraError, StoreBusyError
from agent.measure import recording
from agent.records import EyeSample
from agent.watch.checking import LIGHTS
from tests.agent.measure.test_check import ASKED, followed
from tests.agent.watch.device import FPS, Device, command, stop_when_done

WHOLE_S = ASKED[-1].time_s


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> list[EyeSample]:
    """Eyes that do what is asked, as the camera of the device sees them."""
    samples = [replace(each, time_s=each.time_s + 1 / FPS) for each in followed(random.Random(0))]

    def sample(time_s: float, face: object) -> EyeSample:
        return replace(samples[min(round(time_s * FPS) - 1, len(samples) - 1)], time_s=time_s)

    monkeypatch.setattr(recording, "eye_sample", sample)
    return samples


def checked(device: Device) -> dict[str, Any]:
    """Run a check to its end; return its document."""
    device.panel.presses = ["check"]
    stop_when_done(device)
    device.run()
    return device.the_session()


def test_a_person_who_does_what_is_asked_passes(device: Device, person: object) -> None:
    document = checked(device)
    assert document["check"] == {
        "asked": 10,
        "found": 10,
        "false": 0,
        "look_down": "told_apart",
        "shut_s": pytest.approx(3.0, abs=0.2),
        "passed": True,
    }
    assert (document["state"], document["revision"]) == ("ended", 1)
    assert document["metrics"]["duration_s"] == pytest.approx(WHOLE_S, abs=0.5)
    assert document["agent"] == {"version": "0", "model": "none@0"}


def test_it_is_delivered_like_every_other_session(device: Device, person: object) -> None:
    document = checked(device)
    assert device.store.pending(10) == [document]


def test_the_light_asks_and_then_says_whether_it_was_passed(device: Device, person: object) -> None:
    checked(device)
    beats: list[str] = ["off", "ask_blink"] * 10
    assert device.panel.shown == [
        "ready", "starting", "measuring", *beats[1:], "off", "ask_down", "off", "ask_shut", "off",
        "finishing", "measuring", "off",
    ]  # fmt: skip
    assert not device.camera.running


def test_of_nobody_nothing_is_found_and_the_light_says_so(device: Device) -> None:
    document = checked(device)
    check = document["check"]
    assert (check["found"], check["shut_s"], check["passed"]) == (0, None, False)
    assert device.panel.shown[-2] == "unseen"


def test_where_a_session_does_not_count_nothing_is_found(
    device: Device, person: list[EyeSample]
) -> None:
    person[:] = [replace(each, sharpness=0.05) for each in person]  # blurred
    document = checked(device)
    assert document["metrics"]["blink_count"] is None
    assert (document["check"]["found"], document["check"]["passed"]) == (0, False)


def test_status_knows_the_last_one(device: Device, person: object) -> None:
    document = checked(device)
    noted = device.store.noted("check")
    assert (noted["started_at"], noted["found"]) == (document["started_at"], 10)


def test_a_command_gives_it_its_session_id(device: Device) -> None:
    session_id = "00000000-0000-4000-8000-00000000000c"
    device.store.add_command({**command("check"), "session_id": session_id})
    stop_when_done(device)
    device.run()
    assert device.the_session()["session_id"] == session_id


def test_each_step_is_in_a_file_for_the_terminal(device: Device) -> None:
    device.panel.presses = ["check"]
    seen: list[object] = []
    device.at(7, lambda: seen.append(device.steps.read()))
    stop_when_done(device)
    device.run()
    assert seen == [{"number": 2, "step": "blink", "blinks_asked": 1}]
    assert device.steps.read() is None


def stopped_by(device: Device, event: Callable[[], object]) -> None:
    device.panel.presses = ["check"]
    device.at(20, lambda: event() and None)
    remove = device.steps.remove
    device.steps.remove = lambda: (device.stopping.set(), remove())[1]  # type: ignore[method-assign]
    device.run()
    assert device.clock.passed_s == pytest.approx(20, abs=1)
    assert not device.store.sessions(10)
    assert not device.camera.running
    assert device.steps.read() is None


@pytest.mark.parametrize("way", ["a long press", "a command", "the end of the process"])
def test_what_is_stopped_leaves_nothing(device: Device, way: str) -> None:
    events: dict[str, Callable[[], object]] = {
        "a long press": lambda: device.panel.presses.append("stop"),
        "a command": lambda: device.store.add_command(command("stop")),
        "the end of the process": device.stopping.set,
    }
    stopped_by(device, events[way])


@pytest.mark.parametrize("press", ["start", "check"])
def test_a_short_press_changes_nothing(device: Device, press: Action) -> None:
    device.at(20, lambda: device.panel.presses.append(press))
    assert checked(device)["check"]["asked"] == 10


@pytest.mark.parametrize("name", ["start", "check", "aim"])
def test_other_commands_change_nothing(device: Device, name: str) -> None:
    device.at(20, lambda: device.store.add_command(command(name)) and None)
    assert checked(device)["check"]["asked"] == 10


def test_a_stop_of_another_session_changes_nothing(device: Device) -> None:
    other = {**command("stop"), "session_id": "00000000-0000-4000-8000-000000000001"}
    device.at(20, lambda: device.store.add_command(other) and None)
    assert checked(device)["check"]["asked"] == 10


def test_a_camera_that_fails_leaves_no_check(device: Device) -> None:
    def fail() -> None:
        raise CameraError("unplugged")

    device.panel.presses = ["check"]
    device.at(20, fail)
    with pytest.raises(CameraError):
        device.run()
    assert not device.store.sessions(10)
    assert device.steps.read() is None


def test_a_locked_store_loses_no_check(device: Device, person: object) -> None:
    put = device.store.put
    refusals = [StoreBusyError("locked")]

    def refuse(document: dict[str, Any]) -> bool:
        if refusals:
            raise refusals.pop()
        return put(document)

    device.store.put = refuse  # type: ignore[method-assign]
    assert checked(device)["check"]["passed"]


def test_it_can_follow_aiming(device: Device) -> None:
    device.store.add_command(command("aim"))
    device.at(2, lambda: device.panel.presses.append("check"))
    stop_when_done(device)
    device.run()
    assert "check" in device.the_session()


def test_in_a_session_it_does_not_begin(device: Device) -> None:
    device.panel.presses = ["start"]
    device.at(2, lambda: device.panel.presses.append("check"))
    device.at(9, lambda: device.panel.presses.append("stop"))
    stop_when_done(device)
    device.run()
    assert "check" not in device.the_session()


def test_every_step_has_its_light() -> None:
    assert set(LIGHTS) == {each.step for each in ASKED}
