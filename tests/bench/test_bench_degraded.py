"""bench.degraded: what becomes of pictures and labels."""

from pathlib import Path

import numpy as np
import pytest

from agent.face.tracker import FaceTracker
from bench.degraded import CONDITIONS, Condition, _decimated, measure
from bench.recordings import read_clips


@pytest.mark.parametrize("condition", CONDITIONS, ids=lambda each: each.name)
def test_a_changed_picture_is_one_a_camera_could_give(condition: Condition) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    changed = condition.change(picture)
    assert changed.dtype == np.uint8
    assert changed.ndim == 3
    assert min(changed.shape[:2]) >= 16


def test_labels_follow_the_frames_that_are_left() -> None:
    assert _decimated([(0, 3), (4, 4), (5, 9)], 2) == [(0, 1), (2, 2), (3, 4)]
    assert _decimated([(5, 5)], 3) == [(2, 2)]


def test_an_unchanged_clip_is_counted_as_by_bench_accuracy(
    clips: Path, tracker: FaceTracker
) -> None:
    (clip,) = [each for each in read_clips(clips.parent) if each.path.name == "single_face.mp4"]
    found = measure(clip, CONDITIONS[0], tracker)
    assert (found.true, found.false, found.missed) == (1, 0, 0)
