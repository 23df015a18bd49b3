"""The usual range: a usual day is inside it nine times of ten, whoever the person is."""

from datetime import date, timedelta

import pytest

from bench.usual import PEOPLE, Simulated, share_inside
from server.session_data.summary.usual import DAYS_NEEDED, Range, student, usual, usual_of
from server.session_data.summary.views import Brief

RATE, PERCLOS = "blink_rate_per_min", "perclos"
TODAY = date(2026, 11, 22)


@pytest.mark.parametrize("days", [7, 14, 28])
@pytest.mark.parametrize("person", PEOPLE, ids=lambda person: person.__name__)
def test_a_usual_day_is_inside_nine_times_of_ten(person: Simulated, days: int) -> None:
    assert 0.90 <= share_inside(person, days, 1500) <= 0.98


@pytest.mark.parametrize(
    ("degrees", "quantile"), [(4, 2.7764), (6, 2.4469), (9, 2.2622), (13, 2.1604), (27, 2.0518)]
)
def test_the_quantiles_are_those_of_students_tables(degrees: int, quantile: float) -> None:
    assert student(0.975, degrees) == pytest.approx(quantile, abs=0.001)


def test_similar_days_make_no_range_narrower_than_the_measurement() -> None:
    assert usual_of([15.0] * 10, RATE).range() == Range(pytest.approx(14), pytest.approx(16))
    assert usual_of([0.0] * 10, PERCLOS).range() == Range(0, 0.01)


def test_a_wider_range_holds_the_usual_one() -> None:
    days = [10, 12, 14, 15, 16, 18, 20]
    narrow, wide = usual_of(days, RATE).range(), usual_of(days, RATE).range(2)
    assert narrow is not None
    assert wide is not None
    assert wide.low < narrow.low < narrow.high < wide.high


def session(ago: int, rate: float, **changes: float | bool) -> Brief:
    values = {"valid_s": changes.get("valid_s", 290.0), RATE: rate}
    uncertain = bool(changes.get("date_uncertain", False))
    return Brief(TODAY - timedelta(days=ago), "ended", uncertain, values)


def test_a_day_counts_once_however_many_sessions_it_has() -> None:
    few = [session(ago, 15) for ago in (1, 2, 3) for _ in range(9)]
    assert usual(few, RATE, TODAY).days == 3
    assert usual(few, RATE, TODAY).range() is None


def test_neither_today_nor_what_is_older_than_four_weeks_makes_it() -> None:
    days = [session(ago, 15) for ago in range(1, DAYS_NEEDED)]
    others = [session(0, 15), *(session(ago, 15) for ago in range(29, 40))]
    assert usual([*days, *others], RATE, TODAY).days == DAYS_NEEDED - 1
    assert usual([*days, session(28, 15)], RATE, TODAY).range() is not None


@pytest.mark.parametrize("change", [{"valid_s": 100.0}, {"date_uncertain": True}], ids=str)
def test_short_sessions_and_those_of_an_uncertain_day_do_not_count(change) -> None:
    days = [session(ago, 15) for ago in range(1, DAYS_NEEDED)]
    assert usual([*days, session(20, 99, **change)], RATE, TODAY).range() is None
