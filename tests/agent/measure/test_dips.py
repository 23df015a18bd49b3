"""Measurement of a dip, checked by hand on piecewise linear traces, at every window edge."""

import math
import random
from collections.abc import Sequence

import pytest

from agent.measure.dips import (
    EDGE,
    HOLD_S,
    KEEP_S,
    LEVEL_QUANTILE,
    LEVEL_WINDOW_S,
    LOOK_AHEAD_S,
    MAX_GAP_S,
    MIN_DEPTH,
    MIN_LEVEL_SAMPLES,
    MIN_NOISE_SAMPLES,
    NOISE_MEMORY_S,
    SHUT,
    Recent,
    deviation,
    measure_dip,
    reopened_s,
)

NO = None
Ears = Sequence[float | None]


def recent(
    ears: Ears,
    step_s: float = 0.1,
    start_s: float = 0.0,
    lefts: Ears | None = None,
    rights: Ears | None = None,
) -> Recent:
    """Samples `step_s` apart; each eye is as both unless it is given."""
    found = Recent()
    for k, ear in enumerate(ears):
        left = ear if lefts is None else lefts[k]
        right = ear if rights is None else rights[k]
        found.add(start_s + k * step_s, ear, left, right)
    return found


# The recent samples


def test_before_the_first_sample_the_last_time_is_minus_infinity() -> None:
    assert Recent().last_s == -math.inf
    assert recent([0.3, 0.3], start_s=5.0).last_s == pytest.approx(5.1)


def test_unseen_values_are_nan() -> None:
    found = Recent()
    found.add(1.0, None, 0.2, None)
    assert math.isnan(found.ears[0])
    assert found.lefts == [0.2]
    assert math.isnan(found.rights[0])


def test_a_window_holds_the_samples_just_as_far_away_as_it_is_long() -> None:
    found = recent([1, 2, 3, 4, 5, 6, 7])
    assert found.before(3, 0.2) == [2, 3]
    assert found.before(3, 0.19) == [3]
    assert found.after(3, 0.2) == [5, 6]
    assert found.after(3, 0.19) == [5]
    assert found.before(0, 1.0) == []
    assert found.after(6, 1.0) == []


def test_samples_without_a_face_are_in_no_window() -> None:
    found = recent([1, NO, 3, 4, NO, 6])
    assert found.before(3, 9.0) == [1, 3]
    assert found.after(3, 9.0) == [6]


def test_old_samples_are_dropped_in_all_four_columns() -> None:
    found = Recent()
    for k in range(1000):
        found.add(float(k), k, k + 0.25, k + 0.5)
        assert found.times[0] >= k - 2 * KEEP_S - 1
        assert found.times[0] <= max(0.0, k - KEEP_S)
        assert found.ears[0] == found.times[0] == found.lefts[0] - 0.25 == found.rights[0] - 0.5
        assert len(found.times) == len(found.ears) == len(found.lefts) == len(found.rights)


def test_the_samples_that_noise_and_a_closure_need_are_kept() -> None:
    assert KEEP_S == NOISE_MEMORY_S + 4.0 == 8.0
    found = Recent()
    for k in range(17):
        found.add(float(k), 0.3, 0.3, 0.3)
    assert found.times[0] == 0.0
    found.add(17.0, 0.3, 0.3, 0.3)
    assert found.times == [9.0 + k for k in range(9)]


def test_the_nearest_sample_is_found_on_both_sides_and_at_both_ends() -> None:
    found = recent([1, 2, 3], step_s=1.0, start_s=10.0)
    assert found.nearest(10.4) == 10.0
    assert found.nearest(10.6) == 11.0
    assert found.nearest(11.0) == 11.0
    assert found.nearest(2.0) == 10.0
    assert found.nearest(99.0) == 12.0


def test_the_next_sample_is_later() -> None:
    found = recent([1, 2, 3], step_s=1.0)
    assert found.next_s(0.5) == 1.0
    assert found.next_s(1.0) == 2.0
    assert found.next_s(-3.0) == 0.0


# Where it is below a level


def test_a_span_ends_between_frames_where_the_level_is_crossed() -> None:
    span = recent([0.3, 0.3, 0.1, 0.0, 0.2, 0.3]).span(3, 0.15)
    assert (span.first, span.last, span.whole) == (2, 3, True)
    assert span.start_s == pytest.approx(0.175)
    assert span.end_s == pytest.approx(0.375)


