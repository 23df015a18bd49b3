"""What is kept, for how long; all of it to take away; and deletion that deletes."""

import csv
import io
import json
import re
import zipfile

import pytest
from django.apps import apps
from django.db import connection
from django.db.models import ForeignKey
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from server.alerts.models import Alert, Receiver, Rule
from server.care.access import note_look
from server.care.models import AccessLog, AuditEntry, CareLink, Person
from server.common.mqtt import BrokerError
from server.devices import manage
from server.devices.models import DeadLetter
from server.notes import write
from server.notes.models import Note
from server.operations import cli
from server.retention import deletion
from server.retention.models import Retention
from server.session_data.accept import accept_session
from server.session_data.dead_letters import keep_dead_letter, retry
from server.session_data.models import SessionData, Tombstone
from tests.server.conftest import PASSWORD, golden
from tests.server.retention.conftest import logged_in
from tests.server.session_data.test_history import explained


def stored(world, **changes) -> str:
    document = golden("final", **changes)
    assert accept_session(world.device, document).outcome == "stored"
    return document["session_id"]


def on(day: str, world) -> str:
    return stored(world, started_at=f"{day}T10:00:00Z", ended_at=f"{day}T10:05:00Z")


def deletions() -> list[str]:
    rows = AuditEntry.objects.filter(event="deleted").values_list("detail", "count")
    return [detail for detail, count in rows for _ in range(count)]


# Deleting sessions


def test_a_session_is_deleted_with_what_was_made_of_it_after_the_page_said_so(world, anna):
    gone, stays = stored(world), stored(world)
    for session in (gone, stays):
        payload = json.dumps(golden("final", session_id=session)).encode()
        keep_dead_letter("mqtt", str(world.device.pk), world.device, "bad", payload)
        rule = Rule.objects.create(
            receiver=world.anna, person=world.anna, kind="long_closures", closures=1
        )
        Alert.objects.create(
            rule=rule, receiver=world.anna, person=world.anna, kind="long_closures",
            cause=session, session_id=session, opened_at=timezone.now(),
            measured={"started_at": "2026-11-22T10:00:00Z", "count": 1, "longest_s": 1.0,
                      "closures": 1, "closure_s": None},
        )  # fmt: skip
        note_look(world.carl, world.anna, "session", session)
        write.add(world.carl, world.anna, session, {"kind": "text", "text": "words"})
    address = f"/account/data/delete/session/{gone}/"
    page = anna.get(address).content.decode()
    assert "Delete 1 session" in page
    begun = "Sunday 22 November 2026, 11:15"
    assert begun in page
    assert "/account/data/export/" in page
    assert anna.post(address, {"password": "wrong"}).status_code == 400
    assert SessionData.objects.count() == 2
    answer = anna.post(address, {"password": PASSWORD}, follow=True)
    assert f"1 session was deleted: {begun}." in answer.content.decode()
    assert [str(each.pk) for each in SessionData.objects.all()] == [stays]
    assert [str(each.session_id) for each in Alert.objects.all()] == [stays]
    assert [str(each.session_id) for each in Note.objects.all()] == [stays]
    assert gone not in DeadLetter.objects.get().payload
    assert AccessLog.objects.filter(viewer=world.carl).count() == 2  # who looked stays
    assert not AccessLog.objects.filter(session_id=gone).exists()
    told = "one session of 2026-11-22 11:15: 1 sessions, 1 alerts, 1 rejected documents, 1 notes"
    assert deletions() == [told]


def test_a_device_that_sends_a_deleted_session_again_does_not_bring_it_back(world, anna, api):
    document = golden("final")
    accept_session(world.device, document)
    session = document["session_id"]
    keep_dead_letter(
        "mqtt", "elsewhere", None, "unknown", json.dumps(document | {"revision": 9}).encode()
    )
    anna.post(f"/account/data/delete/session/{session}/", {"password": PASSWORD})
    later = document | {"revision": document["revision"] + 1}
    for again in (document, later):
        answer = accept_session(world.device, again)
        assert (answer.outcome, answer.reason) == ("stale", "the session was deleted")
        by_http = api("device")("PUT", f"/api/session/{session}/", again)
        assert (by_http.status_code, by_http.json()["outcome"]) == (200, "stale")
    DeadLetter.objects.update(device=world.device, sender=str(world.device.pk))
    retry(DeadLetter.objects.get())
    assert not SessionData.objects.exists()
    assert api("carl").get(f"/api/session/{session}/").status_code == 404


