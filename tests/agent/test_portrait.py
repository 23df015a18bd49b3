"""The blinking portrait: its truth is known, its frames are what a schedule says."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.capture import ReplayCamera
from agent.ear import eye_sample
from agent.landmarks import FaceTracker
from agent.records import Frame
from scripts.portrait import LidMovement, Portrait, Schedule, demo_schedule, write_video


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


def test_the_mesh_sees_the_lids_close(portrait: Portrait, tracker: FaceTracker) -> None:
    opennesses = np.concatenate([np.ones(3), np.linspace(1, 0, 11), np.linspace(0, 1, 11)])
    faces = [tracker.find(Frame(n / 30, portrait.frame(o))) for n, o in enumerate(opennesses)]
    ears = [eye_sample(0, face).ear or 0.0 for face in faces]
    assert max(ears) > 0.30
    assert min(ears) < 0.22
    assert np.corrcoef(opennesses, ears)[0, 1] > 0.95


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
