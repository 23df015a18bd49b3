"""Compare a person's days before and after a mark. Pure: no clock, no database.

    days before | the mark's day, left out | days after

Each side has up to N days, and ends at the day of the next mark of the same kind, which is left out
too. A side's value is the median of its days' values. A difference is judged by how much two single
days of the person differ (repeatability), from the four weeks before the mark: medians of several
days differ less, so a difference that is larger is rarely chance. It is no proof of a cause.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from server.session_data.summary.repeatability import repeatability
from server.session_data.summary.statistics import (
    WAYS,
    Measured,
    clean,
    each_day,
    least_days,
    median_of,
    of_long_enough,
    spread_of,
    value_of,
)
from server.session_data.summary.usual import NARROWEST, USUAL_DAYS

DAYS = (7, 14, 28)
DEFAULT_DAYS = 14
LONG_CLOSURES = "long_closure_count"
KEYS = (
    "blink_rate_per_min",
    "ear_mean",
    "perclos",
    LONG_CLOSURES,
    "inter_blink_interval_median_s",
)
# A sum of a day depends on how long was measured, so its differences are not judged.
JUDGED = frozenset(KEYS) - {LONG_CLOSURES}

ByDay = Mapping[date, Sequence[Measured]]


@dataclass(frozen=True)
class Window:
    """The days `first` to `last`, both inclusive."""

    first: date
    last: date


@dataclass(frozen=True)
class Side:
    """The median of `days` daily values of one side, from `sessions` sessions."""

    median: float | None = None
    days: int = 0
    sessions: int = 0


@dataclass(frozen=True)
class Compared:
    """One metric on both sides.

    `difference` is `None` if a side has too few days. `least` is the smallest difference beyond the
    person's repeatability, and `larger` whether the difference is; both are `None` if unknown.
    """

    key: str
    before: Side
    after: Side
    difference: float | None
    least: float | None
    larger: bool | None


def windows(
    mark: date, days: int, others: Iterable[date], today: date
) -> tuple[Window | None, Window | None]:
    """Return the days before and after the mark; `None` if there are none.

    `others` are the days of the other marks of the same kind.
    """
    others = set(others)
    previous = max((day for day in others if day < mark), default=None)
    following = min((day for day in others if day > mark), default=None)
    first, last = mark - timedelta(days=days), min(mark + timedelta(days=days), today)
    if previous is not None:
        first = max(first, previous + timedelta(days=1))
    if following is not None:
        last = min(last, following - timedelta(days=1))
    return _window(first, mark - timedelta(days=1)), _window(mark + timedelta(days=1), last)


def reach(mark: date, days: int) -> tuple[date, date]:
    """Return the first and last day that a comparison needs."""
    return mark - timedelta(days=max(days, USUAL_DAYS)), mark + timedelta(days=days)


def compare(
    groups: ByDay, mark: date, days: int, before: Window | None, after: Window | None
) -> list[Compared]:
    """Return each metric on both sides. `groups` has the sessions of the days of `reach`."""
    usual = _days(groups, Window(mark - timedelta(days=USUAL_DAYS), mark - timedelta(days=1)))
    sides = _days(groups, before), _days(groups, after)
    return [_compared(key, days, usual, *(_side(key, side) for side in sides)) for key in KEYS]


def _compared(
    key: str, days: int, usual: Sequence[Sequence[Measured]], before: Side, after: Side
) -> Compared:
    difference, least = _difference(before, after, least_days(days)), _least(key, usual)
    larger = None if difference is None or least is None else abs(difference) > least
    return Compared(key, before, after, difference, least, larger)


def _difference(before: Side, after: Side, needed: int) -> float | None:
    if before.median is None or after.median is None or min(before.days, after.days) < needed:
        return None
    return clean(after.median - before.median)


def _least(key: str, usual: Sequence[Sequence[Measured]]) -> float | None:
    """Return the smallest difference beyond the person's repeatability; `None` if unknown."""
    found = repeatability(_values(key, usual)) if key in JUDGED else None
    if found is None:
        return None
    return clean(max(found.difference, NARROWEST.get(key, 0))) or None


def _side(key: str, groups: Sequence[Sequence[Measured]]) -> Side:
    _, values_of = WAYS.get(key, (median_of, of_long_enough))
    values = _values(key, groups)
    sessions = sum(len(values_of(group, key)) for group in groups)
    return Side(spread_of(values).middle, len(values), sessions)


def _values(key: str, groups: Sequence[Sequence[Measured]]) -> list[float]:
    found = (value_of(group, key) for group in groups)
    return [value for value in found if value is not None]


def _days(groups: ByDay, window: Window | None) -> list[Sequence[Measured]]:
    return [groups.get(day, ()) for day in each_day(window.first, window.last)] if window else []


def _window(first: date, last: date) -> Window | None:
    return Window(first, last) if first <= last else None
