"""The pages' database queries: a small, fixed number, and no documents in lists."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.apps import apps
from django.db.models import OuterRef, Q, QuerySet, Subquery
from rest_framework.exceptions import ValidationError

from server.aiming.words import aim_words
from server.care.access import visible_people
from server.care.models import Permission, Person
from server.common.days import LONGEST_SESSION, placed_within, zone_of
from server.common.fields import CANONICAL_UUID
from server.dashboard.rows import SessionRow
from server.devices.models import Device
from server.session_data.filters import Asked
from server.session_data.history import COLUMNS, Cursor, page_of, readable_by, sessions_of
from server.session_data.models import METRICS, OVER, SessionData, State
from server.session_data.serializers import validated
from server.session_data.summary.views import Brief, briefs
from server.session_data.told import quality_of

# Sessions per page of the list.
PAGE = 25
# More sessions that are printed with the first page: a month of four a day fits.
MOST_PRINTED = 100
# A page's figures and tables use at most so many sessions of a person, the newest. A device that
# measures all day in sessions of an hour makes fewer in the longest period that a page can show.
MOST_ROWS = 5000
# What the overview needs of a session: its person, and the values of a card.
BRIEF_COLUMNS = ("user_id", "activity", "local_day", "state", "date_uncertain")
GLANCED = ("valid_s", "blink_rate_per_min", "perclos")
# Running sessions shown per person.
MOST_LIVE = 3


@dataclass(frozen=True)
class Listed:
    """A page of sessions, newest first. `older` and `newer` are cursors, `None` at either end.

    `printed` are those after them that only paper shows: below the first page, as many as
    `MOST_PRINTED`. `prints_all` is whether no session is left out there.
    """

    rows: Sequence[SessionRow]
    newer: str | None
    older: str | None
    printed: Sequence[SessionRow] = ()
    prints_all: bool = True


def measured_between(person: Person, first: date, last: date) -> list[Brief]:
    """Return the values of a person's `MOST_ROWS` newest finished sessions of these local days."""
    return briefs(person, first, last, MOST_ROWS)


def rows_between(
    person: Person, first: date, last: date, most: int | None = None, activity: str = ""
) -> list[SessionRow]:
    """Return the newest finished sessions of these local days, newest first.

    At most `MOST_ROWS` of them, or `most`; only those of the activity, if it is not empty.
    """
    found = sessions_of(person).filter(_within(first, last, activity), state__in=OVER)
    rows = found.order_by("-placed_at", "-id").values(*COLUMNS)[: most or MOST_ROWS]
    return [_row(values, person.timezone) for values in rows]


def listed(person: Person, first: date, last: date, cursor: str, activity: str = "") -> Listed:
    """Return one page of these sessions. An invalid cursor counts as none."""
    try:
        place = Cursor.read(cursor) if cursor else None
    except ValueError:
        place = None
    sessions = sessions_of(person).filter(_within(first, last, activity))
    most = PAGE if place else PAGE + MOST_PRINTED
    page = page_of(sessions, (*OVER, State.SOMEBODY_ELSE), place, most)
    rows = [_row(values, person.timezone) for values in page.rows]
    shown, printed = rows[:PAGE], rows[PAGE:]
    older = Cursor(shown[-1].placed_at, shown[-1].id, newer=False) if printed else page.older
    return Listed(
        rows=shown,
        newer=page.newer.text() if page.newer else None,
        older=older.text() if older else None,
        printed=printed,
        prints_all=not (page.newer or page.older),
    )


Rows = dict[int, list[SessionRow]]


def recent(people: Iterable[Person], since: date) -> dict[int, list[Brief]]:
    """Return what the overview needs of people's finished sessions since a day, with two queries.

    By the person's key. Of a person with more than `MOST_ROWS` sessions, older ones are left out.
    """
    begin, _ = placed_within(since, since)
    found = Person.objects.filter(pk__in=[person.pk for person in people]).order_by()
    oldest = dict(found.values_list("pk", _placed_of_nth(MOST_ROWS, begin)))
    mine = Q(user__in=[pk for pk, moment in oldest.items() if moment is None])
    for pk, moment in oldest.items():
        if moment is not None:
            mine |= Q(user=pk, placed_at__gt=moment)
    sessions = SessionData.objects.filter(mine, local_day__gte=since, state__in=OVER).order_by()
    rows: dict[int, list[Brief]] = defaultdict(list)
    for user, activity, day, state, uncertain, *values in sessions.values_list(
        *BRIEF_COLUMNS, *GLANCED
    ):
        told = dict(zip(GLANCED, values, strict=True))
        rows[user].append(Brief(day, state, uncertain, told, activity))
    return rows


