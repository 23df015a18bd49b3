"""Blinks in schedules with known truth: what counts, what does not, and what never happens."""

import math
import random
import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.measure.blinks import LONG_S, MAX_DROOP_S, REFRACTORY_S, BlinkDetector, LongClosures
from agent.measure.dips import SHUT
from agent.measure.levels import Levels
from agent.records import Blink, EyeSample
from tests.agent.traces import OPEN, Camera, Lids, doubted, sample, without_face

ENOUGH = settings(max_examples=40)


def found(samples: Sequence[EyeSample]) -> list[Blink]:
    detector = BlinkDetector()
    events = [event for each in samples for event in detector.add(each)]
    return events + detector.finish()


def blinks(samples: Sequence[EyeSample]) -> list[Blink]:
    return [event for event in found(samples) if not event.long]


def counted_right(events: Sequence[Blink], lids: Sequence[Lids]) -> bool:
    """One event for each closure, at its time, and no other."""
    return len(events) == len(lids) and all(
        event.start_s < each.end_s and event.end_s > each.at_s
        for event, each in zip(events, lids, strict=True)
    )


def ears(levels: Sequence[tuple[float, float]], noise: float = 0.003) -> list[EyeSample]:
    """A trace at 30 frames a second that holds each (EAR, for seconds) in turn."""
    chance = random.Random(1)
    samples: list[EyeSample] = []
    for level, duration_s in levels:
        for _ in range(round(duration_s * 30)):
            samples.append(sample(len(samples) / 30, level + chance.gauss(0, noise)))
    return samples


ONE = [Lids(5.0)]


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


# Whatever comes


SCHEDULES = st.builds(
    lambda seed, rate: _schedule(random.Random(seed), rate, 60.0),
    st.integers(0, 10**6),
    st.sampled_from([3.0, 10.0, 20.0, 40.0]),
)
CAMERAS = st.builds(
    Camera,
    fps=st.sampled_from([30.0, 24.0, 15.0]),
    jitter_s=st.sampled_from([0.0, 0.004, 0.012]),
    noise=st.sampled_from([0.0, 0.002, 0.006]),
    scale=st.sampled_from([0.5, 1.0, 1.5]),
    seed=st.integers(0, 10**6),
)


def _schedule(chance: random.Random, rate: float, until_s: float) -> list[Lids]:
    """Blinks at `rate` a minute, of one person: each 0.1-0.3 s long, most of them complete."""
    usual, time_s, lids = chance.uniform(0.65, 0.9), 2.0, []
    while time_s < until_s - 2:
        depth = usual * (chance.uniform(0.7, 0.85) if chance.random() < 0.2 else 1)
        lids.append(Lids(time_s, chance.uniform(0.1, 0.3), depth))
        time_s = lids[-1].end_s + 0.3 + chance.expovariate(rate / 60)
    return lids


@ENOUGH
@given(SCHEDULES, CAMERAS)
def test_any_schedule_is_counted_right(lids: list[Lids], camera: Camera) -> None:
    assert counted_right(found(camera.see(lids, 60)), lids)


@ENOUGH
@given(SCHEDULES, CAMERAS)
def test_at_ten_frames_a_second_few_blinks_are_missed_and_none_is_added(
    lids: list[Lids], camera: Camera
) -> None:
    events = found(replace(camera, fps=10.0).see(lids, 60))
    seen = [
        each
        for each in lids
        if any(event.start_s < each.end_s and event.end_s > each.at_s for event in events)
    ]
    assert len(events) == len(seen) >= len(lids) - max(2, 0.15 * len(lids))


@ENOUGH
@given(SCHEDULES, st.sampled_from([30.0, 15.0]), st.integers(0, 10**6))
def test_dropped_frames_cost_few_blinks_and_add_none(
    lids: list[Lids], fps: float, seed: int
) -> None:
    events = found(Camera(fps, dropped=0.05, seed=seed).see(lids, 60))
    assert len(lids) - max(1, 0.15 * len(lids)) <= len(events) <= len(lids)


@ENOUGH
@given(SCHEDULES, CAMERAS, st.sampled_from([0.25, 0.5, 2.0, 4.0]))
def test_the_scale_of_the_ear_does_not_matter(
    lids: list[Lids], camera: Camera, factor: float
) -> None:
    samples = camera.see(lids, 60)
    scaled = [sample(each.time_s, (each.ear or 0) * factor) for each in samples]
    assert found(scaled) == found(samples)


