"""What becomes of a batch of messages, without a broker."""

import json
import uuid

import pytest
from django.db import DataError, OperationalError

from server.common.mqtt import Message
from server.devices.models import DeadLetter, Device
from server.ingest.batches import take as stored
from server.session_data import receive
from server.session_data.models import SessionData
from tests.server.conftest import golden


def message(device, document, kind="sessions", retained=False):
    payload = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Message(f"blinklog/1/devices/{device}/{kind}", payload, retained)


def test_a_batch_is_stored_and_each_message_answered(world):
    documents = [golden("started") for _ in range(3)]
    answers = stored([message(world.device.pk, document) for document in documents])
    assert [(a.session_id, a.outcome) for a in answers] == [
        (document["session_id"], "stored") for document in documents
    ]
    assert SessionData.objects.filter(user=world.anna, device=world.device).count() == 3
    world.device.refresh_from_db()
    assert world.device.last_seen_at is not None


@pytest.mark.parametrize("payload", [b"", b"\xff", b"{", b"[]", b"null", b"{}", b"[" * 9999])
def test_poison_is_answered_and_kept_aside_and_spoils_nothing(world, payload):
    good = golden("final")
    answers = stored([message(world.device.pk, payload), message(world.device.pk, good)])
    assert [answer.outcome for answer in answers] == ["rejected", "stored"]
    letter = DeadLetter.objects.get()
    assert (letter.device, letter.door, letter.size) == (world.device, "mqtt", len(payload))
    assert letter.reason == answers[0].reason


@pytest.mark.parametrize("key", ["state", "ended_by", "note", "quality"])
@pytest.mark.parametrize(
    "value", ['"\\ud800"', '["\\ud800"]', "1e999", "-1e999", '"' + "y" * 900_000 + '"']
)
def test_whatever_a_device_sends_it_is_answered_and_its_person_can_read_on(world, api, key, value):
    payload = json.dumps(golden("final", **{key: "?"})).replace('"?"', value).encode()
    (answer,) = stored([message(world.device.pk, payload)])
    assert answer.outcome == (
        "stored" if '"' in value and key in ("note", "quality") else "rejected"
    )
    assert len(answer.reason or "") < 200
    assert [len(letter.reason) < 200 for letter in DeadLetter.objects.all()] == [True] * (
        answer.outcome == "rejected"
    )
    for session in SessionData.objects.all():
        assert api("anna").get(f"/api/session/{session.pk}/").status_code == 200


def test_a_message_that_is_too_large_is_answered_and_only_its_beginning_is_kept(world):
    (answer,) = stored([message(world.device.pk, b" " * (1024 * 1024 + 1))])
    assert answer.outcome == "rejected"
    assert "1048576" in answer.reason
    assert len(DeadLetter.objects.get().payload) == DeadLetter.LONGEST_PART


def test_whose_a_message_is_says_its_topic_and_nothing_else(world):
    document = golden("started", device=str(world.device.pk), user="anna")
    stored([message(world.other_device.pk, document)])
    assert SessionData.objects.get().user == world.otto


@pytest.mark.parametrize("sender", ["unknown", "revoked", "odd"])
def test_a_device_we_do_not_know_gets_no_answer(world, sender):
    Device.objects.filter(pk=world.device.pk).update(revoked_at="2026-01-01T00:00:00Z")
    name = {"unknown": uuid.uuid4(), "revoked": world.device.pk, "odd": "x" * 500}[sender]
    assert stored([message(name, golden("final"))]) == [None]
    assert not SessionData.objects.exists()
    assert DeadLetter.objects.get().device is None


def test_a_document_that_the_database_refuses_is_answered_and_the_others_are_stored(
    world, monkeypatch
):
    poison = golden("final", note="poison")
    spoil(monkeypatch, poison, DataError("value out of range: somebody's data"))
    documents = [golden("final"), poison, golden("final")]
    answers = stored([message(world.device.pk, document) for document in documents])
    assert [answer.outcome for answer in answers] == ["stored", "rejected", "stored"]
    assert answers[1].session_id == poison["session_id"]
    assert DeadLetter.objects.get().reason == "the database can't store this document"


def test_a_fault_of_ours_leaves_the_message_with_its_device_and_names_no_data(
    world, monkeypatch, caplog
):
    poison = golden("final", note="poison")
    spoil(monkeypatch, poison, KeyError("somebody's data"))
    documents = [golden("final"), poison]
    answers = stored([message(world.device.pk, document) for document in documents])
    assert [answer and answer.outcome for answer in answers] == ["stored", None]
    assert "KeyError" in caplog.text
    assert "somebody" not in caplog.text


def test_while_the_database_is_away_nothing_is_answered(world, monkeypatch):
    spoil(monkeypatch, None, OperationalError("server closed the connection"))
    with pytest.raises(OperationalError):
        stored([message(world.device.pk, golden("final"))] * 3)


def spoil(monkeypatch, document, error):
    """Make every batch with `document` in it fail so."""
    real = receive.read_many

    def read_many(documents):
        if document is None or any(json.loads(payload) == document for _, payload in documents):
            raise error
        return real(documents)

    monkeypatch.setattr(receive, "read_many", read_many)


# Presence


def status(world, payload, retained=False):
    stored([message(world.device.pk, payload, "status", retained)])
    world.device.refresh_from_db()
    return world.device


def test_a_device_says_that_it_is_there(world):
    told = {"online": True, "agent_version": "1.2.3", "pending": 4}
    device = status(world, told)
    assert (device.online, device.agent_version, device.pending_sessions) == (True, "1.2.3", 4)
    assert device.last_seen_at == device.status_at


def test_a_last_will_is_not_a_sign_of_life(world):
    seen = status(world, {"online": True}).last_seen_at
    device = status(world, {"online": False})
    assert (device.online, device.last_seen_at) == (False, seen)


def test_what_was_said_some_time_ago_is_no_sign_of_life(world):
    device = status(world, {"online": True}, retained=True)
    assert (device.online, device.last_seen_at) == (True, None)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"[]",
        {},
        {"online": "yes"},
        {"online": None},
        {"online": True, "agent_version": ["1"], "pending": -1},
        {"online": True, "agent_version": "1\x00", "pending": 2**40},
        {"online": True, "agent_version": "\ud800", "pending": True},
        b" " * 5000,
    ],
)
def test_nonsense_as_a_status_changes_nothing(world, payload):
    device = status(world, payload)
    assert (device.agent_version, device.pending_sessions) == ("", None)
    assert not DeadLetter.objects.exists()


def test_a_status_of_nobody_we_know_is_nobodys(world):
    assert stored([message(uuid.uuid4(), {"online": True}, "status")]) == [None]
    assert not Device.objects.filter(online=True).exists()


def test_a_batch_takes_a_fixed_number_of_queries(world, django_assert_max_num_queries):
    stored([message(world.device.pk, golden("started"))])
    documents = [golden("started") for _ in range(20)]
    with django_assert_max_num_queries(12):  # SQLite inserts 22 rows a statement
        stored([message(world.device.pk, document) for document in documents])
