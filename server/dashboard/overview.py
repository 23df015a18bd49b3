"""The page of people: for everybody one may see, today at a glance and the last session."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from server.care.models import Person
from server.dashboard import read
from server.dashboard.charts import sparkline
from server.dashboard.days import USUAL_DAYS, Range, day_values, usual
from server.dashboard.marks import Mark, marks_of
from server.dashboard.metrics import BLINK_RATE, PERCLOS, Metric
from server.dashboard.rows import SessionRow
from server.dashboard.words import clock, day_name, in_words, zone_words
from server.session_data.summary import median_of, total_of

SPARK_DAYS = 14


@dataclass(frozen=True)
class Glance:
    """One number of today, `None` where today has none; `usual` says what it mostly is."""

    metric: Metric
    value: str | None
    usual: str | None


@dataclass(frozen=True)
class Card:
    """One person on the page of people."""

    person: Person
    is_you: bool
    zone: str
    last: SessionRow | None
    last_words: str
    marks: Sequence[Mark]
    measured: str | None
    sessions: int
    glances: Sequence[Glance]
    spark: SafeString | None


def cards(
    viewer: Person, people: Sequence[Person], now: datetime, given: read.Given | None = None
) -> list[Card]:
    """A card for each of `people`, those under way first, then by name; the viewer last."""
    # A day more than needed: it is still yesterday somewhere.
    rows = read.recent_rows(people, now.date() - timedelta(days=USUAL_DAYS + 1), given)
    last = read.last_rows(people, given)
    made = [
        card(viewer, person, rows.get(person.pk, []), last.get(person.pk), now) for person in people
    ]
    return sorted(
        made, key=lambda each: (each.is_you, not _under_way(each), each.person.label.lower())
    )


def card(
    viewer: Person,
    person: Person,
    rows: Sequence[SessionRow],
    last: SessionRow | None,
    now: datetime,
) -> Card:
    """One person's card, from the sessions of the last weeks."""
    zone = read.zone_of_person(person)
    today = now.astimezone(zone).date()
    of_today = [row for row in rows if row.day == today]
    measured = total_of(of_today, "valid_s")
    return Card(
        person=person,
        is_you=person == viewer,
        zone=zone_words(zone, now),
        last=last,
        last_words=last_words(last, today) if last else _("No session yet."),
        marks=marks_of(last, now) if last else (),
        measured=None if measured is None else in_words(measured),
        sessions=len(of_today),
        glances=[glance(metric, of_today, rows, today) for metric in (BLINK_RATE, PERCLOS)],
        spark=_spark(rows, today),
    )


def glance(
    metric: Metric, of_today: Sequence[SessionRow], rows: Sequence[SessionRow], today: date
) -> Glance:
    """Today's median of a metric, beside the middle half of the four weeks before."""
    value = metric.shown(median_of(of_today, metric.key))
    return Glance(metric, value, usual_words(metric, usual(rows, metric.key, today)))


def usual_words(metric: Metric, span: Range | None) -> str | None:
    """`"12.1 to 16.0"`, or `None` where there is too little to say."""
    if span is None:
        return None
    return _("%(low)s to %(high)s") % {
        "low": metric.shown(span.low),
        "high": metric.shown(span.high),
    }


def last_words(row: SessionRow, today: date) -> str:
    """`"Last session today at 10:15, 5 min 0 s"`."""
    words = {"day": day_name(row.day, today), "clock": clock(row.placed_at, row.zone)}
    if row.active and row.day == today:
        return _("In a session since %(clock)s") % words
    if row.active:
        return _("In a session since %(day)s, %(clock)s") % words
    length = row.values.get("duration_s")
    if length is None:
        return _("Last session %(day)s at %(clock)s") % words
    words["length"] = in_words(length)
    return _("Last session %(day)s at %(clock)s, %(length)s") % words


def _under_way(each: Card) -> bool:
    return each.last is not None and each.last.active


def _spark(rows: Sequence[SessionRow], today: date) -> SafeString | None:
    days = day_values(rows, BLINK_RATE.key, today - timedelta(days=SPARK_DAYS - 1), today)
    values = [day.value for day in days]
    known = [value for value in values if value is not None]
    if not known:
        return None
    span = usual(rows, BLINK_RATE.key, today)
    label = _("Blink rate of the last %(days)d days, between %(low)s and %(high)s a minute") % {
        "days": SPARK_DAYS,
        "low": BLINK_RATE.shown(min(known)),
        "high": BLINK_RATE.shown(max(known)),
    }
    return sparkline(label, values, (span.low, span.high) if span else None)
