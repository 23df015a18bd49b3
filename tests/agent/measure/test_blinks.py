"""Blinks in schedules with known truth: what counts, what does not, and what never happens."""

import math

import pytest

from agent.measure.blinks import BlinkDetector, LongClosures
from agent.measure.levels import Levels
from tests.agent.measure.lids_seen import ONE, blinks, counted_right, ears, found
from tests.agent.traces import OPEN, Camera, Lids, doubted, sample, without_face

# What counts


@pytest.mark.parametrize("fps", [60.0, 30.0, 24.0, 15.0, 10.0])
@pytest.mark.parametrize(
    ("duration_s", "depth"),
    [(0.1, 0.75), (0.3, 0.5), (0.1, 0.9), (0.3, 0.6), (0.45, 0.75), (0.3, 0.95)],
)
def test_a_blink_is_counted_at_every_frame_rate(
    fps: float, duration_s: float, depth: float
) -> None:
    lids = [Lids(5.0 + 3.01 * k, duration_s, depth) for k in range(6)]
    assert counted_right(blinks(Camera(fps).see(lids, 25)), lids)


@pytest.mark.parametrize("fps", [30.0, 15.0])
@pytest.mark.parametrize("duration_s", [0.1, 0.2, 0.3, 0.45])
def test_its_duration_at_half_amplitude_is_finer_than_a_frame(
    fps: float, duration_s: float
) -> None:
    lids = [Lids(5.0 + 3.013 * k, duration_s) for k in range(12)]
    measured = [blink.duration_s for blink in blinks(Camera(fps).see(lids, 45))]
    assert sum(measured) / 12 == pytest.approx(duration_s, abs=0.3 / fps + 0.003)


def test_it_starts_when_the_lids_begin_to_fall_and_ends_when_they_are_up() -> None:
    (blink,) = blinks(Camera().see(ONE, 10))
    assert blink.start_s == pytest.approx(5.0, abs=0.05)
    assert blink.end_s == pytest.approx(ONE[0].end_s, abs=0.06)


def test_its_start_and_end_are_frames() -> None:
    samples = Camera(jitter_s=0.01, seed=3).see(ONE, 10)
    times = {each.time_s for each in samples}
    assert {time for blink in blinks(samples) for time in (blink.start_s, blink.end_s)} <= times


def test_a_blink_is_reported_at_most_half_a_second_after_its_end() -> None:
    lids = [Lids(5.0 + 3.01 * k, 0.1 + 0.035 * k) for k in range(11)]
    detector = BlinkDetector()
    for each in Camera().see(lids, 45):
        for blink in detector.add(each):
            assert each.time_s - blink.end_s <= 0.55


def test_a_blink_just_before_the_end_is_reported_at_the_end() -> None:
    assert len(blinks(Camera().see([Lids(9.6)], 10))) == 1


def test_two_quick_blinks_are_two() -> None:
    lids = [Lids(5.0, 0.12), Lids(5.4, 0.12)]
    assert counted_right(blinks(Camera().see(lids, 10)), lids)


def test_complete_and_partial_are_told_apart_by_this_persons_own_depth() -> None:
    deep, shallow = 0.85, 0.52
    lids = [Lids(5.0 + 3 * k, depth=shallow if k % 4 == 3 else deep) for k in range(20)]
    complete = [blink.complete for blink in blinks(Camera().see(lids, 70))]
    assert complete[8:] == [k % 4 != 3 for k in range(8, 20)]


def test_glasses_that_halve_every_closure_do_not_make_blinks_partial() -> None:
    lids = [Lids(5.0 + 3 * k, depth=0.48) for k in range(20)]
    events = blinks(Camera().see(lids, 70))
    assert len(events) == 20
    assert all(blink.complete for blink in events[10:])


def test_eyes_that_never_open_fully_still_blink() -> None:
    lids = [Lids(5.0 + 3 * k) for k in range(5)]
    assert counted_right(blinks(Camera(scale=0.4, noise=0.002).see(lids, 25)), lids)


def test_a_blink_that_ends_in_a_lower_gaze_counts() -> None:
    trace = ears([(0.30, 5), (0.20, 0.05), (0.10, 0.12), (0.20, 5)])
    assert len(blinks(trace)) == 1


