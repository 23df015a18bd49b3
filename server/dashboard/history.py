"""One person's page: figures over 7, 30 or 90 days with tables, and the list of sessions."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby

from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from server.common.words import (
    clock,
    in_words,
    long_day,
    short_day,
    signed,
    weekday,
    weekday_and_day,
)
from server.dashboard.charts import (
    NARROW,
    SMALL,
    WIDE,
    Bar,
    Dot,
    Frame,
    Size,
    bars,
    dots_and_line,
    gaps_between,
)
from server.dashboard.days import Day, Range, day_values, known, usual
from server.dashboard.marks import Mark, marks_of
from server.dashboard.metrics import BLINK_RATE, COVERAGE, EAR, LONG_CLOSURES, PERCLOS, Metric, Text
from server.dashboard.overview import usual_words
from server.dashboard.rows import SessionRow
from server.session_data.summary.statistics import Counts, Spread, change, least_days, spread_of

RANGES = (7, 30, 90)
DEFAULT_RANGE = 30
# More single sessions than this add nothing to the daily values and make the page heavy.
MOST_DOTS = 400
FIGURES = (BLINK_RATE, EAR, PERCLOS, LONG_CLOSURES, COVERAGE)


@dataclass(frozen=True)
class Period:
    """A period of `days` local days that ends with `last`, at the latest `today`."""

    days: int
    last: date
    today: date

    @property
    def first(self) -> date:
        """The first day."""
        return self.last - timedelta(days=self.days - 1)

    def __contains__(self, day: date) -> bool:
        return self.first <= day <= self.last

    @property
    def before(self) -> "Period":
        """The previous period of the same length."""
        return Period(self.days, self.first - timedelta(days=1), self.today)

    @property
    def after(self) -> "Period | None":
        """The next period, ending today at the latest; `None` if this one ends today."""
        if self.last >= self.today:
            return None
        return Period(self.days, min(self.last + timedelta(days=self.days), self.today), self.today)

    @property
    def words(self) -> str:
        """Both days, such as `"24 Oct to 22 Nov"`, with the year unless it is the current one."""
        words = long_day if self.first.year != self.today.year else short_day
        return _("%(first)s to %(last)s") % {"first": words(self.first), "last": words(self.last)}

    @property
    def query(self) -> str:
        """The query string of the period's page."""
        until = "" if self.last == self.today else f"&until={self.last.isoformat()}"
        return f"days={self.days}{until}"

    @property
    def export_query(self) -> str:
        """The query string of the export of the same days."""
        return f"from={self.first.isoformat()}&to={self.last.isoformat()}"


def period_of(days: str, until: str, today: date) -> Period:
    """Return the period of a query string. Invalid values count as missing."""
    length = int(days) if days in {str(each) for each in RANGES} else DEFAULT_RANGE
    try:
        last = min(date.fromisoformat(until), today)
    except ValueError:
        last = today
    # There are no older measurements, and `date` has a minimum.
    return Period(length, max(last, date(2000, 1, 1)), today)


@dataclass(frozen=True)
class DayLine:
    """A row of the table next to a chart."""

    day: str
    value: str | None
    sessions: int
    about: str


@dataclass(frozen=True)
class Figure:
    """One metric over a period: its value, the change, the chart in its sizes, the table.

    `middle` is the range of the middle half of the days. `kinds` are the kinds of dots in the
    chart: sessions, and the marks of some of them.
    """

    metric: Metric
    unit: Text
    value: str | None
    middle: str | None
    change: str
    usual: str | None
    kinds: frozenset[str]
    has_gaps: bool
    charts: Sequence[SafeString]
    lines: Sequence[DayLine]


@dataclass(frozen=True)
class Line:
    """One session in the list."""

    row: SessionRow
    time: str
    marks: Sequence[Mark]
    length: str | None
    cells: Sequence[tuple[Metric, str | None]]


@dataclass(frozen=True)
class DayGroup:
    """The sessions of one local day."""

    day: str
    lines: Sequence[Line]


def figures(rows: Sequence[SessionRow], period: Period) -> list[Figure]:
    """Return the figures of a period. `rows` also cover the previous period and the usual range."""
    return [figure(metric, rows, period) for metric in FIGURES]


