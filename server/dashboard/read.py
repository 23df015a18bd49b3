"""What the pages ask of the database: few queries, their number fixed, no documents in lists."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, tzinfo
from typing import Any
from uuid import UUID

from django.db.models import OuterRef, Q, Subquery
from rest_framework.exceptions import ValidationError

from server.care.access import ALL
from server.care.models import Permission, Person
from server.dashboard.rows import SessionRow
from server.session_data.days import zone_of
from server.session_data.filters import Asked
from server.session_data.history import COLUMNS, Cursor, page_of, readable_by, shown_of
from server.session_data.models import METRICS, SessionData, State
from server.session_data.serializers import validated

# A page of the list of sessions.
PAGE = 25


@dataclass(frozen=True)
class Listed:
    """A page of sessions, newest first; `older` and `newer` are cursors, `None` at either end."""

    rows: Sequence[SessionRow]
    newer: str | None
    older: str | None


def rows_between(
    person: Person, first: date, last: date, given: Collection[Permission] = ALL
) -> list[SessionRow]:
    """A person's sessions of these local days, newest first, as far as they are `given`."""
    found = shown_of(person, given).filter(_within(first, last)).order_by("-placed_at", "-id")
    return [_row(values, person.timezone) for values in found.values(*COLUMNS)]


def listed(
    person: Person, first: date, last: date, cursor: str, given: Collection[Permission] = ALL
) -> Listed:
    """A page of them. A cursor that can't be read counts as none."""
    try:
        place = Cursor.read(cursor) if cursor else None
    except ValueError:
        place = None
    page = page_of(shown_of(person, given).filter(_within(first, last)), (), place, PAGE)
    return Listed(
        rows=[_row(values, person.timezone) for values in page.rows],
        newer=page.newer.text() if page.newer else None,
        older=page.older.text() if page.older else None,
    )


Given = Mapping[int, Collection[Permission]]


def _given(given: Given | None) -> Q:
    """What of whose sessions the viewer may see; `None`: all of them."""
    if given is None or all(
        {Permission.HISTORY, Permission.LIVE} <= set(each) for each in given.values()
    ):
        return Q()
    past = [pk for pk, each in given.items() if Permission.HISTORY in each]
    live = [pk for pk, each in given.items() if Permission.LIVE in each]
    is_live = Q(state=State.ACTIVE)
    return (~is_live & Q(user__in=past)) | (is_live & Q(user__in=live))


def recent_rows(
    people: Iterable[Person], since: date, given: Given | None = None
) -> dict[int, list[SessionRow]]:
    """Everybody's sessions since a day, by the person's key: one query."""
    zones = {person.pk: person.timezone for person in people}
    sessions = SessionData.objects.filter(_given(given), user__in=zones, local_day__gte=since)
    found: dict[int, list[SessionRow]] = defaultdict(list)
    for values in sessions.values("user_id", *COLUMNS):
        user = values["user_id"]
        found[user].append(_row(values, zones[user]))
    return found


def last_rows(people: Iterable[Person], given: Given | None = None) -> dict[int, SessionRow]:
    """Everybody's newest session, by the person's key: one query, an index look-up for each."""
    newest = SessionData.objects.filter(_given(given), user=OuterRef("pk")).order_by(
        "-placed_at", "-id"
    )
    zones = {person.pk: person.timezone for person in people}
    ids = Person.objects.filter(pk__in=zones).values_list(
        Subquery(newest.values("pk")[:1]), flat=True
    )
    sessions = SessionData.objects.filter(pk__in=ids).values("user_id", *COLUMNS)
    return {values["user_id"]: _row(values, zones[values["user_id"]]) for values in sessions}


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
    try:
        return validated(session.document)
    except ValidationError:
        return {}


def zone_of_person(person: Person) -> tzinfo:
    """The zone by whose days a person lives."""
    return zone_of(person.timezone, None, "UTC")


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
        fps=values["fps"],
        values={name: values[name] for name in METRICS},
    )
