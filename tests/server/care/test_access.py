"""Everybody against every address: who gets what, and that nobody gets anything else."""

import re
import uuid

import pytest
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from server.alerts.models import Alert, Kind
from server.care.access import person_for, visible_people
from server.care.models import CareLink, Person
from server.devices.models import Command, Device
from server.notes.models import Note
from server.session_data.accept import accept_own, accept_session
from server.session_data.amend import first_document
from server.session_data.models import SessionData
from tests.server.care.access_matrix import MATRIX
from tests.server.care.test_sharing_matrix import API as SHARING
from tests.server.conftest import golden


@pytest.fixture(autouse=True)
def no_broker(settings):
    settings.MQTT_URL = "mqtt://127.0.0.1:1"


@pytest.fixture
def known(world):
    """A session of Anna's by her device, and one that she began herself."""
    by_device = golden("started")
    accept_session(world.device, by_device)
    own = first_document(world.anna, uuid.uuid4(), {})
    accept_own(world.anna, own)
    command = Command.objects.create(
        device=world.device,
        person=world.anna,
        asked_by_name="carl",
        command="start",
        session_id=by_device["session_id"],
        expires_at=timezone.now(),
    )
    CareLink.objects.filter(caregiver=world.carl).update(may_get_alerts=True)
    alert = Alert.objects.create(
        receiver=world.carl,
        person=world.anna,
        kind=Kind.NO_SESSION,
        cause="2026-11-22",
        measured={"by": "12:00", "day": "2026-11-22"},
        opened_at=timezone.now(),
    )
    at, text = timezone.now(), {"kind": "text", "text": "words", "author_name": "who"}
    notes = [
        Note.objects.create(person=world.anna, author=author, at=at, shared=shared, **text)
        for author, shared in ((world.anna, True), (world.anna, False), (world.carl, True))
    ]
    return {
        **{
            name: str(note.pk)
            for name, note in zip(
                ("shared note", "private note", "Carl's note"), notes, strict=True
            )
        },
        "session": by_device["session_id"],
        "alert": str(alert.pk),
        "own": own["session_id"],
        "command": str(command.pk),
        "device": str(world.device.pk),
    }


def body_of(name, known):
    if not isinstance(name, str):
        return name
    return {
        "final": golden("final", session_id=known["session"]),
        "own final": golden("final", session_id=known["own"]),
        "change": {"metrics": {"frames": 1}},
        "new": golden("started"),
        "device": {"device": known["device"]},
        "note on session": {"kind": "text", "text": "x", "session_id": known["session"]},
    }[name]


@pytest.mark.parametrize("what", MATRIX)
def test_everybody_gets_what_is_theirs_and_nothing_else(api, known, what):
    address, method, body, expected = MATRIX[what]
    for who in expected:
        # Each as if alone: what one changed, the next would find.
        before = set(SessionData.objects.values_list("id", "revision"))
        answer = api(who)(method, address.format(**known), body_of(body, known))
        assert answer.status_code == expected[who], (who, answer.content)
        if answer.status_code >= 400:
            assert set(SessionData.objects.values_list("id", "revision")) == before, who
            assert known["session"] not in mentioned(answer, body, known), who
            assert b"Traceback" not in answer.content


def mentioned(answer, body, known):
    """What the answer says beyond what was asked."""
    asked = str(body_of(body, known))
    return set(re.findall(r"[0-9a-f-]{36}", answer.content.decode())) - set(
        re.findall(r"[0-9a-f-]{36}", asked + str(answer.request["PATH_INFO"]))
    )


def test_the_matrix_names_every_address_of_the_api():
    paths = {
        re.sub(r"\{.*?\}|[0-9a-f-]{36}", "<id>", row[0]).split("?")[0] for row in MATRIX.values()
    }
    paths |= {re.sub(r"\{.*?\}", "<id>", row[1]).split("?")[0] for row in SHARING.values()}
    known_paths = {re.sub(r"<.*?>", "<id>", "/" + path) for path in api_paths(get_resolver())}
    assert known_paths <= paths


def api_paths(resolver, prefix=""):
    for pattern in resolver.url_patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver) and (path == "" or path.startswith("api")):
            yield from api_paths(pattern, path)
        elif isinstance(pattern, URLPattern) and path.startswith("api"):
            yield path


def test_a_stranger_and_nobody_get_the_same_answer(api, known):
    other = api("otto").get("/api/session/history/", user="anna")
    nobody = api("otto").get("/api/session/history/", user="no such person")
    assert (other.status_code, other.content) == (nobody.status_code, nobody.content)
    other = api("otto").get(f"/api/session/{known['session']}/")
    nobody = api("otto").get(f"/api/session/{uuid.uuid4()}/")
    assert (other.status_code, other.content) == (nobody.status_code, nobody.content)


def test_a_link_that_ends_ends_with_the_next_request(api, known, world):
    assert api("carl").get("/api/session/history/", user="anna").status_code == 200
    CareLink.objects.get(caregiver=world.carl, ended_at=None).end()
    assert api("carl").get("/api/session/history/", user="anna").status_code == 404


def test_a_link_is_of_one_direction(api, known):
    assert api("anna").get("/api/session/history/", user="carl").status_code == 404


def test_rank_opens_nobodys_history(api, known, world):
    Person.objects.filter(pk=world.otto.pk).update(is_staff=True, is_superuser=True)
    assert api("otto").get("/api/session/history/", user="anna").status_code == 404
    assert [p.username for p in visible_people(Person.objects.get(pk=world.otto.pk))] == ["otto"]


def test_people_are_those_who_let_one_in(api):
    names = [p["username"] for p in api("carl").get("/api/people/").json()["results"]]
    assert names == ["anna", "carl"]
    assert [p["username"] for p in api("ella").get("/api/people/").json()["results"]] == ["ella"]


def test_a_link_made_anew_after_its_end_shows_a_person_once(world):
    CareLink.objects.create(caregiver=world.ella, person=world.anna)
    assert [p.username for p in visible_people(world.ella)] == ["anna", "ella"]
    assert person_for(world.ella, "anna") == world.anna


def test_a_revoked_device_is_unknown_with_its_next_request(api, world):
    assert api("device")("POST", "/api/session/start/", golden("started")).status_code == 201
    Device.objects.filter(pk=world.device.pk).update(revoked_at="2026-01-01T00:00:00Z")
    assert api("device")("POST", "/api/session/start/", golden("started")).status_code == 401


def test_a_person_who_may_no_longer_log_in_is_unknown(api, world):
    Person.objects.filter(pk=world.carl.pk).update(is_active=False)
    assert api("carl").get("/api/people/").status_code == 401
