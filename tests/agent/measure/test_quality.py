"""The quality flags: when each is set, to the exact frame, and their order."""

import math
from typing import Any

import pytest

from agent.measure.dips import MAX_GAP_S, MIN_NOISE_SAMPLES, deviation
from agent.measure.quality import (
    BLOCK_S,
    BLURRED_TIME,
    DROPPED,
    LOW_COVERAGE,
    NO_BLINK_S,
    NOISY,
    NOISY_TIME,
    OTHERS_TIME,
    SHORT_S,
    SOFT,
    TOO_SOFT,
    TURNED_TIME,
    VERY_NOISY,
    VERY_NOISY_TIME,
    Blur,
    Noise,
    Picture,
    flags,
)

GOOD: dict[str, Any] = {
    "duration_s": 300.0, "valid_s": 300.0, "slow": False, "blinks": 70, "frames": 9000,
    "frames_dropped": 0, "noisy": False, "blurred": False,
}  # fmt: skip
BIT = 1e-9


def said(**changes: Any) -> tuple[str, ...]:
    return flags(**GOOD | changes)


# The flags


def test_a_good_session_has_no_flags() -> None:
    assert said() == ()


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"slow": True}, "low_frame_rate"),
        ({"noisy": True}, "noisy"),
        ({"blurred": True}, "blurred"),
        ({"second_face": True}, "second_face"),
        ({"turned": True}, "turned"),
        ({"gaze_unknown": True}, "gaze_unknown"),
    ],
)
def test_each_finding_sets_its_flag(changes: dict[str, Any], word: str) -> None:
    assert said(**changes) == (word,)


def test_flags_are_in_the_order_of_the_table() -> None:
    flags = ("slow", "noisy", "blurred", "second_face", "turned", "gaze_unknown")
    everything = dict.fromkeys(flags, True) | {
        "valid_s": 100.0,
        "blinks": 0,
        "frames_dropped": 5000,
    }
    assert said(**everything) == (
        "short", "low_coverage", "low_frame_rate", "no_blink", "frames_dropped", "noisy",
        "blurred", "second_face", "turned", "gaze_unknown",
    )  # fmt: skip


def test_three_minutes_are_not_short() -> None:
    assert SHORT_S == 180.0
    assert said(valid_s=180.0, duration_s=180.0) == ()
    assert said(valid_s=180.0 - BIT, duration_s=180.0) == ("short",)


def test_the_least_coverage_is_enough() -> None:
    assert said(duration_s=1000.0, valid_s=1000 * LOW_COVERAGE) == ()
    assert said(duration_s=1000.0, valid_s=1000 * LOW_COVERAGE - BIT) == ("low_coverage",)


def test_without_a_face_it_is_neither_short_nor_low_coverage() -> None:
    assert said(valid_s=0.0, blinks=None) == ("no_face",)
    assert said(valid_s=0.5, blinks=None) == ("short", "low_coverage")


def test_a_session_that_has_just_begun_is_only_short() -> None:
    assert said(duration_s=0.0, valid_s=0.0, blinks=None) == ("short",)
    assert said(duration_s=0.1, valid_s=0.0, blinks=None) == ("no_face",)


def test_a_rate_off_by_a_third_is_little_covered_and_three_intervals_are_long() -> None:
    assert said(duration_s=400.0, valid_s=300.0) == ()
    assert said(duration_s=500.0, valid_s=300.0) == ("low_coverage",)
    assert NO_BLINK_S == 20.0


def test_no_blink_in_enough_valid_time_is_flagged() -> None:
    assert "no_blink" in said(blinks=0, valid_s=NO_BLINK_S)
    assert "no_blink" not in said(blinks=0, valid_s=NO_BLINK_S - BIT)
    assert "no_blink" not in said(blinks=1, valid_s=NO_BLINK_S)
    assert "no_blink" not in said(blinks=None, valid_s=NO_BLINK_S)


def test_dropped_frames_are_a_share_of_all_frames() -> None:
    assert DROPPED == 0.1
    assert said(frames=900, frames_dropped=100) == ()
    assert said(frames=900, frames_dropped=101) == ("frames_dropped",)
    assert said(frames=0, frames_dropped=0) == ()


# Noise


def zigzag(size: float, frames: int) -> list[float]:
    return [0.3 + (size if k % 2 else -size) for k in range(frames)]


