"""What was measured before and after a note, as text."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from server.common.words import short_day, signed
from server.dashboard.metrics import LONG_CLOSURES, METRICS, Metric, Text
from server.notes.before_after import JUDGED, Compared, Side, Window
from server.notes.measured import BeforeAfter

BY_KEY = {metric.key: metric for metric in METRICS}


@dataclass(frozen=True)
class Cell:
    """One side of a row: the median, and from how many days and sessions."""

    value: str | None
    count: str


@dataclass(frozen=True)
class Row:
    """One metric."""

    metric: Metric
    unit: Text
    before: Cell
    after: Cell
    difference: str | None
    verdict: str


def days_words(window: Window | None) -> str:
    """Return the days of a side, such as `"1 Nov to 14 Nov"`."""
    if window is None:
        return _("no days")
    words = {"first": short_day(window.first), "last": short_day(window.last)}
    return _("%(first)s to %(last)s") % words if window.first != window.last else words["first"]


def rows_of(found: BeforeAfter) -> Sequence[Row]:
    """Return a row for each metric."""
    return [_row(each, found.least_days) for each in found.metrics]


def _row(each: Compared, least_days: int) -> Row:
    metric = BY_KEY[each.key]
    difference = None
    if each.difference is not None:
        difference = signed(each.difference * metric.scale, metric.decimals)
    return Row(
        metric=metric,
        unit=_("per day") if metric is LONG_CLOSURES else metric.unit,
        before=_cell(metric, each.before),
        after=_cell(metric, each.after),
        difference=difference,
        verdict=_verdict(metric, each, least_days),
    )


def _cell(metric: Metric, side: Side) -> Cell:
    days = ngettext("%(n)d day", "%(n)d days", side.days) % {"n": side.days}
    sessions = ngettext("%(n)d session", "%(n)d sessions", side.sessions) % {"n": side.sessions}
    return Cell(metric.formatted(side.median), f"{days}, {sessions}")


def _verdict(metric: Metric, each: Compared, least_days: int) -> str:
    if each.difference is None:
        text = _("Not enough: each side needs values on at least %(n)d days.")
        return text % {"n": least_days}
    if each.key not in JUDGED:
        return _("Not judged: the number depends on how long was measured.")
    if each.larger is None:
        return _("Not enough days before it to know this person's own spread.")
    words = {"least": metric.formatted(each.least) or ""}
    if each.larger:
        return _("Larger than this person's own spread (%(least)s).") % words
    return _("Within this person's own spread (%(least)s).") % words