def test_a_sample_just_at_the_level_is_not_below_it() -> None:
    span = recent([0.3, 0.2, 0.1, 0.2, 0.3]).span(2, 0.2)
    assert (span.first, span.last, span.whole) == (2, 2, True)
    assert (span.start_s, span.end_s) == pytest.approx((0.1, 0.3))


@pytest.mark.parametrize(
    "ears",
    [
        [0.1, 0.1, 0.3],
        [0.3, 0.1, 0.1],
        [NO, 0.1, 0.3],
        [0.3, 0.1, NO],
        [0.1],
    ],
)
def test_an_edge_that_was_not_seen_makes_a_span_incomplete(ears: Ears) -> None:
    index = min(1, len(ears) - 1)
    assert not recent(ears).span(index, 0.2).whole


@pytest.mark.parametrize(("step_s", "whole"), [(MAX_GAP_S, True), (MAX_GAP_S + 1 / 128, False)])
def test_frames_too_far_apart_are_an_edge_that_was_not_seen(step_s: float, whole: bool) -> None:
    assert MAX_GAP_S == 0.25
    span = recent([0.3, 0.1, 0.3], step_s).span(1, 0.2)
    assert span.whole == whole
    assert span.end_s == pytest.approx(1.5 * step_s if whole else step_s)
    assert span.start_s == pytest.approx(0.5 * step_s if whole else step_s)


# How far each eye closed


def test_each_eye_has_its_own_closure() -> None:
    both = [0.3] * 5 + [0.1, 0.1] + [0.3] * 5
    found = recent(both, lefts=[0.4] * 5 + [0.3, 0.1] + [0.4] * 5, rights=[0.2] * 12)
    assert found.closure(found.lefts, 0.5, 0.61) == pytest.approx(0.75)
    assert found.closure(found.rights, 0.5, 0.61) == 0.0


def test_an_eyes_level_is_the_lower_of_both_sides() -> None:
    found = recent([0.4] * 5 + [0.1] + [0.2] * 5)
    assert found.closure(found.lefts, 0.5, 0.5) == pytest.approx(0.5)
    back = recent([0.2] * 5 + [0.1] + [0.4] * 5)
    assert back.closure(back.lefts, 0.5, 0.5) == pytest.approx(0.5)


def test_an_eye_that_opens_wider_did_not_close_by_less_than_nothing() -> None:
    found = recent([0.3] * 5 + [0.35] + [0.3] * 5)
    assert found.closure(found.lefts, 0.5, 0.5) == 0.0


def test_an_eyes_level_is_a_high_quantile_within_its_window() -> None:
    assert (LEVEL_QUANTILE, LEVEL_WINDOW_S) == (0.7, 0.45)
    beside = [9.0, 0.1, 0.2, 0.3, 0.4]  # the first is out of the window, which holds four
    found = recent([*beside, 0.05, *beside[::-1]])
    assert found.closure(found.lefts, 0.5, 0.5) == pytest.approx(1 - 0.05 / 0.31)


@pytest.mark.parametrize(
    "eye",
    [
        [0.3] * 5 + [NO, 0.1] + [0.3] * 5,
        [0.3] * 5 + [0.1, NO] + [0.3] * 5,
        [NO] * 5 + [0.1, 0.1] + [0.3] * 5,
        [0.3] * 5 + [0.1, 0.1] + [NO] * 5,
        [0.0] * 5 + [0.0, 0.0] + [0.3] * 5,
        [NO] * 12,
    ],
)
def test_an_eye_that_was_not_seen_all_the_time_has_no_closure(eye: Ears) -> None:
    found = recent([0.3] * 12, lefts=eye)
    assert found.closure(found.lefts, 0.5, 0.61) is None


def test_frames_beside_a_blink_in_which_an_eye_was_not_seen_are_left_out() -> None:
    eye = [0.4, NO, 0.4, NO, 0.4, 0.1, NO, 0.4, NO, 0.4]
    found = recent([0.3] * 10, lefts=eye)
    assert found.closure(found.lefts, 0.5, 0.5) == pytest.approx(0.75)


# A dip

OPEN, LOW = 0.32, 0.08
FALL = [0.32, 0.24, 0.16, 0.08, 0.08, 0.08, 0.16, 0.24, 0.32]
"""Down in three steps, there for three frames, up in three."""

STEP_S = 1 / 32
LONG_OPEN = [OPEN] * 40


def fallen(ears: Ears = (*LONG_OPEN, *FALL, *LONG_OPEN), start_s: float = 0.0) -> Recent:
    return recent(ears, STEP_S, start_s)


DEEPEST = (40 + 3) * STEP_S


