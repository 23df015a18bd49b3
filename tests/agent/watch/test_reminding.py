"""Reminding in watch: by the settings in the store, on the light and in the document."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from agent.errors import StoreError
from agent.measure.reminding import ASK_S, WINDOW_S
from agent.records import SETTINGS, DeviceSettings, FaceLandmarks, Frame
from agent.watch.settings import remind_below
from tests.agent.test_ear import a_face
from tests.agent.watch.device import Device, stop_when_done

BRIGHT = np.full((480, 640, 3), 120, np.uint8)


class Blinking:
    """A tracker of a face that blinks every `every_s` seconds."""

    def __init__(self, every_s: float) -> None:
        self.every_s = every_s
        self.open = replace(a_face(), sharpness=0.25)
        self.closed = replace(a_face(0.05, 0.05), sharpness=0.25)

    def find(self, frame: Frame, irises_below: float = math.inf) -> FaceLandmarks | None:
        face = self.closed if frame.time_s % self.every_s < 0.2 else self.open
        return replace(face, time_s=frame.time_s)

    def reset(self) -> None:
        pass


def settings(below_per_min: float | None, version: int = 1) -> dict[str, Any]:
    return DeviceSettings(version, "a", below_per_min).as_json()


@pytest.fixture
def staring(device: Device) -> Device:
    """A device before somebody who blinks four times a minute."""
    device.tracker = Blinking(15)
    device.camera.pixels = BRIGHT
    device.panel.presses = ["start"]
    device.panel.most_waits = 20_000  # minutes of frames
    return device


def measured(device: Device, seconds: float) -> dict[str, Any]:
    device.at(seconds, lambda: device.panel.presses.append("stop"))
    stop_when_done(device)
    device.run()
    return device.the_session()


def test_the_light_asks_for_blinks_and_the_document_says_so(staring: Device) -> None:
    staring.store.note(SETTINGS, settings(8))
    document = measured(staring, WINDOW_S + ASK_S + WINDOW_S + 10)
    assert staring.panel.shown == [
        "ready", "starting", "measuring", "blink", "measuring", "finishing", "off",
    ]  # fmt: skip
    reminders = document["reminders"]
    assert reminders["at_s"] == [pytest.approx(WINDOW_S + 1, abs=2)]
    assert reminders["rate_before_per_min"] == [pytest.approx(4, abs=0.4)]
    assert reminders["rate_after_per_min"] == [pytest.approx(4, abs=0.4)]


@pytest.mark.parametrize("kept", [None, settings(3)])
def test_without_a_bound_above_the_rate_it_never_asks(staring: Device, kept: Any) -> None:
    staring.store.note(SETTINGS, kept)
    document = measured(staring, WINDOW_S + 10)
    assert "blink" not in staring.panel.shown
    assert "reminders" not in document


def test_without_a_light_nothing_is_said_to_have_been_asked(staring: Device) -> None:
    staring.reminds = False
    staring.store.note(SETTINGS, settings(8))
    assert "reminders" not in measured(staring, WINDOW_S + 10)


def test_turned_off_in_a_session_the_light_stops_asking_at_once(staring: Device) -> None:
    staring.store.note(SETTINGS, settings(8))
    frames: list[int] = []

    def turn_off() -> None:
        assert staring.panel.shown[-1] == "blink"
        staring.store.note(SETTINGS, settings(None, 2))
        staring.at(WINDOW_S + 5.2, lambda: frames.append(len(staring.panel.shown)))

    staring.at(WINDOW_S + 4, turn_off)
    document = measured(staring, WINDOW_S + 10)
    assert staring.panel.shown[: frames[0]][-2:] == ["blink", "measuring"]
    assert document["reminders"]["rate_after_per_min"] == [None]


def test_eyes_that_are_not_seen_are_shown_first(staring: Device) -> None:
    staring.store.note(SETTINGS, settings(8))
    find = staring.tracker.find
    staring.tracker.find = (  # type: ignore[method-assign]
        lambda frame, *_: None if frame.time_s > WINDOW_S + 3 else find(frame)
    )
    measured(staring, WINDOW_S + 8)
    assert staring.panel.shown[3:5] == ["blink", "unseen"]


def test_a_store_that_can_not_be_read_reminds_nobody(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    device.store.note(SETTINGS, settings(8))
    assert remind_below(device.store) == 8

    def fail(key: str) -> None:
        raise StoreError(f"can't read {key}")

    monkeypatch.setattr(device.store, "noted", fail)
    assert remind_below(device.store) is None
