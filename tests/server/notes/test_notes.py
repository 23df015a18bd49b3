"""Who writes, sees, changes and deletes notes: over the API."""

import csv
import io
import json
import uuid
from datetime import timedelta

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from server.care.audit import entries_of
from server.care.models import AccessLog, CareLink, Person
from server.notes import write
from server.notes.models import Note
from server.notes.write import add
from server.session_data.accept import accept_session
from tests.server.conftest import golden

NOTES = "/api/notes/"


@pytest.fixture
def session(world) -> str:
    document = golden("final")
    assert accept_session(world.device, document).outcome == "stored"
    return document["session_id"]


def noted(api, who, **given):
    answer = api(who)("POST", NOTES, {"kind": "text", "text": "some words"} | given)
    assert answer.status_code == 201, answer.content
    return answer.json()


def seen_by(api, who) -> list[str]:
    answer = api(who).get(NOTES, user="anna")
    return [each["text"] for each in answer.json().get("results", [])]


def test_a_note_of_ones_own_is_private_until_it_is_shared(world, api):
    note = noted(api, "anna", kind="medicine", text="Timolol")
    assert (note["shared"], note["author"], note["session_id"]) == (False, "anna", None)
    assert seen_by(api, "anna") == ["Timolol"]
    assert seen_by(api, "carl") == []
    address = f"{NOTES}{note['id']}/"
    assert api("carl").get(address).status_code == 404
    assert api("carl").get(f"{address}before-after/").status_code == 404
    assert api("anna")("PATCH", address, {"shared": True}).json()["shared"] is True
    assert seen_by(api, "carl") == ["Timolol"]
    assert api("carl").get(address).status_code == 200
    assert seen_by(api, "otto") == []


def test_a_caregiver_writes_on_a_session_and_all_who_may_see_it_read_who_wrote(world, api, session):
    note = noted(api, "carl", session_id=session, text="She was tired")
    assert (note["user"], note["author"], note["shared"]) == ("anna", "carl", True)
    assert note["at"] == api("carl").get(f"/api/session/{session}/").json()["started_at"]
    CareLink.objects.create(caregiver=world.ella, person=world.anna)
    for who in ("anna", "carl", "ella"):
        assert seen_by(api, who) == ["She was tired"]
    CareLink.objects.filter(caregiver=world.ella).update(may_see_history=False)
    assert seen_by(api, "ella") == []


@pytest.mark.parametrize("who", ["ella", "otto"])
def test_nobody_writes_on_a_session_that_they_may_not_see(world, api, session, who):
    body = {"kind": "text", "text": "x", "session_id": session}
    other = api(who)("POST", NOTES, body)
    nobody = api(who)("POST", NOTES, body | {"session_id": str(uuid.uuid4())})
    assert (other.status_code, other.content) == (nobody.status_code, nobody.content)
    assert other.status_code == 404
    assert not Note.objects.exists()


@pytest.mark.parametrize("permission", ["live", "control", "alerts"])
def test_without_the_history_nobody_writes_on_a_running_session(world, api, permission):
    running = golden("started")
    accept_session(world.device, running)
    CareLink.objects.filter(caregiver=world.carl, ended_at=None).update(
        may_see_history=False, may_see_live=True, may_get_alerts=True
    )
    body = {"kind": "text", "text": "x", "session_id": running["session_id"]}
    assert api("carl")("POST", NOTES, body).status_code == 404


def test_a_note_on_a_running_session_is_not_seen_without_live(world, api):
    running = golden("started")
    accept_session(world.device, running)
    noted(api, "anna", session_id=running["session_id"], shared=True)
    assert len(seen_by(api, "carl")) == 1
    CareLink.objects.filter(caregiver=world.carl).update(may_see_live=False)
    assert seen_by(api, "carl") == []


def test_only_its_author_changes_a_note_and_the_person_can_delete_any(world, api, session):
    hers = noted(api, "anna", shared=True)
    his = noted(api, "carl", session_id=session)
    for who, note in (("carl", hers), ("anna", his)):
        answer = api(who)("PATCH", f"{NOTES}{note['id']}/", {"text": "other"})
        assert (answer.status_code, answer.json()["code"]) == (403, "not_the_author")
    refused = api("carl")("DELETE", f"{NOTES}{hers['id']}/")
    assert (refused.status_code, refused.json()["code"]) == (403, "not_the_author")
    assert api("carl")("PATCH", f"{NOTES}{his['id']}/", {"text": "other"}).status_code == 200
    assert api("anna")("DELETE", f"{NOTES}{his['id']}/").status_code == 204
    assert [str(each.pk) for each in Note.objects.all()] == [hers["id"]]
    events = [each.event for each in entries_of(world.anna)]
    assert sorted(events) == ["note_added", "note_added", "note_changed", "note_deleted"]
    assert "other" not in str(list(entries_of(world.anna).values()))


def test_a_caregivers_notes_stay_with_their_name_when_sharing_ends(world, api, session):
    note = noted(api, "carl", session_id=session)
    CareLink.objects.get(caregiver=world.carl, ended_at=None).end()
    assert api("carl").get(f"{NOTES}{note['id']}/").status_code == 404
    assert api("carl")("DELETE", f"{NOTES}{note['id']}/").status_code == 404
    assert api("anna").get(NOTES).json()["results"][0]["author"] == "carl"
    world.carl.delete()
    (left,) = api("anna").get(NOTES).json()["results"]
    assert (left["author"], left["text"]) == ("carl", "some words")
    assert api("anna")("DELETE", f"{NOTES}{note['id']}/").status_code == 204


