"""Truth by construction: the blinking portrait through the real models, whatever its schedule."""

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.face.tracker import FaceTracker
from bench.conditions import (
    Condition,
    away,
    beginnings,
    beside,
    closure,
    conditions,
    depth_conditions,
    grey,
    looks_down,
    schedule,
    still,
    turned,
    with_a_second,
)
from bench.grid import Row, depths, measure, settled, share_right
from scripts.portrait import LidMovement, Portrait, Schedule

Measured = Callable[[Condition], Row]
FEW = settings(
    max_examples=2,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture
def measured(portrait: Portrait, tracker: FaceTracker) -> Measured:
    return lambda condition: measure(condition, portrait, tracker)


@FEW
@given(
    per_min=st.sampled_from([10.0, 25.0, 40.0]),
    half_s=st.sampled_from([0.08, 0.15, 0.3]),
    depths=st.sampled_from([(1.0,), (1.0, 1.0, 0.6)]),
    look=st.sampled_from(
        [
            {},
            {"noise": 20.0},
            {"gain": 0.1},
            {"scale": 0.5},
            {"blur": 2.0},
            {"grey": True, "noise": 4.0},
            {"glare": 0.3},
        ]
    ),
    fps=st.sampled_from([30.0, 15.0]),
    seed=st.integers(0, 1000),
)
def test_what_can_be_seen_is_counted_right(
    measured: Measured,
    per_min: float,
    half_s: float,
    depths: tuple[float, ...],
    look: dict[str, float],
    fps: float,
    seed: int,
) -> None:
    lids = schedule(per_min, (half_s, half_s), depths, seed, seconds=12)
    row = measured(Condition("any", lids, still(**look), fps, seconds=12))
    assert (row.counted, row.missed, row.false) == (row.true, 0, 0)
    assert row.quality == ("short",)
    assert row.counted_ms == pytest.approx(row.true_ms, abs=60)


def test_a_long_closure_is_no_blink(measured: Measured) -> None:
    lids = Schedule((*schedule(30, seconds=9), closure(9.0, 1.0)))
    row = measured(Condition("long", lids, fps=15, seconds=12))
    assert (row.counted, row.false, row.counted_long) == (row.true, 0, 1)


def test_a_look_down_is_neither_a_closure_nor_a_blink(measured: Measured) -> None:
    gaze = looks_down([(5.0, 1.0), (7.0, 2.0)])
    row = measured(Condition("down", schedule(30, seconds=5), gaze=gaze, fps=15, seconds=12))
    assert (row.counted, row.false, row.counted_long) == (row.true, 0, 0)
    assert row.true_down == pytest.approx(0.2, abs=0.05)
    assert row.counted_down == pytest.approx(row.true_down, abs=0.05)


def test_eyes_are_told_apart(measured: Measured) -> None:
    row = measured(Condition("palsy", schedule(30, seconds=12), eyes=(0.4, 1.0), seconds=12))
    assert (row.counted, row.missed, row.false) == (row.true, 0, 0)
    assert row.right == pytest.approx(0.35, abs=0.15)
    assert row.left == pytest.approx(0.85, abs=0.1)


@pytest.mark.parametrize(
    ("condition", "word"),
    [
        (Condition("dark", look=still(gain=0.01), fps=15, seconds=4), "no_face"),
        (Condition("away", schedule(seconds=10), away, fps=15, seconds=10), "low_coverage"),
        (Condition("slow", schedule(seconds=8), fps=8, seconds=8), "low_frame_rate"),
        (Condition("lossy", fps=15, dropped=0.3, seconds=4), "frames_dropped"),
        (Condition("soft", look=still(blur=7.0), fps=15, seconds=4), "blurred"),
        (Condition("head down", fps=15, seconds=4, camera=turned(2)), "turned"),
        (
            Condition("two", look=beside, fps=15, seconds=7, camera=with_a_second(0.8)),
            "second_face",
        ),
    ],
    ids=lambda each: getattr(each, "name", each),
)
def test_what_cannot_be_seen_is_said(measured: Measured, condition: Condition, word: str) -> None:
    row = measured(condition)
    assert word in row.quality
    assert not row.false
    if word in ("no_face", "low_frame_rate", "blurred"):
        assert row.counted is row.missed is None


def test_a_camera_without_colours_counts_right(measured: Measured) -> None:
    row = measured(Condition("grey", schedule(30, seconds=8), camera=grey, fps=15, seconds=8))
    assert (row.counted, row.missed, row.false) == (row.true, 0, 0)


def test_complete_and_partial_blinks_are_told_apart(
    portrait: Portrait, tracker: FaceTracker
) -> None:
    lids = schedule(30, depths=(1.0, 0.6), seconds=20)
    complete, partial = depths(Condition("both", lids, seconds=20), portrait, tracker)
    assert (complete.depth, partial.depth) == (1.0, 0.6)
    assert complete.true + partial.true == len(lids)
    assert complete.right == complete.found == complete.true
    assert 0 < partial.right == partial.found
    assert share_right([complete, partial]) == 1.0


def test_the_open_level_is_known_within_three_seconds(
    portrait: Portrait, tracker: FaceTracker
) -> None:
    condition = Condition("shut", Schedule((LidMovement(-1.0, 3.0),)), fps=15, seconds=10)
    assert settled(condition, 2.0, portrait, tracker).settled_s < 3.0


def test_every_row_has_its_own_name_and_blinks_that_do_not_overlap() -> None:
    rows = conditions()
    assert len({row.name for row in rows}) == len(rows)
    for row in [*rows, *depth_conditions(), *(each for each, _ in beginnings())]:
        movements = list(row.lids)
        assert all(a.end_s < b.start_s for a, b in pairwise(movements))
        assert all(each.end_s < row.seconds for each in movements)
