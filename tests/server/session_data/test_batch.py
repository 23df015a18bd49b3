"""POST /api/session/batch/: a backlog in one request, each document answered as PUT answers it."""

import json
import uuid

import pytest
from django.db import DataError, OperationalError

from server.common import disk
from server.common.mqtt import Message
from server.devices.fair_share import FairShare
from server.devices.models import DeadLetter
from server.ingest.batches import take
from server.monitoring.metrics import DOCUMENTS
from server.session_data import batch, quotas, receive
from server.session_data.batch import FAILED, MOST_DOCUMENTS
from server.session_data.models import SessionData
from tests.server.conftest import Api, golden

BATCH = "/api/session/batch/"


def put(sender, document):
    return sender("PUT", f"/api/session/{document['session_id']}/", document)


def sent(sender, documents):
    answer = sender("POST", BATCH, documents)
    assert answer.status_code == 200, answer.content
    return answer.json()["results"]


def outcomes(sender, documents):
    return [result["outcome"] for result in sent(sender, documents)]


def kinds(session_id):
    """A document of every kind, and its outcome."""
    stored = golden("final", session_id=session_id)
    return [
        (stored, "stored"),
        (stored, "duplicate"),
        (golden("checkpoint", session_id=session_id), "stale"),
        (golden("final", fps=1, metrics={"coverage": 3}), "rejected"),
        (golden("final", minutes=None), "rejected"),
        (golden("final", state="odd", ended_at=None), "rejected"),
        (golden("started"), "stored"),
    ]


def test_each_document_is_answered_in_order_and_one_bad_one_holds_back_nobody(api):
    documents, expected = zip(*kinds(str(uuid.uuid4())), strict=True)
    results = sent(api("device"), list(documents))
    assert [each["outcome"] for each in results] == list(expected)
    assert [each["session_id"] for each in results] == [each["session_id"] for each in documents]
    assert results[3]["errors"] == {
        "metrics": {"coverage": ["expected a number from 0 to 1, found 3"]}
    }
    assert SessionData.objects.count() == 2


@pytest.mark.parametrize("number", range(7))
def test_a_document_gets_the_answer_that_put_and_mqtt_give(api, world, number):
    session_id = str(uuid.uuid4())
    if number in (1, 2):
        put(api("device"), kinds(session_id)[0][0])
    document = kinds(session_id)[number][0]
    (result,) = sent(api("device"), [document])
    SessionData.objects.exclude(pk=session_id).delete()
    if number == 0:
        SessionData.objects.all().delete()
    alone = put(api("device"), document).json()
    assert result == {key: alone[key] for key in result}
    SessionData.objects.exclude(pk=session_id).delete()
    if number == 0:
        SessionData.objects.all().delete()
    topic = f"blinklog/1/devices/{world.device.pk}/sessions"
    (acceptance,) = take([Message(topic, json.dumps(document).encode())])
    assert acceptance.answer() == {key: result[key] for key in acceptance.answer()}


def test_a_rejected_document_is_kept_as_a_dead_letter_and_a_good_one_unchanged(api, world):
    text = json.dumps(golden("final", note="\u00e9"), indent=1)
    body = f'[{text},\n {{"session_id": 5}}, 7]'
    answer = api("device").client.generic("POST", BATCH, body, content_type="application/json")
    assert [each["outcome"] for each in answer.json()["results"]] == [
        "stored",
        "rejected",
        "rejected",
    ]
    assert SessionData.objects.get().document_json == text
    letters = DeadLetter.objects.order_by("id")
    assert [letter.payload for letter in letters] == ['{"session_id": 5}', "7"]
    assert {(letter.device, letter.door) for letter in letters} == {(world.device, "http")}


def test_several_revisions_of_a_session_may_be_in_one_batch(api):
    session_id = str(uuid.uuid4())
    names = ["started", "checkpoint", "final"]
    documents = [golden(name, session_id=session_id) for name in names]
    assert outcomes(api("device"), documents) == ["stored"] * 3
    assert SessionData.objects.get().document == documents[2]


def test_a_session_that_is_active_is_seen_at_once(api):
    document = golden("started")
    sent(api("device"), [golden("final"), document])
    (entry,) = api("anna").get("/api/session/history/", state="active").json()["results"]
    assert entry["id"] == document["session_id"]


