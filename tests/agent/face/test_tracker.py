"""Landmarks on a real face: where they are, and when there are none."""

import math
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from agent.capture import ReplayCamera
from agent.ear import eye_sample
from agent.face.crops import Region
from agent.face.tracker import FaceTracker, open_tracker
from agent.records import Frame
from scripts.portrait import Portrait
from tests.agent.face.looks import CORNERS, EMPTY, FPS, Pixels, Watched, frames, last_face, settled

# Where the landmarks are


def test_landmarks_are_in_the_frame_s_own_pixels(portrait: Portrait, tracker: FaceTracker) -> None:
    face = settled(tracker, portrait.frame(1.0))
    assert face.points.shape == (468, 3)
    assert face.points.dtype == np.float32
    assert face.score > 0.99
    # The corners of the eyes as one sees them in the photograph.
    seen = [(257.0, 198.0), (383.5, 204.5), (296.5, 204.0), (343.5, 206.5)]
    corners = face.lids[:, [0, 8]].transpose(1, 0, 2).reshape(4, 2)
    np.testing.assert_allclose(corners, seen, atol=5)


@pytest.mark.parametrize("look", [
    {"shift": (120, 60)}, {"shift": (-90, -70)}, {"scale": 0.5}, {"scale": 1.4},
    {"rotation_deg": 30}, {"rotation_deg": -75},
    {"rotation_deg": 40, "scale": 0.7, "shift": (50, 9)},
])  # fmt: skip
def test_landmarks_go_where_the_face_goes(
    portrait: Portrait, new_tracker: Callable[[], FaceTracker], look: dict[str, Any]
) -> None:
    upright = settled(new_tracker(), portrait.frame(1.0)).points
    moved = settled(new_tracker(), portrait.frame(1.0, **look)).points
    scale, (dx, dy) = look.get("scale", 1.0), look.get("shift", (0, 0))
    angle = math.radians(look.get("rotation_deg", 0))
    turn = scale * np.array(
        [[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]]
    )
    centre = np.array([320, 240])
    expected = (upright[:, :2] - centre) @ turn + centre + (dx, dy)
    assert np.linalg.norm(moved[:, :2] - expected, axis=1).mean() < 2.5 * scale
    assert np.abs(moved[:, 2] - upright[:, 2] * scale).mean() < 5 * scale


@pytest.mark.parametrize("size", [(640, 480), (480, 640), (1280, 720), (320, 240), (642, 362)])
def test_any_size_of_frame_and_both_layouts_give_the_same_face(
    portrait: Portrait, new_tracker: Callable[[], FaceTracker], size: tuple[int, int]
) -> None:
    scale = min(size[0] / 640, size[1] / 480)
    fitted = np.array([[scale, 0, 0], [0, scale, 0]])
    bgr = cv2.warpAffine(portrait.frame(1.0), fitted, size, borderMode=cv2.BORDER_REPLICATE)
    yuv = cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV_I420)
    one, other = new_tracker(), new_tracker()
    for n in range(3):
        a = one.find(Frame(n / FPS, np.asarray(bgr, np.uint8)))
        b = other.find(Frame(n / FPS, np.asarray(yuv, np.uint8), "yuv420"))
    assert a is not None
    assert b is not None
    assert np.linalg.norm(a.points - b.points, axis=1).mean() < 1.5 * scale


def test_a_frame_may_be_a_view_of_a_larger_one(portrait: Portrait, tracker: FaceTracker) -> None:
    wide = np.concatenate([EMPTY, portrait.frame(1.0), EMPTY], axis=1)
    face = settled(tracker, wide[:, 640:1280])
    assert abs(face.points[1, 0] - 320) < 15


def test_what_comes_out_stays_as_it_is(portrait: Portrait, tracker: FaceTracker) -> None:
    first = settled(tracker, portrait.frame(1.0))
    kept = first.points.copy()
    last_face(tracker, [portrait.frame(0.0, shift=(20, 10))] * 2)
    np.testing.assert_array_equal(first.points, kept)


