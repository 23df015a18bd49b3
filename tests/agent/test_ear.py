"""The eye aspect ratio: the formula, whose eye is whose, and the eye that can't be seen."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.ear import LEFT_EYE, RIGHT_EYE, eye_aspect_ratio, eye_sample, visibility, yaw_deg
from agent.records import EyeSample, FaceLandmarks
from bench.mesh_face import mesh_face

CORNERS_AT = {"right": (200.0, 260.0), "left": (340.0, 400.0)}


def a_face(
    right: float = 0.3, left: float = 0.3, yaw: float = 0.0, roll: float = 0.0, zoom: float = 1.0
) -> FaceLandmarks:
    """A face whose eyes have these aspect ratios, turned by `yaw` and `roll` degrees."""
    points = np.zeros((468, 3), np.float32)
    for eye, ear, (x0, x1) in (
        (RIGHT_EYE, right, CORNERS_AT["right"]),
        (LEFT_EYE, left, CORNERS_AT["left"]),
    ):
        lid, third = ear * (x1 - x0) / 2, (x1 - x0) / 3
        xs = (x0, x0 + third, x1 - third, x1, x1 - third, x0 + third)
        ys = (0.0, -lid, -lid, 0.0, lid, lid)
        for index, x, y in zip(eye, xs, ys, strict=True):
            points[index] = x, 240 + y, (x - 300) * math.tan(math.radians(yaw))
    cos, sin = math.cos(math.radians(roll)), math.sin(math.radians(roll))
    points[:, :2] = points[:, :2] @ np.array([[cos, sin], [-sin, cos]])
    return mesh_face(1.0, points * np.float32(zoom), 0.99)


def test_without_a_face_nothing_is_measured() -> None:
    assert eye_sample(2.5, None) == EyeSample(2.5, None, None, None, None)


def test_it_is_the_formula_of_soukupova_and_cech() -> None:
    points = [(0, 0), (1, 2), (3, 2), (4, 0), (3, -1), (1, -1)]
    assert eye_aspect_ratio(*points) == (3 + 3) / (2 * 4)


def test_an_eye_without_width_is_not_a_division_by_zero() -> None:
    assert eye_aspect_ratio(*[(1.0, 1.0)] * 6) == 0.0


def test_left_and_right_are_the_persons_own() -> None:
    sample = eye_sample(1.0, a_face(right=0.1, left=0.3))
    assert sample.ear_right == pytest.approx(0.1, abs=1e-5)
    assert sample.ear_left == pytest.approx(0.3, abs=1e-5)
    assert sample.score == 0.99


@given(
    right=st.floats(0.05, 0.5),
    left=st.floats(0.05, 0.5),
    yaw=st.floats(-14.9, 14.9),
    roll=st.floats(-180, 180),
    zoom=st.floats(0.2, 4),
)
def test_towards_the_camera_it_is_the_plain_mean_at_any_size_and_roll(
    right: float, left: float, yaw: float, roll: float, zoom: float
) -> None:
    sample = eye_sample(1.0, a_face(right, left, yaw, roll, zoom))
    assert sample.ear == pytest.approx((right + left) / 2, abs=1e-3)


@pytest.mark.parametrize(("yaw", "near"), [(30, "right"), (-30, "left"), (80, "right")])
def test_an_eye_that_is_turned_away_does_not_count(yaw: float, near: str) -> None:
    sample = eye_sample(1.0, a_face(right=0.1, left=0.3, yaw=yaw))
    nearer = sample.ear_right if near == "right" else sample.ear_left
    assert sample.ear == nearer is not None
    assert (sample.ear_left if near == "right" else sample.ear_right) is None


def test_the_far_eye_fades_without_a_jump() -> None:
    ears = [eye_sample(1.0, a_face(0.1, 0.3, yaw)).ear or 0 for yaw in range(41)]
    steps = np.diff(ears)
    assert (steps <= 1e-6).all()
    assert np.abs(steps).max() < 0.02


@given(st.floats(-90, 90))
def test_the_nearer_eye_always_counts(yaw: float) -> None:
    right, left = visibility(yaw)
    assert max(right, left) == 1.0
    assert 0.0 <= min(right, left) <= 1.0
    assert visibility(-yaw) == (left, right) or yaw == 0


def test_yaw_is_positive_when_the_left_eye_is_farther() -> None:
    assert yaw_deg((0, 0, 0), (100, 0, 100)) == pytest.approx(45)
    assert yaw_deg((0, 0, 0), (0, 100, -100)) == pytest.approx(-45)
