"""A person's sessions by local day, and the usual range.

The values of a day come from `session_data/summary`, for both the pages and the API.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from server.session_data.summary import usual as definition
from server.session_data.summary.statistics import (
    Counts,
    Measured,
    by_day,
    counts_of,
    each_day,
    value_of,
)
from server.session_data.summary.usual import USUAL_DAYS, Range

__all__ = ["USUAL_DAYS", "Day", "Range", "day_values", "known", "usual"]


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


def usual(rows: Iterable[Measured], key: str, before: date) -> Range | None:
    """Return a person's usual range before a day, as alerts use it. `None` with too few days."""
    return definition.usual(rows, key, before).range()
