"""/api/session/: begin, update, end and read one session."""

import json
import uuid

import pytest

from server.common.parsing import document_size
from server.devices.models import DeadLetter
from server.session_data.models import SessionData
from tests.server.conftest import GOLDEN, golden


def start(api, who="device", **changes):
    document = golden("started", **changes)
    answer = api(who)("POST", "/api/session/start/", document)
    assert answer.status_code == 201, answer.content
    return document


def address(document, end=""):
    return f"/api/session/{document['session_id']}/{end}"


def test_a_device_begins_a_session_and_it_is_active_at_once(api, world):
    document = golden("started")
    answer = api("device")("POST", "/api/session/start/", document)
    assert answer.status_code == 201
    assert answer.json() == {
        "session_id": document["session_id"],
        "revision": 1,
        "outcome": "stored",
        "reason": None,
    }
    (entry,) = api("anna").get("/api/session/history/", state="active").json()["results"]
    assert (entry["id"], entry["state"]) == (document["session_id"], "active")
    assert entry["device"] == {"id": str(world.device.pk), "label": "Kitchen"}


def test_beginning_again_is_a_duplicate_and_no_error(api):
    document = start(api)
    answer = api("device")("POST", "/api/session/start/", document)
    assert (answer.status_code, answer.json()["outcome"]) == (200, "duplicate")


def test_updates_and_final_metrics_come_by_put(api):
    document = start(api)
    for name in ("checkpoint", "final"):
        newer = golden(name, session_id=document["session_id"])
        answer = api("device")("PUT", address(document), newer)
        assert (answer.status_code, answer.json()["outcome"]) == (200, "stored")
    detail = api("anna").get(address(document)).json()
    assert (detail["state"], detail["blink_count"], detail["ended_by"]) == ("ended", 5, "button")
    assert detail["minutes"] == newer["minutes"]
    assert detail["blinks"] == newer["blinks"]


def test_a_put_may_be_the_first_that_is_heard_of_a_session(api):
    final = golden("final")
    answer = api("device")("PUT", address(final), final)
    assert (answer.status_code, answer.json()["outcome"]) == (201, "stored")


def test_final_is_final_and_says_so(api):
    final = golden("final")
    api("device")("PUT", address(final), final)
    late = golden("checkpoint", session_id=final["session_id"])
    answer = api("device")("PUT", address(final), late)
    assert (answer.status_code, answer.json()["outcome"]) == (200, "stale")
    assert answer.json()["reason"] == "revision 7 is already stored"
    assert SessionData.objects.get().document == final


def test_a_patch_merges_objects_and_counts_up_the_revision(api):
    document = start(api)
    answer = api("device")(
        "PATCH", address(document), {"metrics": {"blink_count": 3, "partial_blink_count": None}}
    )
    assert (answer.status_code, answer.json()["revision"]) == (200, 2)
    kept = SessionData.objects.get().document
    assert kept["metrics"] == document["metrics"] | {"blink_count": 3}
    assert kept["clock"] == document["clock"]


def test_a_patch_with_an_old_revision_is_stale(api):
    document = start(api, revision=5)
    answer = api("device")("PATCH", address(document), {"revision": 4, "metrics": {}})
    assert answer.json()["outcome"] == "stale"


def test_a_patch_without_a_revision_does_not_change_what_is_over(api):
    document = golden("final")
    api("device")("PUT", address(document), document)
    for method, end in (("PATCH", ""), ("POST", "end/")):
        answer = api("device")(method, address(document, end), {"metrics": {"blink_count": 99}})
        assert (answer.status_code, answer.json()["outcome"]) == (409, "stale")
        assert answer.json()["revision"] == 7
    assert SessionData.objects.get().document == document


def test_a_patch_with_a_higher_revision_corrects_what_is_over(api):
    document = golden("final")
    api("device")("PUT", address(document), document)
    change = {"revision": 8, "metrics": {"blink_count": 6}}
    assert api("device")("PATCH", address(document), change).json()["outcome"] == "stored"
    assert SessionData.objects.get().blink_count == 6


def test_a_patch_that_makes_nonsense_changes_nothing(api):
    document = start(api)
    answer = api("device")("PATCH", address(document), {"metrics": {"coverage": 3}})
    assert answer.status_code == 400
    assert answer.json()["errors"] == {
        "metrics": {"coverage": ["expected a number from 0 to 1, found 3"]}
    }
    assert SessionData.objects.get().document == document


