"""The records: a frame's size, a face in it, samples and blinks."""

import math
from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pytest

from agent.records import (
    LEAST_BOUND_PER_MIN,
    MOST_BOUND_PER_MIN,
    Blink,
    DeviceSettings,
    EyeSample,
    FaceLandmarks,
    Frame,
)

# A frame


def test_a_colour_picture_has_its_own_size() -> None:
    frame = Frame(1.0, np.zeros((480, 640, 3), np.uint8))
    assert (frame.width, frame.height) == (640, 480)


def test_three_planes_one_below_the_other_are_a_picture_two_thirds_as_high() -> None:
    frame = Frame(1.0, np.zeros((720, 640), np.uint8), "yuv420")
    assert (frame.width, frame.height) == (640, 480)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (Frame(1.0, np.zeros((4, 4, 3), np.uint8)), "time_s"),
        (EyeSample(1.0, None, None, None, None), "ear"),
        (Blink(1.0, 1.2, 0.2, 1.0, complete=True), "duration_s"),
    ],
)
def test_a_value_stays_what_it_was(value: Any, name: str) -> None:
    with pytest.raises(FrozenInstanceError):
        setattr(value, name, 2.0)


# A face


def a_face(to_frame: list[list[float]]) -> FaceLandmarks:
    mesh = np.zeros((468, 3), np.float32)
    mesh[1] = 10, 20, 30
    eyes = np.zeros((2, 16, 2), np.float32), np.zeros((2, 5, 2), np.float32)
    return FaceLandmarks(1.0, *eyes, mesh, np.array(to_frame), 0.9)


def test_the_mesh_is_moved_into_the_frame_with_its_depth_on_the_same_scale() -> None:
    face = a_face([[0, -2, 100], [2, 0, 50]])
    assert face.points[0].tolist() == [100, 50, 0]
    assert face.points[1].tolist() == [60, 70, 60]
    assert face.points.dtype == np.float32


def test_the_scale_is_that_of_a_turned_crop_too() -> None:
    turn = math.radians(30)
    cos, sin = 3 * math.cos(turn), 3 * math.sin(turn)
    face = a_face([[cos, -sin, 0], [sin, cos, 0]])
    assert face.points[1, 2] == pytest.approx(90)
    assert math.hypot(*face.points[1, :2]) == pytest.approx(3 * math.hypot(10, 20))


def test_moving_the_points_leaves_the_mesh_alone() -> None:
    face = a_face([[2, 0, 100], [0, 2, 50]])
    assert face.points[1].tolist() == [120, 90, 60]
    assert face.mesh[1].tolist() == [10, 20, 30]


@pytest.mark.parametrize(
    ("to_frame", "mirrored"),
    [
        ([[1, 0, 7], [0, 1, 9]], False),
        ([[-1, 0, 7], [0, 1, 9]], True),
        ([[0, -1, 7], [1, 0, 9]], False),
        ([[0, 1, 7], [1, 0, 9]], True),
        ([[-1, 0, 7], [0, -1, 9]], False),
        ([[0, 0, 7], [0, 0, 9]], False),
        ([[2, 3, 7], [3, 4, 9]], True),
        ([[2, 3, 7], [1, 2, 9]], False),
    ],
)
def test_a_mirror_shows_in_the_way_into_the_frame(
    to_frame: list[list[float]], mirrored: bool
) -> None:
    assert a_face(to_frame).mirrored == mirrored


def test_what_was_not_looked_at_is_not_known() -> None:
    face, sample = a_face([[1, 0, 0], [0, 1, 0]]), EyeSample(1.0, 0.3, 0.3, 0.3, 0.9)
    for each in (face, sample):
        assert each.sharpness is None
        assert each.others is None
        assert each.turned is False
    assert sample.iris is None
    assert sample.lower_lid is None


def test_a_blink_is_not_long_unless_it_is_said_to_be() -> None:
    blink = Blink(1.0, 1.2, 0.2, 1.0, complete=True)
    assert blink.long is False
    assert (blink.closure_left, blink.closure_right) == (None, None)


# Settings, which are untrusted

VALID = {"version": 7, "device": "a", "reminding": {"below_per_min": 8.5}}


@pytest.mark.parametrize("bound", [None, LEAST_BOUND_PER_MIN, 8.5, MOST_BOUND_PER_MIN])
def test_settings_are_read_as_they_are_written(bound: float | None) -> None:
    settings = DeviceSettings(7, "a", bound)
    assert DeviceSettings.read(settings.as_json()) == settings
    assert DeviceSettings.read({**settings.as_json(), "newer": [1]}) == settings


@pytest.mark.parametrize(
    "wrong",
    [
        {"version": 0}, {"version": True}, {"version": "7"}, {"version": 1 << 53}, {"device": 7},
        {"device": "a" * 65}, {"reminding": 8}, {"reminding": {}},
        {"reminding": {"below_per_min": True}}, {"reminding": {"below_per_min": "8"}},
        {"reminding": {"below_per_min": 0.9}}, {"reminding": {"below_per_min": 30.1}},
        {"reminding": {"below_per_min": float("nan")}},
    ],
)  # fmt: skip
def test_settings_out_of_bounds_are_none(wrong: dict[str, object]) -> None:
    assert DeviceSettings.read(VALID) is not None
    assert DeviceSettings.read({**VALID, **wrong}) is None


def test_settings_that_do_not_say_what_they_set_are_none() -> None:
    for told in (None, [], "8", 8, {"version": 7, "device": "a"}):
        assert DeviceSettings.read(told) is None