def test_a_look_at_notes_is_in_the_persons_access_log(world, api):
    api("carl").get(NOTES, user="anna")
    api("anna").get(NOTES)
    assert [(each.viewer, each.what) for each in AccessLog.objects.all()] == [(world.carl, "notes")]


@pytest.mark.parametrize(
    ("given", "field", "code"),
    [
        ({"text": "  "}, "text", "required"),
        ({"text": "a\nb"}, "text", "invalid"),
        ({"text": "a\u202eb"}, "text", "invalid"),
        ({"text": "x" * 201}, "text", "invalid"),
        ({"kind": "other"}, "kind", "invalid"),
        ({"at": "2199-01-01T00:00:00Z"}, "at", "not_in_the_past"),
        ({"at": "1999-12-31T00:00:00Z"}, "at", "not_in_the_past"),
        ({"at": "yesterday"}, "at", "invalid"),
        ({"shared": "yes"}, "shared", "invalid"),
        ({"session_id": "1"}, "session_id", "invalid"),
    ],
)
def test_what_is_no_note_is_refused_with_the_field(world, api, given, field, code):
    answer = api("anna")("POST", NOTES, {"kind": "text", "text": "x"} | given)
    assert answer.status_code == 400, answer.content
    assert list(answer.json()["errors"]) == [field]
    assert answer.json()["code"] == code
    assert not Note.objects.exists()


def test_a_caregivers_note_can_t_be_hidden_from_the_person(world, api, session):
    body = {"kind": "text", "text": "x", "session_id": session, "shared": False}
    answer = api("carl")("POST", NOTES, body)
    assert (answer.status_code, answer.json()["code"]) == (400, "always_shared")
    note = noted(api, "carl", session_id=session)
    answer = api("carl")("PATCH", f"{NOTES}{note['id']}/", {"shared": False})
    assert (answer.status_code, answer.json()["code"]) == (400, "always_shared")


def test_one_author_fills_nobody_elses_room(world, api, session, monkeypatch):
    monkeypatch.setattr(Note, "MOST", 2)
    for _ in range(2):
        noted(api, "carl", session_id=session)
    body = {"kind": "text", "text": "x", "session_id": session}
    answer = api("carl")("POST", NOTES, body)
    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_notes")
    noted(api, "anna")


def test_put_needs_all_values_and_patch_none(world, api):
    address = f"{NOTES}{noted(api, 'anna')['id']}/"
    assert set(api("anna")("PUT", address, {}).json()["errors"]) == {"kind", "at", "text", "shared"}
    assert api("anna")("PATCH", address, {}).json()["text"] == "some words"
    whole = {"kind": "drops", "at": "2026-01-02T03:04:00Z", "text": "", "shared": True}
    told = api("anna")("PUT", address, whole).json()
    assert {**told, **whole, "at": "2026-01-02T03:04:00.000Z"} == told


def test_an_export_has_only_what_its_reader_may_see(world, api, session):
    noted(api, "anna", text="private")
    noted(api, "anna", text="=shared", shared=True)
    noted(api, "carl", session_id=session, text="by Carl")
    texts = {"anna": {"private", "=shared", "by Carl"}, "carl": {"=shared", "by Carl"}}
    for who, wanted in texts.items():
        page = b"".join(api(who).get(f"{NOTES}export/", user="anna", **{"as": "json"}))
        assert {each["text"] for each in json.loads(page)["notes"]} == wanted
    page = b"".join(api("carl").get(f"{NOTES}export/", user="anna")).decode()
    rows = list(csv.DictReader(io.StringIO(page)))
    assert {each["text"] for each in rows} == {"'=shared", "by Carl"}  # no formula
    assert "exported" in [each.event for each in entries_of(world.anna)]
    assert api("otto").get(f"{NOTES}export/", user="anna").status_code == 404


def test_the_neighbours_of_a_note_tell_nothing_of_those_that_are_not_seen(world):
    now = timezone.now()
    days = {"shared": 20, "private": 18}
    notes = {
        name: add(
            world.anna,
            world.anna,
            None,
            {"kind": "drops", "at": now - timedelta(days=n), "shared": name == "shared"},
        )
        for name, n in days.items()
    }
    from server.notes.measured import before_after

    hers = before_after(world.anna, notes["shared"], 7, now)
    his = before_after(world.carl, notes["shared"], 7, now)
    assert hers.after.last < notes["private"].day < his.after.last


@given(st.text(max_size=300))
def test_what_is_kept_is_always_one_line_that_shows(text):
    note = Note(person_id=1, author_id=1, kind="text", at=timezone.now(), author_name="a")
    try:
        write._take(note, {"text": text})
    except write.ValidationError:
        return
    assert note.text
    assert note.text.isprintable()
    assert len(note.text) <= Note.LONGEST_TEXT


def test_a_person_without_notes_has_an_empty_list(world, api):
    assert Person.objects.count() == 4
    assert api("anna").get(NOTES).json()["results"] == []
