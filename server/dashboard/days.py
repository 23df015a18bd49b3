"""A person's sessions by local day, and the usual range.

The values of a day come from `session_data/summary`, for both the pages and the API.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import quantiles

from server.session_data.summary.statistics import (
    Counts,
    Measured,
    by_day,
    counts_of,
    each_day,
    of_long_enough,
    value_of,
)

# Fewer sessions give no useful quartiles: those of four values are three of them.
SESSIONS_FOR_USUAL = 6
USUAL_DAYS = 28
# With fewer days, the range would leave out too large a share of them.
DAYS_FOR_MOST = 7


@dataclass(frozen=True)
class Day:
    """One local day. `value` is `None` without a measurement of the metric."""

    day: date
    value: float | None
    counts: Counts

    @property
    def sessions(self) -> int:
        """The number of sessions of any kind."""
        return self.counts.sessions


@dataclass(frozen=True)
class Range:
    """A range of a person's own values, from `low` to `high`."""

    low: float
    high: float


class Calendar:
    """Sessions by local day, grouped once for the figures of a page; `counts` of each day."""

    def __init__(self, rows: Iterable[Measured], first: date, last: date) -> None:
        self._groups = by_day(rows, first, last)
        self.counts = {day: counts_of(group) for day, group in self._groups.items()}

    def days(self, key: str, first: date, last: date) -> list[Day]:
        """Return a `Day` of the metric for each day of the range, which the calendar includes."""
        return [
            Day(day, value_of(self._groups[day], key), self.counts[day])
            for day in each_day(first, last)
        ]

    def sessions(self, first: date, last: date) -> list[Measured]:
        """Return the sessions of the range."""
        return [each for day in each_day(first, last) for each in self._groups[day]]


def day_values(rows: Iterable[Measured], key: str, first: date, last: date) -> list[Day]:
    """Return one `Day` for each day of the range, including days without a session."""
    return Calendar(rows, first, last).days(key, first, last)


def known(days: Iterable[Day]) -> list[float]:
    """Return the values of the days that have one."""
    return [day.value for day in days if day.value is not None]


def most_days(rows: Iterable[Measured], key: str, before: date) -> Range | None:
    """Return the range that holds most of a person's days: the 10th to 90th percentile.

    Covers the four weeks before a day. `None` where too few days have a value.
    """
    days = day_values(rows, key, before - timedelta(days=USUAL_DAYS), before - timedelta(days=1))
    values = known(days)
    if len(values) < DAYS_FOR_MOST:
        return None
    deciles = quantiles(values, n=10, method="inclusive")
    return Range(deciles[0], deciles[-1])


def usual(rows: Iterable[Measured], key: str, before: date) -> Range | None:
    """Return a person's usual range: the middle half of the sessions of four weeks before a day.

    A quarter of the sessions lies below it, a quarter above. `None` with too few sessions.
    """
    first = before - timedelta(days=USUAL_DAYS)
    values = of_long_enough((row for row in rows if first <= row.day < before), key)
    if len(values) < SESSIONS_FOR_USUAL:
        return None
    low, _, high = quantiles(values, n=4)
    return Range(low, high)