def test_a_batch_takes_a_fixed_number_of_queries(api, django_assert_max_num_queries):
    sent(api("device"), [golden("final")])
    with django_assert_max_num_queries(20):
        sent(api("device"), [golden("final") for _ in range(60)])


# Who


def test_a_person_sends_the_sessions_that_they_started_and_no_others(api, world):
    started = api("anna")("POST", "/api/session/start/", {}).json()["id"]
    own = golden("final", session_id=started)
    measured, otto = golden("started"), golden("started")
    put(api("device"), measured)
    put(api("other device"), otto)
    others = [golden("final", session_id=each["session_id"]) for each in (measured, otto)]
    results = sent(api("anna"), [*others, golden("final"), own, {"session_id": "odd"}])
    assert [each["outcome"] for each in results] == ["rejected"] * 3 + ["stored", "rejected"]
    assert {each["reason"] for each in results[:3]} == {"this session id can't be used"}
    assert "session_id" in results[4]["errors"]
    assert SessionData.objects.count() == 3
    assert not DeadLetter.objects.exists()


def test_a_device_can_not_write_another_one_s_session(api):
    theirs = golden("started")
    put(api("other device"), theirs)
    mine = golden("final")
    results = sent(api("device"), [golden("final", session_id=theirs["session_id"]), mine])
    assert [each["outcome"] for each in results] == ["rejected", "stored"]
    assert results[0]["reason"] == "this session id can't be used"
    assert SessionData.objects.get(pk=theirs["session_id"]).document == theirs


@pytest.mark.parametrize("who", ["nobody", "revoked", "revoked device token"])
def test_without_a_valid_token_nothing_is_stored(api, who):
    assert api(who)("POST", BATCH, [golden("final")]).status_code == 401
    assert not SessionData.objects.exists()


def test_a_token_that_may_only_read_is_refused(world):
    login = {"username": "anna", "password": "a long enough pass phrase", "scope": "read"}
    token = Api()("POST", "/api/auth/token/", login).json()["token"]
    assert Api(token)("POST", BATCH, []).status_code == 403


# Bounds


def test_so_many_documents_and_no_more(api):
    documents = [golden("started") for _ in range(MOST_DOCUMENTS + 1)]
    answer = api("device")("POST", BATCH, documents)
    assert answer.status_code == 400
    assert answer.json()["detail"] == "expected at most 100 documents, found 101"
    assert not SessionData.objects.exists()
    assert outcomes(api("device"), documents[:-1]) == ["stored"] * MOST_DOCUMENTS
    assert outcomes(api("device"), []) == []


def test_a_body_is_bounded_as_any_other(api):
    answer = api("device")("POST", BATCH, [golden("started", note="x" * 1024 * 1024)])
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "expected a JSON array, found no body"),
        (b"{}", "expected a JSON array, found dict"),
        (b"null", "expected a JSON array, found NoneType"),
        (b"[1,]", "expected JSON"),
        (b"[1] 2", "expected JSON"),
        (b"[NaN]", "expected finite numbers, found NaN"),
        (b"[" * 9999, "levels of nesting"),
        (b"\xff", "expected UTF-8"),
    ],
)
def test_what_is_no_array_is_refused_with_the_reason(api, body, said):
    answer = api("device").client.generic("POST", BATCH, body, content_type="application/json")
    assert answer.status_code == 400
    assert said in answer.json()["detail"]


def test_a_document_that_can_only_be_read_slowly_is_read(api):
    body = json.dumps([golden("final", note="?")]).replace('"?"', '"\\ud800"')
    answer = api("device").client.generic("POST", BATCH, body, content_type="application/json")
    assert answer.json()["results"][0]["outcome"] == "stored"


def test_a_device_that_sends_too_much_is_told_when_to_come_back_and_others_go_on(api, monkeypatch):
    share = FairShare(0.5, 100, clock=lambda: 1000.0)
    monkeypatch.setattr(batch, "BATCHED", share)
    assert outcomes(api("device"), [golden("started") for _ in range(90)]) == ["stored"] * 90
    answer = api("device")("POST", BATCH, [golden("started") for _ in range(90)])
    assert (answer.status_code, answer["Retry-After"]) == (429, "159")
    assert SessionData.objects.count() == 90
    assert outcomes(api("other device"), [golden("started")]) == ["stored"]