def test_a_blink_while_looking_down_counts() -> None:
    down = [Lids(5.0, 6.0, depth=0.35, closing_s=1.0, opening_s=1.0), Lids(8.0, depth=0.7)]
    assert len(blinks(Camera().see(down, 16))) == 1


# What does not


@pytest.mark.parametrize("fps", [30.0, 15.0, 10.0])
@pytest.mark.parametrize("noise", [0.0, 0.003, 0.01, 0.015])
def test_eyes_that_stay_open_never_blink(fps: float, noise: float) -> None:
    assert found(Camera(fps, noise=noise, seed=5).see([], 300)) == []


@pytest.mark.parametrize("fps", [30.0, 15.0, 10.0])
def test_noise_as_large_as_shallow_blinks_makes_less_than_one_a_minute(fps: float) -> None:
    assert len(found(Camera(fps, noise=0.04, seed=5).see([], 600))) < 10


def test_no_face_no_blinks() -> None:
    assert found([sample(k / 30, None) for k in range(3000)]) == []


@pytest.mark.parametrize("seconds", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("level", [0.22, 0.17])
def test_a_slow_look_down_and_up_is_no_blink(seconds: float, level: float) -> None:
    down = Lids(5.0, 4.0, depth=1 - level / OPEN, closing_s=seconds, opening_s=seconds)
    assert blinks(Camera().see([down], 15)) == []


@pytest.mark.parametrize("to", [0.24, 0.17, 0.40])
def test_a_jump_cut_is_no_blink(to: float) -> None:
    assert blinks(ears([(0.30, 5), (to, 5), (0.28, 5), (to, 5)])) == []


def test_a_quick_look_down_that_overshoots_is_no_blink() -> None:
    assert found(ears([(0.30, 5), (0.10, 0.12), (0.15, 5)])) == []


def test_a_smile_that_squints_for_two_seconds_is_no_blink() -> None:
    squint = Lids(5.0, 2.0, depth=0.3, closing_s=0.4, opening_s=0.4)
    assert found(Camera().see([squint], 12)) == []


def test_a_quick_look_down_that_stays_for_half_a_second_is_no_blink() -> None:
    lids = [Lids(5.0 + 3 * k) for k in range(10)]
    down = Lids(36.0, 0.5, depth=0.3)
    assert counted_right(blinks(Camera().see([*lids, down], 45)), lids)


def test_a_single_dark_frame_at_thirty_a_second_is_no_blink() -> None:
    trace = ears([(0.30, 20)])
    for index in range(60, 600, 90):
        trace[index] = sample(trace[index].time_s, 0.21)
    assert found(trace) == []


@pytest.mark.parametrize("lose", [without_face, doubted])
@pytest.mark.parametrize(("start_s", "end_s"), [(5.1, 5.15), (4.95, 5.1), (5.15, 5.6)])
def test_a_closure_in_which_the_face_is_lost_is_dropped(
    lose: object, start_s: float, end_s: float
) -> None:
    assert callable(lose)
    assert found(lose(Camera().see(ONE, 10), start_s, end_s)) == []


@pytest.mark.parametrize(("start_s", "end_s"), [(4.8, 5.1), (5.08, 5.4), (5.12, 5.6)])
def test_a_closure_in_which_the_camera_froze_is_dropped(start_s: float, end_s: float) -> None:
    trace = [each for each in Camera().see(ONE, 10) if not start_s < each.time_s < end_s]
    assert found(trace) == []


def test_a_face_lost_elsewhere_costs_no_blink() -> None:
    trace = without_face(Camera().see(ONE, 10), 3.0, 4.5)
    assert len(blinks(trace)) == 1


# Long closures


@pytest.mark.parametrize("fps", [30.0, 15.0, 10.0])
@pytest.mark.parametrize("duration_s", [0.62, 0.68, 0.75, 1.0, 5.0, 60.0])
def test_a_long_closure_is_counted_apart_and_timed(fps: float, duration_s: float) -> None:
    lids = [Lids(3.0 + 3 * k) for k in range(6)] + [Lids(24.0, duration_s)]
    events = found(Camera(fps).see(lids, 30 + duration_s))
    assert [event.long for event in events] == [False] * 6 + [True]
    assert events[-1].duration_s == pytest.approx(duration_s, abs=0.05)
    assert events[-1].start_s == pytest.approx(24.0, abs=1 / fps + 0.05)
    assert events[-1].complete


def test_a_closure_of_less_than_half_a_second_is_a_blink() -> None:
    events = found(Camera().see([Lids(5.0, 0.45)], 10))
    assert [event.long for event in events] == [False]


def test_a_long_closure_with_fluttering_lids_is_one() -> None:
    lids = [Lids(3.0 + 3 * k) for k in range(6)] + [Lids(24.0, 3.0)]
    trace = [
        sample(each.time_s, (each.ear or 0) * (1.18 + 0.15 * math.sin(25 * each.time_s)))
        if 24.2 < each.time_s < 26.9
        else each
        for each in Camera().see(lids, 32)
    ]
    assert [event.long for event in found(trace)] == [False] * 6 + [True]


BLINKING = [(0.3, 3.8), (0.1, 0.2)] * 8 + [(0.3, 3.0)]
LOWERED, SHUT_EAR = 0.18, 0.1


@pytest.mark.parametrize("lowered_s", [0.6, 5.0, 20.0])
def test_the_time_that_lids_were_merely_lowered_is_no_part_of_a_closure(lowered_s: float) -> None:
    down = [(LOWERED, lowered_s), (SHUT_EAR, 0.7), (LOWERED, 5.0), (0.3, 3.0)]
    (closure,) = [event for event in found(ears([*BLINKING, *down])) if event.long]
    shut_s = 35 + lowered_s
    assert closure.duration_s == pytest.approx(0.7, abs=0.03)
    assert (closure.start_s, closure.end_s) == pytest.approx((shut_s, shut_s + 0.7), abs=0.05)


def test_closures_while_looking_down_are_counted_correctly() -> None:
    down = [(LOWERED, 4.0), *[(SHUT_EAR, 1.5), (LOWERED, 4.0)] * 3, (0.3, 3.0)]
    closures = [event for event in found(ears([*BLINKING, *down])) if event.long]
    assert [event.duration_s for event in closures] == pytest.approx([1.5] * 3, abs=0.03)


def test_lids_that_rest_below_half_way_up_for_less_than_a_blink_go_on_with_their_closure() -> None:
    rest = [(SHUT_EAR, 1.0), (LOWERED, 0.3), (SHUT_EAR, 1.0), (0.3, 3.0)]
    (closure,) = [event for event in found(ears([*BLINKING, *rest])) if event.long]
    assert closure.duration_s == pytest.approx(2.3, abs=0.03)


def test_a_long_closure_that_ends_unseen_is_dropped() -> None:
    lids = [Lids(3.0 + 3 * k) for k in range(6)] + [Lids(24.0, 3.0)]
    trace = without_face(Camera().see(lids, 35), 26.0, 29.0)
    assert not any(event.long for event in found(trace))


def test_a_long_closure_in_which_the_camera_froze_is_dropped() -> None:
    lids = [Lids(3.0 + 3 * k) for k in range(6)] + [Lids(24.0, 3.0)]
    trace = [each for each in Camera().see(lids, 35) if not 25.0 < each.time_s < 26.0]
    assert not any(event.long for event in found(trace))


def test_eyes_that_blink_at_a_lower_level_were_not_shut_there() -> None:
    lids = [Lids(3.0 + 3 * k) for k in range(12)]
    trace = [
        sample(each.time_s, (each.ear or 0) * (0.5 if 20 < each.time_s < 32 else 1))
        for each in Camera().see(lids, 40)
    ]
    detector = BlinkDetector()
    events = []
    for each in trace:
        events += detector.add(each)
        if each.time_s < 31 <= each.time_s + 1 / 30:
            assert detector.levels.open == pytest.approx(OPEN / 2, rel=0.03)
    assert counted_right(events, lids)
    assert not any(event.long for event in events)


def test_eyes_that_are_shut_from_the_start_have_no_closure_to_time() -> None:
    levels = Levels()
    levels.add(0.0, 0.3)
    long = LongClosures(levels)
    shut_then_open = [0.1] * 60 + [0.3] * 60
    assert [each for k, ear in enumerate(shut_then_open) if (each := long.add(k / 30, ear))] == []
