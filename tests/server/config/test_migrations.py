"""Upgrading a database that has sessions in it."""

import json
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from server.devices.models import DeadLetter
from server.session_data.models import SessionData

BEFORE = [("session_data", "0001_initial")]
STARTED = datetime(1970, 1, 1, 0, 1, tzinfo=UTC)
ARRIVED = datetime(2026, 6, 1, 22, 30, tzinfo=UTC)  # the next day in Berlin


@pytest.mark.django_db(transaction=True)
def test_sessions_of_an_uncertain_date_move_to_where_they_arrived_and_keep_their_documents():
    MigrationExecutor(connection).migrate(BEFORE)
    try:
        apps = MigrationExecutor(connection).loader.project_state(BEFORE).apps
        person = apps.get_model("care", "Person").objects.create(username="a", timezone="UTC")
        for key, uncertain, day in ((1, True, date(1970, 1, 1)), (2, False, date(2026, 5, 1))):
            apps.get_model("session_data", "SessionData").objects.create(
                id=UUID(int=key),
                user=person,
                revision=1,
                state="ended",
                started_at=STARTED,
                received_at=ARRIVED,
                timezone="Europe/Berlin",
                date_uncertain=uncertain,
                local_day=day,
                document_json=f'{{"key": {key}}}',
            )
    finally:
        call_command("migrate", verbosity=0)
    lost, sure = SessionData.objects.order_by("pk")
    assert (lost.placed_at, lost.local_day) == (ARRIVED, date(2026, 6, 2))
    assert (sure.placed_at, sure.local_day) == (STARTED, date(2026, 5, 1))
    assert [each.document for each in (lost, sure)] == [{"key": 1}, {"key": 2}]


@pytest.mark.django_db(transaction=True)
def test_what_a_newer_device_had_sent_of_each_eye_fills_the_new_columns():
    before = [("session_data", "0003_letters_person")]
    MigrationExecutor(connection).migrate(before)
    sent = [
        {"metrics": {"perclos": 0.1}},
        {"metrics": {"ear_open_left": 0.3, "blink_closure_left_median": 0, "looking_down": None}},
        {"metrics": {"ear_open_left": "wide", "ear_open_right": True, "looking_down": 10**400}},
        {"note": "ear_open_left", "metrics": {"looking_down": 0.5, "ear_open_left": 5.5}},
        {"metrics": ["ear_open_left"]},
    ]
    try:
        apps = MigrationExecutor(connection).loader.project_state(before).apps
        person = apps.get_model("care", "Person").objects.create(username="a", timezone="UTC")
        for key, document in enumerate(sent):
            apps.get_model("session_data", "SessionData").objects.create(
                id=UUID(int=key), user=person, revision=1, state="ended", started_at=STARTED,
                local_day=date(2026, 5, 1), document_json=json.dumps(document),
            )  # fmt: skip
    finally:
        call_command("migrate", verbosity=0)
    rows = SessionData.objects.order_by("pk")
    assert [row.document for row in rows] == sent
    names = ("ear_open_left", "ear_open_right", "blink_closure_left_median", "looking_down")
    assert [tuple(getattr(row, name) for name in names) for row in rows] == [
        (None, None, None, None),
        (0.3, None, 0.0, None),
        (None, None, None, None),
        (None, None, None, 0.5),
        (None, None, None, None),
    ]


def test_the_document_is_the_last_column(db):
    """SQLite reads all of what stands before a column: a history would read every document."""
    with connection.cursor() as cursor:
        table = SessionData._meta.db_table
        columns = connection.introspection.get_table_description(cursor, table)
    assert columns[-1].name == "document_json"


