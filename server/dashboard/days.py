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
    """The middle half of a person's own sessions: a quarter below `low`, a quarter above `high`."""

    low: float
    high: float


def day_values(rows: Iterable[SessionRow], key: str, first: date, last: date) -> list[Day]:
    """One `Day` for each day of the range, also for those without a session."""
    groups = by_day(rows, first, last)
    return [Day(day, value_of(group, key), counts_of(group)) for day, group in groups.items()]


def known(days: Iterable[Day]) -> list[float]:
    """The values of those days that have one."""
    return [day.value for day in days if day.value is not None]


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
