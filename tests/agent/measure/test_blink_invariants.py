"""What holds of the blinks in any schedule, at any frame rate and of any input."""

import random
import tracemalloc
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.measure.blinks import LONG_S, MAX_DROOP_S, REFRACTORY_S, BlinkDetector, LongClosures
from agent.measure.dips import SHUT
from agent.measure.levels import Levels
from agent.records import EyeSample
from tests.agent.measure.lids_seen import ENOUGH, ONE, blinks, counted_right, found
from tests.agent.traces import Camera, Lids, sample

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
    # Times in 1024ths of a second add up exactly, so rounding does not affect the result.
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
