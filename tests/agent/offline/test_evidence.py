"""The evidence holds what the detector saw and decided, at the time it did."""

import math

import numpy as np
import pytest

from agent.measure.blinks import BlinkDetector
from agent.offline.evidence import gather
from tests.agent.traces import Camera, Lids, doubted, sample, without_face


def test_the_levels_are_those_that_the_detector_used_at_each_sample() -> None:
    samples = Camera(scale=1.0).see([Lids(at_s) for at_s in (2.0, 4.0, 6.5)], 9.0)
    evidence = gather(samples)
    detector = BlinkDetector()
    for number, each in enumerate(samples):
        detector.add(each)
        assert evidence.open[number] == detector.levels.open
        assert evidence.closed[number] == detector.levels.closed


def test_the_blinks_are_the_detector_s_and_long_closures_are_among_them() -> None:
    lids = [Lids(2.0), Lids(4.0), Lids(6.0), Lids(8.0, 1.5), Lids(11.4)]
    samples = Camera().see(lids, 12.0)
    detector = BlinkDetector()
    found = [blink for each in samples for blink in detector.add(each)] + detector.finish()
    evidence = gather(samples)
    assert list(evidence.blinks) == found
    assert [blink.long for blink in evidence.blinks] == [False, False, False, True, False]


def test_a_gap_is_exactly_what_valid_time_leaves_out() -> None:
    samples = without_face(Camera().see([], 10.0), 3.0, 4.0)
    samples = [each for each in samples if not 6.0 < each.time_s < 8.0]
    evidence = gather(samples)
    no_face, no_frames = evidence.gaps
    assert (no_face.start_s, no_face.end_s) == pytest.approx((3.0, 4.0), abs=0.04)
    assert no_face.frames == 31
    assert (no_frames.start_s, no_frames.end_s) == pytest.approx((6.0, 8.0), abs=0.04)
    assert no_frames.frames == 0
    metrics = evidence.session.metrics
    unknown_s = sum(gap.end_s - gap.start_s for gap in evidence.gaps)
    # One frame vouches for a quarter of a second of those in which none came.
    assert metrics.duration_s - metrics.valid_s == pytest.approx(unknown_s - 0.25, abs=1e-6)


def test_a_face_with_a_low_score_is_a_gap() -> None:
    evidence = gather(doubted(Camera().see([], 5.0), 2.0, 3.0))
    (gap,) = evidence.gaps
    assert gap.frames == 31
    inside = (evidence.times > 2.1) & (evidence.times < 2.9)
    for values in (evidence.ear, evidence.left, evidence.right):
        assert np.isnan(values[inside]).all()
        assert np.isfinite(values[~inside & (evidence.times < 1.9)]).all()


def test_a_recording_without_a_face_is_one_gap() -> None:
    evidence = gather([sample(number / 30, None) for number in range(90)])
    (gap,) = evidence.gaps
    assert (gap.start_s, gap.end_s, gap.frames) == (0.0, 89 / 30, 90)
    assert np.isnan(evidence.open).all()


def test_gaps_at_both_ends_are_gaps() -> None:
    evidence = gather(without_face(without_face(Camera().see([], 6.0), 0, 1.0), 5.0, 9.0))
    first, last = evidence.gaps
    assert first.start_s == evidence.times[0]
    assert last.end_s == evidence.times[-1]


def test_blinks_and_gaps_are_found_by_their_time() -> None:
    samples = without_face(Camera().see([Lids(2.0), Lids(4.0), Lids(6.0)], 9.0), 7.0, 8.0)
    evidence = gather(samples)
    first, second, third = evidence.blinks
    (gap,) = evidence.gaps
    assert evidence.blinks_between(-math.inf, math.inf) == evidence.blinks
    assert evidence.blinks_between(0, 1) == ()
    assert evidence.blinks_between(first.end_s, second.start_s) == (first, second)
    assert evidence.blinks_between(4.1, 4.1) == (second,)
    assert evidence.blinks_between(third.end_s + 0.01, math.inf) == ()
    assert evidence.gaps_between(7.5, 7.5) == (gap,)
    assert evidence.gaps_between(0, 6.9) == ()
