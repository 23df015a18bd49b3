"""The eyelid model's bench: that it crops as the model wants it, and joins and scores rightly."""

import numpy as np
import pytest

from agent.records import EyeSample
from bench.conditions import LOWERED_S, hard_schedule
from bench.eyelid import TRACES, Seen, both, completeness, either, eye_crop, signal

Dips = dict[tuple[int, int], float]


def trace(dips: Dips, noise: float = 0.0) -> list[EyeSample]:
    """Ten seconds at 30 fps, open at 0.3, with EAR of `dips` in their frames."""
    ears = 0.3 + noise * np.random.default_rng(0).standard_normal(300)
    for (first, last), ear in dips.items():
        ears[first : last + 1] = ear
    return [EyeSample(n / 30, float(e), float(e), float(e), 1.0) for n, e in enumerate(ears)]


def seen(mesh: Dips, eyelid: Dips, noise: float = 0.0) -> Seen:
    blinks = [(100, 104), (200, 204)]
    traces = trace(mesh, noise), trace(eyelid, noise)
    return Seen("made", *traces, blinks, [(200, 204)], [], [])


def test_the_left_eye_is_shown_as_the_right_eye_of_a_mirrored_picture() -> None:
    picture = np.random.default_rng(1).integers(0, 255, (120, 160, 3), np.uint8)
    corners = np.array([[60, 50], [100, 58]], np.float32)
    mirrored = np.array([[159 - x, y] for x, y in corners[::-1]], np.float32)
    left = eye_crop(picture, corners, mirrored=True).astype(int)
    right = eye_crop(np.ascontiguousarray(picture[:, ::-1]), mirrored, mirrored=False)
    # OpenCV interpolates in steps of 1/32 of a pixel, which the mirror rounds the other way.
    assert np.abs(left - right).mean() < 4


def test_a_crop_is_2_3_times_as_wide_as_the_eye_and_level_with_its_corners() -> None:
    picture = np.zeros((200, 200, 3), np.uint8)
    corners = np.array([[80, 90], [120, 110]], np.float32)
    for x, y in corners:
        picture[int(y) - 2 : int(y) + 3, int(x) - 2 : int(x) + 3] = 255
    rows, columns = np.nonzero(eye_crop(picture, corners, mirrored=False)[..., 0] > 128)
    assert rows.mean() == pytest.approx(32, abs=1)
    apart = columns[columns > 32].mean() - columns[columns < 32].mean()
    assert apart == pytest.approx(np.hypot(40, 20) / (2.3 * 40) * 64, abs=1)


def test_both_keeps_what_the_two_saw_and_either_what_any_saw() -> None:
    video = seen({(100, 104): 0.15, (150, 154): 0.15}, {(100, 104): 0.05, (200, 204): 0.05})
    assert len(both(video)) == 1
    assert len(either(video)) == 3


def test_the_minimum_is_each_frames_lower_ear() -> None:
    video = seen({(100, 104): 0.15}, {(100, 104): 0.05, (200, 204): 0.2})
    lowest = TRACES["minimum"](video)
    assert [lowest[n].ear for n in (50, 102, 202)] == [0.3, 0.05, 0.2]


def test_depth_and_noise_are_shares_of_the_open_level() -> None:
    video = seen({(100, 104): 0.15, (200, 204): 0.24}, {}, noise=0.006)
    depths, noise = signal(video.mesh, video) or ([], 0.0)
    assert depths == pytest.approx([0.5, 0.2], abs=0.03)
    assert noise == pytest.approx(0.02, rel=0.2)


def test_a_face_that_was_never_seen_has_no_signal() -> None:
    video = seen({}, {})
    assert signal([EyeSample(n / 30, None, None, None, None) for n in range(300)], video) is None


def test_a_partial_blink_that_passes_for_complete_is_wrong() -> None:
    video = seen({(100, 104): 0.15, (200, 204): 0.15}, {(100, 104): 0.15, (200, 204): 0.22})
    assert completeness(video.mesh, video) == (1, 2)
    assert completeness(video.eyelid, video) == (2, 2)


def test_looks_down_are_longer_than_any_blink() -> None:
    durations = [movement.duration_s for movement in hard_schedule(0.65)]
    assert not any(0.35 < each < LOWERED_S for each in durations)
    assert any(each >= LOWERED_S for each in durations)