def figure(metric: Metric, rows: Sequence[SessionRow], period: Period) -> Figure:
    """Return the figure of one metric over the period."""
    days = day_values(rows, metric.key, period.first, period.last)
    before = day_values(rows, metric.key, period.before.first, period.before.last)
    now = spread_of(known(days))
    # Metrics aggregated over a day have no usual range of single sessions.
    span = None if metric in (LONG_CLOSURES, COVERAGE) else usual(rows, metric.key, period.first)
    of_days = metric is LONG_CLOSURES
    shown = [] if of_days else [row for row in rows if row.day in period]
    dots = _dots(metric, shown, period.first) if len(shown) <= MOST_DOTS else []
    return Figure(
        metric=metric,
        unit=_("per day") if of_days else metric.unit,
        value=metric.formatted(now.middle),
        middle=_middle(metric, now),
        change=change_words(metric, spread_of(known(before)), now, period.days),
        usual=usual_words(metric, span),
        kinds=frozenset({"session", *(mark for dot in dots for mark in dot.marks)} if dots else ()),
        has_gaps=any(day.value is None for day in days),
        charts=_charts(metric, dots, days, span),
        lines=[_day_line(metric, day) for day in days[::-1]],
    )


def _middle(metric: Metric, spread: Spread) -> str | None:
    if spread.low is None or spread.high is None:
        return None
    return usual_words(metric, Range(spread.low, spread.high))


def change_words(metric: Metric, before: Spread, now: Spread, days: int) -> str:
    """Return how the median differs from the previous period's, or why it can't be compared."""
    words: dict[str, object] = {"n": days, "before": metric.formatted(before.middle)}
    if now.middle is None:
        return ""
    if before.middle is None:
        return _("No data from the previous %(n)d days.") % words
    found = change(before, now, days)
    if found.absolute is None:
        text = _(
            "Previous %(n)d days: %(before)s. A comparison needs measurements on at "
            "least %(least)d days of each period."
        )
        return text % (words | {"least": least_days(days)})
    changed = round(found.absolute * metric.scale, metric.decimals)
    if not changed:
        return _("Same as in the previous %(n)d days.") % words
    words["change"] = signed(changed, metric.decimals)
    return _changed_words(metric, words, round((found.relative or 0) * 100))


def _changed_words(metric: Metric, words: dict[str, object], ratio: int) -> str:
    if metric.scale != 1 or not ratio:  # a percentage of a percentage would confuse
        return _("%(change)s compared with the previous %(n)d days (%(before)s).") % words
    text = _("%(change)s (%(ratio)s %%) compared with the previous %(n)d days (%(before)s).")
    return text % (words | {"ratio": signed(ratio, 0)})


def _day_line(metric: Metric, day: Day) -> DayLine:
    return DayLine(
        weekday_and_day(day.day), metric.formatted(day.value), day.sessions, _kinds(day.counts)
    )


def _kinds(counts: Counts) -> str:
    """Count the sessions with marks, such as `"1 short, 1 with uncertain date"`."""
    said = [
        (counts.short, _("%(n)d short")),
        (counts.uncertain, _("%(n)d with an uncertain date")),
        (counts.interrupted, _("%(n)d interrupted")),
    ]
    return ", ".join(words % {"n": n} for n, words in said if n)


def sessions_by_day(rows: Sequence[SessionRow], now: datetime) -> list[DayGroup]:
    """Group sessions, newest first, by the day to which they belong."""
    return [
        DayGroup(weekday_and_day(day), [_line(row, now) for row in group])
        for day, group in groupby(rows, key=lambda row: row.day)
    ]