@pytest.mark.django_db(transaction=True)
def test_refused_documents_become_those_of_whom_their_device_measured():
    before = [("session_data", "0002_placed_and_summary"), ("devices", "0005_former_person_gone")]
    MigrationExecutor(connection).migrate(before)
    given = datetime(2026, 6, 1, tzinfo=UTC)
    of_may = json.dumps({"started_at": "2026-05-31T10:00:00Z", "clock": {"synchronized": True}})
    try:
        apps = MigrationExecutor(connection).loader.project_state(before).apps
        people, devices = apps.get_model("care", "Person"), apps.get_model("devices", "Device")
        anna, otto = (people.objects.create(username=n, timezone="UTC") for n in ("a", "o"))
        device, orphan, own = (
            devices.objects.create(id=UUID(int=n), person=otto, label="K", reassigned_at=given)
            for n in range(3)
        )
        former = apps.get_model("devices", "FormerPerson").objects
        former.create(device=device, person=anna, until=given)
        former.create(device=orphan, person=None, until=given)
        session = apps.get_model("session_data", "SessionData").objects.create(
            id=UUID(int=9), user=anna, device=device, revision=1, state="active",
            started_at=STARTED, local_day=date(1970, 1, 1), document_json="{}",
        )  # fmt: skip
        named = json.dumps({"session_id": str(session.pk)})
        for reason, of, sender, payload, day in (
            ("anna", device, device, of_may, 2),
            ("anna", None, device, of_may, 2),
            ("anna", device, device, "{", -2),
            ("anna", device, device, named, 2),
            ("otto", device, device, "{", 2),
            ("otto", own, own, of_may, 2),
            ("nobody", orphan, orphan, of_may, 2),
            ("nobody", None, None, "{", 2),
        ):
            apps.get_model("session_data", "DeadLetter").objects.create(
                device=of, sender=str(sender.pk if sender else "x"), door="mqtt", reason=reason,
                size=1, payload=payload, received_at=given + timedelta(days=day),
            )  # fmt: skip
    finally:
        call_command("migrate", verbosity=0)
    letters = DeadLetter.objects.select_related("person").order_by("pk")
    names = {None: "nobody", "a": "anna", "o": "otto"}
    found = [names[each.person and each.person.username] for each in letters]
    assert found == [each.reason for each in letters]
    assert [each.payload for each in letters][-2:] == ["", "{"]


@pytest.mark.django_db(transaction=True)
def test_sessions_of_devices_are_marked_and_revisions_beyond_sense_are_lowered():
    before = [("session_data", "0004_each_eye"), ("devices", "0005_former_person_gone")]
    MigrationExecutor(connection).migrate(before)
    try:
        apps = MigrationExecutor(connection).loader.project_state(before).apps
        person = apps.get_model("care", "Person").objects.create(username="a", timezone="UTC")
        device = apps.get_model("devices", "Device").objects.create(
            id=UUID(int=1), person=person, label="K"
        )
        for key, of, agent, revision in (
            (1, device, "0.1", 7),
            (2, None, "0.1", 7),  # its device was deleted
            (3, None, "", 2**31 - 1),
        ):
            apps.get_model("session_data", "SessionData").objects.create(
                id=UUID(int=key), user=person, device=of, agent_version=agent, revision=revision,
                state="ended", started_at=STARTED, local_day=date(2026, 5, 1),
                document_json=f'{{"key": {key}}}',
            )  # fmt: skip
    finally:
        call_command("migrate", verbosity=0)
    rows = SessionData.objects.order_by("pk")
    assert [row.from_device for row in rows] == [True, True, False]
    assert [row.revision for row in rows] == [7, 7, 1]
    assert [row.document for row in rows] == [{"key": 1}, {"key": 2}, {"key": 3}]


@pytest.mark.django_db(transaction=True)
def test_stored_documents_count_towards_the_quotas():
    before = [("session_data", "0004_each_eye")]
    MigrationExecutor(connection).migrate(before)
    text = json.dumps({"key": "x" * 5000})
    try:
        apps = MigrationExecutor(connection).loader.project_state(before).apps
        person = apps.get_model("care", "Person").objects.create(username="a", timezone="UTC")
        apps.get_model("session_data", "SessionData").objects.create(
            id=UUID(int=1), user=person, revision=1, state="ended", started_at=STARTED,
            local_day=date(2026, 5, 1), document_json=text,
        )  # fmt: skip
    finally:
        call_command("migrate", verbosity=0)
    session = SessionData.objects.get()
    assert (session.document_json, session.document_bytes) == (text, len(text))