def fed(noise: Noise, size: float, duration_s: float, start_s: float = 0.0) -> None:
    """Frames at 16 a second whose EAR goes up and down by `size`; a complete blink falls by 0.2."""
    for k, ear in enumerate(zigzag(size, round(duration_s * 16))):
        noise.add(start_s + k / 16, ear, 0.3125, 0.64)


def of_size(share: float) -> float:
    """The zigzag whose noise is that share of a fall by 0.2."""
    return share * 0.2 / deviation(zigzag(1.0, 160))


def test_before_any_block_nothing_is_noisy() -> None:
    noise = Noise()
    assert not noise.noisy
    assert not noise.too_noisy
    fed(noise, 0.1, BLOCK_S)
    assert not noise.noisy, "a block is judged when it has ended"
    fed(noise, 0.1, 1 / 16, start_s=BLOCK_S)
    assert noise.noisy


@pytest.mark.parametrize(
    ("share", "noisy", "too_noisy"),
    [
        (0.99 * NOISY, False, False),
        (1.01 * NOISY, True, False),
        (0.99 * VERY_NOISY, True, False),
        (1.01 * VERY_NOISY, True, True),
    ],
)
def test_noise_is_a_share_of_the_depth_of_a_blink(
    share: float, noisy: bool, too_noisy: bool
) -> None:
    noise = Noise()
    fed(noise, of_size(share), BLOCK_S + 1)
    assert (noise.noisy, noise.too_noisy) == (noisy, too_noisy)


@pytest.mark.parametrize(("share", "noisy"), [(0.15, False), (0.2, True)])
def test_noise_of_just_that_share_is_not_too_much(share: float, noisy: bool) -> None:
    noise, ears = Noise(), zigzag(0.125, 160)
    fall = deviation(ears) / share
    assert deviation(ears) / fall == share
    for k, ear in enumerate(ears):
        noise.add(k / 16, ear, fall, 1.0)
    noise.add(999.0, 0.3, fall, 1.0)
    assert (noise.noisy, noise.too_noisy) == (noisy, False)


def test_noise_is_flagged_above_its_share_of_time() -> None:
    assert (NOISY_TIME, VERY_NOISY_TIME) == (0.1, 0.25)
    cases = [(10, False, False), (8, True, False), (4, True, False), (2, True, True)]
    for quiet, noisy, too_noisy in cases:
        noise = Noise()
        fed(noise, 0.1, BLOCK_S)
        fed(noise, 0.0, quiet * BLOCK_S, start_s=BLOCK_S)
        noise.add(999.0, 0.3, 0.3, 0.7)
        assert (noise.noisy, noise.too_noisy) == (noisy, too_noisy), quiet


@pytest.mark.parametrize(
    ("loud", "noisy", "too_noisy"),
    [(1, False, False), (2, True, False), (5, True, False), (6, True, True)],
)
def test_quiet_time_does_not_reduce_noisy_time(loud: int, noisy: bool, too_noisy: bool) -> None:
    noise = Noise()
    fed(noise, 0.1, loud * BLOCK_S)
    fed(noise, 0.0, 16 * BLOCK_S, start_s=loud * BLOCK_S)
    noise.add(999.0, 0.3, 0.3, 0.7)
    assert (noise.noisy, noise.too_noisy) == (noisy, too_noisy)


def test_exactly_the_allowed_share_of_noise_is_not_flagged() -> None:
    """Blocks of as many seconds each: nine quiet ones and a noisy one, three and one."""
    for quiet in (9, 3):
        noise = Noise()
        fed(noise, 0.1, 8.0)
        for k in range(quiet):
            fed(noise, 0.0, 8.0, start_s=100.0 * (k + 1))
        noise.add(9999.0, 0.3, 0.3, 0.7)
        assert noise.noisy == (quiet == 3)
        assert not noise.too_noisy


def test_noise_seen_in_recordings_is_flagged_as_expected() -> None:
    """Of a fall by 0.2: 0.02 hides nothing, 0.034 some blinks, 0.05 a quarter to a half."""
    for size, noisy, too_noisy in [(0.02, False, False), (0.034, True, False), (0.05, True, True)]:
        noise = Noise()
        fed(noise, of_size(size / 0.2), BLOCK_S + 1)
        assert (noise.noisy, noise.too_noisy) == (noisy, too_noisy)


