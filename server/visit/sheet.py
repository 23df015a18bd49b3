"""The page for the doctor: what was measured in a span of days, and what speaks against it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from server.care.models import Person
from server.common.words import in_words, long_day
from server.dashboard import read
from server.dashboard.days import Calendar, known
from server.dashboard.figures import Figure, figures
from server.dashboard.history import Period
from server.dashboard.metrics import COVERAGE, LONG_CLOSURES, Metric, Text
from server.dashboard.noted.signs import signs_of
from server.notes.models import Note
from server.notes.rows import short_words
from server.notes.seen import of_days, shared_notes
from server.session_data.checks import LastCheck, last_checks
from server.session_data.summary.repeatability import repeatability
from server.session_data.summary.statistics import Counts, Measured, coverage_of, total_of

LOW_COVERAGE = 0.7
# Notes on the page, the newest, each cut to a line or two, so that it all fits on one sheet. The
# charts have a symbol for each day with one.
MOST_NOTES = 6
LONGEST_NOTE = 90
MOST_SIGNS = 200


class PlainPeriod(Period):
    """A period whose days have no page of their own: the charts get no links."""

    def of_day(self, day: date) -> str:  # noqa: ARG002
        """Return no query string."""
        return ""


@dataclass(frozen=True)
class Line:
    """One metric: its median over the days, its spread, its usual range, and a small chart."""

    metric: Metric
    unit: Text
    value: str | None
    days: int
    deviation: str | None
    difference: str | None
    usual: str | None
    change: str
    chart: SafeString | None


@dataclass(frozen=True)
class Sheet:
    """Everything on the page, as text in the reader's language."""

    person: Person
    period: Period
    made: str
    facts: Sequence[tuple[str, str]]
    lines: Sequence[Line]
    doubts: Sequence[str]
    checks: Sequence[LastCheck]
    notes: Sequence[str]
    more_notes: int


def sheet_of(person: Person, period: Period, now: datetime) -> Sheet:
    """Return a person's sheet for a period. Of the notes, it has only shared ones."""
    measured = read.measured_between(person, period.reach, period.last)
    mine = [each for each in measured if each.day in period]
    calendar = Calendar(measured, period.reach, period.last)
    plain = PlainPeriod(period.days, period.last, period.today)
    checks = last_checks(person, now)
    notes = _notes(person, period)
    signs = signs_of(notes, period.first, None)
    counts = [calendar.counts[day] for day in calendar.counts if day in period]
    return Sheet(
        person=person,
        period=period,
        made=long_day(now.astimezone(person.zone).date()),
        facts=_facts(mine, period),
        lines=[_line(figure, calendar, period) for figure in figures(measured, (), plain, signs)],
        doubts=_doubts(mine, counts, checks),
        checks=checks,
        notes=[_short(note) for note in notes[:MOST_NOTES]],
        more_notes=max(0, len(notes) - MOST_NOTES),
    )


def _notes(person: Person, period: Period) -> list[Note]:
    found = of_days(shared_notes(person), person, period.first, period.last)
    return list(found[:MOST_SIGNS])


def _short(note: Note) -> str:
    return Truncator(short_words(note)).chars(LONGEST_NOTE)


def _facts(mine: Sequence[Measured], period: Period) -> list[tuple[str, str]]:
    days = len({each.day for each in mine if not each.date_uncertain})
    sessions = ngettext("%(n)d session", "%(n)d sessions", len(mine)) % {"n": len(mine)}
    on = _("%(sessions)s on %(days)d of %(all)d days")
    told = [
        (_("Period"), period.words),
        (_("Sessions"), on % {"sessions": sessions, "days": days, "all": period.days}),
    ]
    if (seconds := total_of(mine, "valid_s")) is not None:
        told.append((_("Measured time"), in_words(seconds)))
    if (share := coverage_of(mine)) is not None:
        told.append((str(COVERAGE.name), f"{COVERAGE.formatted(share)} {COVERAGE.unit}"))
    return told


def _line(figure: Figure, calendar: Calendar, period: Period) -> Line:
    metric = figure.metric
    values = known(calendar.days(metric.key, period.first, period.last))
    spread = None if metric in (COVERAGE, LONG_CLOSURES) else repeatability(values)
    return Line(
        metric=metric,
        unit=figure.unit,
        value=figure.value,
        days=len(values),
        deviation=metric.formatted(spread.deviation) if spread else None,
        difference=metric.formatted(spread.difference) if spread else None,
        usual=figure.usual,
        change=figure.change,
        chart=figure.chart,
    )


def _doubts(
    mine: Sequence[Measured], counts: Sequence[Counts], checks: Sequence[LastCheck]
) -> list[str]:
    """Return what speaks against the numbers."""
    kinds = [
        ("short", _("%(n)d of %(all)d sessions are too short for the medians.")),
        ("uncertain", _("%(n)d of %(all)d sessions have an uncertain date and are left out.")),
        ("interrupted", _("%(n)d of %(all)d sessions were interrupted.")),
    ]
    sums = [(sum(getattr(each, kind) for each in counts), text) for kind, text in kinds]
    doubts = [text % {"n": n, "all": len(mine)} for n, text in sums if n]
    share = coverage_of(mine)
    if share is not None and share < LOW_COVERAGE:
        doubts.append(_("The eyes were visible for less than 70 % of the time."))
    if not checks:
        doubts.append(_("How well the device counts this person was not checked."))
    for check in checks:
        if check.doubt_words:
            told = {"device": check.device.label, "why": check.doubt_words}
            doubts.append(_("The check of %(device)s is %(why)s.") % told)
    return doubts
