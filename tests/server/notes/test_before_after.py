"""The days before and after a note: which days, which values, and when nothing is said."""

from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from statistics import median

from hypothesis import given
from hypothesis import strategies as st

from server.notes.before_after import DAYS, JUDGED, KEYS, compare, reach, windows
from server.session_data.summary.repeatability import repeatability
from server.session_data.summary.statistics import by_day, least_days

MARK = date(2026, 11, 1)
RATE = "blink_rate_per_min"


@dataclass(frozen=True)
class Session:
    day: date
    values: dict = field(default_factory=dict)
    state: str = "ended"
    date_uncertain: bool = False


def session(offset: int, rate: float, valid_s: float = 600) -> Session:
    return Session(MARK + timedelta(days=offset), {"valid_s": valid_s, RATE: rate})


def found(sessions, days=7, others=(), today=MARK + timedelta(days=60)):
    first, last = reach(MARK, days)
    sides = windows(MARK, days, others, today)
    compared = compare(by_day(sessions, first, last), MARK, days, *sides)
    return {each.key: each for each in compared}


offsets = st.integers(-60, 60)
days = st.sampled_from(DAYS)
rates = st.floats(0, 60)
sessions = st.lists(st.builds(session, st.integers(-30, 30), rates), max_size=60)


@given(days, st.lists(offsets, max_size=8), st.integers(0, 60))
def test_a_side_has_no_day_of_a_mark_none_beyond_the_next_and_none_to_come(n, others, passed):
    marks = {MARK + timedelta(days=each) for each in others}
    today = MARK + timedelta(days=passed)
    before, after = windows(MARK, n, marks, today)
    for side in filter(None, (before, after)):
        assert 0 <= (side.last - side.first).days < n
        assert not [each for each in {*marks, MARK} if side.first <= each <= side.last]
    if before:
        assert before.last == MARK - timedelta(days=1)
    if after:
        assert after.first == MARK + timedelta(days=1)
        assert after.last <= today
    between = [each for each in marks if each != MARK]
    assert (before is None) == (MARK - timedelta(days=1) in between)


@given(sessions, days)
def test_a_difference_is_that_of_the_medians_of_the_days_or_nothing(measured, n):
    told = found(measured, n)[RATE]
    before, after = windows(MARK, n, (), MARK + timedelta(days=60))

    def of(side):
        groups = by_day(measured, side.first, side.last).values()
        return [median(each.values[RATE] for each in group) for group in groups if group]

    sides = of(before), of(after)
    assert (told.before.days, told.after.days) == tuple(map(len, sides))
    assert told.before.sessions == sum(before.first <= each.day <= before.last for each in measured)
    if min(map(len, sides)) < least_days(n):
        assert (told.difference, told.larger) == (None, None)
    else:
        assert abs(told.difference - (median(sides[1]) - median(sides[0]))) < 1e-5


@given(sessions, days)
def test_turning_the_time_round_turns_the_difference_round(measured, n):
    there = found(measured, n)[RATE]
    turned = [replace(each, day=MARK - (each.day - MARK)) for each in measured]
    back = found(turned, n)[RATE]
    assert (there.before, there.after) == (back.after, back.before)
    if there.difference is not None:
        assert there.difference == -back.difference


@given(sessions)
def test_larger_is_only_what_is_beyond_the_persons_own_repeatability(measured):
    told = found(measured, 28)[RATE]
    groups = by_day(measured, *(MARK - timedelta(days=each) for each in (28, 1))).values()
    own = repeatability([median(s.values[RATE] for s in group) for group in groups if group])
    assert (told.least is None) == (own is None)
    if told.larger:
        assert abs(told.difference) > own.difference - 1e-5


def test_a_clear_change_is_called_larger_and_a_small_one_is_not():
    quiet = [session(each, 12 + each % 3) for each in range(-14, 0)]
    clear = [session(each, 22 + each % 3) for each in range(1, 8)]
    assert found(quiet + clear)[RATE].larger is True
    small = [session(each, 13 + each % 3) for each in range(1, 8)]
    assert found(quiet + small)[RATE].larger is False


def test_two_days_on_a_side_are_not_enough():
    before = [session(each, 12 + each % 3) for each in range(-14, 0)]
    after = [session(each, 30) for each in (1, 2)]
    told = found(before + after)[RATE]
    assert (told.difference, told.larger) == (None, None)
    assert (told.after.median, told.after.days) == (30, 2)


def test_without_a_week_before_it_the_spread_is_unknown_and_nothing_is_judged():
    sessions = [session(each, 12 + each % 3) for each in (-3, -2, -1, 1, 2, 3)]
    told = found(sessions)[RATE]
    assert told.difference is not None
    assert (told.least, told.larger) == (None, None)


def test_short_and_uncertain_sessions_and_the_marks_own_day_count_on_no_side():
    day = MARK - timedelta(days=1)
    left_out = [session(0, 30), session(-1, 30, valid_s=60)]
    left_out.append(Session(day, {"valid_s": 600, RATE: 30}, date_uncertain=True))
    told = found(left_out)[RATE]
    assert (told.before.days, told.before.sessions, told.after.days) == (0, 0, 0)


def test_long_closures_are_counted_but_never_judged():
    assert set(KEYS) - JUDGED == {"long_closure_count"}
    sessions = [
        Session(MARK + timedelta(days=each), {"valid_s": 600, "long_closure_count": each > 0})
        for each in range(-28, 8)
    ]
    told = found(sessions)["long_closure_count"]
    assert (told.difference, told.least, told.larger) == (1, None, None)