@pytest.mark.parametrize(("frames", "judged"), [(MIN_NOISE_SAMPLES - 1, False), (6, True)])
def test_a_few_frames_are_too_few_for_noise(frames: int, judged: bool) -> None:
    assert MIN_NOISE_SAMPLES == 6
    noise = Noise()
    for k, ear in enumerate(zigzag(0.1, frames)):
        noise.add(k / 16, ear, 0.3, 0.7)
    noise.add(100.0, 0.3, 0.3, 0.7)
    assert noise.noisy == judged


def test_a_gap_starts_a_new_block() -> None:
    noise = Noise()
    for k, ear in enumerate(zigzag(0.1, 4)):
        noise.add(k * MAX_GAP_S, ear, 0.3, 0.7)
    for k, ear in enumerate(zigzag(0.1, 4)):
        noise.add(10 + k * MAX_GAP_S, ear, 0.3, 0.7)
    noise.add(100.0, 0.3, 0.3, 0.7)
    assert not noise.noisy, "four frames and four are not eight"


def test_frames_up_to_a_gap_apart_are_in_one_block() -> None:
    noise = Noise()
    for k, ear in enumerate(zigzag(0.1, 8)):
        noise.add(k * MAX_GAP_S, ear, 0.3, 0.7)
    noise.add(100.0, 0.3, 0.3, 0.7)
    assert noise.noisy


# Blur


def blur(*looks: float | None) -> Blur:
    found = Blur()
    for look in looks:
        found.add(look)
    return found


def test_without_a_look_nothing_is_blurred() -> None:
    for found in (blur(), blur(None, None)):
        assert not found.blurred
        assert not found.too_blurred


@pytest.mark.parametrize(
    ("sharpness", "blurred", "too_blurred"),
    [
        (SOFT, False, False),
        (SOFT - BIT, True, False),
        (TOO_SOFT, True, False),
        (TOO_SOFT - BIT, True, True),
    ],
)
def test_a_look_at_the_edge_is_sharp(sharpness: float, blurred: bool, too_blurred: bool) -> None:
    found = blur(sharpness)
    assert (found.blurred, found.too_blurred) == (blurred, too_blurred)


def test_sharpness_seen_in_recordings_is_flagged_as_expected() -> None:
    assert not blur(0.2).blurred
    assert blur(0.14).blurred
    assert not blur(0.14).too_blurred
    assert blur(0.1).too_blurred


def test_a_quarter_of_the_looks_may_be_blurred() -> None:
    assert BLURRED_TIME == 0.25
    found = blur(0.1, 0.2, 0.2, 0.2)
    assert not found.blurred
    assert not found.too_blurred
    more = blur(0.1, 0.1, 0.2, 0.2, 0.2, 0.2, 0.2)
    assert more.blurred
    assert more.too_blurred


def test_frames_that_were_not_looked_at_do_not_count() -> None:
    assert blur(0.1, *[None] * 50, 0.2).blurred


# The picture


def picture(*frames: tuple[bool | None, bool]) -> Picture:
    found = Picture()
    for others, turned in frames:
        found.add(others, turned=turned)
    return found


def test_before_the_first_frame_no_flag_is_set() -> None:
    assert not picture().second_face
    assert not picture().turned


def test_another_face_in_more_than_a_tenth_of_the_looks_is_flagged() -> None:
    assert OTHERS_TIME == 0.1
    assert not picture((True, False), *[(False, False)] * 9).second_face
    assert picture((True, False), *[(False, False)] * 8).second_face


def test_frames_without_a_look_do_not_count_for_other_faces() -> None:
    assert picture((True, False), (False, False), *[(None, False)] * 50).second_face
    assert not picture(*[(None, False)] * 50).second_face


def test_a_face_turned_in_more_than_a_tenth_of_the_frames_is_flagged() -> None:
    assert TURNED_TIME == 0.1
    assert not picture((None, True), *[(None, False)] * 9).turned
    assert picture((None, True), *[(False, False)] * 8).turned


def test_other_faces_and_an_upright_one_are_told_apart() -> None:
    assert not picture((True, False)).turned
    assert not picture((False, True)).second_face


# Deviation


def test_the_deviation_of_normal_noise_is_its_own() -> None:
    """The median of |x0 - 2 x1 + x2| of normal noise of 1 is 0.6745 times the root of 6."""
    bend = 0.6745 * math.sqrt(6)
    assert deviation([0.0, 0.0, bend]) == pytest.approx(1.0, abs=1e-4)


def test_a_trend_is_no_noise() -> None:
    assert deviation([0.25 * k for k in range(9)]) == 0.0
