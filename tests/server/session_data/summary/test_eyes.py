"""Both eyes of a session: told apart by more than their noise, and hardly ever by chance."""

from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.eyes import NOISES, Noise, share_differing
from server.session_data.accept import accept_session
from server.session_data.summary.eyes import (
    BLINKS_NEEDED,
    ERROR,
    EXACT,
    compared,
    eyes_of,
    rank_of,
)
from tests.server.conftest import golden

shares = st.floats(0, 1)
pairs = st.lists(st.tuples(shares, shares), min_size=BLINKS_NEEDED, max_size=60)


@pytest.mark.parametrize("noise", NOISES, ids=lambda noise: noise.__name__)
def test_eyes_that_close_alike_are_hardly_ever_said_to_differ(noise: Noise) -> None:
    for blinks in (10, 30):
        assert share_differing(noise, blinks, 0, 300) == 0
        assert share_differing(noise, blinks, 0.1, 300) <= 0.03


@pytest.mark.parametrize("noise", NOISES, ids=lambda noise: noise.__name__)
def test_an_eye_that_does_not_close_is_found(noise: Noise) -> None:
    assert share_differing(noise, 20, 0.8, 100) == 1


@given(pairs)
def test_changed_eyes_change_nothing_but_the_side(found: list[tuple[float, float]]) -> None:
    eyes = compared(found)
    other = compared([(right, left) for left, right in found])
    assert eyes is not None
    assert other is not None
    assert (other.difference, other.low, other.high) == (-eyes.difference, -eyes.high, -eyes.low)
    assert (other.left_open, other.right_open) == (eyes.right_open, eyes.left_open)
    assert other.differ == eyes.differ
    assert eyes.low <= eyes.difference <= eyes.high


@pytest.mark.parametrize("count", [10, 11, 20, 47, 300, EXACT])
def test_the_interval_misses_the_median_one_time_in_a_hundred_at_most(count: int) -> None:
    def missed(rank: int) -> float:
        return 2 * sum(comb(count, k) for k in range(rank)) / 2**count

    assert missed(rank_of(count)) <= ERROR < missed(rank_of(count) + 1)


def test_the_approximation_for_many_blinks_goes_on_from_the_exact_ranks() -> None:
    assert abs(rank_of(EXACT + 1) - rank_of(EXACT)) <= 1
    assert rank_of(20_000) == 9817


def test_the_golden_face_that_closes_one_eye_differs_and_the_other_one_does_not() -> None:
    eyes = eyes_of(golden("final_one_eye")["blinks"])
    assert eyes is not None
    assert eyes.differ
    assert (eyes.blinks, eyes.left_open, eyes.right_open) == (11, 11, 0)
    assert eyes_of(golden("final_eyes")["blinks"]) is None  # 4 blinks of both
    assert eyes_of(golden("final")["blinks"]) is None  # an older device
    assert eyes_of(None) is None


def test_the_api_compares_both_eyes_of_a_session(world, api) -> None:
    document = golden("final_one_eye")
    assert accept_session(world.device, document).outcome == "stored"
    eyes = api("carl").get(f"/api/session/{document['session_id']}/").json()["eyes"]
    assert (eyes["differ"], eyes["left_open"], eyes["blinks"]) == (True, 11, 11)
    assert eyes["low"] <= eyes["difference"] <= eyes["high"]
    older = golden("final")
    assert accept_session(world.device, older).outcome == "stored"
    assert api("carl").get(f"/api/session/{older['session_id']}/").json()["eyes"] is None