@pytest.mark.parametrize("how", ["one", "several"])
def test_what_is_deleted_in_the_admin_site_does_not_come_back_either(world, how):
    documents = [golden("final") for _ in range(2)]
    for document in documents:
        accept_session(world.device, document)
    ids = [document["session_id"] for document in documents]
    root = logged_in(Person.objects.create_superuser("root", timezone="UTC"))
    listed = "/admin/session_data/sessiondata/"
    if how == "one":
        for session in ids:
            root.post(f"{listed}{session}/delete/", {"post": "yes"})
    else:
        form = {"action": "delete_selected", "_selected_action": ids, "post": "yes"}
        assert root.post(listed, form).status_code == 302
    assert not SessionData.objects.exists()
    for document in documents:
        again = document | {"revision": document["revision"] + 1}
        assert accept_session(world.device, again).outcome == "stale"
    told = "one session of 2026-11-22 11:15: 1 sessions, 0 alerts, 0 rejected documents, 0 notes"
    assert deletions() == [told] * 2
    assert {each.subject for each in AuditEntry.objects.filter(event="deleted")} == {world.anna}


def test_a_batch_asks_once_which_of_its_new_sessions_were_deleted(world):
    accept_session(world.device, golden("final"))
    with CaptureQueriesContext(connection) as queries:
        accept_session(world.device, golden("final"))
    tombs = [each for each in queries if Tombstone._meta.db_table in each["sql"]]
    assert len(tombs) == 1
    known = golden("started")
    accept_session(world.device, known)
    with CaptureQueriesContext(connection) as queries:
        accept_session(world.device, known | {"revision": 2})
    assert not [each for each in queries if Tombstone._meta.db_table in each["sql"]]


def test_the_sessions_of_some_days_are_deleted_in_batches(world, anna, monkeypatch):
    monkeypatch.setattr(deletion, "BATCH", 2)
    inside = [on(day, world) for day in ("2026-11-02", "2026-11-03", "2026-11-04") * 2]
    outside = [on(day, world) for day in ("2026-11-01", "2026-11-05")]
    chosen = {"first": "2026-11-02", "last": "2026-11-04"}
    page = anna.get("/account/data/delete/", chosen).content.decode()
    assert "Delete 6 sessions" in page
    assert "Monday 2 November 2026 to Wednesday 4 November 2026" in page
    anna.post("/account/data/delete/?first=2026-11-02&last=2026-11-04", {"password": PASSWORD})
    assert {str(each.pk) for each in SessionData.objects.all()} == set(outside)
    assert Tombstone.objects.count() == 2 * len(inside)  # one by the person, one by the device
    backwards = {"first": "2026-11-04", "last": "2026-11-02"}
    assert "is after the last" in anna.get("/account/data/delete/", backwards).content.decode()


def test_a_batch_finds_alerts_and_looks_by_the_index_of_their_session(world):
    batch = [stored(world), stored(world)]
    with CaptureQueriesContext(connection) as queries:
        deletion.delete_batch(batch, world.anna)
    asked = [q["sql"] for q in queries if '"session_id" IN' in q["sql"]]
    for index in ("alerts_of_a_session", "looks_at_a_session"):
        assert any(index in explained(sql) for sql in asked)
    assert not any("SCAN" in explained(sql) for sql in asked)


