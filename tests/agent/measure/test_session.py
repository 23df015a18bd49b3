"""Sessions: every metric by its definition, the gates, gaps, and sessions of hours."""

import tracemalloc
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.measure.counted import Counted
from agent.measure.session import Session, SessionBuilder
from agent.records import Blink, EyeSample
from tests.agent.traces import OPEN, Camera, Lids, sample, without_face


def session(samples: Sequence[EyeSample], end_s: float, start_s: float = 0.0) -> Session:
    builder = SessionBuilder(start_s)
    for each in samples:
        builder.add(each)
    return builder.finish(end_s, frames_dropped=3)


def every(period_s: float, until_s: float, duration_s: float = 0.2) -> list[Lids]:
    return [Lids(2.0 + k * period_s, duration_s) for k in range(int((until_s - 4) / period_s) + 1)]


def every_at(depth: float, number: int) -> list[Lids]:
    return [Lids(2.0 + 3.01 * k, depth=depth) for k in range(number)]


# The metrics


def test_a_session_counts_its_blinks_per_minute_of_valid_time() -> None:
    metrics = session(Camera().see(every(4.0, 120), 120), 120).metrics
    assert metrics.blink_count == 30
    assert metrics.partial_blink_count == 0
    assert metrics.valid_s == pytest.approx(120, abs=0.1)
    assert metrics.coverage == pytest.approx(1.0, abs=0.001)
    assert metrics.blink_rate_per_min == pytest.approx(15.0, abs=0.02)
    assert metrics.inter_blink_interval_median_s == pytest.approx(4.0, abs=0.04)
    assert metrics.frames == 3600
    assert metrics.frames_dropped == 3


def test_durations_are_the_blinks_own() -> None:
    lids = [Lids(2.0 + 3 * k, 0.1 + 0.03 * k) for k in range(11)]
    metrics = session(Camera().see(lids, 40), 40).metrics
    assert metrics.blink_duration_median_ms == pytest.approx(250, abs=10)
    assert metrics.blink_duration_p90_ms == pytest.approx(370, abs=10)


def test_partial_blinks_are_counted_and_marked_as_partial() -> None:
    lids = [Lids(2.0 + 3 * k, depth=0.52 if k % 4 == 3 else 0.85) for k in range(40)]
    metrics = session(Camera().see(lids, 125), 125).metrics
    assert metrics.blink_count == 40
    assert metrics.partial_blink_count == 10


def test_long_closures_are_in_no_blink_count() -> None:
    lids = [*every(3.0, 30), Lids(33.0, 0.9), Lids(40.0, 2.0)]
    metrics = session(Camera().see(lids, 45), 45).metrics
    assert metrics.blink_count == len(lids) - 2
    assert metrics.long_closure_count == 2
    assert metrics.longest_closure_s == pytest.approx(2.0, abs=0.05)


def test_without_long_closures_the_longest_is_null_and_their_count_0() -> None:
    metrics = session(Camera().see([], 30), 30).metrics
    assert metrics.long_closure_count == 0
    assert metrics.longest_closure_s is None


def test_perclos_is_the_share_of_valid_time_with_lids_at_least_80_percent_down() -> None:
    shut = Lids(32.0, 12.0, closing_s=0.02, opening_s=0.02)
    metrics = session(Camera().see([*every(3.0, 30, 0.1), shut], 60), 60).metrics
    assert metrics.perclos == pytest.approx(12 / 60, abs=0.025)


def test_ear_is_averaged_over_valid_time_not_over_frames() -> None:
    slow = [sample(k / 10, 0.2) for k in range(100)]
    quick = [sample(10 + k / 30, 0.4) for k in range(300)]
    metrics = session([*slow, *quick], 20).metrics
    assert metrics.ear_mean == pytest.approx(0.3, abs=0.002)


def test_ear_open_is_the_level_of_open_eyes() -> None:
    metrics = session(Camera().see(every(2.0, 60, 0.4), 60), 60).metrics
    assert metrics.ear_open == pytest.approx(OPEN, rel=0.02)
    assert metrics.ear_mean is not None
    assert metrics.ear_mean < 0.28


