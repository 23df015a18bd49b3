"""The overview: today's values and the last session of each visible person.

    signs of all people -> their standings, in order -> the cards of one page

The signs are cheap and say whether anything has changed. The standings read four weeks of
everybody's values; only the cards of the page are drawn.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from hashlib import blake2s

from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from server.care.models import Permission, Person
from server.common.words import clock, day_name, in_words, zone_words
from server.dashboard import read
from server.dashboard.charts import sparkline
from server.dashboard.days import USUAL_DAYS, Range, day_values, usual
from server.dashboard.history import MOST_OF_YESTERDAY, Yesterday, yesterday
from server.dashboard.marks import Mark, marks_of
from server.dashboard.metrics import BLINK_RATE, PERCLOS, Metric
from server.dashboard.now import DeviceState, device_state, since_words
from server.dashboard.rows import SessionRow
from server.dashboard.today import compare
from server.devices.models import Device
from server.replica.reading import from_replica
from server.session_data.summary.alike import like_with_like
from server.session_data.summary.statistics import Measured, total_of
from server.session_data.summary.views import Brief

SPARK_DAYS = 14
# Cards on a page.
PAGE = 25
# With more people than this, the page has a search field.
SEARCH_FROM = 8
# Relative times on the page, such as "last seen 3 hours ago", are at most this old.
REFRESH = timedelta(minutes=5)

Given = Mapping[int, Collection[Permission]]


@dataclass(frozen=True)
class Glance:
    """Today's value of a metric, `None` without one, and the usual range.

    `unusual` is whether the value lies outside that range.
    """

    metric: Metric
    value: str | None
    usual: str | None
    unusual: bool


@dataclass(frozen=True)
class Days:
    """Today's values, with the weeks before. `words` say whether today is as usual."""

    words: str
    measured: str | None
    sessions: int
    glances: Sequence[Glance]
    spark: SafeString | None


@dataclass(frozen=True)
class Card:
    """One person in the overview.

    `past` is `None` without permission to see the history. `live` (text, marks and session) and
    `devices` are empty without permission to see the live status. `notable` are marks on the
    person. `zone` is the person's time zone if the viewer's clock differs.
    """

    person: Person
    is_you: bool
    today: date
    last: SessionRow | None
    last_words: str
    marks: Sequence[Mark]
    yesterday: Yesterday | None
    live: Sequence[tuple[str, Sequence[Mark], SessionRow]]
    devices: Sequence[DeviceState]
    past: Days | None
    notable: Sequence[Mark]
    zone: str = ""


@dataclass(frozen=True)
class Signs:
    """What is known of all people without reading their histories, by the person's key.

    When something of their sessions last changed, their devices, when their running sessions were
    last heard of, and who has an open alert: that nobody looks after, or by whom it is.
    """

    heard: Mapping[int, datetime]
    devices: Mapping[int, Sequence[Device]]
    running: Mapping[int, datetime]
    alerts: Collection[int]
    looked_after: Mapping[int, Sequence[str]] = field(default_factory=dict)


OUTAGE = 3
"""So many people with a device that is not connected are told in one line: it may be one cause."""


def signs_of(viewer: Person, people: Sequence[Person], given: Given, now: datetime) -> Signs:
    """Return the signs of `people`, as far as permissions are `given`, with five queries."""
    alerts = read.open_alerts(viewer)
    live = [each for each in people if Permission.LIVE in given[each.pk]]
    return Signs(
        heard=read.heard_of(people),
        devices=read.devices_of(live),
        running=read.running(live, now),
        alerts=alerts.waiting,
        looked_after=alerts.looked_after,
    )


