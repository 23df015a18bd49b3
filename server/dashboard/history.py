"""The period of a person's page, and its list of sessions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import groupby

from django.utils.translation import gettext as _

from server.care.models import Person
from server.common.words import (
    clock,
    in_words,
    long_day,
    short_day,
    weekday_and_day,
)
from server.dashboard import read
from server.dashboard.days import USUAL_DAYS
from server.dashboard.marks import Mark, marks_of
from server.dashboard.metrics import BLINK_RATE, COVERAGE, LONG_CLOSURES, PERCLOS, Metric
from server.dashboard.rows import SessionRow
from server.session_data.activity.words import name_of
from server.session_data.filters import ACTIVITIES_OR_NONE, NO_ACTIVITY
from server.session_data.models import ACTIVITIES
from server.session_data.summary.statistics import Measured

RANGES = (7, 30, 90)
DEFAULT_RANGE = 30
# The longest chosen span. Its page reads as many days again, to compare with.
MOST_DAYS = 366
# There are no older measurements, and `date` has a minimum.
FIRST_DAY = date(2000, 1, 1)


@dataclass(frozen=True)
class Period:
    """A period of `days` local days that ends with `last`, at the latest `today`.

    `activity` is that of the sessions shown; empty for all. `chosen` is whether its first and last
    day were chosen, so that the page offers the way back.
    """

    days: int
    last: date
    today: date
    activity: str = ""
    chosen: bool = False

    @property
    def first(self) -> date:
        """The first day."""
        return self.last - timedelta(days=self.days - 1)

    def __contains__(self, day: date) -> bool:
        return self.first <= day <= self.last

    @property
    def before(self) -> "Period":
        """The previous period of the same length."""
        return replace(self, last=self.first - timedelta(days=1))

    @property
    def after(self) -> "Period | None":
        """The next period, ending today at the latest; `None` if this one ends today."""
        if self.last >= self.today:
            return None
        return replace(self, last=min(self.last + timedelta(days=self.days), self.today))

    @property
    def words(self) -> str:
        """Both days, such as `"24 Oct to 22 Nov"`, with the year unless it is the current one."""
        words = long_day if self.first.year != self.today.year else short_day
        return _("%(first)s to %(last)s") % {"first": words(self.first), "last": words(self.last)}

    @property
    def query(self) -> str:
        """The query string of the period's page."""
        activity = f"&activity={self.activity}" if self.activity else ""
        if self.chosen:
            return f"{self.export_query}{activity}"
        until = "" if self.last == self.today else f"&until={self.last.isoformat()}"
        return f"days={self.days}{until}{activity}"

    @property
    def whole(self) -> "Period | None":
        """The shortest usual period around a chosen one, to go back to; `None` if not chosen."""
        if not self.chosen:
            return None
        reach = (self.today - self.first).days + 1
        days = next((days for days in RANGES if days >= max(reach, self.days + 1)), RANGES[-1])
        return replace(
            self, days=days, last=self.today if reach <= days else self.last, chosen=False
        )

    @property
    def reach(self) -> date:
        """The first day that the figures need: of the previous period or the usual range."""
        return self.first - timedelta(days=max(self.days, USUAL_DAYS))

    def of_day(self, day: date) -> str:
        """The query string of the period's page, with the list of that day's sessions."""
        return f"{self.query}&day={day.isoformat()}"

    @property
    def export_query(self) -> str:
        """The query string of the export of the same days."""
        return f"from={self.first.isoformat()}&to={self.last.isoformat()}"