# Valid time


def test_time_without_a_face_is_not_valid() -> None:
    found = session(without_face(Camera().see([], 60), 20, 40), 60)
    assert found.metrics.valid_s == pytest.approx(40, abs=0.15)
    assert found.metrics.coverage == pytest.approx(2 / 3, abs=0.003)
    assert found.metrics.duration_s == 60


def test_a_frozen_camera_is_not_valid_time() -> None:
    samples = [each for each in Camera().see([], 60) if not 20 < each.time_s < 50]
    found = session(samples, 60)
    assert found.metrics.valid_s == pytest.approx(30.25, abs=0.1)
    assert found.fps == pytest.approx(30.0)


def test_a_session_without_a_face_measures_nothing() -> None:
    found = session([sample(k / 30, None) for k in range(9000)], 300.2)
    numbers = [
        "blink_count", "partial_blink_count", "blink_rate_per_min",
        "inter_blink_interval_median_s", "blink_duration_median_ms", "blink_duration_p90_ms",
        "ear_mean", "ear_open", "perclos", "long_closure_count", "longest_closure_s",
    ]  # fmt: skip
    assert [getattr(found.metrics, name) for name in numbers] == [None] * len(numbers)
    assert found.metrics.valid_s == 0.0
    assert found.metrics.coverage == 0.0
    assert found.metrics.frames == 9000
    assert found.blinks is not None
    assert found.blinks.at_s == ()
    assert [minute.blinks for minute in found.minutes] == [None] * 5


def test_a_session_that_has_just_started_has_no_coverage() -> None:
    found = SessionBuilder(1234.5).snapshot(1234.5, 0)
    assert found.metrics.duration_s == 0.0
    assert found.metrics.coverage is None
    assert found.metrics.blink_count is None
    assert found.fps is None
    assert found.minutes == ()
    assert found.blinks is None


def test_an_interval_over_a_gap_is_not_between_neighbours() -> None:
    lids = [Lids(3.0), Lids(6.0), Lids(41.0)]
    samples = without_face(Camera().see(lids, 50), 12, 38)
    assert session(samples, 50).metrics.inter_blink_interval_median_s == pytest.approx(3.0, abs=0.1)


def test_a_single_frame_without_a_face_is_no_gap() -> None:
    lids = [Lids(3.0), Lids(9.0)]
    samples = without_face(Camera().see(lids, 15), 6.0, 6.02)
    assert session(samples, 15).metrics.inter_blink_interval_median_s == pytest.approx(6.0, abs=0.1)


# Minutes


def test_minutes_hold_their_own_time_blinks_and_levels() -> None:
    lids = [*every(4.0, 60), *[Lids(each.at_s + 120, 0.2) for each in every(8.0, 60)]]
    samples = without_face(Camera().see(lids, 180), 60, 120)
    minutes = session(samples, 180).minutes
    assert [minute.minute for minute in minutes] == [0, 1, 2]
    assert [minute.blinks for minute in minutes] == [15, None, 8]
    assert minutes[0].valid_s == pytest.approx(60, abs=0.1)
    assert (minutes[1].valid_s, minutes[1].ear_mean, minutes[1].perclos) == (0.0, None, None)


def test_a_minute_without_a_blink_has_0_blinks() -> None:
    assert [minute.blinks for minute in session(Camera().see([], 60), 60).minutes] == [0]


@pytest.mark.parametrize(
    ("end_s", "minutes"), [(0.9, 0), (5.0, 1), (60.0, 1), (60.9, 1), (61.5, 2), (300.2, 5)]
)
def test_a_last_minute_shorter_than_a_second_is_left_out(end_s: float, minutes: int) -> None:
    assert len(session(Camera(10).see([], end_s), end_s).minutes) == minutes


def test_the_minutes_blinks_add_up_to_the_sessions() -> None:
    found = session(Camera().see([*every(3.0, 60), Lids(60.05, 0.1)], 60.7), 60.7)
    assert sum(minute.blinks or 0 for minute in found.minutes) == found.metrics.blink_count == 20


# Quality


def test_three_good_minutes_set_no_flag() -> None:
    assert session(Camera().see(every(4.0, 182), 182), 182).quality == ()