@pytest.mark.parametrize("who", ["carl", "ella", "otto"])
def test_nobody_deletes_or_exports_what_is_not_theirs(world, who):
    CareLink.objects.filter(caregiver=world.carl, ended_at=None).update(
        may_control=True, may_get_alerts=True
    )
    session = stored(world)
    other = logged_in(getattr(world, who))
    address = f"/account/data/delete/session/{session}/"
    assert other.get(address).status_code == 404
    assert other.post(address, {"password": PASSWORD}).status_code == 404
    days = "/account/data/delete/?first=2020-01-01&last=2030-01-01"
    other.post(days, {"password": PASSWORD})
    assert SessionData.objects.count() == 1
    assert session not in unzipped(other.post("/account/data/export/"))["sessions.csv"]


def test_guesses_at_the_password_are_counted(world, anna):
    stored(world)
    address = "/account/data/delete/account/"
    for _ in range(10):
        assert anna.post(address, {"password": "wrong"}).status_code == 400
    answer = anna.post(address, {"password": PASSWORD})
    assert "Too many failed attempts" in answer.content.decode()
    assert Person.objects.filter(username="anna").exists()


def test_whoever_is_not_logged_in_gets_nowhere(world):
    for path in ("", "delete/", "delete/account/"):
        assert Client().get(f"/account/data/{path}").status_code == 302
    assert Client().post("/account/data/export/").status_code == 302


# Deleting the account


def test_with_the_account_everything_about_the_person_is_gone(world, anna, api):
    session = stored(world)
    keep_dead_letter("mqtt", str(world.device.pk), world.device, "bad", b'{"blinks": 7}')
    Receiver.objects.create(person=world.anna, email="anna@example.org")
    Rule.objects.create(receiver=world.carl, person=world.anna, kind="device_silent", minutes=9)
    Retention.objects.create(person=world.anna, days=90)
    note_look(world.carl, world.anna, "session", session)
    page = anna.get("/account/data/delete/account/").content.decode()
    assert "/account/data/export/" in page
    pk = world.anna.pk
    answer = anna.post("/account/data/delete/account/", {"password": PASSWORD})
    assert "The account and 1 session were deleted" in answer.content.decode()
    assert left_about(pk) == []
    assert not DeadLetter.objects.exists()
    assert anna.get("/account/data/").status_code == 302
    assert api("anna").get("/api/people/").status_code == 401
    assert api("device")("POST", "/api/session/start/", golden("started")).status_code == 401
    assert deletions() == ["an account: 1 sessions, 1 devices, 2 links"]
    assert Person.objects.filter(username="otto").exists()


def test_the_operator_deletes_an_account_once_it_is_said_that_this_is_meant(
    world, capsys, monkeypatch
):
    monkeypatch.setenv("BLINKLOG_SECRET_KEY", "x" * 60)
    stored(world)
    pk = world.anna.pk
    assert cli.main(["delete-account", "anna"]) == 1
    assert (
        "delete the account anna with sessions: 1, devices: 1, sharing: 2"
        in capsys.readouterr().err
    )
    assert cli.main(["delete-account", "anna", "--for-good"]) == 0
    assert left_about(pk) == []
    entry = AuditEntry.objects.get(event="deleted")
    assert (entry.actor, entry.subject_name) == (None, "anna")


def test_the_admin_site_deletes_no_person(world):
    stored(world)
    root = logged_in(Person.objects.create_superuser("root", timezone="UTC"))
    page = f"/admin/care/person/{world.anna.pk}/delete/"
    assert root.post(page, {"post": "yes"}).status_code == 403
    assert SessionData.objects.filter(user=world.anna).exists()


def left_about(pk: int) -> list[str]:
    """Every row of every table that still points at a person."""
    return [
        f"{model.__name__}.{field.name}"
        for model in apps.get_models()
        for field in model._meta.get_fields()
        if isinstance(field, ForeignKey)
        and field.related_model is Person
        and model._default_manager.filter(**{field.name: pk}).exists()
    ]