# Quotas


def large():
    return golden("started") | {"padding": "x" * 95 * 1024}


def test_what_is_above_a_quota_is_deferred_and_the_rest_is_stored(api, settings):
    settings.DEVICE_MB_PER_DAY = 1
    settings.PERSON_MB_PER_DAY = settings.PERSON_MB = 0
    sent(api("device"), [large() for _ in range(7)])
    waiting = [large() for _ in range(5)]
    results = sent(api("device"), waiting)
    assert [each["outcome"] for each in results] == ["stored"] * 3 + ["deferred"] * 2
    assert results[4]["session_id"] == waiting[4]["session_id"]
    assert "quota" in results[4]["reason"]
    answer = api("device")("POST", BATCH, waiting[3:])
    assert (answer.status_code, answer.json()["code"]) == (429, "quota_reached")
    assert int(answer["Retry-After"]) == quotas.QUOTA_WAIT_S
    assert not DeadLetter.objects.exists()


def test_on_a_full_disk_all_is_to_be_sent_again_later(api, monkeypatch):
    monkeypatch.setattr(disk.WATCH, "state", lambda: "full")
    answer = api("device")("POST", BATCH, [golden("final"), golden("final")])
    assert (answer.status_code, answer.json()["code"]) == (503, "disk_full")
    assert int(answer["Retry-After"]) == quotas.DISK_WAIT_S
    assert not SessionData.objects.exists()


# Faults


def spoil(monkeypatch, document, error):
    """Make every transaction with `document` in it fail so, after it has written."""
    real = receive.store_many

    def store_many(read):
        answers = real(read)
        if document is None or any(each.session_id == document["session_id"] for each in answers):
            raise error
        return answers

    monkeypatch.setattr(receive, "store_many", store_many)


def test_a_document_that_the_database_refuses_is_rejected_and_the_others_are_stored(
    api, monkeypatch
):
    poison = golden("final")
    spoil(monkeypatch, poison, DataError("value out of range: somebody's data"))
    answers = outcomes(api("device"), [golden("final"), poison, golden("final")])
    assert answers == ["stored", "rejected", "stored"]
    assert SessionData.objects.count() == 2
    assert DeadLetter.objects.get().reason == "the database can't store this document"


def test_a_device_is_seen_even_if_its_batch_fails_at_the_end(api, world, monkeypatch):
    real = receive._conclude

    def conclude(deliveries):
        real(deliveries)
        if len(deliveries) > 1:
            raise DataError("at the commit")

    monkeypatch.setattr(receive, "_conclude", conclude)
    assert outcomes(api("device"), [golden("final"), golden("final")]) == ["stored"] * 2
    world.device.refresh_from_db()
    assert world.device.last_seen_at is not None


def test_a_document_that_meets_a_bug_stays_with_its_device(api, monkeypatch, caplog):
    poison = golden("final")
    spoil(monkeypatch, poison, KeyError("somebody's data"))
    results = sent(api("device"), [golden("final"), poison])
    assert [each["outcome"] for each in results] == ["stored", "deferred"]
    assert results[1]["reason"] == FAILED
    assert "KeyError" in caplog.text
    assert "somebody" not in caplog.text


def test_after_a_deadlock_nothing_is_stored_and_all_can_be_sent_again(api, monkeypatch):
    documents = [golden("final") for _ in range(3)]
    with monkeypatch.context() as patch:
        spoil(patch, None, OperationalError("deadlock detected"))
        answer = api("device")("POST", BATCH, documents)
    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
    assert "Retry-After" in answer
    assert not SessionData.objects.exists()
    assert outcomes(api("device"), documents) == ["stored"] * 3
    assert outcomes(api("device"), documents) == ["duplicate"] * 3


def test_every_document_is_counted_by_its_outcome(api):
    def count(outcome):
        return DOCUMENTS.labels(outcome)._value.get()

    before = count("stored"), count("rejected")
    sent(api("device"), [golden("final"), golden("final", state="odd"), golden("final")])
    assert (count("stored") - before[0], count("rejected") - before[1]) == (2, 1)