def test_a_rate_from_less_than_three_minutes_is_short() -> None:
    assert session(Camera().see(every(4.0, 175), 175), 175).quality == ("short",)


def test_a_session_without_a_face_has_only_that_flag() -> None:
    assert session([sample(k / 30, None) for k in range(9000)], 300).quality == ("no_face",)


def test_a_session_that_has_just_begun_is_short_not_faceless() -> None:
    assert SessionBuilder(5.0).snapshot(5.0, 0).quality == ("short",)


@pytest.mark.parametrize(("lost_s", "said"), [(80, ()), (120, ("low_coverage",))])
def test_a_mostly_unseen_session_is_flagged(lost_s: int, said: tuple[str, ...]) -> None:
    samples = without_face(Camera(15).see(every(4.0, 320), 320), 100, 100 + lost_s)
    assert session(samples, 320).quality == said


@pytest.mark.parametrize("fps", [12.0, 8.0])
def test_a_low_frame_rate_is_flagged(fps: float) -> None:
    assert session(Camera(fps).see(every(4.0, 200), 200), 200).quality == ("low_frame_rate",)


@pytest.mark.parametrize(("dropped", "said"), [(300, ()), (400, ("frames_dropped",))])
def test_lost_frames_are_flagged(dropped: int, said: tuple[str, ...]) -> None:
    builder = SessionBuilder(0.0)
    for each in Camera(15).see(every(4.0, 200), 200):
        builder.add(each)
    assert builder.finish(200, dropped).quality == said


@pytest.mark.parametrize("fps", [30.0, 15.0, 10.0])
@pytest.mark.parametrize("depth", [0.5, 0.8])
@pytest.mark.parametrize(
    ("noise", "noisy", "counted"), [(0.1, False, True), (0.165, True, True), (0.25, True, False)]
)
def test_noise_is_judged_against_the_depth_of_this_persons_blinks(
    fps: float, depth: float, noise: float, noisy: bool, counted: bool
) -> None:
    quiet = Camera(fps, noise=0.001).see([Lids(2.0 + 2 * k, depth=depth) for k in range(14)], 30)
    lids = every_at(depth, 60)
    loud = Camera(fps, noise=noise * depth * OPEN, seed=4).see(lids, 190, start_s=30)
    found = session([*quiet, *loud], 220)
    assert ("noisy" in found.quality) == noisy
    assert (found.metrics.blink_count is not None) == counted
    assert (found.metrics.long_closure_count is not None) == counted
    assert found.metrics.ear_mean is not None


def test_a_short_burst_of_noise_spoils_no_session() -> None:
    samples = [
        *Camera().see(every(4.0, 180), 180),
        *Camera(noise=0.05).see([], 15, start_s=180),
    ]
    assert session(samples, 195).quality == ()


@pytest.mark.parametrize("depth", [0.0, 0.1])
def test_a_session_without_a_blink_is_flagged(depth: float) -> None:
    samples = Camera(15).see([Lids(3.0 + 4 * k, depth=depth) for k in range(48)], 200)
    assert session(samples, 200).metrics.blink_count == 0
    assert session(samples, 200).quality == ("no_blink",)
    assert "no_blink" not in session(samples[:200], 14).quality


@settings(max_examples=15, deadline=None)
@given(
    st.sampled_from([0.55, 0.65, 0.8]), st.floats(0.0, 0.12), st.sampled_from([30.0, 15.0, 10.0])
)
def test_counts_are_right_or_flagged(depth: float, noise: float, fps: float) -> None:
    lids = every_at(depth, 62)
    found = session(Camera(fps, noise=noise * OPEN, seed=7).see(lids, 190), 190)
    count = found.metrics.blink_count
    assert count is None or "noisy" in found.quality or abs(count - len(lids)) <= 0.12 * len(lids)
    assert count is None or 0.5 * len(lids) <= count <= 1.05 * len(lids)


# While it goes on


def test_blinks_are_timed_from_the_start_of_the_session() -> None:
    samples = Camera().see([Lids(5.0)], 10, start_s=1000.0)
    found = session(samples, 1010.0, start_s=1000.0)
    assert found.blinks is not None
    assert found.blinks.at_s == pytest.approx((5.0,), abs=0.05)


