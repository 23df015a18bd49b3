"""Like is compared with like where there are enough days of it, and otherwise all with all."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.usual.activities import alike, people_of, tally
from server.session_data.models import ACTIVITIES
from server.session_data.summary.alike import ALIKE_DAYS, like_with_like, main_activity, of_activity
from server.session_data.summary.statistics import value_of
from server.session_data.summary.usual import DAYS_NEEDED, usual
from server.session_data.summary.views import Brief

RATE = "blink_rate_per_min"
TODAY = date(2026, 11, 22)


def session(ago: int, rate: float = 15, activity: str | None = None, valid_s: float = 300) -> Brief:
    values = {RATE: rate, "valid_s": valid_s}
    return Brief(TODAY - timedelta(days=ago), "ended", False, values, activity)


SESSIONS = st.lists(
    st.builds(
        session,
        st.integers(0, 12),
        st.floats(0, 60),
        st.sampled_from([None, *ACTIVITIES[:3]]),
        st.sampled_from([60, 300, 900]),
    ),
    max_size=60,
)


def all_with_all(sessions: list[Brief]) -> tuple[object, object]:
    of_day = [each for each in sessions if each.day == TODAY]
    return value_of(of_day, RATE), usual(sessions, RATE, TODAY)


@given(SESSIONS)
def test_without_activities_all_sessions_are_compared(sessions: list[Brief]) -> None:
    plain = [replace(each, activity=None) for each in sessions]
    found = like_with_like(plain, RATE, TODAY)
    assert (found.activity, found.value, found.usual) == (None, *all_with_all(plain))


@given(SESSIONS)
def test_what_is_compared_is_of_one_activity_with_enough_days_or_of_all(
    sessions: list[Brief],
) -> None:
    found = like_with_like(sessions, RATE, TODAY)
    if found.activity is None:
        assert (found.value, found.usual) == all_with_all(sessions)
        return
    assert found.usual.days >= ALIKE_DAYS
    assert found.usual.range() is not None
    mine = of_activity(sessions, found.activity)
    assert (found.value, found.usual.days) == (
        value_of([each for each in mine if each.day == TODAY], RATE),
        usual(mine, RATE, TODAY).days,
    )


@given(SESSIONS, st.floats(0, 60))
def test_what_was_measured_during_something_else_does_not_move_it(
    sessions: list[Brief], rate: float
) -> None:
    found = like_with_like(sessions, RATE, TODAY)
    if found.activity is None:
        return
    others = [
        each
        if each.activity == found.activity
        else replace(each, values={**each.values, RATE: rate})
        for each in sessions
    ]
    assert like_with_like(others, RATE, TODAY) == found


@given(SESSIONS, st.randoms())
def test_the_order_of_sessions_does_not_matter(sessions: list[Brief], chance: object) -> None:
    mixed = list(sessions)
    chance.shuffle(mixed)  # type: ignore[attr-defined]
    one, other = (like_with_like(each, RATE, TODAY) for each in (sessions, mixed))
    assert (one.activity, one.value, one.usual.days) == (
        other.activity, other.value, other.usual.days,
    )  # fmt: skip


def test_the_activity_with_the_most_measured_time_decides() -> None:
    short, long = session(0, activity="eating", valid_s=200), session(0, activity="reading")
    assert main_activity([short, long]) == "reading"
    assert main_activity([short, long, session(0, valid_s=900)]) is None
    assert main_activity([replace(long, date_uncertain=True), short]) == "eating"
    assert main_activity([]) is None


@pytest.mark.parametrize(("days", "found"), [(ALIKE_DAYS - 1, None), (ALIKE_DAYS, "reading")])
def test_an_activity_needs_five_days(days: int, found: str | None) -> None:
    read = [session(ago, 7 + ago % 2, "reading") for ago in range(1, days + 1)]
    talked = [session(ago, 15, "talking") for ago in range(days + 1, days + 9)]
    compared = like_with_like([*read, *talked, session(0, 7.5, "reading")], RATE, TODAY)
    assert compared.activity == found


def test_there_is_no_range_of_an_activity_before_there_is_one_of_all_sessions() -> None:
    read = [session(ago, 7, "reading") for ago in range(DAYS_NEEDED)]
    assert like_with_like(read, RATE, TODAY).activity is None
    assert like_with_like([*read, session(20)], RATE, TODAY).activity == "reading"


def test_who_often_reads_gets_few_false_alarms_and_a_low_day_is_found() -> None:
    counted = tally(map(alike, people_of(0.5, "reading")[:800]))
    assert counted.unusual / counted.days <= 0.08
    assert counted.found / counted.days >= 0.6
