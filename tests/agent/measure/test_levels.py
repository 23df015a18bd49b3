"""The person's own levels: what changes them, what must not, and how fast they settle."""

import math

import pytest

from agent.measure.blinks import BlinkDetector
from agent.measure.levels import BLOCK_S, MEMORY_BLOCKS, USUAL_DEPTH, Levels, quantile, trusted_ear
from tests.agent.traces import OPEN, Camera, Lids, sample, without_face


def learned(levels: Levels, ears: list[float], fps: float = 30.0, start_s: float = 0.0) -> Levels:
    for frame, ear in enumerate(ears):
        levels.add(start_s + frame / fps, ear)
    return levels


def test_before_the_first_face_nothing_is_known() -> None:
    levels = Levels()
    assert levels.open is None
    assert levels.closed is None
    assert levels.closure(0.1) == 0.0


def test_the_open_level_is_known_from_the_first_face_on() -> None:
    assert learned(Levels(), [0.31]).open == pytest.approx(0.31)


def test_the_open_level_is_the_upper_quartile_of_steps_of_half_a_second() -> None:
    assert (BLOCK_S, MEMORY_BLOCKS * BLOCK_S) == (0.5, 20.0)
    levels = Levels()
    for step, ear in enumerate([0.30, 0.28, 0.32, 0.29, 0.31]):
        learned(levels, [ear] * 16, 32.0, start_s=step * BLOCK_S)
    levels.add(5 * BLOCK_S, 0.30)
    assert levels.open == pytest.approx(0.31)


def test_the_median_stands_for_half_a_second() -> None:
    levels = learned(Levels(), [0.28 + 0.002 * k for k in range(16)], 32.0)
    levels.add(BLOCK_S, 0.30)
    assert levels.open == pytest.approx(0.295)


@pytest.mark.parametrize("fps", [30.0, 15.0, 10.0])
def test_wider_eyes_are_accepted_within_six_seconds(fps: float) -> None:
    levels = learned(Levels(), [0.20] * int(30 * fps), fps)
    learned(levels, [0.30] * int(6 * fps), fps, start_s=30.0)
    assert levels.open == pytest.approx(0.30)


def test_a_look_down_of_ten_seconds_does_not_lower_the_level() -> None:
    levels = learned(Levels(), [0.30] * 900)
    learned(levels, [0.24] * 300, start_s=30.0)
    assert levels.open == pytest.approx(0.30)


def test_a_lasting_lower_level_is_accepted_within_twenty_seconds() -> None:
    levels = learned(Levels(), [0.30] * 900)
    learned(levels, [0.24] * 600, start_s=30.0)
    assert levels.open == pytest.approx(0.24)


@pytest.mark.parametrize("shut_s", [0.3, 3.0, 120.0])
def test_the_open_level_is_frozen_while_the_eyes_are_shut(shut_s: float) -> None:
    levels = learned(Levels(), [0.30] * 300)
    learned(levels, [0.10] * int(shut_s * 30), start_s=10.0)
    assert levels.open == pytest.approx(0.30)


def test_an_open_level_does_not_drift_down_with_frequent_closures() -> None:
    lids = [Lids(2.0 + k, duration_s=0.45) for k in range(60)]
    detector = BlinkDetector()
    for each in Camera().see(lids, 62):
        detector.add(each)
    assert detector.levels.open == pytest.approx(OPEN, rel=0.02)


def test_the_level_is_kept_while_the_person_is_away() -> None:
    detector = BlinkDetector()
    for each in without_face(Camera().see([], 120), 20.0, 119.0):
        detector.add(each)
    assert detector.levels.open == pytest.approx(OPEN, rel=0.02)


def test_eyes_that_open_after_a_long_look_down_have_their_level_within_a_second() -> None:
    levels = learned(Levels(), [0.08] * 600)
    for _ in range(4):
        levels.learn_depth(0.4)
    for frame in range(600, 600 + 36):
        levels.add(frame / 30, 0.30)
    assert levels.open == pytest.approx(0.30)
    assert levels.depth == USUAL_DEPTH


def test_a_jump_is_wider_by_more_than_half() -> None:
    levels = learned(Levels(), [0.25] * 600)
    learned(levels, [0.4] * 36, start_s=20.0)
    assert levels.open == pytest.approx(0.4)


def test_half_a_second_of_wide_eyes_is_no_jump() -> None:
    levels = learned(Levels(), [0.25] * 600)
    learned(levels, [0.4] * 20, start_s=20.0)
    assert levels.open == pytest.approx(0.25)