@pytest.mark.parametrize("start_s", [0.0, 1000.0])
def test_a_dip_of_straight_lines_is_measured_as_by_hand(start_s: float) -> None:
    dip = measure_dip(fallen(start_s=start_s), start_s + DEEPEST)
    assert dip is not None
    assert dip.level == OPEN
    assert dip.depth == pytest.approx(0.75, abs=1e-3)
    assert dip.recovery == pytest.approx(1.0)
    assert (dip.deepest_s, dip.noise) == (start_s + DEEPEST, 0.0)
    assert (EDGE, SHUT) == (0.2, 0.8)
    # A fifth of the way down is 0.6 of a frame after the fall begins, and as long before its end.
    assert dip.width_s == pytest.approx((8 - 2 * 0.6) * STEP_S, abs=1e-3)
    assert dip.duration_s == pytest.approx((8 - 2 * 1.5) * STEP_S, abs=1e-3)
    assert dip.shut_s == pytest.approx((8 - 2 * 2.4) * STEP_S, abs=1e-3)
    assert (dip.first_s - start_s, dip.last_s - start_s) == (41 * STEP_S, 47 * STEP_S)


def test_the_level_is_the_lower_side_and_the_recovery_a_share_of_the_fall() -> None:
    low_after = [0.24] * 40
    dip = measure_dip(fallen([*LONG_OPEN, *FALL[:-1], *low_after]), DEEPEST)
    assert dip is not None
    assert dip.level == pytest.approx(0.24)
    assert dip.recovery == pytest.approx(2 / 3, abs=0.01)
    wide = measure_dip(fallen([*low_after, *FALL[1:], *LONG_OPEN]), DEEPEST - STEP_S)
    assert wide is not None
    assert wide.level == pytest.approx(0.24)
    assert wide.recovery == pytest.approx(1.5, abs=0.01)


def shallow(depth: float) -> Recent:
    low = OPEN * (1 - depth)
    return fallen([*LONG_OPEN, low, low, low, *LONG_OPEN])


def test_a_dip_has_to_be_deep_enough() -> None:
    assert measure_dip(shallow(MIN_DEPTH + 0.002), 40 * STEP_S) is not None
    assert measure_dip(shallow(MIN_DEPTH - 0.002), 40 * STEP_S) is None
    assert reopened_s(shallow(MIN_DEPTH - 0.002), 40 * STEP_S) is None
    assert 1 - 0.18 / 0.25 == MIN_DEPTH == 0.28
    assert reopened_s(fallen([*[0.25] * 40, *[0.18] * 3, *[0.25] * 40]), 40 * STEP_S) is not None


def test_frowns_are_shallower_than_what_is_measured_and_blinks_deeper() -> None:
    assert measure_dip(shallow(0.2), 40 * STEP_S) is None
    assert measure_dip(shallow(0.4), 40 * STEP_S) is not None


def test_a_wide_frame_on_each_side_makes_no_dip_of_a_frown() -> None:
    frown = [0.4, *[0.3] * 4, *[0.24] * 4, *[0.3] * 4, 0.4]
    trace = fallen([*[0.3] * 40, *frown, *[0.3] * 40])
    assert reopened_s(trace, 45 * STEP_S) is not None, "the wide frames make it look deep at first"
    assert measure_dip(trace, 45 * STEP_S) is None


def test_the_floor_is_the_lowest_level_that_was_held() -> None:
    """A single frame lower than those beside it reaches as deep as it is wide for long enough."""
    spike = [0.32, 0.16, 0.16, 0.0, 0.16, 0.16, 0.32]
    dip = measure_dip(fallen([*LONG_OPEN, *spike, *LONG_OPEN]), DEEPEST)
    assert dip is not None
    floor = 0.16 * HOLD_S / (2 * STEP_S)
    assert dip.depth == pytest.approx(1 - floor / OPEN, abs=1e-3)


def test_a_single_frame_at_a_high_rate_is_no_dip() -> None:
    assert HOLD_S == 0.02
    trace = recent([OPEN] * 300 + [0.05] + [OPEN] * 300, 1 / 240)
    assert measure_dip(trace, 300 / 240) is None
    assert reopened_s(trace, 300 / 240) is None


@pytest.mark.parametrize(("frames", "measured"), [(1, False), (MIN_LEVEL_SAMPLES, True)])
def test_a_level_needs_samples_on_both_sides(frames: int, measured: bool) -> None:
    assert MIN_LEVEL_SAMPLES == 2
    sheer, few = [LOW] * 4, [OPEN] * frames
    before = measure_dip(fallen([*few, *sheer, *LONG_OPEN]), frames * STEP_S)
    after = measure_dip(fallen([*LONG_OPEN, *sheer, *few]), 40 * STEP_S)
    assert (before is not None) == (after is not None) == measured


