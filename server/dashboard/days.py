"""A person's sessions by local day: what each day says, what is usual, and what has changed.

A day without a measurement has the value `None`, never 0. Short sessions (less than three measured
minutes) are shown but say nothing about a day's rate: that needs more time (Doughty 2001,
PMID 11700965).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import median, quantiles

from server.dashboard.metrics import COVERAGE, LONG_CLOSURES
from server.dashboard.rows import SessionRow

# Fewer sessions than this don't show what is usual: quartiles of four numbers are three of them.
SESSIONS_FOR_USUAL = 6
USUAL_DAYS = 28


@dataclass(frozen=True)
class Day:
    """One local day. `value` is `None` where that day measured nothing of the kind."""

    day: date
    value: float | None
    sessions: int


@dataclass(frozen=True)
class Range:
    """The middle half of a person's own sessions: a quarter below `low`, a quarter above `high`."""

    low: float
    high: float


def each_day(first: date, last: date) -> list[date]:
    """Every day from `first` to `last`, both included."""
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def day_values(rows: Iterable[SessionRow], key: str, first: date, last: date) -> list[Day]:
    """One `Day` for each day of the range, also for those without a session."""
    of_day: dict[date, list[SessionRow]] = {day: [] for day in each_day(first, last)}
    for row in rows:
        if row.day in of_day:
            of_day[row.day].append(row)
    value_of = WAYS.get(key, median_of)
    return [Day(day, value_of(group, key), len(group)) for day, group in of_day.items()]


def median_of(rows: Sequence[SessionRow], key: str) -> float | None:
    """The median of the sessions long enough to mean something."""
    values = [value for row in rows if row.counts and (value := row.values.get(key)) is not None]
    return median(values) if values else None


def total_of(rows: Sequence[SessionRow], key: str) -> float | None:
    """The sum over all sessions that measured it."""
    values = [value for row in rows if (value := row.values.get(key)) is not None]
    return sum(values) if values else None


def coverage_of(rows: Sequence[SessionRow], _key: str = COVERAGE.key) -> float | None:
    """Measured time by session time, 0..1: a long session weighs more than a short one."""
    whole = total_of(rows, "duration_s")
    return (total_of(rows, "valid_s") or 0) / whole if whole else None


# How a day's sessions become the day's value; every other metric takes the median.
WAYS: dict[str, Callable[[Sequence[SessionRow], str], float | None]] = {
    LONG_CLOSURES.key: total_of,
    COVERAGE.key: coverage_of,
}


def middle(days: Iterable[Day]) -> float | None:
    """The median day of those that measured something."""
    values = [day.value for day in days if day.value is not None]
    return median(values) if values else None


def usual(rows: Iterable[SessionRow], key: str, before: date) -> Range | None:
    """What is usual for this person: the middle half of the sessions of four weeks before a day.

    `None` where there are too few to say.
    """
    first = before - timedelta(days=USUAL_DAYS)
    values = [
        value
        for row in rows
        if first <= row.day < before and row.counts and (value := row.values.get(key)) is not None
    ]
    if len(values) < SESSIONS_FOR_USUAL:
        return None
    low, _, high = quantiles(values, n=4)
    return Range(low, high)