def test_lids_half_way_down_do_not_change_the_open_level() -> None:
    levels = learned(Levels(), [1.0] * 300)
    assert levels.closure(0.65) == 0.5
    learned(levels, [0.65] * 900, start_s=10.0)
    assert levels.open == 1.0
    levels.learn_open(0.65)
    assert levels.open == 0.65


def test_wide_eyes_for_a_moment_do_not_move_the_level() -> None:
    levels = learned(Levels(), [0.30] * 600)
    for frame in range(600, 600 + 36):
        levels.add(frame / 30, 0.40)
    assert levels.open == pytest.approx(0.30, rel=0.05)


def test_eyes_that_are_just_half_as_wide_again_are_no_jump() -> None:
    levels = learned(Levels(), [0.25] * 600)
    learned(levels, [1.5 * 0.25] * 36, start_s=20.0)
    assert levels.open == 0.25


def test_the_closed_level_is_a_guess_before_blinks_are_seen() -> None:
    levels = learned(Levels(), [0.30] * 60)
    assert levels.closed == pytest.approx(0.09)


@pytest.mark.parametrize("depth", [0.3, 0.45, 0.75])
def test_eight_blinks_teach_the_closed_level(depth: float) -> None:
    levels = learned(Levels(), [0.30] * 60)
    for _ in range(8):
        levels.learn_depth(depth)
    assert levels.closed == pytest.approx(0.30 * (1 - depth))
    assert levels.closure(0.30 * (1 - depth)) == pytest.approx(1.0)


def test_up_to_the_eighth_blink_the_guess_stands_for_those_to_come() -> None:
    levels = learned(Levels(), [0.30] * 60)
    for _ in range(5):
        levels.learn_depth(0.3)
    # Two thirds up in five of 0.3 and three of the guess: between the last and the first of them.
    assert levels.depth == pytest.approx(0.3 + 0.69 * (USUAL_DEPTH - 0.3))


def test_partial_blinks_every_second_time_do_not_raise_the_closed_level() -> None:
    levels = learned(Levels(), [0.30] * 60)
    for _ in range(15):
        levels.learn_depth(0.3)
        levels.learn_depth(0.7)
    assert levels.closed == pytest.approx(0.30 * 0.3)


def test_glasses_put_on_are_learned_from_the_next_blinks() -> None:
    levels = learned(Levels(), [0.30] * 60)
    for depth in [0.7] * 30 + [0.35] * 24:
        levels.learn_depth(depth)
    assert levels.depth == pytest.approx(0.35)


def test_the_last_twenty_four_blinks_are_remembered() -> None:
    levels = learned(Levels(), [0.30] * 60)
    for depth in [0.7] * 30 + [0.35] * 16:
        levels.learn_depth(depth)
    # Two thirds up in sixteen of 0.35 and eight of 0.7: between the last and the first of them.
    assert levels.depth == pytest.approx(0.35 + 0.41 * 0.35)


def test_a_blink_from_a_level_that_passed_for_closed_proves_it_open() -> None:
    levels = learned(Levels(), [0.30] * 300)
    learned(levels, [0.17] * 900, start_s=10.0)
    assert levels.open == pytest.approx(0.30)
    levels.learn_open(0.17)
    assert levels.open == pytest.approx(0.17)
    learned(levels, [0.17] * 30, start_s=40.0)
    assert levels.open == pytest.approx(0.17)


def test_a_blink_from_an_open_level_changes_nothing() -> None:
    levels = learned(Levels(), [0.30] * 300)
    levels.learn_open(0.26)
    assert levels.open == pytest.approx(0.30)


def test_a_face_with_a_low_score_is_ignored() -> None:
    assert trusted_ear(sample(0.0, 0.3, score=0.49)) is None
    assert trusted_ear(sample(0.0, 0.3, score=0.5)) == 0.3
    assert trusted_ear(sample(0.0, 0.3, score=None)) == 0.3
    assert trusted_ear(sample(0.0, None)) is None
    assert trusted_ear(sample(0.0, math.nan)) is None


def test_no_lid_is_flatter_than_a_thousandth_of_the_eyes_width() -> None:
    assert trusted_ear(sample(0.0, 0.0)) == 0.001
    assert trusted_ear(sample(0.0, 0.002)) == 0.002


def test_quantiles_lie_between_neighbours() -> None:
    assert quantile([1.0], 0.9) == 1.0
    assert quantile([1.0, 2.0], 0.25) == 1.25
    assert quantile([1.0, 2.0, 4.0], 1.0) == 4.0
