"""The parts of an EyeSample, by hand: widths, drops below the corners, mirrors, and who is seen."""

import math
from dataclasses import replace

import numpy as np
import pytest

from agent.ear import (
    FULL_VIEW_DEG,
    NO_VIEW_DEG,
    drop,
    eye_aspect_ratio,
    eye_sample,
    visibility,
    yaw_deg,
)
from agent.records import FaceLandmarks

RIGHT_OUTER, LEFT_OUTER = 33, 263

# The formula


def test_the_ratio_is_of_both_heights_to_twice_the_width() -> None:
    assert eye_aspect_ratio((0, 0), (3, 4), (7, 6), (10, 0), (7, 0), (3, 0)) == (4 + 6) / 20
    assert eye_aspect_ratio((0, 0), (0, 0), (6, 8), (0, 10), (0, 0), (3, 4)) == (5 + 10) / 20


def test_a_point_is_below_the_corners_by_a_share_of_their_distance() -> None:
    assert drop((0, 0), (10, 0), (5, 2)) == pytest.approx(0.2)
    assert drop((0, 0), (10, 0), (5, -2)) == pytest.approx(-0.2)
    assert drop((100, 50), (110, 50), (999, 53)) == pytest.approx(0.3)


def test_several_points_are_below_by_their_mean() -> None:
    assert drop((7, 3), (17, 3), (5, 4), (9, 6)) == pytest.approx(0.2)


def test_below_is_to_the_right_of_one_who_goes_from_corner_to_corner() -> None:
    assert drop((10, 0), (0, 0), (5, 2)) == pytest.approx(-0.2)
    assert drop((0, 0), (0, 10), (-2, 5)) == pytest.approx(0.2)
    turn = complex(math.cos(0.7), math.sin(0.7))
    p1, p4, point = [(z.real, z.imag) for z in (turn * (3 + 4j), turn * (13 + 4j), turn * (9 + 5j))]
    assert drop(p1, p4, point) == pytest.approx(0.1)


def test_an_eye_may_be_smaller_than_a_pixel() -> None:
    assert drop((0, 0), (0.5, 0), (0.25, 0.1)) == pytest.approx(0.2)
    eye = (0, 0), (0.125, -0.0625), (0.375, -0.0625), (0.5, 0), (0.375, 0.0625), (0.125, 0.0625)
    assert eye_aspect_ratio(*eye) == 0.25


def test_an_eye_without_width_has_nothing_below_it() -> None:
    assert drop((3, 4), (3, 4), (5, 9)) == 0.0


# Which eye is seen


@pytest.mark.parametrize(
    ("yaw", "right", "left"),
    [
        (0, 1, 1),
        (15, 1, 1),
        (-15, 1, 1),
        (20, 1, 0.5),
        (-20, 0.5, 1),
        (22.5, 1, 0.25),
        (25, 1, 0),
        (-25, 0, 1),
        (60, 1, 0),
        (-60, 0, 1),
    ],
)
def test_the_farther_eye_fades_around_twenty_degrees(yaw: float, right: float, left: float) -> None:
    assert (FULL_VIEW_DEG, NO_VIEW_DEG) == (15.0, 25.0)
    assert visibility(yaw) == pytest.approx((right, left))


def test_yaw_is_the_angle_of_the_line_between_the_eyes_in_depth() -> None:
    assert yaw_deg((10, 20, 5), (10 + 30, 20 + 40, 5 + 50)) == pytest.approx(45)
    assert yaw_deg((10, 20, 5), (10 + 30, 20 + 40, 5)) == 0
    assert yaw_deg((0, 0, 7), (100, 0, 7 - 100 * math.tan(math.radians(30)))) == pytest.approx(-30)


# A face

LIDS = [
    (0, 0), (10, 3), (20, 5), (30, 6), (40, 9), (70, 10), (80, 6), (90, 3),
    (100, 0), (10, -5), (20, -9), (25, -12), (50, -15), (75, -14), (80, -9), (90, -5),
]  # fmt: skip
"""A right eye 100 pixels wide: along the lower lid, which is 6 and 10 below at the points of the
EAR, and the upper lid, which is 12 and 14 above."""

EAR = (math.hypot(5, 18) + math.hypot(5, 24)) / 200
IRIS = (50, -6)


def face(yaw: float = 0.0, mirrored: bool = False, left_by: float = 1.0) -> FaceLandmarks:
    """Both eyes alike, the left one the mirror image of the right one and `left_by` as high."""
    right = np.array(LIDS, np.float32)
    left = np.array([(400 - x, left_by * y) for x, y in LIDS], np.float32)
    irises = np.zeros((2, 5, 2), np.float32)
    irises[:, 0] = IRIS, (400 - IRIS[0], left_by * IRIS[1])
    irises[:, 1:] = 999
    mesh = np.zeros((468, 3), np.float32)
    mesh[RIGHT_OUTER], mesh[LEFT_OUTER] = (0, 0, 0), (100, 0, 100 * math.tan(math.radians(yaw)))
    lids, to_frame = np.stack([right, left]), np.array([[1.0, 0, 0], [0, 1, 0]])
    if mirrored:
        to_frame[0, 0] = -1
        lids[..., 0], irises[..., 0] = 640 - lids[..., 0], 640 - irises[..., 0]
    return FaceLandmarks(3.0, lids, irises, mesh, to_frame, 0.9)


@pytest.mark.parametrize("mirrored", [False, True])
def test_iris_and_lower_lid_are_below_the_corners_of_either_eye(mirrored: bool) -> None:
    sample = eye_sample(3.0, face(mirrored=mirrored))
    assert sample.ear_right == sample.ear_left == pytest.approx(EAR)
    assert sample.ear == pytest.approx(EAR)
    assert sample.iris == pytest.approx(-0.06)
    assert sample.lower_lid == pytest.approx(0.08)


@pytest.mark.parametrize(
    ("yaw", "share"), [(0, 1.5), (20, 4 / 3), (30, 1.0), (-20, 5 / 3), (-30, 2.0)]
)
def test_each_mean_is_of_the_eyes_that_are_seen_as_far_as_they_are(yaw: int, share: float) -> None:
    """The left eye is twice as far from its corners as the right one."""
    sample = eye_sample(3.0, face(yaw, left_by=2.0))
    assert sample.iris == pytest.approx(-0.06 * share, abs=1e-6)
    assert sample.lower_lid == pytest.approx(0.08 * share, abs=1e-6)
    assert (sample.ear_left is None) == (yaw == 30)
    assert (sample.ear_right is None) == (yaw == -30)
    eyes = sample.ear_right or 0.0, sample.ear_left or 0.0
    weights = visibility(yaw)
    mean = (eyes[0] * weights[0] + eyes[1] * weights[1]) / sum(weights)
    assert sample.ear == pytest.approx(mean)


def test_what_was_said_of_the_face_is_handed_on() -> None:
    told = replace(face(), sharpness=0.17, others=True, turned=True)
    sample = eye_sample(3.0, told)
    assert (sample.time_s, sample.score, sample.sharpness) == (3.0, 0.9, 0.17)
    assert sample.others is True
    assert sample.turned is True
    plain = eye_sample(3.0, face())
    assert (plain.sharpness, plain.others, plain.turned) == (None, None, False)
