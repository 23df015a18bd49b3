"""Rows are stored as Django would store them, in both databases."""

import pytest
from django.db import IntegrityError, connection, transaction

from server.session_data.accept import Writer, accept_many, accept_own, accept_session
from server.session_data.bulk.writing import insert_sessions, update_sessions
from server.session_data.models import SessionData
from tests.server.conftest import golden

NASTY = "\\N\t\n\r\\.\"'%s;--"  # for COPY, for SQL, and for Django's placeholders


def as_stored():
    """Every column of all sessions, as the database has it."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {SessionData._meta.db_table} ORDER BY id")
        return cursor.fetchall()


def as_django_would():
    """The same, after Django has written each row anew."""
    sessions = list(SessionData.objects.all())
    SessionData.objects.all().delete()
    SessionData.objects.bulk_create(sessions)
    return as_stored()


def nasty(name, **changes):
    document = golden(name, **changes)
    document["clock"] |= {"timezone": NASTY}
    document["agent"] |= {"model": NASTY}
    return document


@pytest.mark.parametrize("name", ["started", "checkpoint", "final_eyes", "no_face", "interrupted"])
def test_a_new_session_is_stored_as_django_would_store_it(world, name):
    documents = [golden(name), nasty(name), golden(name, quality=["ä"])]
    writer = Writer(world.anna, world.device)
    answers = accept_many([(writer, document) for document in documents])
    assert [each.outcome for each in answers] == ["stored"] * 3
    assert as_stored() == as_django_would()
    assert set(SessionData.objects.values_list("timezone", flat=True)) >= {NASTY}


def test_a_session_without_a_device_too(world):
    assert accept_own(world.anna, golden("final")).outcome == "stored"
    assert as_stored() == as_django_would()


def test_a_newer_revision_is_stored_as_django_would_store_it(world):
    first, other = golden("started"), golden("started")
    for document in (first, other):
        accept_session(world.device, document)
    untouched = SessionData.objects.values().get(pk=other["session_id"])
    newest = nasty("final_eyes", session_id=first["session_id"])
    assert accept_session(world.device, newest).outcome == "stored"
    assert as_stored() == as_django_would()
    session = SessionData.objects.get(pk=first["session_id"])
    assert (session.state, session.timezone, session.document) == ("ended", NASTY, newest)
    assert SessionData.objects.values().get(pk=other["session_id"]) == untouched


def test_a_session_that_exists_is_never_overwritten_by_an_insert(world):
    accept_session(world.device, golden("final"))
    row = SessionData.objects.values().get()
    before = as_stored()
    with pytest.raises(IntegrityError), transaction.atomic():
        insert_sessions([row | {"revision": 99}])
    assert as_stored() == before


def test_nothing_is_written_for_no_rows(django_assert_num_queries, db):
    with django_assert_num_queries(0):
        insert_sessions([])
        update_sessions([])
