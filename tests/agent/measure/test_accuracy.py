"""Accuracy of the blinks on real recordings, and the correctness of the score."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from bench.accuracy import (
    DETECTORS,
    PLATEAU,
    Seen,
    clips_f1,
    clips_left_out,
    left_out,
    on_clips,
    pooled,
    see_all,
)
from bench.detectors import blinklog, varied
from bench.recordings import Recording, default_data, read_clips, read_recordings
from bench.scoring import Interval, Score, iou, score, spans

# The score


def test_intervals_are_inclusive() -> None:
    assert iou((10, 19), (10, 19)) == 1.0
    assert iou((10, 19), (15, 24)) == pytest.approx(5 / 15)
    assert iou((10, 19), (19, 19)) == pytest.approx(0.1)
    assert iou((10, 19), (20, 29)) == 0.0


@pytest.mark.parametrize(
    ("found", "labelled", "expected"),
    [
        ([(0, 9)], [(0, 9)], Score(1, 0, 0)),
        ([(0, 9)], [(5, 14)], Score(1, 0, 0)),
        ([(0, 9)], [(8, 30)], Score(0, 1, 1)),
        ([(0, 1)], [(0, 9)], Score(0, 1, 1)),  # 0.2 is not above 0.2
        ([(0, 4), (5, 9)], [(0, 9)], Score(1, 1, 0)),
        ([(0, 9)], [(0, 4), (5, 9)], Score(1, 0, 1)),
        ([(0, 9), (20, 29)], [(20, 29), (40, 49)], Score(1, 1, 1)),
        ([], [], Score(0, 0, 0)),
    ],
)
def test_one_detection_matches_one_label(
    found: Sequence[Interval], labelled: Sequence[Interval], expected: Score
) -> None:
    assert score(found, labelled) == expected


def test_what_is_found_in_an_ignored_span_is_not_false() -> None:
    assert score([(0, 9), (50, 59)], [(0, 9)], ignored=[(55, 80)]) == Score(1, 0, 0)


def test_f1_is_pooled_by_adding_counts() -> None:
    assert (Score(8, 1, 2) + Score(2, 1, 0)).f1 == pytest.approx(20 / 24)
    assert Score(8, 2, 0).precision == 0.8
    assert Score(8, 0, 2).recall == 0.8
    assert Score().f1 == 1.0


def test_runs_of_flags_are_intervals() -> None:
    assert spans([1, 1, 0, 1, 0, 0, 1]) == [(0, 1), (3, 3), (6, 6)]


# The recordings


@pytest.fixture(scope="module")
def recordings() -> list[Recording]:
    found = read_recordings(default_data())
    if not found:
        pytest.skip(f"no recordings at {default_data()}; BLINKLOG_DATA says where they are")
    return found


@pytest.mark.parametrize(("step", "goal"), [(1, 0.965), (2, 0.96), (3, 0.945)])
def test_f1_reaches_its_goal_at_30_15_and_10_frames_a_second(
    recordings: list[Recording], step: int, goal: float
) -> None:
    assert pooled(recordings, blinklog, step).f1 >= goal


def test_every_recording_is_measured_well_not_only_their_mean(recordings: list[Recording]) -> None:
    assert all(pooled([recording], blinklog, 1).f1 >= 0.93 for recording in recordings)


def test_the_usual_rules_do_worse_at_every_rate(recordings: list[Recording]) -> None:
    for step in (1, 2, 3):
        ours = pooled(recordings, blinklog, step).f1
        for name, detector in DETECTORS.items():
            if not name.startswith("Blinklog"):
                assert pooled(recordings, detector, step).f1 < ours - 0.05


def test_leaving_a_recording_out_costs_less_than_0_01(recordings: list[Recording]) -> None:
    assert left_out(recordings).f1 >= pooled(recordings, blinklog, 1).f1 - 0.01


@pytest.mark.parametrize("name", PLATEAU)
def test_every_constant_stands_on_a_plateau(recordings: list[Recording], name: str) -> None:
    chosen = pooled(recordings, blinklog, 1).f1
    for value in PLATEAU[name][1:-1]:
        with varied({name: value}):
            assert pooled(recordings, blinklog, 1).f1 == pytest.approx(chosen, abs=0.01)


def test_a_constant_that_is_none_is_refused() -> None:
    with pytest.raises(KeyError, match="expected the name of a constant"), varied({"NONE": 1}):
        pass


@pytest.fixture(scope="module")
def seen(model_cache: Path, clips: Path) -> list[Seen]:
    """All clips, through camera, tracker and EAR."""
    found = see_all(read_clips(clips.parent))
    assert found
    return found


def test_blinks_of_clips_are_found_and_next_to_nothing_else(seen: list[Seen]) -> None:
    assert clips_f1(seen) >= 0.97
    table = on_clips(seen)
    assert sum(row["false"] for row in table.values()) <= 1
    assert sum(row["labelled"] - row["found"] for row in table.values()) <= 1


def test_leaving_a_clip_out_costs_next_to_nothing(seen: list[Seen]) -> None:
    assert clips_left_out(seen) >= 0.97


def test_the_usual_rules_do_worse_on_clips(seen: list[Seen]) -> None:
    for name, detector in DETECTORS.items():
        assert name.startswith("Blinklog") or clips_f1(seen, detector) < clips_f1(seen) - 0.05
