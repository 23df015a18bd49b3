"""What the pages ask of the database: few queries, their number fixed, no documents in lists."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from django.db.models import OuterRef, Q, QuerySet, Subquery
from rest_framework.exceptions import ValidationError

from server.care.models import Person
from server.common.days import zone_of
from server.dashboard.rows import SessionRow
from server.devices.models import Device
from server.session_data.filters import Asked
from server.session_data.history import COLUMNS, Cursor, page_of, readable_by, sessions_of
from server.session_data.models import METRICS, OVER, SessionData, State
from server.session_data.serializers import validated
from server.session_data.told import quality_of

# A page of the list of sessions.
PAGE = 25
# Sessions under way that a page shows of a person.
MOST_LIVE = 3


@dataclass(frozen=True)
class Listed:
    """A page of sessions, newest first; `older` and `newer` are cursors, `None` at either end."""

    rows: Sequence[SessionRow]
    newer: str | None
    older: str | None


def rows_between(person: Person, first: date, last: date) -> list[SessionRow]:
    """A person's sessions of these local days that are over, newest first."""
    found = sessions_of(person).filter(_within(first, last), state__in=OVER)
    rows = found.order_by("-placed_at", "-id").values(*COLUMNS)
    return [_row(values, person.timezone) for values in rows]


def listed(person: Person, first: date, last: date, cursor: str) -> Listed:
    """A page of them. A cursor that can't be read counts as none."""
    try:
        place = Cursor.read(cursor) if cursor else None
    except ValueError:
        place = None
    page = page_of(sessions_of(person).filter(_within(first, last)), OVER, place, PAGE)
    return Listed(
        rows=[_row(values, person.timezone) for values in page.rows],
        newer=page.newer.text() if page.newer else None,
        older=page.older.text() if page.older else None,
    )


Rows = dict[int, list[SessionRow]]


def recent_rows(people: Iterable[Person], since: date) -> Rows:
    """Everybody's sessions since a day that are over, by the person's key: one query."""
    people = list(people)
    mine = {"user__in": [person.pk for person in people], "local_day__gte": since}
    return _by_person(people, SessionData.objects.filter(**mine, state__in=OVER))


@dataclass(frozen=True)
class Newest:
    """Of each person, by key: the newest session that is over, and those under way."""

    over: Mapping[int, SessionRow]
    live: Mapping[int, Sequence[SessionRow]]


def newest(people: Iterable[Person]) -> Newest:
    """Two queries, with a few index look-ups for each person.

    Of those under way the `MOST_LIVE` newest: one that a device never ended is under way for ever.
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
    """The key of a person's newest session in that state but `n`."""
    mine = SessionData.objects.filter(user=OuterRef("pk"), state=state)
    return Subquery(mine.order_by("-placed_at", "-id").values("pk")[n : n + 1])


def _by_person(people: Iterable[Person], sessions: QuerySet[SessionData]) -> Rows:
    zones = {person.pk: person.timezone for person in people}
    found: Rows = defaultdict(list)
    for values in sessions.order_by().values("user_id", *COLUMNS):
        found[values["user_id"]].append(_row(values, zones[values["user_id"]]))
    return found


def devices_of(people: Iterable[Person]) -> dict[int, list[Device]]:
    """Everybody's devices that are not revoked, by the person's key: one query."""
    found: dict[int, list[Device]] = defaultdict(list)
    for device in Device.objects.filter(person__in=list(people), revoked_at=None):
        found[device.person_id].append(device)
    return found


def session_for(viewer: Person, session_id: UUID) -> SessionData | None:
    """One session with its document and its person, if the viewer may see that person."""
    sessions = readable_by(viewer)
    return sessions.select_related("user", "device").filter(pk=session_id).first()


def row_of(session: SessionData) -> SessionRow:
    """A session that was read whole, as a row."""
    values = {name: getattr(session, name) for name in COLUMNS if "__" not in name}
    return _row(values, session.user.timezone)


def document_of(session: SessionData) -> Mapping[str, Any]:
    """The parts of its document that this server understands: a newer agent may send others."""
    document = session.document
    try:
        return {**validated(document), "quality": quality_of(document)}
    except ValidationError:
        return {}


def _within(first: date, last: date) -> Q:
    return Asked(None, first, last, (), None, PAGE).range()


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
        values={name: values[name] for name in METRICS},
    )
