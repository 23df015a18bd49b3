"""What is read of a session can be written: by a person who knows no more than the numbers."""

import csv
import io

import pytest
from django.test import Client

from server.session_data.models import METRICS, SessionData
from tests.server.conftest import golden

START = "/api/session/start/"
NUMBERS = {
    "blink_count": 14,
    "ear_mean": 0.28,
    "blink_rate_per_min": 14.5,
    "valid_s": 240.0,
    "duration_s": 250.0,
}


@pytest.fixture
def path(api):
    """The address of a session that Anna has just begun, without a device."""
    return f"/api/session/{api('anna')('POST', START, {}).json()['id']}/"


def numbers(session):
    return {name: session[name] for name in NUMBERS}


def test_the_numbers_arrive_wherever_they_are_shown(api, world, path):
    anna = api("anna")
    answer = anna("PATCH", path, {"blink_count": 13})
    assert (answer.status_code, answer.json()["outcome"]) == (200, "stored")
    assert anna.get(path).json()["blink_count"] == 13
    answer = anna("POST", path + "end/", NUMBERS)
    assert (answer.status_code, answer.json()["outcome"]) == (200, "stored")
    (entry,) = anna.get("/api/session/history/").json()["results"]
    assert (entry["state"], numbers(entry)) == ("ended", NUMBERS)
    assert SessionData.objects.get().document["metrics"].items() >= NUMBERS.items()
    day = anna.get("/api/session/summary/", period="7").json()["days"][-1]
    assert day["metrics"]["blink_rate_per_min"]["value"] == 14.5
    text = b"".join(anna.get("/api/session/export/").streaming_content).decode()
    (line,) = csv.DictReader(io.StringIO(text))
    assert (line["blink_count"], line["ear_mean"]) == ("14", "0.28")
    browser = Client()
    browser.force_login(world.anna)
    page = browser.get(f"/sessions/{entry['id']}/").text
    assert "14.5" in page


@pytest.mark.parametrize(("method", "end"), [("PUT", ""), ("PATCH", ""), ("POST", "end/")])
def test_each_request_takes_them_with_and_without_the_id(api, path, method, end):
    assert api("anna")(method, path + end, {"ear_mean": 0.3}).status_code == 200
    session_id = str(SessionData.objects.get().pk)
    more = NUMBERS | {"session_id": session_id, "revision": 9}
    assert api("anna")(method, path + end, more).json()["outcome"] == "stored"
    assert numbers(api("anna").get(path).json()) == NUMBERS
    wrong = NUMBERS | {"session_id": golden("final")["session_id"]}
    assert api("anna")(method, path + end, wrong).status_code == 400


def test_the_rate_has_the_name_that_people_call_it_too(api, path):
    assert api("anna")("PATCH", path, {"blinks_per_minute": 12.5}).status_code == 200
    assert api("anna").get(path).json()["blink_rate_per_min"] == 12.5
    both = {"blinks_per_minute": 12.5, "metrics": {"blink_rate_per_min": 13}}
    answer = api("anna")("PATCH", path, both)
    text = ["expected one value for blink_rate_per_min, found two"]
    assert answer.json()["errors"] == {"blink_rate_per_min": text}


@pytest.mark.parametrize("over", [False, True])
@pytest.mark.parametrize("form", ["entry", "detail"])
def test_what_was_read_is_changed_and_put_back(api, path, form, over):
    anna = api("anna")
    minutes = [{"minute": 0, "valid_s": 60, "blinks": 14, "ear_mean": 0.3, "perclos": 0}]
    anna("PATCH", path, NUMBERS | {"minutes": minutes, "quality": ["short"]})
    if over:
        anna("POST", path + "end/", {})
    before = anna.get(path).json()
    history = anna.get("/api/session/history/").json()["results"]
    read = before if form == "detail" else history[0]
    answer = anna("PUT", path, read | {"blink_count": 15, "perclos": 0.1})
    assert (answer.status_code, answer.json()["outcome"]) == (200, "stored")
    assert answer.json()["revision"] == before["revision"] + 1
    now = anna.get(path).json()
    changed = {"blink_count": 15, "perclos": 0.1}
    ours = ("revision", "updated_at")
    assert {**now, **dict.fromkeys(ours)} == {**before, **changed, **dict.fromkeys(ours)}


def test_what_was_read_and_put_back_unchanged_is_a_duplicate(api, path):
    for _ in range(2):
        read = api("anna").get(path).json()
        answer = api("anna")("PUT", path, read)
        assert (answer.status_code, answer.json()["outcome"]) == (200, "duplicate")
        assert answer.json()["revision"] == read["revision"]
        api("anna")("POST", path + "end/", NUMBERS)


def test_a_change_is_not_lost_to_another_and_may_be_sent_again(api, path):
    read = api("anna").get(path).json()
    first, second = read | {"blink_count": 1}, read | {"blink_count": 2}
    outcomes = [api("anna")("PUT", path, each).json()["outcome"] for each in (first, first, second)]
    assert outcomes == ["stored", "duplicate", "stale"]
    assert api("anna").get(path).json()["blink_count"] == 1