@pytest.mark.parametrize("letter", ["x", "\N{EURO SIGN}"])
@pytest.mark.parametrize(("method", "end"), [("PATCH", ""), ("POST", "end/")])
def test_many_changes_make_no_session_longer_than_a_document(api, method, end, letter):
    path, text = address(start(api)), letter * (480_000 // len(letter.encode()))
    for name in ("note", "another"):
        assert api("device")("PATCH", path, {name: text}).status_code == 200
    before = SessionData.objects.get().document_json
    answer = api("device")(method, path + end, {"more": text})
    assert (answer.status_code, answer.json()["outcome"]) == (400, "rejected")
    assert "expected at most 1048576 bytes with these changes" in answer.json()["reason"]
    assert SessionData.objects.get().document_json == before
    assert api("device")("PATCH", path, {"note": None, "more": text}).status_code == 200


@pytest.mark.parametrize(("method", "end"), [("PUT", ""), ("POST", "end/")])
def test_nor_do_those_of_a_person(api, method, end):
    session_id = api("anna")("POST", "/api/session/start/", {}).json()["id"]
    path = address({"session_id": session_id})
    values = {name: [0.12345678901] * 19_900 for name in ("at_s", "duration_ms", "amplitude")}
    blinks = values | {"complete": [None] * 19_900}
    assert api("anna")("PATCH", path, {"blinks": blinks}).status_code == 200
    before = SessionData.objects.get().document_json
    row = dict.fromkeys(("valid_s", "ear_mean", "perclos"), 0.12345678901234567)
    minutes = [row | {"minute": n} for n in range(1440)]
    answer = api("anna")(method, path + end, {"minutes": minutes})
    assert (answer.status_code, answer.json()["outcome"]) == (400, "rejected")
    assert "expected at most 1048576 bytes with these changes" in answer.json()["reason"]
    assert SessionData.objects.get().document_json == before


def test_a_session_as_long_as_a_document_may_be_can_still_be_ended(api):
    path = address(start(api))
    api("device")("PATCH", path, {"note": "x" * 1_000_000, "more": ""})
    document = {k: v for k, v in SessionData.objects.get().document.items() if k != "revision"}
    left = 1024 * 1024 - document_size(document)
    for beyond, status in ((1, 400), (0, 200)):
        text = "x" * (left + beyond)
        assert api("device")("PATCH", path, {"more": text}).status_code == status
    assert api("device")("PATCH", path, {}).status_code == 200
    assert api("device")("POST", path + "end/", {}).json()["outcome"] == "stored"


@pytest.mark.parametrize("body", [{}, {"metrics": {"blink_count": 4}}, "final"])
def test_end_ends_a_session_with_as_much_as_is_said(api, body):
    document = start(api)
    if body == "final":
        body = golden("final", session_id=document["session_id"])
    answer = api("device")("POST", address(document, "end/"), body)
    assert (answer.status_code, answer.json()["outcome"]) == (200, "stored")
    row = SessionData.objects.get()
    assert row.state == "ended"
    assert row.ended_at is not None


def test_an_end_may_be_the_first_that_is_heard_of_a_session(api):
    final = golden("final")
    assert api("device")("POST", address(final, "end/"), final).status_code == 201


def test_an_end_that_is_active_is_refused(api):
    document = start(api)
    answer = api("device")("POST", address(document, "end/"), {"state": "active"})
    assert answer.status_code == 400


# A person without a device


def test_a_person_begins_a_session_and_the_server_makes_the_id(api, world):
    answer = api("anna")("POST", "/api/session/start/", {})
    assert answer.status_code == 201
    session = answer.json()
    assert uuid.UUID(session["id"]).version == 7
    assert (session["state"], session["user"], session["device"]) == ("active", "anna", None)
    assert (session["timezone"], session["date_uncertain"]) == ("Europe/Berlin", False)
    assert session["blink_count"] is None


def test_a_person_updates_and_ends_their_own_session(api):
    session = api("anna")("POST", "/api/session/start/", {"timezone": "Asia/Tokyo"}).json()
    path = f"/api/session/{session['id']}/"
    change = {"metrics": {"blink_count": 12, "ear_mean": 0.3}}
    assert api("anna")("PATCH", path, change).json()["outcome"] == "stored"
    assert api("anna")("POST", path + "end/", {}).json()["outcome"] == "stored"
    ended = api("anna").get(path).json()
    assert (ended["state"], ended["ended_by"], ended["blink_count"]) == ("ended", "command", 12)
    assert (ended["timezone"], ended["utc_offset_minutes"]) == ("Asia/Tokyo", 540)
    whole = SessionData.objects.get().document | {"revision": 9, "metrics": {"blink_count": 13}}
    assert api("anna")("PUT", path, whole).json()["outcome"] == "stored"


@pytest.mark.parametrize(
    "body",
    [
        {"timezone": "Mars/Olympus"},
        {"timezone": "localtime"},
        {"started_at": "yesterday"},
        {"session_id": "0193a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b"},
        [],
        None,
    ],
)
def test_a_persons_odd_start_is_refused(api, body):
    assert api("anna")("POST", "/api/session/start/", body).status_code == (
        201 if body is None else 400
    )


def test_a_person_does_not_make_ids(api):
    document = golden("final")
    assert api("anna")("PUT", address(document), document).status_code == 404
    assert api("anna")("PATCH", address(document), {}).status_code == 404
    assert api("anna")("POST", address(document, "end/"), document).status_code == 404


def test_what_a_device_wrote_a_person_may_read_and_not_write(api):
    document = start(api)
    for who in ("anna", "carl"):
        assert api(who).get(address(document)).status_code == 200
        final = golden("final", session_id=document["session_id"], revision=9)
        for method, end in (("PUT", ""), ("PATCH", ""), ("POST", "end/")):
            answer = api(who)(method, address(document, end), final)
            assert answer.status_code == 403
    assert SessionData.objects.get().document == document


# Refusals


def test_an_invalid_document_is_refused_named_and_kept_aside(api, world):
    document = golden("final", state="asleep")
    answer = api("device")("PUT", address(document), document)
    assert answer.status_code == 400
    body = answer.json()
    assert (body["outcome"], body["session_id"]) == ("rejected", document["session_id"])
    assert list(body["errors"]) == ["state"]
    letter = DeadLetter.objects.get()
    assert (letter.device, letter.door, letter.reason) == (world.device, "http", body["reason"])
    assert json.loads(letter.payload) == document


def test_the_id_in_the_body_is_the_one_in_the_address(api):
    document, other = golden("final"), golden("final")
    answer = api("device")("PUT", address(other), document)
    assert (answer.status_code, answer.json()["outcome"]) == (400, "rejected")
    answer = api("device")("PATCH", address(start(api)), document)
    assert answer.status_code == 400


def test_another_devices_session_can_not_be_written(api):
    document = start(api)
    final = golden("final", session_id=document["session_id"], revision=9)
    for method, end in (("PUT", ""), ("PATCH", ""), ("POST", "end/")):
        answer = api("other device")(method, address(document, end), final)
        assert (answer.status_code, answer.json()["outcome"]) == (404, "rejected")
    answer = api("other device")("POST", "/api/session/start/", final)
    assert (answer.status_code, answer.json()["outcome"]) == (404, "rejected")
    assert SessionData.objects.get().document == document


def test_a_device_reads_nothing(api):
    document = start(api)
    for path in (address(document), "/api/session/history/", "/api/people/", "/api/access-log/"):
        assert api("device").get(path).status_code == 403


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b"\xff\xfe",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": -1e999}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        b'{"a":' * 50 + b"1" + b"}" * 50,
    ],
)
def test_bytes_that_are_no_document_are_refused(api, raw):
    answer = api("device").client.post("/api/session/start/", raw, content_type="application/json")
    assert (answer.status_code, answer.json()["outcome"]) == (400, "rejected")


