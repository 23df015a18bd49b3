"""A session can be marked as somebody else's: it leaves every figure, and can come back."""

import json
from datetime import timedelta

import pytest
from django.test import Client

from server.care.audit import entries_of
from server.care.models import CareLink
from server.session_data.accept import accept_session
from server.session_data.models import SessionData, State
from server.session_data.summary.views import briefs
from tests.server.conftest import golden


@pytest.fixture
def ended(world):
    document = golden("final")
    assert accept_session(world.device, document).outcome == "stored"
    return world, document, SessionData.objects.get(pk=document["session_id"])


def path(session) -> str:
    return f"/api/session/{session.pk}/somebody-else/"


def counted(world, session) -> int:
    day = session.local_day
    return len(briefs(world.anna, day - timedelta(days=1), day + timedelta(days=1)))


def test_a_marked_session_leaves_the_figures_and_stays_in_the_history(ended, api):
    world, _document, session = ended
    anna = api("anna")
    assert counted(world, session) == 1
    told = anna("POST", path(session))
    assert (told.status_code, told.json()["state"]) == (200, "somebody_else")
    assert counted(world, session) == 0
    assert [row["state"] for row in anna.get("/api/session/history/").json()["results"]] == [
        "somebody_else"
    ]
    assert anna("DELETE", path(session)).json()["state"] == "ended"
    assert counted(world, session) == 1
    events = [entry.event for entry in entries_of(world.anna)]
    assert events[:2] == ["theirs_again", "not_theirs"]


def test_a_newer_revision_does_not_bring_it_back(ended, api):
    world, document, session = ended
    api("anna")("POST", path(session))
    newer = {**document, "revision": document["revision"] + 1}
    assert accept_session(world.device, newer).outcome == "stored"
    session.refresh_from_db()
    assert (session.revision, session.state) == (newer["revision"], State.SOMEBODY_ELSE)


def test_clients_that_keep_in_step_are_told_and_conditions_see_it(ended, api):
    _world, _document, session = ended
    anna = api("anna")
    since = anna.get("/api/session/history/", updated_since="").json()
    before = anna.get(f"/api/session/{session.pk}/")["ETag"]
    anna("POST", path(session))
    session.refresh_from_db()
    assert session.change > 1
    assert anna.get(f"/api/session/{session.pk}/")["ETag"] != before
    assert since is not None


@pytest.mark.parametrize(
    ("who", "status"),
    [("anna", 200), ("carl", 200), ("ella", 404), ("otto", 404), ("nobody", 401), ("device", 403)],
)
def test_who_may_mark(ended, api, who, status):
    _world, _document, session = ended
    assert api(who)("POST", path(session)).status_code == status
    session.refresh_from_db()
    assert session.state == (State.SOMEBODY_ELSE if status == 200 else State.ENDED)


@pytest.mark.parametrize("lost", ["may_control", "may_see_history"])
def test_a_caregiver_needs_to_see_the_history_and_to_start_and_stop(ended, api, lost):
    world, _document, session = ended
    CareLink.objects.filter(caregiver=world.carl).update(**{lost: False})
    assert api("carl")("POST", path(session)).status_code == 404


def test_a_session_under_way_and_a_check_are_not_marked(world, api):
    document = golden("checkpoint")
    accept_session(world.device, document)
    answer = api("anna")("POST", f"/api/session/{document['session_id']}/somebody-else/")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_over")
    SessionData.objects.update(state=State.CHECK)
    answer = api("anna")("POST", f"/api/session/{document['session_id']}/somebody-else/")
    assert answer.status_code == 409


def test_on_the_page(ended):
    world, _document, session = ended
    carl = Client()
    carl.force_login(world.carl)
    page = f"/sessions/{session.pk}/"
    assert "This was not anna" in carl.get(page).content.decode()
    marked = carl.post(f"{page}whose/", {"somebody_else": "1"}, follow=True).content.decode()
    assert "The session is not part of any statistic or alert." in marked
    assert "It was anna after all" in marked
    assert "somebody else" in carl.get("/people/anna/").content.decode()
    back = carl.post(f"{page}whose/", {"somebody_else": "0"}, follow=True).content.decode()
    assert "The session counts again." in back


def test_its_export_and_fhir_leave_it_out(ended, api):
    _world, _document, session = ended
    anna = api("anna")
    whole = {"from": "2000-01-01", "to": "2100-01-01"}
    assert str(session.pk) in anna.get("/api/session/export/", **whole).getvalue().decode()
    anna("POST", path(session))
    assert str(session.pk) not in anna.get("/api/session/export/", **whole).getvalue().decode()
    assert json.loads(anna.get(f"/api/session/{session.pk}/").content)["state"] == "somebody_else"
