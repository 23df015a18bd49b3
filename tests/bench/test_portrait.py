"""The blinking portrait: its truth is known, its frames are what a schedule says."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.capture import ReplayCamera
from agent.ear import eye_sample
from agent.face.tracker import FaceTracker
from agent.records import EyeSample, Frame
from scripts.portrait import LidMovement, Portrait, Schedule, demo_schedule, write_video

Openness = float | tuple[float, float]


def test_a_frame_is_a_camera_s(portrait: Portrait) -> None:
    frame = portrait.frame(1.0)
    assert (frame.shape, frame.dtype) == ((480, 640, 3), np.uint8)


def test_only_the_eyes_move(portrait: Portrait) -> None:
    moved = np.any(portrait.frame(1.0) != portrait.frame(0.0), axis=2)
    rows, columns = np.flatnonzero(moved.any(axis=1)), np.flatnonzero(moved.any(axis=0))
    assert 140 <= rows[0] < rows[-1] <= 225
    assert 235 <= columns[0] < columns[-1] <= 410
    assert 1000 < moved.sum() < 12000


def test_the_same_frame_is_drawn_the_same(portrait: Portrait) -> None:
    np.testing.assert_array_equal(portrait.frame(0.4), portrait.frame(0.4))


def test_an_eye_moves_alone(portrait: Portrait) -> None:
    moved = np.any(portrait.frame(1.0) != portrait.frame((0.0, 1.0)), axis=2)
    assert moved[:, :310].any()  # a person's right is on the picture's left
    assert not moved[:, 330:].any()


def seen(
    portrait: Portrait, tracker: FaceTracker, eyes: Sequence[Openness], **look: Any
) -> list[EyeSample]:
    """What is seen of the eyes in each frame; of the first one when the tracker has settled."""
    tracker.reset()
    pictures = [portrait.frame(each, **look) for each in [*eyes[:1] * 3, *eyes]]
    faces = [tracker.find(Frame(n / 30, picture)) for n, picture in enumerate(pictures)]
    return [eye_sample(n / 30, face) for n, face in enumerate(faces)][3:]


@pytest.mark.parametrize("look", [{}, {"grey": True}, {"scale": 0.5}], ids=str)
def test_the_eye_heads_see_the_lids_close_as_far_as_they_do(
    portrait: Portrait, tracker: FaceTracker, look: dict[str, Any]
) -> None:
    openness = np.concatenate([np.linspace(1, 0, 11), np.linspace(0, 1, 11)])
    samples = seen(portrait, tracker, openness.tolist(), **look)
    ears, lower = (
        np.array([getattr(each, name) for each in samples]) for name in ("ear", "lower_lid")
    )
    assert 0.28 < ears[0] < 0.36
    shares = ears / ears[0]
    assert 0.04 < shares[10] < 0.25
    assert np.corrcoef(openness, shares)[0, 1] > 0.98
    np.testing.assert_allclose(shares, 0.16 + 0.84 * openness, atol=0.2)
    assert 0.22 < lower[10] / lower[0] < 0.8
    irises = [each.iris for each in samples[9:12] if each.iris is not None]
    assert irises == pytest.approx([0.0] * len(irises), abs=0.03)
    assert irises


def test_the_eye_heads_see_an_eye_close_alone(portrait: Portrait, tracker: FaceTracker) -> None:
    eyes = [(1.0, 1.0), (0.0, 1.0), (1.0, 0.0)]
    both, right, left = seen(portrait, tracker, eyes)
    assert (right.ear_right or 1) < 0.3 * (both.ear_right or 0)
    assert right.ear_left == pytest.approx(both.ear_left, rel=0.1)
    assert (left.ear_left or 1) < 0.3 * (both.ear_left or 0)
    assert left.ear_right == pytest.approx(both.ear_right, rel=0.1)


@pytest.mark.parametrize("grey", [False, True])
def test_looking_down_lowers_the_irises_and_leaves_the_lower_lids(
    portrait: Portrait, tracker: FaceTracker, *, grey: bool
) -> None:
    (ahead,) = seen(portrait, tracker, [1.0], grey=grey)
    (down,) = seen(portrait, tracker, [1.0], grey=grey, gaze_down=1.0)
    assert (down.ear or 1) < 0.3 * (ahead.ear or 0)
    assert 0.03 <= (down.iris or 0) <= 0.08
    assert (ahead.iris or 0) < -0.02
    assert 0.65 <= (down.lower_lid or 0) / (ahead.lower_lid or 1) <= 1.25


def test_an_infrared_camera_sees_grey_dark_surroundings_and_bright_pupils(
    portrait: Portrait,
) -> None:
    frame = portrait.frame(1.0, grey=True, noise=4.0)
    assert (frame == frame[..., :1]).all()
    face, border = frame[180:300, 260:380], np.concatenate([frame[:40], frame[-40:]])
    assert border.mean() < 0.3 * face.mean()
    assert np.ptp(np.quantile(face, [0.05, 0.95])) < 80
    pupils = portrait.frame(1.0, grey=True)[180:220, 250:390, 0] > 135
    columns = np.flatnonzero(pupils.any(axis=0))
    assert 15 < pupils.sum() < 120
    assert columns[0] < 35
    assert columns[-1] > 100
    assert not (portrait.frame(0.0, grey=True)[180:220, 250:390, 0] > 135).any()


def test_spectacles_reflect_light_in_front_of_the_eyes_only(portrait: Portrait) -> None:
    bare, clear, bright = (portrait.frame(1.0, glare=glare) for glare in (None, 0.0, 0.8))
    worn = np.flatnonzero(np.any(bare != clear, axis=(1, 2)))
    assert 150 <= worn[0] < worn[-1] <= 240
    brighter = bright.astype(int) - clear
    assert brighter.min() >= 0
    assert (brighter[170:230, 240:400] > 100).sum() > 500
    assert not brighter[240:].any()


@given(
    start_s=st.floats(0, 100),
    duration_s=st.floats(0.05, 5),
    depth=st.floats(0.1, 1),
    at=st.floats(-0.5, 1.5),
)
def test_lids_move_without_a_jump_between_open_and_their_depth(
    start_s: float, duration_s: float, depth: float, at: float
) -> None:
    movement = LidMovement(start_s, duration_s, depth)
    closure = movement.closure(start_s + at * duration_s)
    assert 0 <= closure <= depth
    assert closure == 0 or 0 <= at <= 1
    soon = movement.closure(start_s + at * duration_s + duration_s / 1000)
    assert abs(soon - closure) <= depth * 0.05
    assert movement.closure(start_s + duration_s * 0.4) == pytest.approx(depth, abs=1e-6)


def test_a_long_closure_moves_no_slower_than_a_blink() -> None:
    movement = LidMovement(1.0, 3.0)
    assert movement.closure(1.12) == 1.0
    assert movement.closure(3.8) == pytest.approx(1.0)
    assert movement.closure(4.0) == 0.0


@pytest.mark.parametrize("fps", [10, 23.976, 30, 60])
def test_the_truth_is_where_lids_are_half_down(fps: float) -> None:
    schedule = Schedule((LidMovement(1.0, 0.3), LidMovement(2.0, 1.5), LidMovement(5.0, 0.3, 0.5)))
    truth = schedule.truth(fps)
    assert len(truth) == 3
    for (first, last), movement in zip(truth, schedule, strict=True):
        assert movement.start_s < first / fps <= last / fps < movement.end_s
        assert 1 - schedule.openness(first / fps) >= movement.depth / 2
        assert 1 - schedule.openness((first - 1) / fps) < movement.depth / 2
        assert 1 - schedule.openness((last + 1) / fps) < movement.depth / 2


@given(seconds=st.floats(5, 60), seed=st.integers(0, 1000))
def test_a_demo_s_blinks_are_natural_and_apart(seconds: float, seed: int) -> None:
    schedule = demo_schedule(seconds, seed)
    assert len(schedule) >= 1
    movements = list(schedule)
    assert all(0.15 <= m.duration_s <= 0.35 for m in movements)
    assert all(b.start_s - a.end_s >= 0.8 for a, b in pairwise(movements))
    assert movements[-1].end_s <= seconds - 1
    assert schedule == demo_schedule(seconds, seed)


@pytest.mark.parametrize("suffix", [".avi", ".mp4"])
def test_a_written_video_can_be_watched(portrait: Portrait, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"portrait{suffix}"
    write_video(path, portrait, demo_schedule(4), seconds=1, fps=25)
    camera = ReplayCamera(path)
    camera.start()
    times = [frame.time_s for frame in iter(lambda: camera.read(5.0), None)]
    np.testing.assert_allclose(times, np.arange(25) / 25, atol=0.001)
    assert (camera.width, camera.height) == (640, 480)


def test_a_video_that_cannot_be_written_is_an_error(portrait: Portrait, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="can't be written"):
        write_video(tmp_path / "no" / "x.avi", portrait, Schedule(()), seconds=1)