def version_of(people: Sequence[Person], given: Given, signs: Signs, now: datetime) -> str:
    """Return a short hash that changes when the overview of `people` may look different."""
    silent = {pk: (now - heard) // timedelta(minutes=1) for pk, heard in signs.running.items()}
    devices = [
        (each.pk, each.label, each.is_online, each.pending_sessions)
        for person in people
        for each in signs.devices.get(person.pk, ())
    ]
    said = [
        int(now.timestamp()) // int(REFRESH.total_seconds()),
        [(each.pk, each.label, sorted(given[each.pk])) for each in people],
        [signs.heard.get(each.pk) for each in people],
        {pk: minutes for pk, minutes in silent.items() if minutes},
        devices,
        sorted(signs.alerts),
        sorted(signs.looked_after.items()),
    ]
    return blake2s(repr(said).encode(), digest_size=8).hexdigest()


@dataclass(frozen=True)
class Standing:
    """What decides a person's place in the overview."""

    person: Person
    today: date
    rows: Sequence[Brief]
    notable: Sequence[Mark]
    place: tuple[object, ...]


def standings(
    viewer: Person, people: Sequence[Person], given: Given, signs: Signs, now: datetime
) -> list[Standing]:
    """Return all of `people`, in order: who may need attention first, and the viewer last.

    An open alert comes first, then an unusual value today, a device that is not connected (an
    outage makes that of many), and no session today; then running sessions, and the others by name.
    """
    past = [each for each in people if Permission.HISTORY in given[each.pk]]
    # One day more, because in some time zones it is still yesterday.
    since = now.date() - timedelta(days=USUAL_DAYS + 1)
    rows = from_replica([viewer, *past], lambda: read.recent(past, since))
    found = [_standing(viewer, each, given, signs, rows.get(each.pk, ()), now) for each in people]
    return sorted(found, key=lambda each: each.place)


def not_connected(person: Person, signs: Signs) -> bool:
    """Return whether one of the person's devices is not connected."""
    return any(each.is_online is False for each in signs.devices.get(person.pk, ()))


def _standing(
    viewer: Person,
    person: Person,
    given: Given,
    signs: Signs,
    rows: Sequence[Brief],
    now: datetime,
) -> Standing:
    today, runs = _today(person, now), person.pk in signs.running
    of_today = [row for row in rows if row.day == today]
    unusual = any(each.unusual for each in _glances(rows, today)) if of_today else False
    alert = person.pk in signs.alerts
    reasons = [
        alert,
        unusual,
        not_connected(person, signs),
        Permission.HISTORY in given[person.pk] and not of_today and not runs,
        runs,
    ]
    urgency = reasons.index(True) if True in reasons else len(reasons)
    marks = [
        (alert, Mark("warn", _("open alert"), _("You have an open alert about this person."))),
        (unusual, Mark("warn", _("unusual today"), _("A value of today is outside most days."))),
    ]
    return Standing(
        person=person,
        today=today,
        rows=rows,
        notable=[mark for holds, mark in marks if holds] + _looked_after(person, signs),
        place=(person == viewer, urgency, person.label.lower(), person.pk),
    )


def _looked_after(person: Person, signs: Signs) -> list[Mark]:
    """Return marks on open alerts that somebody looks after: they need no attention."""
    text, about = (
        _("alert looked after by %(name)s"),
        _("You have an open alert about this person."),
    )
    names = signs.looked_after.get(person.pk, ())
    return [Mark("looked-after", text % {"name": name}, about) for name in names]


def cards(
    viewer: Person, standing: Sequence[Standing], given: Given, signs: Signs, now: datetime
) -> list[Card]:
    """Return the cards of people, in the same order."""
    newest = read.newest([each.person for each in standing])
    seen = [each for each in standing if Permission.HISTORY in given[each.person.pk]]
    days = {each.person: each.today - timedelta(days=1) for each in seen}
    before = read.of_days(days, MOST_OF_YESTERDAY + 1)
    made = []
    for each in standing:
        person, may, today = each.person, given[each.person.pk], each.today
        over = newest.over.get(person.pk) if Permission.HISTORY in may else None
        under_way = newest.live.get(person.pk, ()) if Permission.LIVE in may else ()
        made.append(
            Card(
                person=person,
                is_you=person == viewer,
                today=today,
                last=over,
                last_words=last_words(over, today) if over else _("No sessions yet."),
                marks=marks_of(over, now) if over else (),
                yesterday=yesterday(before.get(person.pk, ()), over, today),
                live=[(since_words(row, today), marks_of(row, now), row) for row in under_way[:1]],
                devices=[device_state(one, now) for one in signs.devices.get(person.pk, ())],
                past=card_of_days(each.rows, today) if Permission.HISTORY in may else None,
                notable=each.notable,
                zone=_zone_if_other(viewer, person, now),
            )
        )
    return made


def _zone_if_other(viewer: Person, person: Person, now: datetime) -> str:
    """Return the person's time zone in words, if another time is shown there than the viewer's."""
    mine, theirs = now.astimezone(viewer.zone), now.astimezone(person.zone)
    return "" if mine.utcoffset() == theirs.utcoffset() else zone_words(person.zone, now)


def found_by_name(people: Sequence[Person], text: str) -> list[Person]:
    """Return the people whose name or user name contains the text, in any case."""
    wanted = text.strip().casefold()
    return [
        each
        for each in people
        if wanted in each.label.casefold() or wanted in each.username.casefold()
    ]


def _today(person: Person, now: datetime) -> date:
    return now.astimezone(person.zone).date()


def card_of_days(rows: Sequence[Measured], today: date) -> Days:
    """Return today's values and the sparkline from the sessions of the last weeks."""
    of_today = [row for row in rows if row.day == today]
    measured = total_of(of_today, "valid_s")
    return Days(
        words=compare(rows, today).words,
        measured=None if measured is None else in_words(measured),
        sessions=len(of_today),
        glances=_glances(rows, today),
        spark=_spark(rows, today),
    )


def _glances(rows: Sequence[Measured], today: date) -> list[Glance]:
    return [glance(metric, rows, today) for metric in (BLINK_RATE, PERCLOS)]


def glance(metric: Metric, rows: Sequence[Measured], today: date) -> Glance:
    """Return today's median of a metric and the usual range, of sessions that are alike."""
    found = like_with_like(rows, metric.key, today)
    value, span = found.value, found.usual.range()
    unusual = value is not None and span is not None and not span.low <= value <= span.high
    return Glance(metric, metric.formatted(value), usual_words(metric, span), unusual)


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


def _spark(rows: Sequence[Measured], today: date) -> SafeString | None:
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
