"""The figures of a person's page: each metric over a period, with its chart and its table."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from server.common.words import clock, short_day, signed, weekday, weekday_and_day
from server.dashboard.charts import (
    Bar,
    Dot,
    Frame,
    Sign,
    bars,
    dots_and_line,
    gaps_between,
)
from server.dashboard.days import Calendar, Day, Range, known, usual
from server.dashboard.history import Period
from server.dashboard.metrics import BLINK_RATE, COVERAGE, EAR, LONG_CLOSURES, PERCLOS, Metric, Text
from server.dashboard.overview import usual_words
from server.dashboard.rows import SessionRow
from server.session_data.activity.words import name_of
from server.session_data.summary.alike import activities_of, of_activity
from server.session_data.summary.statistics import (
    Counts,
    Measured,
    Spread,
    change,
    each_day,
    least_days,
    spread_of,
)

# Up to so many sessions of a period are points with their own text and link. The points of more
# would lie on each other; they are drawn in the column of their day, which links to them.
MOST_POINTS = 120
FIGURES = (BLINK_RATE, EAR, PERCLOS, LONG_CLOSURES, COVERAGE)
# The values of their days are sums and shares, with no usual range.
SUMS = (LONG_CLOSURES, COVERAGE)


@dataclass(frozen=True)
class Said:
    """A day's name, and how many of its sessions have marks."""

    name: str
    about: str


@dataclass(frozen=True)
class Point:
    """A session in the charts: its place from left to right, its time, its marks and its page."""

    x: float
    when: str
    marks: tuple[str, ...]
    href: str
    values: Mapping[str, float | None]


@dataclass(frozen=True)
class DayLine:
    """A row of the table next to a chart."""

    day: str
    query: str
    value: str | None
    sessions: int
    about: str


@dataclass(frozen=True)
class Figure:
    """One metric over a period: its value, the change, the chart, the table.

    `kinds` are the kinds of dots in the chart: sessions, and the marks of some of them. `signs` are
    the kinds of symbols of notes. `alike` has a line for each activity that both periods have
    enough days of. `mixed` is whether the sessions are of several kinds.
    """

    metric: Metric
    unit: Text
    value: str | None
    change: str
    alike: Sequence[str]
    mixed: bool
    usual: str | None
    kinds: frozenset[str]
    has_gaps: bool
    signs: Sequence[str]
    chart: SafeString | None
    lines: Sequence[DayLine]


def figures(
    measured: Sequence[Measured],
    shown: Sequence[SessionRow],
    period: Period,
    signs: Sequence[Sign] = (),
) -> list[Figure]:
    """Return the figures of a period.

    `measured` also cover the previous period and the usual range. `shown` are the period's sessions
    that are points with a link; without them, its sessions are drawn in the columns of their days.
    `signs` are the period's notes.
    """
    calendar = Calendar(measured, period.reach, period.last)
    said = {
        day: Said(weekday_and_day(day), _kinds(calendar.counts[day]))
        for day in each_day(period.first, period.last)
    }
    points = [_point(row, period.first) for row in shown]
    by_activity = {
        name: Calendar(of_activity(measured, name), period.reach, period.last)
        for name in (() if period.activity else activities_of(measured))
    }
    return [
        figure(metric, calendar, points, period, said, by_activity, signs) for metric in FIGURES
    ]


def figure(
    metric: Metric,
    calendar: Calendar,
    points: Sequence[Point],
    period: Period,
    said: Mapping[date, Said],
    by_activity: Mapping[str, Calendar],
    signs: Sequence[Sign] = (),
) -> Figure:
    """Return the figure of one metric over the period; `said` are the words on its days."""
    days = calendar.days(metric.key, period.first, period.last)
    before = calendar.days(metric.key, period.before.first, period.before.last)
    now, of_days = spread_of(known(days)), metric is LONG_CLOSURES
    lines = [_day_line(metric, day, said[day.day], period) for day in days]
    span = None
    if metric not in SUMS:
        weeks = calendar.sessions(period.reach, period.last - timedelta(days=1))
        span = usual(weeks, metric.key, period.last)
    dots = [] if of_days else _dots(metric, points)
    cloud = [] if of_days or points else _cloud(metric, calendar, period)
    unit = _("per day") if of_days else metric.unit
    return Figure(
        metric=metric,
        unit=unit,
        value=metric.formatted(now.middle),
        change=change_words(metric, spread_of(known(before)), now, period.days),
        alike=[] if metric in SUMS else _alike(metric, by_activity, period),
        mixed=bool(by_activity),
        usual=usual_words(metric, span),
        kinds=_kinds_of(dots, cloud),
        has_gaps=any(day.value is None for day in days),
        signs=sorted({sign.kind for sign in signs}),
        chart=_chart(metric, days, lines, dots, cloud, span, signs),
        lines=lines[::-1],
    )


def _alike(metric: Metric, by_activity: Mapping[str, Calendar], period: Period) -> list[str]:
    """Return each activity's median and its change, if both periods have enough days of it."""
    found = []
    for name, calendar in by_activity.items():
        now, before = (
            spread_of(known(calendar.days(metric.key, each.first, each.last)))
            for each in (period, period.before)
        )
        if change(before, now, period.days).absolute is not None:
            value = f"{metric.formatted(now.middle)} {metric.unit}".strip()
            words = change_words(metric, before, now, period.days)
            found.append(f"{name_of(name)}: {value}. {words}")
    return found