def day_of(text: str, period: Period) -> date | None:
    """Return the day of a query string, if it is one of the period."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if day in period else None


def period_of(days: str, until: str, today: date, activity: str = "") -> Period:
    """Return the period of a query string. Invalid values count as missing."""
    length = int(days) if days in {str(each) for each in RANGES} else DEFAULT_RANGE
    try:
        last = min(date.fromisoformat(until), today)
    except ValueError:
        last = today
    known = activity if activity in ACTIVITIES_OR_NONE else ""
    return Period(length, max(last, FIRST_DAY), today, known)


def period_asked(asked: Mapping[str, str], today: date) -> Period:
    """Return the period of a query string: `from` and `to`, or else `days` and `until`.

    Days in the wrong order are swapped. A span ends today at the latest, and has at most
    `MOST_DAYS`: its newest.
    """
    days, until, activity = (asked.get(name, "") for name in ("days", "until", "activity"))
    usual = period_of(days, until, today, activity)
    try:
        ends = sorted(date.fromisoformat(asked.get(name, "")) for name in ("from", "to"))
    except ValueError:
        return usual
    first, last = (min(max(end, FIRST_DAY), today) for end in ends)
    days_chosen = min((last - first).days + 1, MOST_DAYS)
    return replace(usual, days=days_chosen, last=last, chosen=True)


@dataclass(frozen=True)
class Choice:
    """A link that shows only the sessions of one activity, or all."""

    name: str
    query: str
    chosen: bool


def choices(measured: Sequence[Measured], period: Period) -> list[Choice]:
    """Return links for the activities of these sessions; none if no session has an activity."""
    found = {each.activity for each in measured}
    names = [name for name in ACTIVITIES if name in found or name == period.activity]
    if not names and not period.activity:
        return []
    texts = {"": _("All"), **{name: name_of(name) for name in names}, NO_ACTIVITY: _("No activity")}
    return [
        Choice(text, replace(period, activity=name).query, name == period.activity)
        for name, text in texts.items()
    ]


@dataclass(frozen=True)
class Line:
    """One session in the list. `only_printed` is whether a screen leaves it out."""

    row: SessionRow
    time: str
    marks: Sequence[Mark]
    length: str | None
    activity: str
    cells: Sequence[tuple[Metric, str | None]]
    only_printed: bool = False


@dataclass(frozen=True)
class DayGroup:
    """The sessions of one local day."""

    day: str
    lines: Sequence[Line]

    @property
    def only_printed(self) -> bool:
        """Whether a screen leaves out all of them."""
        return all(line.only_printed for line in self.lines)


def sessions_by_day(
    rows: Sequence[SessionRow], now: datetime, printed: Sequence[SessionRow] = ()
) -> list[DayGroup]:
    """Group sessions, newest first, by the day to which they belong.

    `printed` are those after `rows` that only the printed page has.
    """
    lines = [_line(row, now) for row in rows]
    lines += [replace(_line(row, now), only_printed=True) for row in printed]
    return [
        DayGroup(weekday_and_day(day), list(group))
        for day, group in groupby(lines, key=lambda line: line.row.day)
    ]


def _line(row: SessionRow, now: datetime) -> Line:
    length = row.values.get("duration_s")
    shown = (BLINK_RATE, LONG_CLOSURES, PERCLOS, COVERAGE)
    return Line(
        row=row,
        time=time_span(row),
        marks=marks_of(row, now),
        length=None if length is None else in_words(length),
        activity=name_of(row.activity),
        cells=[(metric, metric.formatted(row.values.get(metric.key))) for metric in shown],
    )


def time_span(row: SessionRow) -> str:
    """Return start and end in the session's time zone, with the day if it began on an earlier one.

    For a session of uncertain date, return the time of its arrival.
    """
    if row.date_uncertain:
        return _("arrived %(clock)s") % {"clock": clock(row.received_at, row.zone)}
    start, end = clock(row.started_at, row.zone), row.ended_at
    if row.started_at.astimezone(row.zone).date() != row.day:
        start = f"{weekday_and_day(row.started_at.astimezone(row.zone).date())}, {start}"
    return start if end is None else f"{start} – {clock(end, row.zone)}"  # noqa: RUF001


# Links to yesterday's sessions on a person's page.
MOST_OF_YESTERDAY = 4


@dataclass(frozen=True)
class Yesterday:
    """Yesterday's newest sessions, oldest first. `query` is set if there are more of them."""

    lines: Sequence[tuple[SessionRow, str]]
    query: str


def yesterday(rows: Sequence[SessionRow], last: SessionRow | None, today: date) -> Yesterday | None:
    """Return links to yesterday's sessions, given newest first, unless `last` is the only one."""
    if not rows or (last and [row.id for row in rows] == [last.id]):
        return None
    more = len(rows) > MOST_OF_YESTERDAY
    query = Period(RANGES[0], today, today).of_day(today - timedelta(days=1)) if more else ""
    lines = [(row, clock(row.placed_at, row.zone)) for row in rows[:MOST_OF_YESTERDAY]]
    return Yesterday(lines[::-1], query)


def rows_of_yesterday(person: Person, today: date) -> list[SessionRow]:
    """Return as many of a person's sessions of yesterday as are needed to link them."""
    day = today - timedelta(days=1)
    return read.rows_between(person, day, day, MOST_OF_YESTERDAY + 1)
