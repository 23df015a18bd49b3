"""Aiming: what is said of a face, and that no picture is in it."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from agent.measure.aim import DARK, LEAST_APART_PX, OVAL, Aim, View, apart_px, brightness
from agent.records import FaceLandmarks, Frame
from bench.mesh_face import mesh_face
from tests.agent.test_ear import a_face

BRIGHT = np.full((480, 640, 3), 120, np.uint8)
AT_ZOOM_1_PX = 140.0


def seen(
    face: FaceLandmarks | None = None, *, pixels: np.ndarray = BRIGHT, fps: float = 30.0
) -> View:
    """The view after two seconds of the same face."""
    aim = Aim()
    face = face and replace(face, sharpness=face.sharpness or 0.25)
    views = [aim.add(Frame(n / fps, pixels), face) for n in range(round(2 * fps) + 1)]
    return views[-1]


def test_a_face_that_is_seen_well_is_good() -> None:
    view = seen(a_face())
    assert (view.advice, view.good) == ("good", True)
    assert view.apart_px == pytest.approx(AT_ZOOM_1_PX, abs=1)
    assert view.fps == pytest.approx(30, abs=0.1)
    assert (view.left, view.right) == (1.0, 1.0)
    assert view.as_json()["sentence"] == "Good: the eyes are seen well."


def test_nobody_is_said_to_be_seen() -> None:
    view = seen(None)
    assert view.advice == "no_face"
    assert (view.apart_px, view.light, view.turn_deg, view.left) == (None, None, None, None)
    assert (view.lids, view.outline) == ([], [])


@pytest.mark.parametrize(("apart", "advice"), [(1.05, "good"), (0.95, "nearer")])
def test_from_how_far_eyes_are_too_small(apart: float, advice: str) -> None:
    view = seen(a_face(zoom=apart * LEAST_APART_PX / AT_ZOOM_1_PX))
    assert view.advice == advice
    if advice == "nearer":
        assert view.as_json()["sentence"].startswith("Nearer: the eyes are ")
        assert (view.found, view.needed) == (view.apart_px, LEAST_APART_PX)


@pytest.mark.parametrize(("turned", "advice"), [(12.0, "good"), (-18.0, "sideways")])
def test_a_head_that_is_turned_away(turned: float, advice: str) -> None:
    view = seen(a_face(yaw=turned))
    assert view.advice == advice
    assert view.turn_deg == pytest.approx(turned, abs=1)


@pytest.mark.parametrize(("light", "advice"), [(DARK + 2, "good"), (DARK - 2, "dark")])
def test_how_dark_a_face_may_be(light: float, advice: str) -> None:
    assert seen(a_face(), pixels=np.full((480, 640, 3), light, np.uint8)).advice == advice


@pytest.mark.parametrize("shift", [(0.0, 0.0), (-170.5, 90.3), (330.0, -270.0)])
def test_the_light_is_that_of_the_middle_half_of_the_face(shift: tuple[float, float]) -> None:
    pixels = np.random.default_rng(4).integers(0, 256, (480, 640, 3), np.uint8)
    face = a_face(roll=20)
    face = replace(face, to_frame=face.to_frame + np.array([[0, 0, shift[0]], [0, 0, shift[1]]]))
    low, high = np.percentile(face.points[:, :2], (25, 75), axis=0)
    left, top = np.clip(low, 0, (639, 479)).astype(int)
    right, bottom = np.clip(high, (left + 1, top + 1), (640, 480)).astype(int)
    expected = pixels[top:bottom, left:right].mean()
    assert brightness(Frame(0.0, pixels), face) == pytest.approx(expected)


def test_a_picture_in_yuv_has_the_light_of_its_first_plane() -> None:
    pixels = np.zeros((720, 640), np.uint8)
    pixels[:480] = 90
    face = a_face()
    view = Aim().add(Frame(0.0, pixels, "yuv420"), face)
    assert view.light == 90


def test_what_else_is_in_the_way() -> None:
    assert seen(replace(a_face(), sharpness=0.1)).advice == "blurred"
    assert seen(replace(a_face(), others=True)).advice == "second_face"
    assert seen(replace(a_face(), turned=True)).advice == "turned"
    assert seen(a_face(), fps=8.0).advice == "slow"
    assert seen(a_face(), fps=15.0).advice == "good"


def test_the_first_frame_is_not_called_slow() -> None:
    aim = Aim()
    aim.add(Frame(0.0, BRIGHT), replace(a_face(), sharpness=0.25))
    assert aim.add(Frame(0.5, BRIGHT), a_face()).advice == "good"


def test_a_blink_is_shown_and_counted_once() -> None:
    aim, views = Aim(), []
    for number in range(240):
        shut = 120 <= number < 126
        face = a_face(*(2 * (0.03 if shut else 0.3,)))
        views.append(aim.add(Frame(number / 30, BRIGHT), face))
    assert views[-1].blinks == 1
    assert 0.3 <= sum(view.blinked for view in views) / 30 <= 0.5
    assert min(view.left or 1 for view in views) < 0.2


def test_the_points_are_shares_of_the_frame() -> None:
    view = seen(a_face())
    assert np.shape(view.outline) == (len(OVAL), 2)
    assert np.shape(view.lids) == (2, 16, 2)
    for eye in view.lids:
        assert np.all((np.array(eye) >= 0) & (np.array(eye) <= 1))


def test_the_points_of_an_eye_go_once_around_it() -> None:
    """Both halves of a contour begin at the outer corner; a drawing goes back along the second."""
    lower = [(200 + 8 * k, 240 + 10 * math.sin(math.pi * k / 8)) for k in range(9)]
    upper = [(200 + 8 * k, 240 - 10 * math.sin(math.pi * k / 8)) for k in range(1, 8)]
    lids = np.array([lower + upper] * 2, np.float32)
    x, y = np.array(seen(replace(a_face(), lids=lids)).lids[0]).T
    assert list(x[:9]) == sorted(x[:9])
    assert list(x[8:]) == sorted(x[8:], reverse=True)
    assert y[4] > 0.5 > y[12]


def test_no_picture_is_in_a_view() -> None:
    """All that it says is numbers, short words and at most 70 points."""
    told = seen(a_face()).as_json()
    assert len(json.dumps(told)) < 3000
    assert sum(len(each) for each in [told["outline"], *told["lids"]]) <= 70


def test_a_face_that_leaves_the_picture_is_no_error() -> None:
    points = np.zeros((468, 3), np.float32) - 500
    assert seen(mesh_face(1.0, points, 0.9)).advice in ("nearer", "dark")
    assert apart_px(mesh_face(1.0, points, 0.9)) == 0
