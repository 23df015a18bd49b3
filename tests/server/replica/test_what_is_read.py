"""Which tables pages and API read from the replica: sessions, and never who may see them."""

import pytest
from django.test import Client

from server.care.models import Person
from server.replica import reading
from server.session_data.accept import accept_session
from server.session_data.models import SessionData
from tests.server.conftest import golden

PAGES = ["/", "/people/anna/", "/people/anna/?days=90"]
API = [
    "/api/session/history/?user=anna",
    "/api/session/history/?user=anna&state=ended",
    "/api/session/summary/?user=anna",
    "/api/session/export/?user=anna",
    "/api/session/export/?user=anna&of=days&as=json",
    "/api/session/export/?user=anna&as=fhir",
]


@pytest.fixture
def read(world, monkeypatch):
    """Models that are read from the replica, and from the primary, which stands in for both."""
    accept_session(world.device, golden("final"))
    from_replica, from_primary = set(), set()

    def db_for_read(_router, model, **_hints):
        (from_replica if reading.is_on_replica() else from_primary).add(model)
        return "default"

    monkeypatch.setattr(reading, "is_configured", lambda: True)
    monkeypatch.setattr(reading, "has_writes_of", lambda _people: True)
    monkeypatch.setattr(reading.Router, "db_for_read", db_for_read)
    return from_replica, from_primary


@pytest.mark.parametrize("path", [*PAGES, *API])
def test_sessions_are_read_from_the_replica_and_permissions_from_the_primary(world, read, path):
    browser = Client()
    browser.force_login(world.carl)
    answer = browser.get(path)
    assert answer.status_code == 200
    assert b"".join(answer) if answer.streaming else answer.content
    from_replica, from_primary = read
    assert SessionData in from_replica
    # The overview asks for each person's newest sessions in one query.
    assert from_replica <= ({SessionData, Person} if path == "/" else {SessionData})
    assert Person in from_primary


@pytest.mark.parametrize(
    "path", ["/people/anna/now/", "/api/session/{}/", "/sessions/{}/", "/api/people/", "/account/"]
)
def test_what_goes_on_now_and_one_session_are_read_from_the_primary(world, read, path):
    browser = Client()
    browser.force_login(world.carl)
    session = SessionData.objects.get()
    assert browser.get(path.format(session.pk)).status_code == 200
    assert not read[0]


def test_everything_about_oneself_is_read_with_its_sessions_from_the_replica(world, read):
    from server.retention.everything import everything

    assert b"".join(everything(world.anna))
    assert read[0] == {SessionData}