def _kinds_of(dots: Sequence[Dot], cloud: Sequence[tuple[float, float]]) -> frozenset[str]:
    """Return which kinds of dots the chart has, for its key."""
    return frozenset(
        {*(mark for dot in dots for mark in dot.marks), *(["session"] if dots or cloud else [])}
    )


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


def _day_line(metric: Metric, day: Day, said: Said, period: Period) -> DayLine:
    query = period.of_day(day.day) if day.sessions else ""
    return DayLine(said.name, query, metric.formatted(day.value), day.sessions, said.about)


def _kinds(counts: Counts) -> str:
    """Count the sessions with marks, such as `"1 short, 1 with uncertain date"`."""
    said = []
    if counts.short:
        said.append(_("%(n)d short") % {"n": counts.short})
    if counts.uncertain:
        said.append(_("%(n)d with an uncertain date") % {"n": counts.uncertain})
    if counts.interrupted:
        said.append(_("%(n)d interrupted") % {"n": counts.interrupted})
    return ", ".join(said)


# The full scale for a share; steps of one for a count.
_LEAST_TOP = {COVERAGE.key: 100, LONG_CLOSURES.key: 4}


def ear_axis(values: Sequence[float]) -> tuple[float, float]:
    """Return bottom and top of an EAR axis: around the values, at least 0.1 high.

    It does not start at zero: an open eye is near 0.3, and differences of 0.01 matter.
    """
    bottom = math.floor(min(values) * 20 - 0.5) / 20
    return max(bottom, 0), max(*values, bottom + 0.1)


def _chart(
    metric: Metric,
    days: Sequence[Day],
    lines: Sequence[DayLine],
    dots: Sequence[Dot],
    cloud: Sequence[tuple[float, float]],
    span: Range | None,
    signs: Sequence[Sign],
) -> SafeString | None:
    """Return the chart of a metric; `None` without any measurement."""
    unit = "" if metric is LONG_CLOSURES else f" {metric.unit}"
    line = _day_dots(metric, days, lines, unit)
    heights = [dot.y for dot in (*dots, *line) if dot.y is not None] + [y for _x, y in cloud]
    if not heights:
        return None
    band = (span.low * metric.scale, span.high * metric.scale) if span else None
    inside = [*heights, *(band or ()), _LEAST_TOP.get(metric.key, 0)]
    bottom, top = ear_axis(inside[:-1]) if metric is EAR else (0, max(inside))
    big = metric is BLINK_RATE
    frame = Frame(
        metric.key,
        _label(metric, days),
        (0, len(days)),
        top,
        _ticks(days),
        bottom,
        big=big,
        first=days[0].day,
    )
    if metric is LONG_CLOSURES:
        return bars(frame, [_day_bar(n, dot) for n, dot in enumerate(line)], signs)
    gaps = gaps_between([day.value for day in days])
    return dots_and_line(
        frame, dots=dots, line=line, cloud=cloud, band=band, gaps=gaps, signs=signs
    )


def _day_dots(
    metric: Metric, days: Sequence[Day], lines: Sequence[DayLine], unit: str
) -> list[Dot]:
    text, none, several = _("%(day)s: %(value)s"), _("no data"), _("%(n)d sessions")
    dots = []
    for n, (day, line) in enumerate(zip(days, lines, strict=True)):
        value = none if line.value is None else f"{line.value}{unit}"
        said = text % {"day": line.day, "value": value}
        if day.sessions > 1:
            said += f", {several % {'n': day.sessions}}"
        href = f"?{line.query}#sessions" if line.query else ""
        y = None if day.value is None else day.value * metric.scale
        dots.append(Dot(n + 0.5, y, said, (), href))
    return dots


def _day_bar(n: int, dot: Dot) -> Bar:
    return Bar(n, n + 1, dot.y, dot.text, (), dot.href)


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


def _dots(metric: Metric, points: Sequence[Point]) -> list[Dot]:
    unit = str(metric.unit)
    return [
        Dot(
            each.x,
            value * metric.scale,
            f"{each.when}: {metric.formatted(value)} {unit}",
            each.marks,
            each.href,
        )
        for each in points
        if (value := each.values.get(metric.key)) is not None
    ]


def _cloud(metric: Metric, calendar: Calendar, period: Period) -> list[tuple[float, float]]:
    """Return each session's value, in the middle of its day."""
    return [
        ((each.day - period.first).days + 0.5, value * metric.scale)
        for each in calendar.sessions(period.first, period.last)
        if (value := each.values.get(metric.key)) is not None
    ]


def _point(row: SessionRow, first: date) -> Point:
    return Point(
        x=_place(row, first),
        when=f"{weekday_and_day(row.placed_day)} {clock(row.placed_at, row.zone)}",
        marks=_dot_marks(row),
        href=reverse("dashboard:session", args=[row.id]),
        values=row.values,
    )


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