def _line(row: SessionRow, now: datetime) -> Line:
    length = row.values.get("duration_s")
    shown = (BLINK_RATE, LONG_CLOSURES, PERCLOS, COVERAGE)
    return Line(
        row=row,
        time=time_span(row),
        marks=marks_of(row, now),
        length=None if length is None else in_words(length),
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


# The full scale for a share; steps of one for a count.
_LEAST_TOP = {COVERAGE.key: 100, LONG_CLOSURES.key: 4}


def ear_axis(values: Sequence[float]) -> tuple[float, float]:
    """Return bottom and top of an EAR axis: around the values, at least 0.1 high.

    It does not start at zero: an open eye is near 0.3, and differences of 0.01 matter.
    """
    bottom = math.floor(min(values) * 20 - 0.5) / 20
    return max(bottom, 0), max(*values, bottom + 0.1)


def _charts(
    metric: Metric, dots: Sequence[Dot], days: Sequence[Day], span: Range | None
) -> list[SafeString]:
    line = [
        (n + 0.5, None if d.value is None else d.value * metric.scale) for n, d in enumerate(days)
    ]
    heights = [dot.y for dot in dots] + [y for _x, y in line if y is not None]
    if not heights:
        return []
    band = (span.low * metric.scale, span.high * metric.scale) if span else None
    inside = [*heights, *(band or ()), _LEAST_TOP.get(metric.key, 0)]
    bottom, top = ear_axis(inside[:-1]) if metric is EAR else (0, max(inside))
    frame = Frame(_label(metric, days), (0, len(days)), top, _ticks(days), bottom)
    if metric is LONG_CLOSURES:
        return [bars(frame, SMALL, [_day_bar(n, day) for n, day in enumerate(days)])]
    sizes: tuple[Size, ...] = (WIDE, NARROW) if metric is BLINK_RATE else (SMALL,)
    gaps = gaps_between([day.value for day in days])
    return [
        dots_and_line(frame, size, dots=dots, line=line, band=band, gaps=gaps) for size in sizes
    ]


def _day_bar(n: int, day: Day) -> Bar:
    text = _("%(day)s: %(value)s") % {
        "day": weekday_and_day(day.day),
        "value": _("no data") if day.value is None else f"{day.value:.0f}",
    }
    return Bar(n, n + 1, day.value, text)


def _label(metric: Metric, days: Sequence[Day]) -> str:
    values = known(days)
    words = {"name": metric.name, "first": short_day(days[0].day), "last": short_day(days[-1].day)}
    if not values:
        return _("%(name)s from %(first)s to %(last)s, by day.") % words
    words |= {
        "low": metric.formatted(min(values)) or "",
        "high": metric.formatted(max(values)) or "",
    }
    words |= {"n": str(len(values)), "all": str(len(days))}
    return (
        _(
            "%(name)s from %(first)s to %(last)s, by day: between %(low)s and %(high)s, on %(n)s "
            "of %(all)s days. The table has every day."
        )
        % words
    )


def _dots(metric: Metric, rows: Sequence[SessionRow], first: date) -> list[Dot]:
    return [
        _dot(metric, row, value, first)
        for row in rows
        if (value := row.values.get(metric.key)) is not None
    ]


def _dot(metric: Metric, row: SessionRow, value: float, first: date) -> Dot:
    when = f"{weekday_and_day(row.placed_day)} {clock(row.placed_at, row.zone)}"
    text = f"{when}: {metric.formatted(value)} {metric.unit}"
    return Dot(_place(row, first), value * metric.scale, text, _dot_marks(row))


def _place(row: SessionRow, first: date) -> float:
    """Return the position on the axis in days since `first`, within the session's own day."""
    end = None if row.date_uncertain else row.ended_at
    told = [each.astimezone(row.zone) for each in (end, row.placed_at) if each]
    moment = next((each for each in told if each.date() == row.day), told[-1])
    return (row.day - first).days + (moment.hour + moment.minute / 60) / 24


def _dot_marks(row: SessionRow) -> tuple[str, ...]:
    marks = {"short": row.short, "uncertain": row.date_uncertain}
    return tuple(name for name, holds in marks.items() if holds)


def _ticks(days: Sequence[Day]) -> list[tuple[float, str]]:
    if len(days) <= 7:
        return [(n + 0.5, weekday(each.day)) for n, each in enumerate(days)]
    mondays = [(n, each.day) for n, each in enumerate(days) if each.day.weekday() == 0]
    return [(n + 0.5, short_day(day)) for n, day in mondays]
