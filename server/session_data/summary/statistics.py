"""Compute the statistics of days and periods. Pure functions: no clock, no database.

    sessions' metrics -> a day's value -> a period's median

A day's value is the median of its sessions; for long closures and measured time it is their sum,
and for coverage measured time divided by session time. A period's value is the median of its days'
values, so that a day with many sessions counts as much as a day with few. A value that was not
measured is `None`, never 0.

Medians leave out short sessions (a rate needs three minutes: Doughty 2001, PMID 11700965).
Everything leaves out sessions whose date is uncertain, because their day is unknown. Both are
counted.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import median, quantiles
from typing import Protocol

SHORT_VALID_S = 180
# The quartiles of three numbers would be just these numbers.
VALUES_FOR_QUARTILES = 4


class Measured(Protocol):
    """The part of a session that a summary needs; the keys of `values` are names of metrics."""

    @property
    def day(self) -> date: ...
    @property
    def state(self) -> str: ...
    @property
    def date_uncertain(self) -> bool: ...
    @property
    def activity(self) -> str | None: ...
    @property
    def values(self) -> Mapping[str, float | None]: ...


def is_short(session: Measured) -> bool:
    """Return whether the session is too short (so far) for a meaningful rate."""
    return (session.values.get("valid_s") or 0) < SHORT_VALID_S


def known(sessions: Iterable[Measured], key: str) -> list[float]:
    """Return the measured values of sessions whose date is certain, including short ones."""
    certain = (each.values.get(key) for each in sessions if not each.date_uncertain)
    return [value for value in certain if value is not None]


def of_long_enough(sessions: Iterable[Measured], key: str) -> list[float]:
    """Return the measured values of sessions whose date is certain and that are not short."""
    return known((each for each in sessions if not is_short(each)), key)


def clean(value: float) -> float:
    """Round off floating-point noise, so that pages and exports show the same digits."""
    return round(value, 6)


def median_of(sessions: Iterable[Measured], key: str) -> float | None:
    """Return the median over the sessions that are not short."""
    values = of_long_enough(sessions, key)
    return clean(median(values)) if values else None


def total_of(sessions: Iterable[Measured], key: str) -> float | None:
    """Return the sum over all sessions with a value."""
    values = known(sessions, key)
    return clean(sum(values)) if values else None


def coverage_of(sessions: Iterable[Measured], _key: str = "coverage") -> float | None:
    """Return measured time divided by session time, 0..1, so that longer sessions weigh more."""
    both = [
        each
        for each in sessions
        if each.values.get("valid_s") is not None and each.values.get("duration_s") is not None
    ]
    whole = total_of(both, "duration_s")
    return clean((total_of(both, "valid_s") or 0) / whole) if whole else None


# Metric -> how to compute a day's value from its sessions, and which values make up its spread.
Way = Callable[[Iterable[Measured], str], float | None]
WAYS: dict[str, tuple[Way, Callable[[Iterable[Measured], str], list[float]]]] = {
    "blink_rate_per_min": (median_of, of_long_enough),
    "ear_mean": (median_of, of_long_enough),
    "perclos": (median_of, of_long_enough),
    "long_closure_count": (total_of, known),
    "valid_s": (total_of, known),
    "coverage": (coverage_of, known),
    "blink_closure_left_median": (median_of, of_long_enough),
    "blink_closure_right_median": (median_of, of_long_enough),
}


def value_of(sessions: Iterable[Measured], key: str) -> float | None:
    """Return a day's value of a metric: as in `WAYS`, or else the median."""
    way, _ = WAYS.get(key, (median_of, of_long_enough))
    return way(sessions, key)


@dataclass(frozen=True, slots=True)
class Spread:
    """The middle of `count` values and their quartiles; `None` if there are too few values."""

    count: int
    middle: float | None
    low: float | None = None
    high: float | None = None