def of_days(days: Mapping[Person, date], most: int) -> Rows:
    """Return each person's `most` newest finished sessions of one local day, newest first.

    With one query for each day, and one more.
    """
    known: list[UUID] = []
    for day in set(days.values()):
        people = Person.objects.filter(pk__in=[each.pk for each in days if days[each] == day])
        mine = SessionData.objects.filter(user=OuterRef("pk"), local_day=day, state__in=OVER)
        ids = mine.order_by("-placed_at", "-id").values("pk")
        nth = [Subquery(ids[n : n + 1]) for n in range(most)]
        known += [pk for each in people.order_by().values_list(*nth) for pk in each if pk]
    found = _by_person(days, SessionData.objects.filter(pk__in=known))
    return {
        pk: sorted(rows, key=lambda row: (row.placed_at, row.id), reverse=True)
        for pk, rows in found.items()
    }


def _placed_of_nth(n: int, begin: datetime) -> Subquery:
    """Select the place in the history of a person's n-th newest session, from 0, since `begin`."""
    mine = SessionData.objects.filter(user=OuterRef("pk"), placed_at__gte=begin)
    return Subquery(mine.order_by("-placed_at", "-id").values("placed_at")[n : n + 1])


@dataclass(frozen=True)
class Newest:
    """The newest finished session and the running sessions of each person, by key."""

    over: Mapping[int, SessionRow]
    live: Mapping[int, Sequence[SessionRow]]


def newest(people: Iterable[Person]) -> Newest:
    """Return the newest sessions, with two queries and a few index look-ups per person.

    Only the `MOST_LIVE` newest running sessions are included: a session that a device never ended
    stays active forever.
    """
    people = list(people)
    wanted = [
        (State.ENDED, 0),
        (State.INTERRUPTED, 0),
        *((State.ACTIVE, n) for n in range(MOST_LIVE)),
    ]
    found = Person.objects.filter(pk__in=[person.pk for person in people]).order_by()
    ids = found.values_list(*(_nth(state, n) for state, n in wanted))
    known = [pk for each in ids for pk in each if pk is not None]
    over: dict[int, SessionRow] = {}
    live: Rows = defaultdict(list)
    for user, rows in _by_person(people, SessionData.objects.filter(pk__in=known)).items():
        for row in sorted(rows, key=lambda row: (row.placed_at, row.id), reverse=True):
            if row.active:
                live[user].append(row)
            else:
                over.setdefault(user, row)
    return Newest(over, live)


def _nth(state: State, n: int) -> Subquery:
    """Select the key of a person's n-th newest session in a state, from 0."""
    mine = SessionData.objects.filter(user=OuterRef("pk"), state=state)
    return Subquery(mine.order_by("-placed_at", "-id").values("pk")[n : n + 1])


def heard_of(people: Iterable[Person]) -> dict[int, datetime]:
    """Return when each person's newest change of a session arrived, with one look-up each."""
    mine = SessionData.objects.filter(user=OuterRef("pk")).order_by("-updated_at")
    heard = Subquery(mine.values("updated_at")[:1])
    found = Person.objects.filter(pk__in=[person.pk for person in people]).order_by()
    return {pk: moment for pk, moment in found.values_list("pk", heard) if moment is not None}


def running(people: Iterable[Person], now: datetime) -> dict[int, datetime]:
    """Return when people's running sessions were last heard of, by the person's key.

    Those that began more than a day ago are left out: a session that a device never ended stays
    active forever.
    """
    active = SessionData.objects.filter(
        user__in=list(people), state=State.ACTIVE, placed_at__gt=now - LONGEST_SESSION
    )
    heard = active.order_by("updated_at").values_list("user_id", "updated_at")
    return dict(heard)


@dataclass(frozen=True)
class Alerted:
    """The people about whom the viewer has an open alert, by key.

    `waiting`: nobody looks after one of them. `looked_after`: the names of those who do.
    """

    waiting: frozenset[int]
    looked_after: Mapping[int, Sequence[str]]


def open_alerts(viewer: Person) -> Alerted:
    """Return about whom the viewer has an open alert, with two queries at most."""
    allowed = visible_people(viewer, Permission.ALERTS)
    mine = allowed.filter(alerts_about__receiver=viewer, alerts_about__resolved_at=None)
    keys = mine.order_by().values_list("pk", "alerts_about__kind", "alerts_about__cause")
    found = set(keys.distinct())
    held = _looked_after({pk for pk, _kind, _cause in found}) if found else {}
    names: dict[int, list[str]] = defaultdict(list)
    for key in sorted(found & held.keys()):
        if held[key] not in names[key[0]]:
            names[key[0]].append(held[key])
    return Alerted(frozenset(key[0] for key in found - held.keys()), dict(names))


