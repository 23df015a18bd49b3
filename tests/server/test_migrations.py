"""Upgrading a database that has sessions in it."""

from datetime import UTC, date, datetime
from uuid import UUID

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

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