def spread_of(values: Sequence[float], middle: float | None = None) -> Spread:
    """Return the quartiles (n + 1 rule) and the median; a given `middle` replaces the median."""
    if middle is None and values:
        middle = clean(median(values))
    if len(values) < VALUES_FOR_QUARTILES:
        return Spread(len(values), middle)
    low, _, high = quantiles(values, n=4)
    return Spread(len(values), middle, clean(low), clean(high))


@dataclass(frozen=True, slots=True)
class Counts:
    """The number of finished sessions, and how many of them are of each kind."""

    sessions: int
    short: int
    uncertain: int
    interrupted: int


@dataclass(frozen=True, slots=True)
class DaySummary:
    """A local day. `metrics` has the day's value and the spread of its sessions."""

    day: date
    counts: Counts
    duration_s: float | None
    metrics: Mapping[str, Spread]


@dataclass(frozen=True, slots=True)
class Change:
    """The change between two periods; `None` if either has too few days to compare."""

    absolute: float | None
    relative: float | None


@dataclass(frozen=True, slots=True)
class PeriodSummary:
    """The days `first` to `last`. `metrics` has the median and spread of the days' values."""

    first: date
    last: date
    measured_days: int
    counts: Counts
    duration_s: float | None
    valid_s: float | None
    coverage: float | None
    metrics: Mapping[str, Spread]

    @property
    def days(self) -> int:
        """The number of days."""
        return (self.last - self.first).days + 1


def least_days(days: int) -> int:
    """Return how many days of a period must have a value for it to be compared.

    One per week, and at least three.
    """
    return max(3, math.ceil(days / 7))


def each_day(first: date, last: date) -> list[date]:
    """Return every day from `first` to `last`, both inclusive."""
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def by_day(sessions: Iterable[Measured], first: date, last: date) -> dict[date, list[Measured]]:
    """Group the sessions by day; days without sessions get an empty list."""
    found: dict[date, list[Measured]] = {day: [] for day in each_day(first, last)}
    for session in sessions:
        if session.day in found:
            found[session.day].append(session)
    return found


def day_summary(day: date, sessions: Sequence[Measured]) -> DaySummary:
    """Return the summary of a day."""
    metrics = {
        key: spread_of(values(sessions, key), way(sessions, key))
        for key, (way, values) in WAYS.items()
    }
    return DaySummary(day, counts_of(sessions), total_of(sessions, "duration_s"), metrics)


def period_summary(
    days: Mapping[date, Sequence[Measured]], first: date, last: date
) -> PeriodSummary:
    """Return the summary of the days `first` to `last`; `days` contains each of them."""
    groups = [days[day] for day in each_day(first, last)]
    sessions = [session for group in groups for session in group]
    return PeriodSummary(
        first=first,
        last=last,
        measured_days=sum(bool(total_of(group, "valid_s")) for group in groups),
        counts=counts_of(sessions),
        duration_s=total_of(sessions, "duration_s"),
        valid_s=total_of(sessions, "valid_s"),
        coverage=coverage_of(sessions),
        metrics={key: spread_of(_values(groups, key)) for key in WAYS},
    )


def _values(groups: Iterable[Sequence[Measured]], key: str) -> list[float]:
    found = (value_of(group, key) for group in groups)
    return [value for value in found if value is not None]


def change(before: Spread, after: Spread, days: int) -> Change:
    """Return the change of the median between two periods of `days` days each."""
    fewest = min(before.count, after.count)
    if before.middle is None or after.middle is None or fewest < least_days(days):
        return Change(None, None)
    absolute = clean(after.middle - before.middle)
    return Change(absolute, clean(absolute / before.middle) if before.middle else None)


def counts_of(sessions: Sequence[Measured]) -> Counts:
    """Count the sessions by kind."""
    return Counts(
        sessions=len(sessions),
        short=sum(is_short(each) for each in sessions),
        uncertain=sum(each.date_uncertain for each in sessions),
        interrupted=sum(each.state == "interrupted" for each in sessions),
    )
