"""A person's sessions by local day, and what is usual for them.

What a day says is decided in `session_data/summary.py`, for the pages as for the API.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import quantiles

from server.dashboard.rows import SessionRow
from server.session_data.summary.statistics import (
    Counts,
    by_day,
    counts_of,
    of_long_enough,
    value_of,
)

# Fewer sessions than this don't show what is usual: quartiles of four numbers are three of them.
SESSIONS_FOR_USUAL = 6
USUAL_DAYS = 28
# With fewer days the outer two may already be a third of them.
DAYS_FOR_MOST = 7


@dataclass(frozen=True)
class Day:
    """One local day. `value` is `None` where that day measured nothing of the kind."""

    day: date
    value: float | None
    counts: Counts

    @property
    def sessions(self) -> int:
        """How many there were, of whatever kind."""
        return self.counts.sessions


@dataclass(frozen=True)
class Range:
    """A range of a person's own values, from `low` to `high`."""

    low: float
    high: float


def day_values(rows: Iterable[SessionRow], key: str, first: date, last: date) -> list[Day]:
    """One `Day` for each day of the range, also for those without a session."""
    groups = by_day(rows, first, last)
    return [Day(day, value_of(group, key), counts_of(group)) for day, group in groups.items()]


def known(days: Iterable[Day]) -> list[float]:
    """The values of those days that have one."""
    return [day.value for day in days if day.value is not None]


def most_days(rows: Iterable[SessionRow], key: str, before: date) -> Range | None:
    """Return the range that holds most of a person's days: the 10th to 90th percentile.

    Covers the four weeks before a day. `None` where too few days have a value.
    """
    days = day_values(rows, key, before - timedelta(days=USUAL_DAYS), before - timedelta(days=1))
    values = known(days)
    if len(values) < DAYS_FOR_MOST:
        return None
    deciles = quantiles(values, n=10, method="inclusive")
    return Range(deciles[0], deciles[-1])


def usual(rows: Iterable[SessionRow], key: str, before: date) -> Range | None:
    """What is usual for this person: the middle half of the sessions of four weeks before a day.

    `None` where there are too few to say.
    """
    first = before - timedelta(days=USUAL_DAYS)
    values = of_long_enough((row for row in rows if first <= row.day < before), key)
    if len(values) < SESSIONS_FOR_USUAL:
        return None
    low, _, high = quantiles(values, n=4)
    return Range(low, high)
