"""The smallest difference of two days beyond a person's own spread: checked by simulation."""

import random
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.session_data.summary.repeatability import FACTOR, repeatability
from server.session_data.summary.usual import DAYS_NEEDED


def test_too_few_days_give_nothing():
    assert repeatability([12.0] * (DAYS_NEEDED - 1)) is None
    assert repeatability([12.0] * DAYS_NEEDED).difference == 0


def test_the_formula():
    found = repeatability([10, 12, 14, 10, 12, 14, 10, 12, 14])
    assert found.deviation == pytest.approx(1.7320508)
    assert found.difference == pytest.approx(1.96 * 2**0.5 * 1.7320508)


@given(st.lists(st.floats(0, 60), min_size=DAYS_NEEDED, max_size=60), st.floats(-30, 30))
def test_a_constant_added_to_all_days_changes_nothing(values, by):
    one, other = repeatability(values), repeatability([each + by for each in values])
    assert one.deviation == pytest.approx(other.deviation, abs=1e-6)


def test_two_days_of_somebody_who_stays_as_they_are_differ_by_more_one_time_in_twenty():
    dice = random.Random(4)
    beyond = []
    for _person in range(400):
        days = [dice.gauss(14, 2.5) for _ in range(30)]
        least = repeatability(days).difference
        pairs = [abs(dice.gauss(14, 2.5) - dice.gauss(14, 2.5)) for _ in range(50)]
        beyond.append(sum(each > least for each in pairs) / len(pairs))
    assert 0.04 < fmean(beyond) < 0.065
    assert pytest.approx(2.77, abs=0.01) == FACTOR
