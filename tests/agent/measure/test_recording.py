"""Frames with impossible times end a session with the measurements so far."""

from collections.abc import Sequence

import numpy as np
import pytest

from agent.clock import Clock
from agent.errors import CameraError
from agent.measure.recording import AHEAD_S, BACK_S, Recording
from agent.measure.session import LONGEST_S
from agent.records import Frame
from tests.agent.watch.device import FPS, Device, NoFace, device

PIXELS = np.zeros((48, 64, 3), np.uint8)

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