def test_while_the_broker_can_t_be_told_nothing_is_deleted(world, anna, monkeypatch, settings):
    def away(*_):
        raise BrokerError("is away")

    stored(world)
    monkeypatch.setattr(deletion, "revoke", away)
    answer = anna.post("/account/data/delete/account/", {"password": PASSWORD})
    assert "Nothing was deleted, because the broker could not be reached" in answer.content.decode()
    assert SessionData.objects.count() == 1
    monkeypatch.undo()
    settings.MQTT_ADMIN_URL = "mqtt://admin@127.0.0.1"
    settings.MQTT_ADMIN_PASSWORD_FILE = "/nowhere"
    answer = anna.post("/account/data/delete/account/", {"password": PASSWORD})
    assert "Nothing was deleted, because the broker could not be reached" in answer.content.decode()
    assert SessionData.objects.count() == 1


def test_what_was_refused_of_a_person_stays_theirs_when_the_device_is_given_away(world, anna):
    keep_dead_letter("mqtt", str(world.device.pk), world.device, "bad", b"{of Anna")
    manage.reassign(world.anna, world.device, world.otto)
    otto = logged_in(world.otto)
    assert "of Anna" not in "".join(unzipped(otto.post("/account/data/export/")).values())
    assert "of Anna" in "".join(unzipped(anna.post("/account/data/export/")).values())
    otto.post("/account/data/delete/account/", {"password": PASSWORD})
    assert DeadLetter.objects.count() == 1
    anna.post("/account/data/delete/account/", {"password": PASSWORD})
    assert not DeadLetter.objects.exists()


# Taking it away


def unzipped(answer) -> dict[str, str]:
    assert answer["Content-Type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content))) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name).decode() for name in archive.namelist()}


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_everything_is_in_the_export_as_it_came(world, anna, monkeypatch):
    from server.retention import everything

    monkeypatch.setattr(everything, "CHUNK", 2)
    documents = [golden("final", extra={"kept": n}) for n in range(5)]
    for document in documents:
        accept_session(world.device, document)
    accept_session(world.other_device, golden("final"))
    keep_dead_letter("mqtt", str(world.device.pk), world.device, "bad", b"{nonsense")
    note_look(world.carl, world.anna, "history")
    files = unzipped(anna.post("/account/data/export/"))
    found = [json.loads(text) for name, text in files.items() if name.startswith("sessions/")]
    key = "session_id"
    assert sorted(found, key=lambda each: each[key]) == sorted(
        documents, key=lambda each: each[key]
    )
    assert {row["id"] for row in rows(files["sessions.csv"])} == {each[key] for each in documents}
    assert [row["viewer_name"] for row in rows(files["looks.csv"])] == ["carl"]
    assert {row["caregiver"] for row in rows(files["links.csv"])} == {"carl", "ella"}
    assert json.loads(files["person.json"])["username"] == "anna"
    (refused,) = [text for name, text in files.items() if name.startswith("rejected/")]
    assert json.loads(refused)["text"] == "{nonsense"
    assert "exported" in files["audit.csv"]
    described = set(re.findall(r"[a-z]+(?:\.csv|\.json)", files["README.txt"]))
    assert {name for name in files if "/" not in name} - {"README.txt"} == described


def test_no_secret_is_in_the_export(world, anna):
    made = Receiver.objects.create(person=world.anna, webhook_url="https://hooks.example.org/x")
    text = "".join(unzipped(anna.post("/account/data/export/")).values())
    assert made.webhook_secret not in text
    assert world.tokens["anna"] not in text
    assert "pbkdf2" not in text
    assert world.anna.password not in text


def test_the_export_is_streamed(world, anna):
    for _ in range(3):
        stored(world)
    with CaptureQueriesContext(connection) as queries:
        answer = anna.post("/account/data/export/")
    assert answer.streaming
    assert not [each for each in queries if "document_json" in each["sql"]]
    assert len(list(answer.streaming_content)) > 5


def test_the_pages_open_in_german_too(world, anna):
    page = anna.get("/account/data/", headers={"Accept-Language": "de"}).content.decode()
    assert "Ihre Daten" in page
    assert "Alles exportieren" in page
