"""Sessions to the exact frame: any start time, each eye, gates at their edges, gaps."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

import pytest

from agent.measure.gaps import UNSEEN_S
from agent.measure.metrics import PERCLOS_CLOSED
from agent.measure.session import (
    LATE,
    LATE_TIME,
    LONGEST_S,
    MAX_INTERVAL_S,
    MIN_COUNT_FPS,
    MIN_DURATION_FPS,
    RATE_TOLERANCE,
    STALL_S,
    Session,
    SessionBuilder,
)
from agent.records import EyeSample
from tests.agent.traces import Camera, Lids, sample, without_face

BEGUN = [0.0, 1000.0, 86_399.5]
"""A session begins at any time of the frames' clock."""


def session(samples: Sequence[EyeSample], end_s: float, start_s: float = 0.0) -> Session:
    builder = SessionBuilder(start_s)
    for each in samples:
        builder.add(each)
    return builder.finish(end_s, 0)


def later(samples: Sequence[EyeSample], start_s: float) -> list[EyeSample]:
    return [replace(each, time_s=start_s + each.time_s) for each in samples]


def stepped(steps_s: Sequence[float], ear: float = 0.3) -> list[EyeSample]:
    """Open eyes; each frame is so much later than the one before it."""
    return [sample(time_s, ear) for time_s in accumulate(steps_s, initial=0.0)]


def blinking(every_s: float, until_s: float) -> list[Lids]:
    return [Lids(2.0 + every_s * k) for k in range(int((until_s - 4) / every_s) + 1)]


# Begun at any time