@settings(max_examples=20)
@given(st.integers(1, 2999), st.integers(0, 1000))
def test_a_snapshot_equals_finishing_without_undecided_events(cut: int, seed: int) -> None:
    samples = Camera(noise=0.006, seed=seed).see(every(2.5, 100), 100)[:cut]
    builder = SessionBuilder(0.0)
    for each in samples:
        builder.add(each)
    end_s = samples[-1].time_s
    snapshot, again = builder.snapshot(end_s, 0), builder.snapshot(end_s, 0)
    finished = builder.finish(end_s, 0)
    assert snapshot == again
    assert snapshot.blinks is None
    assert finished.blinks is not None
    undecided = (finished.metrics.blink_count or 0) - (snapshot.metrics.blink_count or 0)
    assert undecided in (0, 1)
    if not undecided:
        assert replace(finished, blinks=None) == snapshot


@pytest.mark.parametrize(
    ("sharpness", "share", "said", "counted"),
    [
        (0.16, 1.0, (), True),
        (0.14, 1.0, ("blurred",), True),
        (0.12, 1.0, ("blurred",), False),
        (0.12, 0.2, (), True),
        (None, 1.0, (), True),
    ],
)
def test_blur_is_flagged_and_counts_are_null_if_it_hides_the_lids(
    sharpness: float | None, share: float, said: tuple[str, ...], counted: bool
) -> None:
    samples = Camera(15).see(every(4.0, 200), 200)
    soft = [
        replace(each, sharpness=sharpness if k < share * len(samples) else 0.2)
        if k % 8 == 0
        else each
        for k, each in enumerate(samples)
    ]
    found = session(soft, 200)
    assert found.quality == said
    assert found.metrics.ear_mean is not None
    measured = (found.metrics.blink_count, found.metrics.perclos, found.minutes[0].perclos)
    assert [each is not None for each in measured] == [counted] * 3


def test_a_frame_that_is_not_later_is_ignored() -> None:
    samples = Camera().see(every(4.0, 30), 30)
    doubled = [each for each in samples for _ in range(2)]
    assert session(doubled, 30) == session(samples, 30)


@pytest.mark.slow
def test_two_hours_of_frames_are_kept_in_less_than_a_megabyte() -> None:
    builder = SessionBuilder(0.0)
    minute = Camera().see(every(3.0, 60), 60)
    tracemalloc.start()
    for each in range(120):
        for frame in minute[::2]:  # 15 a second, to be quick: what is kept depends on time
            builder.add(EyeSample(60.0 * each + frame.time_s, None, None, frame.ear, None))
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert builder.snapshot(7200, 0).metrics.blink_count == 19 * 120
    assert size < 1_000_000


# The blinks are kept in little memory

NUMBERS = st.floats(allow_nan=False)
CLOSURES = st.none() | NUMBERS
BLINKS = st.builds(
    Blink,
    start_s=NUMBERS,
    end_s=NUMBERS,
    duration_s=NUMBERS,
    amplitude=NUMBERS,
    complete=st.booleans(),
    closure_left=CLOSURES,
    closure_right=CLOSURES,
)


@given(st.lists(st.tuples(BLINKS, st.booleans())))
def test_blinks_come_back_as_they_were_added(added: list[tuple[Blink, bool]]) -> None:
    counted = Counted()
    for blink, after_gap in added:
        counted.add(blink, after_gap=after_gap)
    assert list(counted) == [blink for blink, _ in added]
    assert [bool(each) for each in counted.after_gap] == [after_gap for _, after_gap in added]
    assert len(counted) == len(added)


def test_a_day_of_blinks_takes_less_than_three_megabytes() -> None:
    """30 blinks a minute for 24 hours; as objects they take 13 MB."""
    tracemalloc.start()
    try:
        counted = Counted()
        for number in range(30 * 60 * 24):
            counted.add(Blink(number + 0.1, number + 0.3, 0.2, 0.9, True), after_gap=False)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken < 3 << 20
