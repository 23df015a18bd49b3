"""Sessions -> what their days and periods say. Pure: no clock, no database.

    a session's numbers -> the day's value -> the period's median

A day's value is the median of its sessions, of long closures and measured time their sum, and of
coverage measured time by session time. A period's is the median of its days' values, so that a day
of many sessions weighs as much as one of few. What was not measured is `None`, never 0.

Left out are short sessions (of medians: a rate needs three minutes, Doughty 2001, PMID 11700965)
and those whose date is uncertain (of everything: their day is not known). Both are counted.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import median, quantiles
from typing import Protocol

SHORT_VALID_S = 180
# Quartiles of three numbers are these numbers.
VALUES_FOR_QUARTILES = 4


class Measured(Protocol):
    """A session, as far as a summary needs it; `values` by the names of the document's metrics."""

    @property
    def day(self) -> date: ...
    @property
    def state(self) -> str: ...
    @property
    def date_uncertain(self) -> bool: ...
    @property
    def values(self) -> Mapping[str, float | None]: ...


def is_short(session: Measured) -> bool:
    """Whether too little was measured (yet) for a rate to mean something."""
    return (session.values.get("valid_s") or 0) < SHORT_VALID_S


def known(sessions: Iterable[Measured], key: str) -> list[float]:
    """What the sessions of a known day measured, short ones too."""
    certain = (each.values.get(key) for each in sessions if not each.date_uncertain)
    return [value for value in certain if value is not None]


def of_long_enough(sessions: Iterable[Measured], key: str) -> list[float]:
    """What those of them measured that are long enough for a rate."""
    return known((each for each in sessions if not is_short(each)), key)


def clean(value: float) -> float:
    """Without the dust of binary fractions, so that page and file round alike."""
    return round(value, 6)


def median_of(sessions: Iterable[Measured], key: str) -> float | None:
    """The median of the sessions long enough to mean something."""
    values = of_long_enough(sessions, key)
    return clean(median(values)) if values else None


def total_of(sessions: Iterable[Measured], key: str) -> float | None:
    """The sum over all sessions that measured it."""
    values = known(sessions, key)
    return clean(sum(values)) if values else None


def coverage_of(sessions: Iterable[Measured], _key: str = "coverage") -> float | None:
    """Measured time by session time, 0..1: a long session weighs more than a short one."""
    both = [
        each
        for each in sessions
        if each.values.get("valid_s") is not None and each.values.get("duration_s") is not None
    ]
    whole = total_of(both, "duration_s")
    return clean((total_of(both, "valid_s") or 0) / whole) if whole else None


# How a day's sessions become the day's value, and which of them make its spread.
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
    """A day's value of a metric; of any that has no way of its own the median."""
    way, _ = WAYS.get(key, (median_of, of_long_enough))
    return way(sessions, key)


@dataclass(frozen=True, slots=True)
class Spread:
    """The middle of `count` values and their quartiles; `None` where there are too few."""

    count: int
    middle: float | None
    low: float | None = None
    high: float | None = None


def spread_of(values: Sequence[float], middle: float | None = None) -> Spread:
    """The median (or what is given for it) and the quartiles, by the rule of n + 1."""
    if middle is None and values:
        middle = clean(median(values))
    if len(values) < VALUES_FOR_QUARTILES:
        return Spread(len(values), middle)
    low, _, high = quantiles(values, n=4)
    return Spread(len(values), middle, clean(low), clean(high))


@dataclass(frozen=True, slots=True)
class Counts:
    """How many sessions there are that are over, and how many of them are of these kinds."""

    sessions: int
    short: int
    uncertain: int
    interrupted: int


@dataclass(frozen=True, slots=True)
class DaySummary:
    """One local day. `metrics`: the day's value, and the spread of its sessions."""

    day: date
    counts: Counts
    duration_s: float | None
    metrics: Mapping[str, Spread]


@dataclass(frozen=True, slots=True)
class Change:
    """From one period to the next; `None` where either has too few days to compare."""

    absolute: float | None
    relative: float | None


@dataclass(frozen=True, slots=True)
class PeriodSummary:
    """The days `first` to `last`. `metrics`: median and spread of the days' values."""

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
        """How many days it has."""
        return (self.last - self.first).days + 1


def least_days(days: int) -> int:
    """On how many days of a period something must be measured for it to be compared.

    One in each week, and three.
    """
    return max(3, math.ceil(days / 7))


def each_day(first: date, last: date) -> list[date]:
    """Every day from `first` to `last`, both included."""
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def by_day(sessions: Iterable[Measured], first: date, last: date) -> dict[date, list[Measured]]:
    """The sessions of each day of the range, also of those without one."""
    found: dict[date, list[Measured]] = {day: [] for day in each_day(first, last)}
    for session in sessions:
        if session.day in found:
            found[session.day].append(session)
    return found


def day_summary(day: date, sessions: Sequence[Measured]) -> DaySummary:
    """What one day says."""
    metrics = {
        key: spread_of(values(sessions, key), way(sessions, key))
        for key, (way, values) in WAYS.items()
    }
    return DaySummary(day, counts_of(sessions), total_of(sessions, "duration_s"), metrics)


def period_summary(
    days: Mapping[date, Sequence[Measured]], first: date, last: date
) -> PeriodSummary:
    """What the days `first` to `last` say together; `days` has each of them."""
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
    """From the median of one period of so many days to that of the next."""
    fewest = min(before.count, after.count)
    if before.middle is None or after.middle is None or fewest < least_days(days):
        return Change(None, None)
    absolute = clean(after.middle - before.middle)
    return Change(absolute, clean(absolute / before.middle) if before.middle else None)


def counts_of(sessions: Sequence[Measured]) -> Counts:
    """How many of which kind."""
    return Counts(
        sessions=len(sessions),
        short=sum(is_short(each) for each in sessions),
        uncertain=sum(each.date_uncertain for each in sessions),
        interrupted=sum(each.state == "interrupted" for each in sessions),
    )
