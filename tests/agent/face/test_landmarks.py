"""Landmarks: found, followed, lost and found again, on a real face with the real models."""

import math
import tracemalloc
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from agent.capture import ReplayCamera
from agent.ear import eye_sample
from agent.face import detector
from agent.face.crops import Cropper, Region, region_of
from agent.face.landmarks import LOOK_S, RETRY_S, FaceTracker, open_tracker
from agent.face.mesh import load_models
from agent.face.others import OTHERS_S
from agent.records import FaceLandmarks, Frame
from scripts.portrait import Portrait

FPS = 30
EMPTY = np.full((480, 640, 3), 90, np.uint8)
CORNERS = [33, 263, 133, 362]  # of the right and left eye: outer, then inner
Pixels = NDArray[np.uint8]


def frames(pictures: Iterable[Pixels], start_s: float = 0.0) -> list[Frame]:
    """Pictures as a camera would give them."""
    return [Frame(start_s + n / FPS, picture) for n, picture in enumerate(pictures)]


def last_face(tracker: FaceTracker, pictures: Iterable[Pixels]) -> FaceLandmarks | None:
    """What is seen in the last of some frames."""
    return [tracker.find(frame) for frame in frames(pictures)][-1]


def settled(tracker: FaceTracker, picture: Pixels) -> FaceLandmarks:
    """The face in a still picture."""
    face = last_face(tracker, [picture] * 3)
    assert face is not None
    return face


def two_faces(portrait: Portrait, left: float = 0.5, right: float = 0.5) -> Pixels:
    """A picture with the face twice, at these scales; 0 leaves it out."""
    picture = EMPTY.copy()
    for scale, columns in ((left, slice(0, 320)), (right, slice(320, 640))):
        if scale:
            picture[:, columns] = portrait.frame(1.0, scale=scale)[:, 160:480]
    return picture


