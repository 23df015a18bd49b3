"""Below which frame rates a session's numbers are not measured."""

import pytest

from tests.agent.measure.test_session import every, session
from tests.agent.traces import Camera


def test_below_15_frames_a_second_durations_are_not_measured() -> None:
    found = session(Camera(12).see(every(4.0, 60), 60), 60)
    assert found.metrics.blink_count == 15
    assert found.metrics.blink_duration_median_ms is None
    assert found.metrics.blink_duration_p90_ms is None
    assert found.metrics.longest_closure_s is None
    assert found.blinks is not None
    assert found.blinks.duration_ms == (None,) * 15


def test_below_10_frames_a_second_counts_are_not_measured_either() -> None:
    found = session(Camera(8).see(every(4.0, 60), 60), 60)
    assert found.metrics.blink_count is None
    assert found.metrics.blink_rate_per_min is None
    assert found.metrics.long_closure_count is None
    assert found.metrics.inter_blink_interval_median_s is None
    assert found.metrics.ear_mean is not None
    assert found.metrics.perclos is not None
    assert found.metrics.valid_s == pytest.approx(60, abs=0.2)
    assert found.blinks is not None
    assert found.blinks.at_s == ()
    assert found.minutes[0].blinks is None


@pytest.mark.parametrize(("fps", "measured"), [(14.95, True), (14.0, False)])
def test_a_camera_that_says_15_and_delivers_a_little_less_passes(
    fps: float, measured: bool
) -> None:
    metrics = session(Camera(fps).see(every(4.0, 60), 60), 60).metrics
    assert (metrics.blink_duration_median_ms is not None) == measured


@pytest.mark.parametrize(
    ("fps", "lost", "counted", "timed"),
    [
        (30, 0.3, True, True),
        (30, 0.5, False, False),
        (15, 0.1, True, False),
        (15, 0.3, False, False),
    ],
)
def test_a_rate_that_is_reached_only_on_average_is_too_low(
    fps: float, lost: float, counted: bool, timed: bool
) -> None:
    found = session(Camera(fps, dropped=lost, seed=3).see(every(4.0, 200), 200), 200)
    assert found.fps is not None
    assert found.fps > 10
    assert (found.metrics.blink_count is not None) == counted
    assert (found.metrics.blink_duration_median_ms is not None) == timed
    assert found.quality == (() if timed else ("low_frame_rate",))


@pytest.mark.parametrize("fps", [10, 15])
def test_jitter_makes_no_low_rate(fps: float) -> None:
    shaken = Camera(fps, jitter_s=0.01, seed=3).see(every(4.0, 200), 200)
    assert session(shaken, 200).metrics.blink_count is not None
    assert (session(shaken, 200).metrics.blink_duration_median_ms is None) == (fps < 15)


def test_the_rate_is_what_was_delivered() -> None:
    found = session(Camera(30, dropped=0.5, seed=1).see([], 60), 60)
    assert found.fps == pytest.approx(15, abs=0.8)