def test_final_numbers_are_not_changed_by_accident(api, path):
    api("anna")("POST", path + "end/", NUMBERS)
    for method, end in (("PUT", ""), ("PATCH", ""), ("POST", "end/")):
        answer = api("anna")(method, path + end, {"blink_count": 1})
        assert (answer.status_code, answer.json()["code"]) == (409, "session_over")
    assert numbers(api("anna").get(path).json()) == NUMBERS


def test_a_complete_document_replaces_what_it_leaves_out(api, path):
    api("anna")("PATCH", path, NUMBERS | {"quality": ["short"]})
    whole = SessionData.objects.get().document | {"metrics": {"blink_count": 3}}
    del whole["quality"]
    assert api("anna")("PUT", path, whole).json()["outcome"] == "stored"
    now = api("anna").get(path).json()
    assert (now["blink_count"], now["ear_mean"], now["quality"]) == (3, None, [])


UNKNOWN = {
    "at the top": ({"blinkcount": 13}, ["blinkcount"], "blink_count"),
    "among the metrics": ({"metrics": {"ear_avg": 1}}, ["metrics", "ear_avg"], "ear_mean"),
    "in a minute": ({"minutes": [{"minute": 0, "eyes": 2}]}, ["minutes", "0", "eyes"], "API"),
    "in the clock": ({"clock": {"zone": "UTC"}}, ["clock", "zone"], "timezone"),
    "of another kind": ({"\u0000" * 200: 1}, ["\\x00" * 9 + "\\..."], "API"),
}


@pytest.mark.parametrize("what", UNKNOWN)
@pytest.mark.parametrize(("method", "end"), [("PUT", ""), ("PATCH", ""), ("POST", "end/")])
def test_a_key_that_means_nothing_is_refused_by_name(api, path, what, method, end):
    body, where, instead = UNKNOWN[what]
    before = SessionData.objects.get().document_json
    answer = api("anna")(method, path + end, {"ear_mean": 0.3} | body)
    assert (answer.status_code, answer.json()["code"]) == (400, "unknown_key")
    assert answer.json()["outcome"] == "rejected"
    (text,) = answer.json()["errors"].values()
    if what != "of another kind":
        for key in where[1:]:
            text = text[key]
    assert "expected a key" in str(text)
    assert instead in str(text)
    assert "found" in str(text)
    assert SessionData.objects.get().document_json == before


def test_many_unknown_keys_are_answered_at_once_and_a_few_named(api, path):
    body = {f"key{n}": n for n in range(50_000)}
    answer = api("anna")("PATCH", path, body)
    assert (answer.status_code, len(answer.json()["errors"])) == (400, 5)


@pytest.mark.parametrize(
    ("change", "instead"),
    [
        ({"timezone": "Asia/Tokyo"}, "send clock.timezone to change it"),
        ({"utc_offset_minutes": 540}, "send clock.utc_offset_minutes"),
        ({"fps": 30.0}, "send camera.fps"),
        ({"placed_at": "2026-01-01T00:00:00Z"}, "send started_at"),
        ({"device": {"id": "0193a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b", "label": "x"}}, "was read"),
        ({"user": "otto"}, "was read"),
    ],
)
def test_a_key_that_can_only_be_read_is_not_changed_in_silence(api, path, change, instead):
    read = api("anna").get(path).json()
    answer = api("anna")("PUT", path, read | change)
    assert (answer.status_code, answer.json()["code"]) == (400, "read_only")
    assert instead in answer.json()["reason"]
    assert next(iter(change)) in answer.json()["errors"]


def test_a_moment_may_be_written_in_another_way(api, path):
    read = api("anna").get(path).json()
    moment = read["updated_at"].replace("Z", "+00:00")
    answer = api("anna")("PUT", path, read | {"updated_at": moment, "blink_count": 1})
    assert answer.json()["outcome"] == "stored"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"blink_count": "13"}, {"blink_count": ["expected a whole number from 0 to 2147483647, "
                                                 "found '13'"]}),
        ({"coverage": 3}, {"coverage": ["expected a number from 0 to 1, found 3"]}),
        ({"id": 7}, {"id": ["expected the value that was read, found 7"]}),
        ({"quality": "short"}, None),
        ({"partial_blink_count": 3}, {"metrics": {"partial_blink_count": [
            "expected together with blink_count"]}}),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named_as_it_was_sent(api, path, body, error):
    answer = api("anna")("PATCH", path, body)
    assert (answer.status_code, answer.json()["outcome"]) == (400, "rejected")
    assert error is None or answer.json()["errors"] == error


def test_a_device_may_send_keys_that_are_newer_than_the_server(api):
    document = golden("started", mood="calm")
    document["metrics"]["squint"] = 1
    document["clock"]["leap"] = True
    assert api("device")("POST", START, document).status_code == 201
    where = f"/api/session/{document['session_id']}/"
    assert api("device")("PATCH", where, {"mood": "alert"}).json()["outcome"] == "stored"
    kept = SessionData.objects.get().document
    assert kept == document | {"revision": 2, "mood": "alert"}


def test_every_metric_that_is_read_can_be_written(api, path):
    values = dict.fromkeys(METRICS, 1)
    assert api("anna")("PUT", path, values).json()["outcome"] == "stored"
    read = api("anna").get(path).json()
    assert {name: read[name] for name in METRICS} == values