class Watched:
    """An interpreter whose inferences are counted, and whose outputs may be changed after each."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self.runs = 0
        self.change: Callable[[list[Any]], None] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def invoke(self) -> None:
        self.runs += 1
        self._model.invoke()
        if self.change:
            self.change([self._model.tensor(d["index"])() for d in self.get_output_details()])


@pytest.fixture
def watched(model_cache: Path) -> tuple[FaceTracker, Watched, Watched]:
    """A tracker with its detector and trunk."""
    parts = load_models(model_cache)
    finder, trunk = Watched(parts.detector), Watched(parts.trunk)
    return FaceTracker(replace(parts, detector=finder, trunk=trunk)), finder, trunk


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


# The same face, frame after frame


def test_a_tracked_face_needs_no_detector(
    portrait: Portrait, watched: tuple[FaceTracker, Watched, Watched]
) -> None:
    tracker, finder, mesh = watched
    for number, frame in enumerate(frames(portrait.frame(1.0, shift=(n, 0)) for n in range(10))):
        assert tracker.find(frame) is not None
        assert finder.runs == 1 + (number >= 1)  # the second looks for other faces
    assert mesh.runs <= 6  # to find it, and turned and shaken; its eyes do without


def test_a_head_that_rolls_over_is_followed(portrait: Portrait, tracker: FaceTracker) -> None:
    for n in range(121):
        face = tracker.find(Frame(n / FPS, portrait.frame(1.0, rotation_deg=3 * n)))
        assert face is not None
        right, left = face.points[33], face.points[263]
        roll = math.degrees(math.atan2(left[1] - right[1], left[0] - right[0]))
        assert abs((roll - 3 * n - 3 + 180) % 360 - 180) < 6


def test_a_face_that_leaves_is_lost_in_the_same_frame(
    portrait: Portrait, tracker: FaceTracker
) -> None:
    settled(tracker, portrait.frame(1.0))
    assert tracker.find(Frame(1.0, EMPTY)) is None


def test_a_lost_face_is_found_again_soon(portrait: Portrait, tracker: FaceTracker) -> None:
    settled(tracker, portrait.frame(1.0))
    assert last_face(tracker, [EMPTY] * 20) is None
    found = [
        tracker.find(frame) is not None for frame in frames([portrait.frame(1.0)] * 10, start_s=1.0)
    ]
    assert found.index(True) / FPS <= RETRY_S
    assert all(found[found.index(True) :])


def test_an_empty_room_costs_ten_detections_a_second(
    watched: tuple[FaceTracker, Watched, Watched],
) -> None:
    tracker, finder, mesh = watched
    for frame in frames([EMPTY] * (3 * FPS)):
        assert tracker.find(frame) is None
    assert 2 * 25 <= finder.runs <= 2 * 30  # everywhere, and a part of the picture in turn
    assert mesh.runs == 0


def test_a_face_that_flickers_does_not_wake_the_detector_more_often(
    portrait: Portrait, watched: tuple[FaceTracker, Watched, Watched]
) -> None:
    tracker, finder, _ = watched
    pictures = [portrait.frame(1.0), EMPTY] * FPS
    for frame in frames(pictures):
        tracker.find(frame)
    assert finder.runs <= 3 * 2 * 10 + 1


def test_a_session_keeps_to_the_face_it_began_with(
    portrait: Portrait, tracker: FaceTracker
) -> None:
    first = last_face(tracker, [two_faces(portrait, left=0.45, right=0)] * 3)
    assert first is not None
    assert first.points[1, 0] < 320
    # A second, larger face comes, the first is covered for a second, and comes back.
    shown = [two_faces(portrait, 0.45, 0.6)] * 15
    covered = [two_faces(portrait, 0, 0.6)] * 30
    seen = [tracker.find(f) for f in frames(shown + covered + shown, start_s=1.0)]
    assert all(face.points[1, 0] < 320 for face in seen if face is not None)
    assert all(face is not None for face in seen[:15] + seen[-10:])
    assert all(face is None for face in seen[16:45])


def test_after_a_while_another_face_may_take_its_place(
    portrait: Portrait, tracker: FaceTracker
) -> None:
    last_face(tracker, [two_faces(portrait, 0.45, 0)] * 3)
    others = [
        tracker.find(Frame(1.0 + n / 10, two_faces(portrait, 0, 0.45))) is not None
        for n in range(70)
    ]
    assert not any(others[:25])
    assert all(others[60:])


def test_a_face_of_another_size_is_another_face_for_five_seconds(
    portrait: Portrait, tracker: FaceTracker
) -> None:
    last_face(tracker, [two_faces(portrait, 0.42, 0)] * 3)
    larger = two_faces(portrait, 0, 1.0)
    seen = [tracker.find(Frame(1.0 + n / 10, larger)) is not None for n in range(60)]
    assert not any(seen[:40])
    assert all(seen[45:])


def test_a_new_session_begins_with_the_largest_face(
    portrait: Portrait, tracker: FaceTracker
) -> None:
    last_face(tracker, [two_faces(portrait, 0.45, 0)] * 3)
    tracker.reset()
    face = last_face(tracker, [two_faces(portrait, 0.45, 0.6)] * 2)
    assert face is not None
    assert face.points[1, 0] > 320


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


# Sharpness


def sharpness(tracker: FaceTracker, picture: Pixels) -> float:
    tracker.reset()
    found = [tracker.find(frame) for frame in frames([picture] * 2)]
    (looked,) = [face.sharpness for face in found if face and face.sharpness is not None]
    return looked


def test_a_blur_is_less_sharp_whatever_light_noise_and_size(
    tracker: FaceTracker, portrait: Portrait
) -> None:
    def seen(**look: Any) -> float:
        return sharpness(tracker, portrait.frame(1.0, **look))

    for poor in ({"noise": 20.0}, {"gain": 0.1, "noise": 3.0}, {"scale": 0.5}):
        assert seen(**poor) == pytest.approx(seen(), rel=0.1)
        assert seen(**poor, blur=6.0 * poor.get("scale", 1.0)) < 0.6 * seen()
    assert seen() > seen(blur=2.0) > seen(blur=4.0) > seen(blur=6.0)


def test_eyes_too_dark_to_be_seen_are_not_sharp(tracker: FaceTracker, portrait: Portrait) -> None:
    assert sharpness(tracker, portrait.frame(1.0, gain=0.08)) > 0.15
    assert sharpness(tracker, portrait.frame(1.0, gain=0.04)) == 0


def test_sharpness_is_looked_at_twice_a_second(tracker: FaceTracker, portrait: Portrait) -> None:
    tracker.reset()
    found = [tracker.find(frame) for frame in frames([portrait.frame(1.0)] * 31)]
    assert sum(face is not None and face.sharpness is not None for face in found) == 3


# Geometry


@given(
    x=st.floats(-100, 800), y=st.floats(-100, 600), size=st.floats(1, 900),
    angle=st.floats(-math.pi, math.pi),
)  # fmt: skip
def test_a_region_s_middle_and_corners_are_where_they_should_be(
    x: float, y: float, size: float, angle: float
) -> None:
    to_frame = Region(x, y, size, angle).to_frame(192)
    middle, corner, right = (to_frame @ (*p, 1) for p in ((96, 96), (0, 0), (192, 96)))
    np.testing.assert_allclose(middle, (x, y), atol=1e-6)
    assert math.dist(middle, corner) == pytest.approx(size / math.sqrt(2), rel=1e-6)
    np.testing.assert_allclose(
        right - middle, (size / 2 * math.cos(angle), size / 2 * math.sin(angle)), atol=1e-6
    )


@given(
    x=st.floats(-300, 400),
    y=st.floats(-300, 400),
    size=st.floats(2, 500),
    angle=st.floats(-math.pi, math.pi),
    border=st.sampled_from([cv2.BORDER_REPLICATE, cv2.BORDER_CONSTANT]),
    layout=st.sampled_from(["bgr", "yuv420"]),
)
def test_a_crop_has_nothing_left_of_the_one_before(
    x: float, y: float, size: float, angle: float, border: int, layout: Literal["bgr", "yuv420"]
) -> None:
    shape = (90, 120, 3) if layout == "bgr" else (135, 120)
    picture = np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)
    frame, matrix = Frame(0, picture, layout), Region(x, y, size, angle).to_frame(32)
    used = Cropper(32, 32)
    used.rgb(Frame(0, 255 - picture, layout), Region(60, 45, 50).to_frame(32), border)
    np.testing.assert_array_equal(
        used.rgb(frame, matrix, border), Cropper(32, 32).rgb(frame, matrix, border)
    )


def test_there_are_896_anchors_in_blazeface_s_order() -> None:
    anchors = detector._anchors()
    assert anchors.shape == (896, 2)
    np.testing.assert_array_equal(anchors[[0, 1, 2, 32]], [(4, 4), (4, 4), (12, 4), (4, 12)])
    np.testing.assert_array_equal(anchors[[512, 517, 518, 560]], [(8, 8), (8, 8), (24, 8), (8, 24)])


def test_boxes_that_overlap_are_one_face_and_others_are_not() -> None:
    def box(x: float, y: float, size: float) -> list[float]:
        return [x, y, size, size, *[x] * 12]

    boxes = np.array([box(40, 40, 20), box(90, 40, 20), box(42, 40, 20)], np.float32)
    merged = detector._merged(boxes, np.array([0.9, 0.8, 0.6], np.float32))
    assert len(merged) == 2
    assert merged[0][0] == pytest.approx((40 * 0.9 + 42 * 0.6) / 1.5)
    assert merged[1][0] == 90


# Not upright, not alone, not still


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


@pytest.mark.parametrize("mirrored", [False, True])
@given(
    x=st.floats(-100, 800), y=st.floats(-100, 600), size=st.floats(1, 900),
    angle=st.floats(-3.1, 3.1),
)  # fmt: skip
def test_a_crop_s_matrix_tells_its_region(
    mirrored: bool, x: float, y: float, size: float, angle: float
) -> None:
    region = region_of(Region(x, y, size, angle, mirrored).to_frame(192), 192)
    assert (region.x, region.y) == pytest.approx((x, y), abs=1e-6)
    assert (region.size, region.angle) == pytest.approx((size, angle), abs=1e-6)
    assert region.mirrored == mirrored


@pytest.mark.parametrize(("right", "others"), [(0.0, False), (0.15, False), (0.5, True)])
def test_another_face_in_the_picture_is_noticed_if_it_is_about_as_near(
    portrait: Portrait, tracker: FaceTracker, right: float, others: bool
) -> None:
    picture = two_faces(portrait, 0.55, right)
    found = [tracker.find(frame) for frame in frames([picture] * 10)]
    looked = [face.others for face in found if face and face.others is not None]
    assert looked == [others]


def test_others_are_looked_for_every_five_seconds(portrait: Portrait, tracker: FaceTracker) -> None:
    picture = portrait.frame(1.0)
    found = [tracker.find(Frame(n / 10, picture)) for n in range(int(20 * OTHERS_S / 10) * 10 // 2)]
    assert sum(face is not None and face.others is not None for face in found) == 1 + len(
        found
    ) // int(10 * OTHERS_S + 1)


@pytest.mark.parametrize("before", [4, 10, 13, 14, 15, 16])  # also amid the second look
def test_after_a_jump_cut_the_eyes_are_right_in_the_same_frame(
    portrait: Portrait, new_tracker: Callable[[], FaceTracker], before: int
) -> None:
    tracker = new_tracker()
    last_face(tracker, [portrait.frame(1.0)] * before)
    cut = portrait.frame(1.0, shift=(25, 18), rotation_deg=8)
    jumped = tracker.find(Frame(before / FPS, cut))
    expected = settled(new_tracker(), cut)
    assert jumped is not None
    assert np.abs(jumped.lids - expected.lids).max() < 3


def test_a_look_is_spread_over_frames_and_finds_the_same(
    portrait: Portrait, watched: tuple[FaceTracker, Watched, Watched]
) -> None:
    """The trunk runs once in each `LOOK_S`; a camera that stalls meanwhile costs a look at once."""
    tracker, _, trunk = watched
    first = settled(tracker, portrait.frame(1.0))
    begun, seconds = trunk.runs, 4
    for n in range(3, seconds * FPS):
        face = tracker.find(Frame(n / FPS, portrait.frame(1.0)))
        assert face is not None
        assert np.abs(face.lids - first.lids).max() < 1.5
        assert np.abs(face.points - first.points).max() < 6
    assert trunk.runs - begun == pytest.approx(seconds / LOOK_S, abs=2)
    begun = trunk.runs
    for n in range(20):
        assert tracker.find(Frame(seconds + 2 * n * LOOK_S, portrait.frame(1.0))) is not None
    assert trunk.runs - begun >= 19


def test_who_is_gone_by_the_time_the_mesh_is_drawn_is_not_seen(
    portrait: Portrait, new_tracker: Callable[[], FaceTracker]
) -> None:
    for before in range(10, 18):
        tracker = new_tracker()
        last_face(tracker, [portrait.frame(1.0)] * before)
        assert tracker.find(Frame(before / FPS, EMPTY)) is None


def test_eyes_are_not_lost_on_a_head_that_wanders_off_slowly(
    portrait: Portrait, new_tracker: Callable[[], FaceTracker]
) -> None:
    tracker, seconds = new_tracker(), 6
    for n in range(seconds * FPS):
        moved = portrait.frame(1.0, shift=(n * 0.8 - 70, n * 0.3 - 20), rotation_deg=n / 12)
        face = tracker.find(Frame(n / FPS, moved))
        assert face is not None
    assert np.abs(face.lids - settled(new_tracker(), moved).lids).max() < 2.5


def test_shut_eyes_do_not_carry_the_crop_off_between_two_looks(
    portrait: Portrait, tracker: FaceTracker
) -> None:
    last_face(tracker, [portrait.frame(1.0)] * 3)
    shut = portrait.frame(0.0)
    faces = [tracker.find(Frame(0.1 + n / FPS, shut)) for n in range(int(LOOK_S * FPS) - 4)]
    first, last = faces[2], faces[-1]
    assert first is not None
    assert last is not None
    ears = [eye_sample(0, face).ear for face in (first, last)]
    assert ears[0] == pytest.approx(ears[1], abs=0.02)
    assert np.abs(first.lids - last.lids).max() < 6


def test_who_walks_away_and_comes_back_is_measured_again(
    portrait: Portrait, tracker: FaceTracker
) -> None:
    steps = [0, 60, 120, 180, 240, 300, 600, 600, 600, 300, 240, 180, 120, 60, 0, 0, 0, 0]
    pictures = [portrait.frame(1.0, shift=(x, 0)) for x in steps for _ in range(6)]
    seen = [tracker.find(frame) for frame in frames(pictures)]
    assert seen[0] is not None
    assert seen[-1] is not None
    assert all(face is None for face in seen[38:52])


def test_a_hand_over_the_eyes_is_no_pair_of_shut_eyes(
    portrait: Portrait, tracker: FaceTracker
) -> None:
    last_face(tracker, [portrait.frame(1.0)] * 4)
    covered = portrait.frame(1.0)
    covered[150:300, 200:440] = (120, 150, 200)
    seen = [tracker.find(Frame(0.2 + n / FPS, covered)) for n in range(40)]
    assert all(face is None for face in seen[20:])
