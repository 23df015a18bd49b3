"""The overview: today's values and the last session of each visible person."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from server.care.models import Permission, Person
from server.common.words import clock, day_name, in_words
from server.dashboard import read
from server.dashboard.charts import sparkline
from server.dashboard.days import USUAL_DAYS, Range, day_values, most_days, usual
from server.dashboard.marks import Mark, marks_of
from server.dashboard.metrics import BLINK_RATE, PERCLOS, Metric
from server.dashboard.now import DeviceState, device_state, since_words
from server.dashboard.rows import SessionRow
from server.replica.reading import from_replica
from server.session_data.summary.statistics import median_of, total_of

SPARK_DAYS = 14


@dataclass(frozen=True)
class Glance:
    """Today's value of a metric, `None` without one; `usual` is the range of most days."""

    metric: Metric
    value: str | None
    usual: str | None


@dataclass(frozen=True)
class Days:
    """Today's values, with the weeks before."""

    measured: str | None
    sessions: int
    glances: Sequence[Glance]
    spark: SafeString | None


@dataclass(frozen=True)
class Card:
    """One person in the overview.

    `past` is `None` without permission to see the history. `live` (text, marks and session) and
    `devices` are empty without permission to see the live status.
    """

    person: Person
    is_you: bool
    today: date
    last: SessionRow | None
    last_words: str
    marks: Sequence[Mark]
    live: Sequence[tuple[str, Sequence[Mark], SessionRow]]
    devices: Sequence[DeviceState]
    past: Days | None


def cards(
    viewer: Person,
    people: Sequence[Person],
    given: Mapping[int, Collection[Permission]],
    now: datetime,
) -> list[Card]:
    """Return a card for each of `people`: running sessions first, then by name, the viewer last."""
    past = [each for each in people if Permission.HISTORY in given[each.pk]]
    live = [each for each in people if Permission.LIVE in given[each.pk]]
    # One day more, because in some time zones it is still yesterday.
    since = now.date() - timedelta(days=USUAL_DAYS + 1)
    rows = from_replica([viewer, *past], lambda: read.recent_rows(past, since))
    newest, devices = read.newest(people), read.devices_of(live)
    made = []
    for person in people:
        may = given[person.pk]
        over = newest.over.get(person.pk) if Permission.HISTORY in may else None
        under_way = newest.live.get(person.pk, ()) if Permission.LIVE in may else ()
        seen = [device_state(each, now) for each in devices.get(person.pk, [])]
        today = _today(person, now)
        made.append(
            Card(
                person=person,
                is_you=person == viewer,
                today=today,
                last=over,
                last_words=last_words(over, today) if over else _("No sessions yet."),
                marks=marks_of(over, now) if over else (),
                live=[(since_words(row, today), marks_of(row, now), row) for row in under_way[:1]],
                devices=seen,
                past=card_of_days(rows.get(person.pk, []), today) if person in past else None,
            )
        )
    return sorted(made, key=lambda each: (each.is_you, not each.live, each.person.label.lower()))


def _today(person: Person, now: datetime) -> date:
    return now.astimezone(person.zone).date()


def card_of_days(rows: Sequence[SessionRow], today: date) -> Days:
    """Return today's values and the sparkline from the sessions of the last weeks."""
    of_today = [row for row in rows if row.day == today]
    measured = total_of(of_today, "valid_s")
    return Days(
        measured=None if measured is None else in_words(measured),
        sessions=len(of_today),
        glances=[glance(metric, of_today, rows, today) for metric in (BLINK_RATE, PERCLOS)],
        spark=_spark(rows, today),
    )


def glance(
    metric: Metric, of_today: Sequence[SessionRow], rows: Sequence[SessionRow], today: date
) -> Glance:
    """Return today's median of a metric and the range of most days of the four weeks before."""
    value = metric.formatted(median_of(of_today, metric.key))
    return Glance(metric, value, usual_words(metric, most_days(rows, metric.key, today)))


def usual_words(metric: Metric, span: Range | None) -> str | None:
    """Format a range, such as `"12.1 to 16.0"`; `None` stays `None`."""
    if span is None:
        return None
    return _("%(low)s to %(high)s") % {
        "low": metric.formatted(span.low),
        "high": metric.formatted(span.high),
    }


def last_words(row: SessionRow, today: date) -> str:
    """Return text such as `"Last session today at 10:15, 5 min 0 s"`."""
    words = {"day": day_name(row.placed_day, today), "clock": clock(row.placed_at, row.zone)}
    length = row.values.get("duration_s")
    if row.date_uncertain:
        return _("Last session arrived %(day)s at %(clock)s") % words
    if length is None:
        return _("Last session %(day)s at %(clock)s") % words
    words["length"] = in_words(length)
    return _("Last session %(day)s at %(clock)s, %(length)s") % words


def _spark(rows: Sequence[SessionRow], today: date) -> SafeString | None:
    days = day_values(rows, BLINK_RATE.key, today - timedelta(days=SPARK_DAYS - 1), today)
    values = [day.value for day in days]
    known = [value for value in values if value is not None]
    if not known:
        return None
    span = usual(rows, BLINK_RATE.key, today)
    label = _("Blink rate over the last %(days)d days, from %(low)s to %(high)s per minute") % {
        "days": SPARK_DAYS,
        "low": BLINK_RATE.formatted(min(known)),
        "high": BLINK_RATE.formatted(max(known)),
    }
    return sparkline(label, values, (span.low, span.high) if span else None)