@ENOUGH
@given(SCHEDULES, CAMERAS, st.sampled_from([-1000.0, 4096.0]))
def test_the_time_at_which_it_begins_does_not_matter(
    lids: list[Lids], camera: Camera, shift_s: float
) -> None:
    # In 1024ths of a second every sum is exact: no rounding decides anything.
    seen = [sample(round(each.time_s * 1024) / 1024, each.ear) for each in camera.see(lids, 60)]
    shifted = [sample(each.time_s + shift_s, each.ear) for each in seen]
    starts = [event.start_s for event in found(seen)]
    assert [event.start_s - shift_s for event in found(shifted)] == starts


RUBBISH = st.lists(
    st.tuples(
        st.floats(0.0, 0.4),
        st.none() | st.floats(0.0, 1.0),
        st.none() | st.floats(0.0, 1.0),
    ),
    max_size=300,
)


@settings(max_examples=150)
@given(RUBBISH)
def test_events_are_complete_ordered_and_separate_for_any_input(
    steps: list[tuple[float, float | None, float | None]],
) -> None:
    time_s, samples = 0.0, []
    for step_s, ear, score in steps:
        time_s += step_s
        samples.append(sample(time_s, ear, score))
    events = found(samples)
    for event in events:
        assert event.start_s <= event.end_s
        assert event.duration_s > 0
        assert 0 < event.amplitude <= 1
    for earlier, later in pairwise(events):
        assert later.start_s > earlier.end_s


LID_MOVES = st.lists(
    st.tuples(st.sampled_from([0.0, 0.4, 0.55, 0.7, 0.85, 1.0]), st.floats(0.03, 2.0)),
    max_size=30,
)


@settings(max_examples=200)
@given(LID_MOVES, st.sampled_from([30.0, 10.0]))
def test_no_closure_is_longer_than_the_lids_were_shut_and_two_quick_moves(
    moves: list[tuple[float, float]], fps: float
) -> None:
    """A rest of the lids that is quick, too, counts as shut."""
    levels = Levels()
    levels.add(0.0, 0.3)
    long = LongClosures(levels)
    closures, events, spans = [c for c, s in moves for _ in range(round(s * fps))], [], []
    for frame, closure in enumerate(closures):
        event = long.add(frame / fps, 0.3 * (1 - levels.depth * closure))
        events += [] if event is None else [event]
        if closure > SHUT:
            if not spans or frame / fps - spans[-1][1] > MAX_DROOP_S + 2 / fps:
                spans.append([frame / fps, 0.0])
            spans[-1][1] = frame / fps
    for event in events:
        (shut_s,) = [e - s for s, e in spans if s <= event.end_s and e >= event.start_s]
        assert LONG_S <= event.duration_s <= shut_s + 2 / fps + 2 * MAX_DROOP_S
        assert event.duration_s == pytest.approx(event.end_s - event.start_s, abs=2 / fps)
    assert all(later.start_s > earlier.end_s for earlier, later in pairwise(events))


@ENOUGH
@given(st.integers(0, 10**6), st.floats(0.02, 0.2))
def test_no_noise_makes_blinks_faster_than_the_refractory_period_allows(
    seed: int, noise: float
) -> None:
    events = blinks(Camera(noise=noise, seed=seed).see([], 20))
    assert len(events) <= 20 / REFRACTORY_S
    assert all(later.end_s - earlier.start_s > REFRACTORY_S for earlier, later in pairwise(events))


def test_a_sample_that_is_not_later_is_ignored() -> None:
    samples = Camera().see(ONE, 10)
    doubled = [each for each in samples for _ in range(2)]
    assert found(doubled) == found(samples)


def test_finishing_twice_reports_once() -> None:
    detector = BlinkDetector()
    for each in Camera().see([Lids(9.6)], 10):
        detector.add(each)
    assert len(detector.finish()) == 1
    assert detector.finish() == []


def test_memory_does_not_grow_with_the_hours() -> None:
    detector = BlinkDetector()
    lids = [Lids(5.0 + 10 * k) for k in range(5)]
    minute = Camera().see(lids, 60)

    def run(minutes: range) -> None:
        for each in minutes:
            for frame in minute:
                detector.add(EyeSample(60.0 * each + frame.time_s, None, None, frame.ear, None))

    run(range(3))
    tracemalloc.start()
    run(range(3, 6))
    before, _ = tracemalloc.get_traced_memory()
    run(range(6, 15))
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 20_000


def test_half_a_second_is_long() -> None:
    assert LONG_S == 0.5