@pytest.mark.parametrize("start_s", BEGUN)
def test_a_sample_is_of_the_minute_since_the_session_began(start_s: float) -> None:
    """An EAR of its own in each minute, with the edges of the minutes between frames."""
    frames = [sample(0.25 + k / 2, 0.30 + 0.01 * (k // 120)) for k in range(3 * 120)]
    found = session(later(frames, start_s), start_s + 180, start_s)
    means = [minute.ear_mean for minute in found.minutes]
    assert means == pytest.approx([0.30, 0.31, 0.32])
    assert [minute.minute for minute in found.minutes] == [0, 1, 2]
    assert [minute.valid_s for minute in found.minutes] == pytest.approx([29.75, 30, 30])


@pytest.mark.parametrize("start_s", BEGUN)
def test_a_blink_is_of_the_minute_in_which_it_began(start_s: float) -> None:
    lids = [Lids(at_s) for at_s in (20.0, 40.0, 59.9, 60.2, 100.0, 150.0)]
    found = session(later(Camera().see(lids, 170), start_s), start_s + 170, start_s)
    assert [minute.blinks for minute in found.minutes] == [3, 2, 1]
    assert found.blinks is not None
    assert found.blinks.at_s == pytest.approx([lid.at_s for lid in lids], abs=0.05)
    assert found.metrics.duration_s == 170
    assert found.metrics.coverage == pytest.approx(1.0, abs=0.001)


@pytest.mark.parametrize("start_s", BEGUN)
@pytest.mark.parametrize(("end_s", "minutes"), [(61.0, 1), (61.01, 2), (0.5, 0), (1.25, 1)])
def test_a_minute_has_begun_after_a_second_of_it(
    end_s: float, minutes: int, start_s: float
) -> None:
    assert len(session([], start_s + end_s, start_s).minutes) == minutes


def test_a_session_that_ends_before_it_begins_has_no_length() -> None:
    found = session([], 90.0, 100.0)
    assert found.metrics.duration_s == 0.0
    assert found.metrics.coverage is None
    assert found.minutes == ()


def test_a_session_may_be_a_day_long_and_a_minute() -> None:
    assert LONGEST_S == 24 * 3600 + 60


# Valid time


def test_an_interval_counts_up_to_a_quarter_of_a_second() -> None:
    assert MAX_INTERVAL_S == 0.25
    steps = [0.125, 0.25, 0.375, 5.0]
    assert session(stepped(steps), 10).metrics.valid_s == 0.125 + 3 * 0.25


def test_both_frames_of_an_interval_need_a_trustworthy_face() -> None:
    frames = stepped([0.125] * 8)
    lost = [replace(each, ear=None) if k == 4 else each for k, each in enumerate(frames)]
    doubted = [replace(each, score=0.49) if k == 4 else each for k, each in enumerate(frames)]
    assert session(frames, 1).metrics.valid_s == 1.0
    assert session(lost, 1).metrics.valid_s == 0.75
    assert session(doubted, 1).metrics.valid_s == 0.75


def test_coverage_is_never_more_than_everything() -> None:
    assert session(stepped([0.125] * 80), 9.5).metrics.coverage == 1.0
    assert session(stepped([0.125] * 80), 40.0).metrics.coverage == 0.25
    assert session(stepped([0.125] * 80), 0.5).metrics.coverage == 1.0


def test_eyes_are_closed_from_four_fifths_of_the_way_down() -> None:
    """Before any blink shut lids read 0.3 of open ones: four fifths down is 0.44."""
    assert PERCLOS_CLOSED == 0.8
    for share, closed in [(0.43, 2.0), (0.45, 0.0)]:
        frames = [sample(k / 16, 0.3) for k in range(160)]
        frames += [sample(10 + k / 16, 0.3 * share) for k in range(32)]
        assert session(frames, 12).metrics.perclos == pytest.approx(closed / (12 - 1 / 16))


# The rate


def rate(steps_s: Sequence[float]) -> Session:
    return session(stepped(steps_s), sum(steps_s))


def test_the_rate_is_of_the_time_without_stalls() -> None:
    assert STALL_S == 1.0
    assert rate([0.0625] * 16).fps == 16
    assert rate([0.0625] * 16 + [1.5]).fps == 16
    assert rate([0.0625] * 16 + [1.0]).fps == 17 / 2
    assert rate([3.0, 4.0]).fps is None
    assert rate([0.0625] * 16).metrics.frames == 17


@pytest.mark.parametrize(
    ("fps", "counted", "timed"),
    [
        (1.001 * RATE_TOLERANCE * MIN_DURATION_FPS, True, True),
        (0.999 * RATE_TOLERANCE * MIN_DURATION_FPS, True, False),
        (1.001 * RATE_TOLERANCE * MIN_COUNT_FPS, True, False),
        (0.999 * RATE_TOLERANCE * MIN_COUNT_FPS, False, False),
    ],
)
def test_the_gates_are_two_percent_below_ten_and_fifteen(
    fps: float, counted: bool, timed: bool
) -> None:
    assert (MIN_COUNT_FPS, MIN_DURATION_FPS, RATE_TOLERANCE) == (10.0, 15.0, 0.98)
    found = session(Camera(fps).see(blinking(4.0, 60), 60), 60)
    assert (found.metrics.blink_count is not None) == counted
    assert (found.metrics.blink_duration_median_ms is not None) == timed
    assert ("low_frame_rate" in found.quality) == (not timed)


def test_just_that_rate_is_enough() -> None:
    steps = [7 / 64] * 26 + [6 / 64] * 23
    found = rate(steps)
    assert found.fps == 9.8 == MIN_COUNT_FPS * RATE_TOLERANCE
    assert found.metrics.blink_count is not None


@pytest.mark.parametrize(("late", "counted"), [(4, True), (5, False)])
def test_a_quarter_of_the_time_may_be_late(late: int, counted: bool) -> None:
    """Intervals of a quarter of a second are late for 10 frames a second; it is 4 s in all."""
    assert (LATE, LATE_TIME) == (1.3, 0.25)
    steps = [0.25] * late + [0.0625] * ((16 - late) * 4)
    assert (rate(steps).metrics.blink_count is not None) == counted


@pytest.mark.parametrize(("late", "slow"), [(8, False), (9, True)])
def test_a_quarter_of_the_time_may_be_late_for_durations_too(late: int, slow: bool) -> None:
    """Intervals of an eighth of a second are late for 15 frames a second, not for 10."""
    found = rate([0.125] * late + [1 / 32] * ((32 - late) * 4))
    assert ("low_frame_rate" in found.quality) == slow
    assert found.metrics.blink_count is not None


def test_an_interval_of_just_three_tenths_more_is_not_late() -> None:
    assert rate([0.13, *[1 / 32] * 3]).metrics.blink_count is not None
    assert rate([0.131, *[1 / 32] * 3]).metrics.blink_count is None


@pytest.mark.parametrize(("step_s", "counted"), [(0.129, True), (0.131, False)])
def test_an_interval_is_late_from_three_tenths_longer_than_a_gates_own(
    step_s: float, counted: bool
) -> None:
    steps = [step_s, 0.06] * 60
    assert (rate(steps).metrics.blink_count is not None) == counted


# Gaps


@pytest.mark.parametrize(
    ("lost_s", "between"), [(UNSEEN_S - 0.1, [3.0, 6.0]), (UNSEEN_S + 0.1, [3.0])]
)
def test_neighbours_have_no_gap_between_them_in_which_a_blink_could_hide(
    lost_s: float, between: list[float]
) -> None:
    assert UNSEEN_S == 0.5
    lids = [Lids(5.0), Lids(8.0), Lids(14.0)]
    samples = without_face(Camera().see(lids, 20), 11.0, 11.0 + lost_s)
    mean = sum(between) / len(between)
    found = session(samples, 20).metrics
    assert found.inter_blink_interval_median_s == pytest.approx(mean, abs=0.04)


def test_a_gap_stands_between_two_blinks_only() -> None:
    lids = [Lids(5.0), Lids(15.0), Lids(18.0), Lids(21.0)]
    samples = without_face(Camera().see(lids, 25), 8.0, 12.0)
    found = session(samples, 25).metrics
    assert found.inter_blink_interval_median_s == pytest.approx(3.0, abs=0.04)


def test_many_gaps_count_as_one() -> None:
    lids = [Lids(5.0), Lids(40.0), Lids(43.0)]
    samples = Camera().see(lids, 50)
    for k in range(9):
        samples = without_face(samples, 8.0 + 3 * k, 9.0 + 3 * k)
    found = session(samples, 50).metrics
    assert found.inter_blink_interval_median_s == pytest.approx(3.0, abs=0.04)


def test_a_single_blink_has_no_interval() -> None:
    assert session(Camera().see([Lids(5.0)], 10), 10).metrics.inter_blink_interval_median_s is None


# Each eye


def apart(left: float | None, right: float | None, from_s: float = 0.0) -> list[EyeSample]:
    """Blinks every three seconds; an eye closes by that much, or isn't seen, from then on."""
    lids = [Lids(2.0 + 3 * k, depth=0.8) for k in range(12)]
    samples = []
    for each in Camera(noise=0.0).see(lids, 40):
        down = 1 - (each.ear or 0) / 0.3
        eyes = [
            None
            if part is None and each.time_s >= from_s
            else level * (1 - (part or 0.8) * down / 0.8)
            for part, level in ((left, 0.28), (right, 0.32))
        ]
        samples.append(replace(each, ear_left=eyes[0], ear_right=eyes[1]))
    return samples


def test_each_eye_has_its_open_level_and_its_closure() -> None:
    metrics = session(apart(0.8, 0.4), 40).metrics
    assert metrics.blink_count == 12
    assert metrics.ear_open_left == pytest.approx(0.28, abs=0.002)
    assert metrics.ear_open_right == pytest.approx(0.32, abs=0.002)
    assert metrics.blink_closure_left_median == pytest.approx(0.8, abs=0.03)
    assert metrics.blink_closure_right_median == pytest.approx(0.4, abs=0.03)


def test_each_blink_has_the_closure_of_each_eye() -> None:
    columns = session(apart(0.8, 0.4), 40).blinks
    assert columns is not None
    assert columns.closure_left == pytest.approx([0.8] * 12, abs=0.03)
    assert columns.closure_right == pytest.approx([0.4] * 12, abs=0.03)
    assert columns.amplitude == pytest.approx([1.0] * 12, abs=0.1)


def test_an_eye_that_was_never_seen_has_no_numbers() -> None:
    found = session(apart(0.8, None), 40)
    assert found.metrics.ear_open_right is None
    assert found.metrics.blink_closure_right_median is None
    assert found.metrics.ear_open_left == pytest.approx(0.28, abs=0.002)
    assert found.blinks is not None
    assert found.blinks.closure_right == (None,) * 12


def test_an_eye_counts_for_the_time_in_which_it_was_seen() -> None:
    found = session(apart(0.8, None, from_s=20.0), 40)
    assert found.metrics.ear_open_right == pytest.approx(0.32, abs=0.002)
    assert found.metrics.blink_closure_right_median == pytest.approx(0.8, abs=0.03)
    assert found.blinks is not None
    assert [each is None for each in found.blinks.closure_right] == [False] * 6 + [True] * 6


def test_an_eyes_level_is_weighed_by_time() -> None:
    """Four steps of half a second at 0.2 while frames are rare, then many frames at 0.4."""
    rare = [replace(sample(k / 4, 0.3), ear_left=0.2, ear_right=None) for k in range(40)]
    many = [replace(sample(10 + k / 32, 0.3), ear_left=0.2, ear_right=None) for k in range(320)]
    found = session([*rare, *many], 20).metrics
    assert found.ear_open_left == pytest.approx(0.2)
    assert found.ear_open_right is None


def test_below_ten_frames_a_second_no_eyes_closure_is_measured() -> None:
    metrics = session(apart(0.8, 0.4)[::4], 40).metrics
    assert metrics.blink_closure_left_median is None
    assert metrics.blink_closure_right_median is None
    assert metrics.ear_open_left == pytest.approx(0.28, abs=0.01)


# Who was in the picture


@pytest.mark.parametrize(("others", "said"), [(True, True), (False, False), (None, False)])
def test_another_face_is_flagged(others: bool | None, said: bool) -> None:
    frames = [replace(each, others=others) for each in stepped([0.0625] * 160)]
    assert ("second_face" in session(frames, 10).quality) == said


@pytest.mark.parametrize("turned", [True, False])
def test_a_turned_face_is_flagged(turned: bool) -> None:
    frames = [replace(each, turned=turned) for each in stepped([0.0625] * 160)]
    assert ("turned" in session(frames, 10).quality) == turned


# What is known while it goes on


def test_blinks_then_long_closures_are_the_events() -> None:
    lids = [*blinking(3.0, 20), Lids(22.0, 1.0), Lids(26.0)]
    builder = SessionBuilder(0.0)
    told = [event for each in Camera().see(lids, 30) for event in builder.add(each)]
    builder.finish(30.0, 0)
    assert [event.long for event in builder.events] == [False] * (len(lids) - 1) + [True]
    assert sorted(told, key=lambda event: event.start_s) == sorted(
        builder.events, key=lambda event: event.start_s
    )


def test_the_levels_are_the_current_estimates() -> None:
    builder = SessionBuilder(0.0)
    assert builder.levels.open is None
    builder.add(sample(0.0, 0.31))
    assert builder.levels.open == pytest.approx(0.31)


def test_a_frame_at_the_same_time_or_before_changes_nothing() -> None:
    builder = SessionBuilder(0.0)
    for time_s in (1.0, 1.125, 1.125, 1.0):
        builder.add(sample(time_s, 0.3))
    found = builder.snapshot(2.0, 7)
    assert (found.metrics.frames, found.metrics.frames_dropped) == (2, 7)
    assert found.metrics.valid_s == 0.125