def _looked_after(people: Collection[int]) -> dict[tuple[int, str, str], str]:
    """Return who looks after a condition of these people, by person, kind and cause."""
    model = apps.get_model("alerts", "Acknowledgement")  # that app imports this one
    held = model.objects.filter(person__in=people, ended_at=None).select_related("by")
    return {(each.person_id, each.kind, each.cause): each.by.label for each in held}


@dataclass(frozen=True)
class Neighbours:
    """The sessions just before and after one in a person's history; `None` at either end."""

    older: SessionRow | None
    newer: SessionRow | None


def neighbours(viewer: Person, row: SessionRow, person: Person) -> Neighbours:
    """Return the neighbours that the viewer may see, with one query for each."""
    mine = readable_by(viewer).filter(user=person)
    place, key = row.placed_at, row.id
    older = mine.filter(Q(placed_at__lt=place) | Q(id__lt=key), placed_at__lte=place)
    newer = mine.filter(Q(placed_at__gt=place) | Q(id__gt=key), placed_at__gte=place)
    found = (older.order_by("-placed_at", "-id"), newer.order_by("placed_at", "id"))
    rows = [some.values(*COLUMNS).first() for some in found]
    return Neighbours(*(values and _row(values, person.timezone) for values in rows))


def _by_person(people: Iterable[Person], sessions: QuerySet[SessionData]) -> Rows:
    zones = {person.pk: person.timezone for person in people}
    found: Rows = defaultdict(list)
    for values in sessions.order_by().values("user_id", *COLUMNS):
        found[values["user_id"]].append(_row(values, zones[values["user_id"]]))
    return found


def devices_of(people: Iterable[Person]) -> dict[int, list[Device]]:
    """Return people's devices that are not revoked, by the person's key, with one query."""
    found: dict[int, list[Device]] = defaultdict(list)
    for device in Device.objects.filter(person__in=list(people), revoked_at=None):
        found[device.person_id].append(device)
    return found


def silent_device(viewer: object, key: str) -> Device | None:
    """Return the device with that id, if it is not connected and the viewer may see it live."""
    if not isinstance(viewer, Person) or not CANONICAL_UUID.fullmatch(key):
        return None
    seen = visible_people(viewer, Permission.LIVE).order_by()
    devices = Device.objects.filter(pk=key, person__in=seen, revoked_at=None)
    device = devices.select_related("person").first()
    return device if device and device.is_online is False else None


def session_for(viewer: Person, session_id: UUID) -> SessionData | None:
    """Return a session with its person, or `None` if the viewer may not see it.

    Its document is read when it is used.
    """
    sessions = readable_by(viewer).defer("document_json")
    return sessions.select_related("user", "device").filter(pk=session_id).first()


def row_of(session: SessionData) -> SessionRow:
    """Convert a model instance to a row."""
    values = {name: getattr(session, name) for name in COLUMNS if "__" not in name}
    return _row(values, session.user.timezone)


def aim_of(session_id: UUID) -> str:
    """Return what to do if the running session is badly aimed, or nothing."""
    session = SessionData.objects.filter(pk=session_id, state=State.ACTIVE).first()
    return aim_words(session.document) if session else ""


def document_of(session: SessionData) -> Mapping[str, Any]:
    """Return the known parts of a session's document; a newer agent may send others."""
    document = session.document
    try:
        known = {**validated(document), "quality": quality_of(document)}
        return {**known, "aim": aim_words(document) if session.state == State.ACTIVE else ""}
    except ValidationError:
        return {}


def _within(first: date, last: date, activity: str = "") -> Q:
    return Asked(None, first, last, (), None, PAGE, activity or None).range()


def _row(values: Mapping[str, Any], home_zone: str) -> SessionRow:
    return SessionRow(
        id=values["id"],
        state=values["state"],
        placed_at=values["placed_at"],
        started_at=values["started_at"],
        ended_at=values["ended_at"],
        ended_by=values["ended_by"],
        day=values["local_day"],
        zone=zone_of(values["timezone"], values["utc_offset_minutes"], home_zone),
        date_uncertain=values["date_uncertain"],
        received_at=values["received_at"],
        heard_at=values["updated_at"],
        device_id=values["device_id"],
        fps=values["fps"],
        activity=values["activity"],
        activity_chosen=values["activity_chosen"],
        values={name: values[name] for name in METRICS},
    )