@pytest.mark.parametrize("value", [[], "text", 7, None])
def test_json_that_is_no_object_is_refused(api, value):
    answer = api("device").client.post(
        "/api/session/start/", json.dumps(value), content_type="application/json"
    )
    assert answer.status_code == 400


def test_a_document_of_a_mebibyte_is_taken_and_a_larger_one_is_not(api):
    document = golden("final", note="")
    document["note"] = "x" * (1024 * 1024 - len(json.dumps(document)))
    assert api("device")("PUT", address(document), document).status_code == 201
    document["note"] += "x"
    answer = api("device")("PUT", address(document), document)
    assert (answer.status_code, answer.json()["outcome"]) == (413, "rejected")


def test_other_content_types_are_refused(api):
    assert api("device").client.post("/api/session/start/", {"a": "b"}).status_code == 415


def test_a_sender_fills_no_more_than_its_share_of_dead_letters(api, monkeypatch):
    monkeypatch.setattr(DeadLetter, "MOST_KEPT", 3)
    documents = [golden("final", state=f"odd {n}") for n in range(5)]
    for document in documents:
        api("device")("PUT", address(document), document)
    kept = [json.loads(letter.payload)["state"] for letter in DeadLetter.objects.all()]
    assert kept == ["odd 4", "odd 3", "odd 2"]


def test_a_newer_document_is_shown_as_far_as_it_can_be_read(api):
    newer = golden("final", schema=2, minutes={"by": "second"}, blinks=[1, 2])
    assert api("device")("PUT", address(newer), newer).status_code == 201
    detail = api("anna").get(address(newer)).json()
    assert (detail["schema"], detail["blink_count"]) == (2, 5)
    assert (detail["minutes"], detail["blinks"]) == ([], None)


@pytest.mark.parametrize("name", [path.stem for path in sorted(GOLDEN.glob("*.json"))])
def test_every_golden_document_comes_back_with_its_numbers(api, name):
    document = golden(name)
    api("device")("PUT", address(document), document)
    detail = api("anna").get(address(document)).json()
    for key in ("state", "revision", "started_at", "ended_at", "ended_by", "minutes", "schema"):
        assert detail[key] == document[key]
    assert {key: detail[key] for key in document["metrics"]} == document["metrics"]
    assert detail["blinks"] == document.get("blinks")
    assert detail["quality"] == document["quality"]
    for key in ("clock", "camera", "agent"):
        assert detail[key] == document[key]


@pytest.mark.parametrize("name", ["stored", "refused"])
def test_a_document_is_kept_as_it_was_written(api, name):
    document = golden("final", **({"state": "odd"} if name == "refused" else {}))
    text = json.dumps(document, indent=2)
    path = address(document)
    api("device").client.put(path, text, content_type="application/json")
    kept = {
        "stored": SessionData.objects.values_list("document_json", flat=True),
        "refused": DeadLetter.objects.values_list("payload", flat=True),
    }[name]
    assert list(kept) == [text]
