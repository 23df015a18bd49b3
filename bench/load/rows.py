"""Fills a database with sessions by SQL: a million takes about a minute."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from django.db import connection
from django.db.models import DateField, DateTimeField, Field
from django.utils import timezone

from server.care.models import CareLink, Person
from server.devices.models import Device
from server.session_data.accept import accept_session
from server.session_data.models import SessionData

GOLDEN = Path(__file__).resolve().parents[2] / "tests" / "golden" / "final.json"
PEOPLE = 20
A_DAY = 4
"""Sessions of each person: a table that is a hundred times as long goes back a hundred times as
far, and everybody's share of it is a hundred times as long too."""

SQLITE = {
    "numbers": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %s)",
    "id": "lower(hex(randomblob(16)))",
    "moment": "datetime({0}, (-{1} * (n.i / {2})) || ' seconds')",
    "day": "date({0}, (-{1} * (n.i / {2})) || ' seconds')",
}
POSTGRESQL = {
    "numbers": "WITH n(i) AS (SELECT generate_series(1, %s))",
    # A UUIDv7 of the session's start, as devices make them.
    "id": "(lpad(to_hex((extract(epoch FROM {0} - (n.i / {2}) * interval '{1} seconds') * 1000)"
    "::bigint), 12, '0') || '7' || substr(replace(gen_random_uuid()::text, '-', ''), 14))::uuid",
    "moment": "{0} - (n.i / {2}) * interval '{1} seconds'",
    "day": "({0} - (n.i / {2}) * interval '{1} seconds')::date",
}


WARD = 100
"""People whom the head of a ward sees."""
WARD_DAYS = 28
"""As far back as the people's page reads, with `A_DAY` sessions of each on every day."""


def fill(sessions: int, count: int = PEOPLE, *, bare: bool = False) -> Person:
    """`sessions` of `count` people, dealt out in turn, newest now; the caregiver of the first.

    With `bare`, only one session has a document. PostgreSQL keeps a real one beside the table.
    """
    people = [Person.objects.create(username=f"person-{n}") for n in range(count)]
    caregiver = Person.objects.create(username="caregiver")
    CareLink.objects.create(caregiver=caregiver, person=people[0])
    device = Device.objects.create(person=people[0], label="hall")
    pattern = _pattern(device)
    if sessions > 1:
        _copy(pattern, sessions - 1, people, bare=bare)
    _analyse()
    return caregiver


def ward() -> Person:
    """`WARD` people more, each with a device and `WARD_DAYS` days of sessions; who sees them all.

    After `fill`.
    """
    pattern = SessionData.objects.exclude(device=None).earliest("received_at")
    head = Person.objects.create(username="head")
    people = [Person.objects.create(username=f"resident-{n:03}") for n in range(WARD)]
    CareLink.objects.bulk_create(CareLink(caregiver=head, person=each) for each in people)
    seen = {"online": True, "last_seen_at": timezone.now()}
    Device.objects.bulk_create(Device(person=each, label="room", **seen) for each in people)
    _copy(pattern, WARD * WARD_DAYS * A_DAY, people, bare=False)
    _analyse()
    return head


def under_way(person: Person) -> str:
    """A session of the person that goes on; its id."""
    device = Device.objects.filter(person=person).earliest("created_at")
    document: dict[str, Any] = json.loads((GOLDEN.parent / "checkpoint.json").read_text())
    began = timezone.now().replace(microsecond=0) - timedelta(minutes=1)
    document["started_at"] = began.isoformat()
    accepted = accept_session(device, document)
    assert accepted.outcome == "stored", accepted.reason
    return str(document["session_id"])


def _analyse() -> None:
    with connection.cursor() as cursor:
        # As a table that grew over years has been, many times.
        cursor.execute("ANALYZE" if connection.vendor == "sqlite" else "VACUUM (ANALYZE)")


def span(sessions: int, people: int) -> tuple[date, date]:
    """The days of the oldest and the newest session that `fill` makes."""
    today = timezone.now().date()
    return today - timedelta(days=sessions // people // A_DAY + 1), today


def finished(session_id: str, days_ago: float = 0.0) -> dict[str, Any]:
    """A session of twenty minutes that ended `days_ago`."""
    document: dict[str, Any] = json.loads(GOLDEN.read_text())
    ended = timezone.now().replace(microsecond=0) - timedelta(days=days_ago)
    began = ended - timedelta(minutes=20)
    times = {"started_at": began.isoformat(), "ended_at": ended.isoformat()}
    return {**document, "session_id": session_id, **times}


def _pattern(device: Device) -> SessionData:
    accepted = accept_session(device, finished("0193a1b2-0000-7000-8000-000000000001"))
    assert accepted.outcome == "stored", accepted.reason
    return SessionData.objects.get()


def _copy(pattern: SessionData, count: int, people: list[Person], *, bare: bool) -> None:
    """Rows like `pattern`: each with its own id, somebody's, and a little older than the last."""
    words = SQLITE if connection.vendor == "sqlite" else POSTGRESQL
    fields = [field for field in SessionData._meta.concrete_fields if not field.generated]
    columns = ", ".join(connection.ops.quote_name(field.column) for field in fields)
    values = ", ".join(_value(field, words, people, bare=bare) for field in fields)
    with without_indexes(), connection.cursor() as cursor:
        cursor.execute(
            f"{words['numbers']} INSERT INTO {SessionData._meta.db_table} ({columns})"
            f" SELECT {values} FROM {SessionData._meta.db_table} AS p, n"
            f" WHERE p.id = %s",
            [count, pattern.pk.hex if connection.vendor == "sqlite" else pattern.pk],
        )


@contextmanager
def without_indexes() -> Iterator[None]:
    """PostgreSQL makes an index several times as fast from a full table."""
    if connection.vendor == "sqlite":
        yield
        return
    with connection.schema_editor() as editor:
        for index in SessionData._meta.indexes:
            editor.remove_index(SessionData, index)
    yield
    with connection.schema_editor() as editor:
        for index in SessionData._meta.indexes:
            editor.add_index(SessionData, index)


def _value(
    field: "Field[Any, Any]", words: dict[str, str], people: list[Person], *, bare: bool
) -> str:
    column = f"p.{connection.ops.quote_name(field.column)}"
    step_s = 24 * 3600 // A_DAY
    if field.primary_key:
        return words["id"].format("p.started_at", step_s, len(people))
    if field.name == "user":
        return f"{people[0].pk} + n.i %% {len(people)}"
    if isinstance(field, DateTimeField):
        return words["moment"].format(column, step_s, len(people))
    if isinstance(field, DateField):
        return words["day"].format(column, step_s, len(people))
    if bare and field.name == "document_json":
        return "'{}'"
    return column
