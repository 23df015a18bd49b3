"""Looking down in a session: neither PERCLOS nor a long closure."""

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest

from agent.measure.session import UNCLEAR_TIME, Session, SessionBuilder
from agent.records import EyeSample
from tests.agent.measure.lids_seen import BETWEEN, CLOSED, DOWN, OPEN_LID, Seen
from tests.agent.traces import OPEN, Camera, Lids

BLINKING = [Lids(2.0 + 3 * k, 0.15) for k in range(9)]
LOWERED = Lids(40.0, 4.0, closing_s=0.1, opening_s=0.1)


def seen_as(seen: Seen, samples: Sequence[EyeSample], from_s: float) -> list[EyeSample]:
    """Each with an iris and a lower lid: of open eyes, and as `seen` where lids are lowered."""
    closed = 0.5 * OPEN
    return [
        replace(
            each,
            iris=seen[0] if each.time_s >= from_s and (each.ear or 0) < closed else -0.06,
            lower_lid=seen[1] if each.time_s >= from_s and (each.ear or 0) < closed else OPEN_LID,
        )
        for each in samples
    ]


def a_session(
    seen: Seen, lids: Sequence[Lids] = (LOWERED,), until_s: float = 60.0, start_s: float = 0.0
) -> tuple[SessionBuilder, list[EyeSample]]:
    samples = Camera().see([*BLINKING, *lids], until_s)
    told = seen_as(seen, samples, 30.0)
    return SessionBuilder(start_s), [replace(each, time_s=start_s + each.time_s) for each in told]


def finished(
    seen: Seen, lids: Sequence[Lids] = (LOWERED,), until_s: float = 60.0, start_s: float = 0.0
) -> Session:
    builder, samples = a_session(seen, lids, until_s, start_s)
    for each in samples:
        builder.add(each)
    return builder.finish(start_s + until_s, 0)


def test_looking_down_is_neither_perclos_nor_a_long_closure() -> None:
    found = finished(DOWN)
    assert found.metrics.looking_down == pytest.approx(4 / 60, abs=0.003)
    assert found.metrics.perclos == pytest.approx(0.015, abs=0.01)
    assert found.metrics.long_closure_count == 0
    assert "gaze_unknown" not in found.quality


def test_shut_eyes_are_both() -> None:
    found = finished(CLOSED)
    assert found.metrics.looking_down == 0.0
    assert found.metrics.perclos == pytest.approx(4 / 60 + 0.015, abs=0.01)
    assert found.metrics.long_closure_count == 1
    assert "gaze_unknown" not in found.quality


@pytest.mark.parametrize("seen", [BETWEEN, (None, None)])
def test_unclear_time_counts_as_shut_and_is_flagged(seen: Seen) -> None:
    found = finished(seen)
    assert found.metrics.looking_down is None
    assert found.metrics.perclos == pytest.approx(4 / 60 + 0.015, abs=0.01)
    assert found.metrics.long_closure_count == 1
    assert "gaze_unknown" in found.quality


def test_a_little_unclear_time_is_not_flagged() -> None:
    assert UNCLEAR_TIME == 0.01
    short = Lids(40.0, 0.5, closing_s=0.02, opening_s=0.02)
    assert "gaze_unknown" in finished(BETWEEN, [short], 42.0).quality
    assert "gaze_unknown" not in finished(BETWEEN, [short], 58.0).quality


def test_without_an_iris_looking_down_is_not_measured() -> None:
    builder = SessionBuilder(0.0)
    for each in Camera().see(BLINKING, 60):
        builder.add(each)
    found = builder.finish(60.0, 0)
    assert found.metrics.looking_down is None
    assert "gaze_unknown" not in found.quality


@pytest.mark.parametrize("start_s", [0.0, 1000.0])
def test_a_look_down_is_left_out_of_the_minutes_in_which_it_was(start_s: float) -> None:
    down = Lids(57.0, 6.0, closing_s=0.05, opening_s=0.05)
    found = finished(DOWN, [down], 180.0, start_s)
    shut = finished(CLOSED, [down], 180.0, start_s)
    assert [minute.minute for minute in found.minutes] == [0, 1, 2]
    told = [minute.perclos or 0.0 for minute in found.minutes]
    counted = [minute.perclos or 0.0 for minute in shut.minutes]
    left_out = [60 * (b - a) for a, b in zip(told, counted, strict=True)]
    assert left_out == pytest.approx([3.0, 3.0, 0.0], abs=0.1)
    assert min(told) >= 0.0


@pytest.mark.parametrize(("seen", "closed_s"), [(DOWN, 0.0), (CLOSED, 1.95)])
def test_a_snapshot_judges_the_current_stretch(seen: Seen, closed_s: float) -> None:
    builder, samples = a_session(seen)
    blinking_s = 0.0
    for each in samples:
        if each.time_s >= 42.0:
            break
        builder.add(each)
        if each.time_s < 39:
            blinking_s = (builder.snapshot(39, 0).metrics.perclos or 0) * each.time_s
    snapshot = builder.snapshot(42.0, 0)
    assert (snapshot.metrics.perclos or 0) * 42.0 - blinking_s == pytest.approx(closed_s, abs=0.1)
    assert (snapshot.metrics.looking_down or 0) * 42.0 == pytest.approx(1.95 - closed_s, abs=0.1)


@pytest.mark.parametrize("seen", [DOWN, CLOSED, BETWEEN])
def test_a_snapshot_changes_nothing_during_a_stretch(seen: Seen) -> None:
    builder, samples = a_session(seen)
    for each in samples:
        builder.add(each)
        if 41.0 < each.time_s < 43.0:
            assert builder.snapshot(each.time_s, 0) == builder.snapshot(each.time_s, 0)
    assert builder.finish(60.0, 0) == finished(seen)


@pytest.mark.parametrize("seen", [DOWN, CLOSED, BETWEEN])
def test_irises_of_lids_above_the_limit_change_nothing(seen: Seen) -> None:
    """Whoever computes irises may leave these out."""
    builder, samples = a_session(seen, [LOWERED, Lids(50.0, 0.4), Lids(53.0, 1.0, depth=0.45)])
    left_out = 0
    for each in samples:
        unneeded = (each.ear or 0.0) >= builder.irises_below
        left_out += unneeded
        builder.add(replace(each, iris=None) if unneeded else each)
    lids = [LOWERED, Lids(50.0, 0.4), Lids(53.0, 1.0, depth=0.45)]
    assert builder.finish(60.0, 0) == finished(seen, lids)
    assert left_out > 0.8 * len(samples)


def test_the_limit_is_half_way_down_once_an_iris_was_seen() -> None:
    builder, samples = a_session(DOWN)
    assert builder.irises_below == math.inf
    for each in samples[:300]:
        builder.add(replace(each, iris=None))
        assert builder.irises_below == math.inf
    builder.add(samples[300])
    levels = builder.levels
    assert levels.open is not None
    assert levels.closed is not None
    assert builder.irises_below == pytest.approx((levels.open + levels.closed) / 2)


def test_a_session_that_ends_looking_down_is_judged_at_its_end() -> None:
    found = finished(DOWN, [Lids(40.0, 9.0)], 45.0)
    assert found.metrics.looking_down == pytest.approx(5 / 45, abs=0.005)
