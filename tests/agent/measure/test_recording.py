"""Frames with impossible times end a session with the measurements so far."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from agent.clock import Clock
from agent.errors import CameraError
from agent.measure.document import interrupted
from agent.measure.recording import AHEAD_S, BACK_S, Recording, Tracker
from agent.measure.session import LONGEST_S
from agent.records import FaceLandmarks, Frame
from tests.agent.test_ear import a_face
from tests.agent.watch.device import FPS, Device, NoFace, device

PIXELS = np.zeros((48, 64, 3), np.uint8)
BRIGHT = np.full((480, 640, 3), 120, np.uint8)

__all__ = ["device"]


def recorded(times: Sequence[float]) -> Recording:
    recording = Recording(NoFace(), Clock(), camera={}, agent={})
    for time_s in times:
        recording.add(Frame(time_s, PIXELS))
    return recording


@pytest.mark.parametrize("wild_s", [1_767_225_600.0, 5 * 3600.0, -5 * 3600.0, -60.0, float("nan")])
def test_a_time_jump_of_the_camera_ends_the_session_with_its_measurements(wild_s: float) -> None:
    recording = recorded([1000.0, 1000.1])
    with pytest.raises(CameraError, match="the time jumps by"):
        recording.add(Frame(1000.1 + wild_s, PIXELS))
    metrics = recording.finish("camera_fault")["metrics"]
    assert (metrics["frames"], metrics["duration_s"]) == (2, 0.1)


def test_a_pause_is_a_gap_and_a_late_frame_is_ignored() -> None:
    document = recorded([0.0, 0.1, AHEAD_S, AHEAD_S - BACK_S / 2, AHEAD_S + 0.1]).document()
    assert document["metrics"]["duration_s"] == AHEAD_S + 0.1
    assert len(document["minutes"]) == 60


def test_frames_of_more_than_a_day_are_refused_and_its_minutes_are_what_a_server_takes() -> None:
    recording = recorded(np.arange(0.0, LONGEST_S, 1800.0).tolist())
    recording.add(Frame(LONGEST_S - 0.1, PIXELS))
    with pytest.raises(CameraError, match="expected frames of a day at most"):
        recording.add(Frame(LONGEST_S, PIXELS))
    assert len(recording.finish("command")["minutes"]) == 24 * 60 + 1


def test_the_first_frame_may_have_any_time() -> None:
    assert recorded([1_767_225_600.0]).frames == 1


@pytest.mark.parametrize("hours", [5, -1])
def test_a_device_ends_the_session_and_raises(device: Device, hours: int) -> None:
    def jump() -> None:
        device.camera.given += round(hours * 3600 * FPS)

    device.panel.presses = ["start"]
    device.at(3, jump)
    with pytest.raises(CameraError, match="the time jumps by"):
        device.run()
    session = device.the_session()
    assert (session["state"], session["ended_by"]) == ("ended", "camera_fault")
    assert session["metrics"]["duration_s"] < 4


class SmallFace:
    """A tracker that always sees the same face, with eyes so many pixels apart."""

    def __init__(self, apart_px: float) -> None:
        self.face = replace(a_face(zoom=apart_px / 140.0), sharpness=0.25)

    def find(self, frame: Frame, irises_below: float = math.inf) -> FaceLandmarks | None:
        return replace(self.face, time_s=frame.time_s)

    def reset(self) -> None:
        pass


def ten_seconds(tracker: Tracker) -> Recording:
    recording = Recording(tracker, Clock(), camera={}, agent={})
    for frame in range(300):
        recording.add(Frame(frame / 30, BRIGHT))
    return recording


def test_a_session_that_begins_badly_aimed_says_so_after_ten_seconds() -> None:
    recording = ten_seconds(SmallFace(12))
    told = recording.document()["aim"]
    assert told == {"advice": "nearer", "found": pytest.approx(12, abs=0.1), "needed": 22.0}
    assert not recording.aimed_well


def test_one_that_is_aimed_well_or_has_just_begun_says_nothing() -> None:
    recording = ten_seconds(SmallFace(60))
    assert "aim" not in recording.document()
    assert recording.aimed_well
    assert "aim" not in recorded([0.0, 0.5]).document()


def test_how_it_was_aimed_last_is_not_in_a_finished_document() -> None:
    recording = ten_seconds(SmallFace(12))
    active = recording.document()
    assert "aim" not in interrupted(active)
    assert "aim" not in recording.finish("button")


def test_a_look_aside_does_not_count_as_badly_aimed() -> None:
    tracker = SmallFace(60)
    recording = ten_seconds(tracker)
    tracker.face = replace(a_face(yaw=30), sharpness=0.25)
    for frame in range(300, 390):  # three seconds
        recording.add(Frame(frame / 30, BRIGHT))
    assert recording.aimed_well
