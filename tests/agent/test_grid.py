"""Truth by construction: the blinking portrait through the real models, whatever its schedule."""

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.landmarks import FaceTracker
from bench.grid import Condition, Row, away, closure, conditions, measure, schedule, still
from scripts.portrait import Portrait, Schedule

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
    look=st.sampled_from([{}, {"noise": 20.0}, {"gain": 0.1}, {"scale": 0.5}, {"blur": 2.0}]),
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


@pytest.mark.parametrize(
    ("condition", "word"),
    [
        (Condition("dark", look=still(gain=0.01), fps=15, seconds=4), "no_face"),
        (Condition("away", schedule(seconds=10), away, fps=15, seconds=10), "low_coverage"),
        (Condition("slow", schedule(seconds=8), fps=8, seconds=8), "low_frame_rate"),
        (Condition("lossy", fps=15, dropped=0.3, seconds=4), "frames_dropped"),
        (Condition("soft", look=still(blur=6.0), fps=15, seconds=4), "blurred"),
    ],
    ids=lambda each: getattr(each, "name", each),
)
def test_what_cannot_be_seen_is_said(measured: Measured, condition: Condition, word: str) -> None:
    row = measured(condition)
    assert word in row.quality
    assert not row.false
    if word in ("no_face", "low_frame_rate", "blurred"):
        assert row.counted is row.missed is None


def test_every_row_has_its_own_name_and_blinks_that_do_not_overlap() -> None:
    rows = conditions()
    assert len({row.name for row in rows}) == len(rows)
    for row in rows:
        movements = list(row.lids)
        assert all(a.end_s < b.start_s for a, b in pairwise(movements))
        assert all(each.end_s < row.seconds for each in movements)