def test_a_new_face_is_measured_as_well_as_one_that_is_followed(
    portrait: Portrait, tracker: FaceTracker
) -> None:
    first, *_, last = (tracker.find(f) for f in frames([portrait.frame(1.0)] * 10))
    ears = [eye_sample(0, face).ear for face in (first, last)]
    assert ears[0] == pytest.approx(ears[1], rel=0.03)


# No face, or none to be trusted


def test_where_there_is_no_face_none_is_found(clips: Path, tracker: FaceTracker) -> None:
    camera = ReplayCamera(clips / "no_face.mp4")
    camera.start()
    while (frame := camera.read(5.0)) is not None:
        assert tracker.find(frame) is None


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_a_covered_lens_is_no_face(tracker: FaceTracker, grey: int) -> None:
    assert last_face(tracker, [np.full((480, 640, 3), grey, np.uint8)] * 12) is None


@pytest.mark.parametrize("shift", [(-290, 0), (290, 0), (0, 300), (0, -240)])
def test_an_eye_beyond_the_picture_s_edge_is_not_made_up(
    portrait: Portrait, tracker: FaceTracker, shift: tuple[int, int]
) -> None:
    steps = [portrait.frame(1.0, shift=(shift[0] * s, shift[1] * s)) for s in np.linspace(0, 1, 40)]
    seen = [tracker.find(frame) for frame in frames(steps)]
    assert seen[0] is not None
    assert seen[-1] is None
    for face in filter(None, seen):
        assert (face.points[CORNERS[:2], :2] >= 0).all()
        assert (face.points[CORNERS[:2], :2] < (640, 480)).all()


@pytest.mark.parametrize("index", [0, 3 * 33 + 1, 3 * 400 + 2])
@pytest.mark.parametrize("nonsense", [math.nan, math.inf, -math.inf])
def test_a_mesh_with_nonsense_in_it_is_no_face(
    portrait: Portrait,
    watched: tuple[FaceTracker, Watched, Watched],
    index: int,
    nonsense: float,
) -> None:
    tracker, _, mesh = watched
    settled(tracker, portrait.frame(1.0))

    def spoil(outputs: list[Any]) -> None:
        outputs[0].reshape(-1)[index] = nonsense

    mesh.change = spoil
    assert last_face(tracker, [portrait.frame(1.0)] * 16) is None
    mesh.change = None
    assert tracker.find(Frame(1.0, portrait.frame(1.0))) is not None


@pytest.mark.parametrize(("logit", "seen"), [(30.0, True), (9.9, False), (math.nan, False)])
def test_a_face_is_what_the_trunk_is_sure_of(
    portrait: Portrait, watched: tuple[FaceTracker, Watched, Watched], logit: float, seen: bool
) -> None:
    tracker, _, trunk = watched

    def doubt(outputs: list[Any]) -> None:
        outputs[1].fill(logit)

    trunk.change = doubt
    face = last_face(tracker, [portrait.frame(1.0)] * 2)
    assert (face is not None) == seen
    if face:
        assert 0.5 <= face.score <= 1.0


def test_a_face_too_small_to_measure_is_none(
    portrait: Portrait, watched: tuple[FaceTracker, Watched, Watched]
) -> None:
    tracker, _, mesh = watched

    def shrink(outputs: list[Any]) -> None:
        outputs[0] *= 0.1
        outputs[1].fill(30)

    mesh.change = shrink
    assert last_face(tracker, [portrait.frame(1.0)] * 3) is None


# What it is worth


