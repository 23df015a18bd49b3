"""Everybody against every address that shows measurements, or starts and stops them: API and pages.

Carl may see history and what goes on, and start and stop; Hana, Liv, Conny and Alma have one
permission each. The others: test_sharing_matrix.py.
"""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from server.care.models import Person
from server.notes import write
from server.session_data.accept import accept_session
from server.session_data.commands import ask as commands
from tests.server.care.test_sharing_matrix import PEOPLE, as_if_alone, filled, only
from tests.server.conftest import golden

HISTORY, LIVE = ("anna", "carl", "hana"), ("anna", "carl", "liv")
CONTROL = ("anna", "carl", "conny")
LOOK = ("anna", "carl", "hana", "liv")
MINE = only(200, *PEOPLE)

API = {
    "own history": ("GET", "/api/session/history/", None, MINE),
    "own summary": ("GET", "/api/session/summary/", None, MINE),
    "own export": ("GET", "/api/session/export/", None, MINE),
    "history": ("GET", "/api/session/history/?user=anna", None, only(200, *HISTORY)),
    "live": ("GET", "/api/session/history/?user=anna&state=active", None, only(200, *LIVE)),
    "summary": ("GET", "/api/session/summary/?user=anna", None, only(200, *HISTORY)),
    "csv": ("GET", "/api/session/export/?user=anna&as=csv", None, only(200, *HISTORY)),
    "json": ("GET", "/api/session/export/?user=anna&as=json", None, only(200, *HISTORY)),
    "fhir": ("GET", "/api/session/export/?user=anna&as=fhir", None, only(200, *HISTORY)),
    "sheet as fhir": ("GET", "/api/sheet/?user=anna", None, only(200, *HISTORY)),
    "days": ("GET", "/api/session/export/?user=anna&of=days", None, only(200, *HISTORY)),
    "minutes": ("GET", "/api/session/export/?user=anna&of=minutes", None, only(200, *HISTORY)),
    "blinks": (
        "GET",
        "/api/session/export/?user=anna&of=blinks&as=parquet",
        None,
        only(200, *HISTORY),
    ),
    "excel": ("GET", "/api/session/export/?user=anna&as=excel", None, only(200, *HISTORY)),
    "export of all": ("GET", "/api/session/export/?people=all&of=blinks", None, MINE),
    "codebook": ("GET", "/api/session/export/codebook/", None, MINE),
    "of nobody": ("GET", "/api/session/summary/?user=nobody", None, only(200)),
    "past session": ("GET", "/api/session/{past}/", None, only(200, *HISTORY)),
    "session under way": ("GET", "/api/session/{live}/", None, only(200, *LIVE)),
    "start": ("POST", "/api/session/start/", {"device": "{device}"}, only(202, *CONTROL)),
    "stop": ("POST", "/api/session/{live}/end/", {}, only(202, *CONTROL)),
}
DEVICES_TOO = ("start", "stop")  # a device's own words: what it gets is said in test_session_api.py

PERSON = "/people/anna/"
PAGES = {
    "people": ("GET", "/", only(200, *PEOPLE)),
    "people, fresh": ("GET", "/live/", only(200, *PEOPLE)),
    "person": ("GET", PERSON, only(200, *LOOK)),
    "nobody": ("GET", "/people/nobody/", only(200)),
    "now": ("GET", PERSON + "now/", only(200, *LIVE)),
    "past session": ("GET", "/sessions/{past}/", only(200, *HISTORY)),
    "past session, fresh": ("GET", "/sessions/{past}/live/", only(200, *HISTORY)),
    "session under way": ("GET", "/sessions/{live}/", only(200, *LIVE)),
    "session under way, fresh": ("GET", "/sessions/{live}/live/", only(200, *LIVE)),
    "notes": ("GET", PERSON + "notes/", only(200, *HISTORY)),
    "write a note": ("POST", PERSON + "notes/", only(400, "anna")),
    "write on a session": ("GET", "/sessions/{past}/notes/", only(200, *HISTORY)),
    "write on a session under way": ("GET", "/sessions/{live}/notes/", only(200, "anna", "carl")),
    "change a note": ("GET", "/notes/{note}/", only(200, "anna")),
    "delete a note": ("GET", "/notes/{note}/delete/", only(200, "anna")),
    "before and after": ("GET", "/notes/{note}/before-after/", only(200, *HISTORY)),
    "change a private note": ("GET", "/notes/{private}/", only(200, "anna")),
    "before and after a private one": ("GET", "/notes/{private}/before-after/", only(200, "anna")),
    "export": ("GET", "/export/", only(200, *PEOPLE)),
    "definitions": ("GET", "/export/definitions/", only(200, *PEOPLE)),
    "start": ("POST", PERSON + "devices/{device}/start/", only(302, *CONTROL)),
    "stop": ("POST", PERSON + "sessions/{live}/stop/", only(302, *CONTROL)),
    "start Otto's": ("POST", PERSON + "devices/{other}/start/", only(302)),
}


@pytest.fixture
def known(everybody, monkeypatch):
    """What the addresses above stand for; the broker takes every command."""
    monkeypatch.setattr(commands, "_send", lambda command: None)
    began = timezone.now() - timedelta(minutes=9)
    ended = began + timedelta(minutes=5)
    past = golden("final", started_at=began.isoformat(), ended_at=ended.isoformat())
    live = golden("checkpoint", started_at=ended.isoformat())
    for document in (past, live):
        assert accept_session(everybody.device, document).outcome == "stored"
    notes = {
        name: write.add(everybody.anna, everybody.anna, None, {"kind": "drops", "shared": shared})
        for name, shared in (("note", True), ("private", False))
    }
    return {
        **{name: str(note.pk) for name, note in notes.items()},
        "past": past["session_id"],
        "live": live["session_id"],
        "device": str(everybody.device.pk),
        "other": str(everybody.other_device.pk),
    }


@pytest.mark.parametrize("what", API)
def test_everybody_gets_what_is_theirs_of_the_api(api, known, what):
    method, address, body, expected = API[what]
    for who, status in expected.items():
        if what in DEVICES_TOO and "device" in who and status == 403:
            continue
        path = filled(address, known)
        answer = as_if_alone(lambda w=who, p=path: api(w)(method, p, filled(body, known)))
        assert answer.status_code == status, (who, answer)
        assert "no-store" in answer["Cache-Control"]


@pytest.mark.parametrize("what", PAGES)
def test_everybody_gets_what_is_theirs_of_the_pages(known, what):
    method, address, expected = PAGES[what]
    path = filled(address, known)
    for who in PEOPLE:
        browser = Client()
        browser.force_login(Person.objects.get(username=who))
        ask = browser.get if method == "GET" else browser.post
        answer = as_if_alone(lambda a=ask: a(path))
        assert answer.status_code == expected[who], who
        assert "no-store" in answer["Cache-Control"]
    stranger = getattr(Client(), method.lower())(path)
    assert (stranger.status_code, stranger["Location"][:7]) == (302, "/login/")


@pytest.mark.parametrize("who", [name for name in PEOPLE if name not in LOOK])
def test_for_others_neither_her_name_nor_her_device_is_on_the_page_of_people(known, who):
    browser = Client()
    browser.force_login(Person.objects.get(username=who))
    page = browser.get("/").content.decode()
    assert "anna" not in page
    assert "Kitchen" not in page
    assert known["live"] not in page