def test_a_dip_whose_edge_was_not_seen_is_none() -> None:
    hole = [0.32, NO, 0.16, 0.08, 0.08, 0.08, 0.16, 0.24, 0.32]
    assert measure_dip(fallen([*LONG_OPEN, *hole, *LONG_OPEN]), DEEPEST) is None
    assert measure_dip(fallen([*LONG_OPEN, *hole[::-1], *LONG_OPEN]), DEEPEST) is None


def test_half_a_dip_is_at_its_end_when_the_lids_are_half_way_up() -> None:
    found = reopened_s(fallen(), DEEPEST)
    assert found == pytest.approx((40 + 6.5) * STEP_S, abs=1e-3)


def test_without_a_face_on_one_side_there_is_no_dip() -> None:
    assert reopened_s(fallen([LOW, LOW, *LONG_OPEN]), 0.0) is None
    assert reopened_s(fallen([*LONG_OPEN, LOW]), 40 * STEP_S) is None


def test_lids_that_stay_down_for_as_long_as_it_looks_ahead_are_no_dip() -> None:
    assert LOOK_AHEAD_S == 0.6
    frames = int(LOOK_AHEAD_S / STEP_S)
    assert reopened_s(fallen([*LONG_OPEN, *[LOW] * frames, *LONG_OPEN]), 40 * STEP_S) is not None
    longer = [*LONG_OPEN, *[LOW] * (frames + 1), *LONG_OPEN]
    assert reopened_s(fallen(longer), 40 * STEP_S) is None


def test_a_flutter_within_a_dip_is_part_of_the_time_that_it_was_shut() -> None:
    flutter = [0.32, 0.08, 0.08, 0.2, 0.08, 0.08, 0.32]
    dip = measure_dip(fallen([*LONG_OPEN, *flutter, *LONG_OPEN]), 41 * STEP_S)
    assert dip is not None
    # A fifth of the depth above the floor is crossed 0.8 of a frame after the fall begins.
    assert dip.shut_s == pytest.approx((6 - 2 * 0.8) * STEP_S, abs=1e-3)


# The noise before it


@pytest.mark.parametrize(("frames", "known"), [(MIN_NOISE_SAMPLES + 2, True), (7, False)])
def test_noise_needs_a_few_second_differences(frames: int, known: bool) -> None:
    assert MIN_NOISE_SAMPLES == 6
    dip = measure_dip(fallen([*[OPEN] * frames, *FALL[1:], *LONG_OPEN]), (frames + 2) * STEP_S)
    assert dip is not None
    # The frame of the fall that is above the edge is one of those before it.
    assert (dip.noise is not None) == known


def test_the_deviation_of_normal_noise_follows_from_its_median_second_difference() -> None:
    assert deviation([0.0, 1.0] * 9) == pytest.approx(2 * 1.4826 / math.sqrt(6))
    chance = random.Random(1)
    drifting = [0.0001 * k + chance.gauss(0, 0.01) for k in range(4000)]
    assert deviation(drifting) == pytest.approx(0.01, rel=0.05)


def test_the_noise_is_a_share_of_the_level_in_the_seconds_before() -> None:
    loud = [OPEN + (0.02 if k % 2 else -0.02) for k in range(32 * 6)]
    dip = measure_dip(fallen([*loud, *FALL, *LONG_OPEN]), (32 * 6 + 3) * STEP_S)
    assert dip is not None
    assert dip.noise == pytest.approx(deviation(loud) / dip.level)
    quiet = [OPEN] * int(NOISE_MEMORY_S * 32)
    calm = measure_dip(fallen([*loud, *quiet, *FALL, *LONG_OPEN]), (32 * 10 + 3) * STEP_S)
    assert calm is not None
    assert calm.noise == 0.0


def test_noise_before_that_is_forgotten_within_seconds() -> None:
    assert NOISE_MEMORY_S == 4.0
    loud = [OPEN + (0.02 if k % 2 else -0.02) for k in range(32 * 3)]
    quiet = [OPEN] * (32 * 1)
    dip = measure_dip(fallen([*loud, *quiet, *FALL, *LONG_OPEN]), (32 * 4 + 3) * STEP_S)
    assert dip is not None
    assert dip.noise is not None
    assert dip.noise > 0.05