def test_a_blink_is_seen_in_the_recorded_clip(clips: Path, tracker: FaceTracker) -> None:
    camera = ReplayCamera(clips / "single_face.mp4")
    camera.start()
    ears = []
    while (frame := camera.read(5.0)) is not None:
        ears.append(eye_sample(frame.time_s, tracker.find(frame)).ear or 0.0)
    shut = [n for n, ear in enumerate(ears) if ear < 0.6 * np.median(ears)]
    assert 25 <= min(shut) <= max(shut) <= 29
    assert min(ears) < 0.3 * np.median(ears)


def test_eyes_are_measured_in_the_dark_with_noise_and_blur(
    portrait: Portrait, new_tracker: Callable[[], FaceTracker]
) -> None:
    for look in ({"gain": 0.15, "noise": 2}, {"blur": 3}, {"noise": 12}, {"scale": 0.45}):
        tracker = new_tracker()
        open_eyes = last_face(tracker, [portrait.frame(1.0, **look)] * 3)
        shut_eyes = last_face(tracker, [portrait.frame(0.0, **look)] * 3)
        ears = [eye_sample(0, face).ear for face in (open_eyes, shut_eyes)]
        assert ears[0] is not None, look
        assert ears[1] is not None, look
        assert ears[0] - ears[1] > 0.07, look


def test_hours_of_frames_take_no_more_memory(portrait: Portrait, tracker: FaceTracker) -> None:
    pictures = [portrait.frame(1.0, shift=(n, n), scale=0.8 + n / 50) for n in range(10)]
    for _ in range(3):
        last_face(tracker, pictures)
    tracemalloc.start()
    last_face(tracker, pictures)
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(10):
        last_face(tracker, pictures)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 50_000


# Not upright


@pytest.mark.parametrize(("code", "degrees"), [
    (None, 0), (cv2.ROTATE_180, 180), (cv2.ROTATE_90_CLOCKWISE, 270),
    (cv2.ROTATE_90_COUNTERCLOCKWISE, 90),
])  # fmt: skip
def test_a_picture_that_is_not_upright_is_measured_turned_and_said_to_be(
    portrait: Portrait, model_cache: Path, code: int | None, degrees: int
) -> None:
    def turned(openness: float) -> Pixels:
        picture = portrait.frame(openness)
        return picture if code is None else np.asarray(cv2.rotate(picture, code), np.uint8)

    as_it_hangs = open_tracker(model_cache)
    told = open_tracker(model_cache, upright=Region(0, 0, 1, -math.radians(degrees)))
    for tracker, said in ((as_it_hangs, code is not None), (told, False)):
        faces = [last_face(tracker, [turned(openness)] * 4) for openness in (1.0, 0.0)]
        opened, shut = (eye_sample(0, face).ear for face in faces)
        assert opened == pytest.approx(0.3, abs=0.05)
        assert shut is not None
        assert shut < 0.4 * opened
        assert [face.turned for face in faces if face] == [said, said]


def test_in_a_mirror_left_and_right_stay_the_person_s_own_once_it_is_configured(
    portrait: Portrait, model_cache: Path
) -> None:
    picture = portrait.frame((1.0, 0.0))  # the person's right eye is open
    mirrored = np.ascontiguousarray(picture[:, ::-1])
    told = open_tracker(model_cache, upright=Region(0, 0, 1, mirrored=True))
    for tracker, seen in ((open_tracker(model_cache), picture), (told, mirrored)):
        sample = eye_sample(0, last_face(tracker, [seen] * 3))
        assert sample.ear_left is not None
        assert sample.ear_right is not None
        assert sample.ear_left < 0.5 * sample.ear_right


def test_a_hand_over_the_eyes_is_no_pair_of_shut_eyes(
    portrait: Portrait, tracker: FaceTracker
) -> None:
    last_face(tracker, [portrait.frame(1.0)] * 4)
    covered = portrait.frame(1.0)
    covered[150:300, 200:440] = (120, 150, 200)
    seen = [tracker.find(Frame(0.2 + n / FPS, covered)) for n in range(40)]
    assert all(face is None for face in seen[20:])
