"""Checks of the counting: stored like sessions, shown beside the history, counted nowhere."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone, translation

from agent.measure import check as on_device
from server.alerts.conditions.facts import _measured_days
from server.devices.models import Command, CommandName, Device
from server.session_data.checks import VALID, doubt, last_checks, sentence
from server.session_data.models import SessionData, State
from server.session_data.summary.views import briefs
from tests.server.conftest import Api, Document, golden
from tests.server.session_data.exports import exported, lines_of, session, store

FOUND = {
    "asked": 10, "found": 10, "false": 0, "look_down": "told_apart", "shut_s": 3.1, "passed": True,
}  # fmt: skip
MODEL = "face_landmark_with_attention@e06a804e"


def check(days_ago: float = 1, model: str = MODEL, **found: Any) -> Document:
    """The document of a check, and what it found besides `FOUND`."""
    document = session(days_ago, revision=1, state="ended")
    agent = {**document["agent"], "model": model}
    session_id = golden("final")["session_id"][:-6] + f"{abs(hash((days_ago, model))) % 10**6:06d}"
    return document | {"check": {**FOUND, **found}, "agent": agent, "session_id": session_id}


def test_a_check_is_stored_as_one_and_again_as_nothing(world):
    document = check()
    answer = Api(world.tokens["device"])("POST", "/api/session/start/", document)
    assert answer.status_code == 201
    stored = SessionData.objects.get()
    assert (stored.state, stored.document["state"]) == (State.CHECK, "ended")
    again = Api(world.tokens["device"])("POST", "/api/session/start/", document)
    assert again.json()["outcome"] == "duplicate"


def test_a_corrected_date_leaves_it_a_check(world):
    document = check()
    store(world.anna, world.device, document, {**document, "revision": 2})
    assert SessionData.objects.values_list("state", "revision").get() == (State.CHECK, 2)


@pytest.mark.parametrize(
    "change",
    [{"found": -1}, {"found": 1.5}, {"asked": None}, {"passed": "yes"}, {"shut_s": -1}],
    ids=str,
)
def test_an_invalid_check_is_rejected_by_key(world, change):
    answer = Api(world.tokens["device"])("POST", "/api/session/start/", check(**change))
    assert answer.status_code == 400
    assert "check" in str(answer.json()["errors"])


def test_a_document_cannot_say_that_its_state_is_check(world):
    answer = Api(world.tokens["device"])("POST", "/api/session/start/", session(state="check"))
    assert answer.status_code == 400


def test_a_person_without_a_device_makes_no_check(world):
    store(world.anna, None, check())
    assert SessionData.objects.get().state == State.ENDED


def test_it_counts_in_no_figure(world):
    store(world.anna, world.device, check())
    day = SessionData.objects.get().local_day
    assert briefs(world.anna, day, day) == []
    assert _measured_days({world.anna.pk: world.anna}, timezone.now() - timedelta(days=1)) == set()
    body = Api(world.tokens["anna"])("GET", "/api/session/summary/").json()
    assert "10 of 10" not in str(body)
    rows = lines_of(exported(Api(world.tokens["anna"])))
    assert rows == []


def test_the_history_marks_it(world):
    store(world.anna, world.device, check(), session(2))
    client = Api(world.tokens["anna"])
    rows = client("GET", "/api/session/history/").json()["results"]
    assert [each["state"] for each in rows] == ["check", "ended"]
    only = client("GET", "/api/session/history/", state="check").json()["results"]
    assert [each["id"] for each in only] == [rows[0]["id"]]
    detail = client("GET", f"/api/session/{rows[0]['id']}/").json()
    assert detail["check"] == FOUND
    assert client("GET", f"/api/session/{rows[1]['id']}/").json()["check"] is None


def test_who_may_not_see_the_history_sees_no_check(everybody):
    store(everybody.anna, everybody.device, check())
    pk = SessionData.objects.get().pk
    sees = {"anna": 200, "carl": 200, "hana": 200, "liv": 404, "conny": 404, "otto": 404,
            "irma": 404}  # fmt: skip
    found = {
        name: Api(everybody.tokens[name])("GET", f"/api/session/{pk}/").status_code for name in sees
    }
    assert found == sees


def test_they_are_exported_as_a_table_of_their_own(world):
    store(world.anna, world.device, check(found=9, false=1), session(2))
    (row,) = lines_of(exported(Api(world.tokens["anna"]), of="checks"))
    assert (row["asked"], row["found"], row["false"], row["passed"]) == ("10", "9", "1", "true")
    assert (row["device"], row["model"]) == ("Kitchen", MODEL)


def test_an_id_that_a_command_gave_to_a_device_is_that_devices(world):
    document = check()
    Command.objects.create(
        device=world.device,
        person=world.anna,
        command=CommandName.CHECK,
        session_id=document["session_id"],
        expires_at=timezone.now(),
    )
    other = Api(world.tokens["other device"])("POST", "/api/session/start/", document)
    assert other.status_code == 404
    assert Api(world.tokens["device"])("POST", "/api/session/start/", document).status_code == 201


def test_both_sides_mean_the_same(world):
    """The server reads what the device writes, and both doubt a check after the same time."""
    assert on_device.Check(10, 10, 0, "told_apart", 3.14).as_json() == FOUND
    nothing = on_device.Check(10, 0, 0, "not_found", None).as_json()
    store(world.anna, world.device, check() | {"check": nothing})
    (last,) = last_checks(world.anna, timezone.now())
    assert (dict(last.found), last.doubt) == (nothing, "failed")
    assert on_device.VALID == VALID


# The last one


def test_the_last_check_of_each_device_is_shown(world):
    study = Device.objects.create(person=world.anna, label="Study")
    store(world.anna, world.device, check(3, found=4, passed=False), check(2))
    store(world.anna, study, check(1, shut_s=None, passed=False))
    shown = {each.device.label: each for each in last_checks(world.anna, timezone.now())}
    assert shown["Kitchen"].words == "10 of 10 blinks found, none too many, looking down recognised"
    assert shown["Kitchen"].doubt is None
    assert shown["Study"].doubt_words == "not passed"
    assert shown["Study"].words.endswith("shut eyes not found")


def test_a_device_that_was_given_away_or_revoked_shows_none(world):
    store(world.anna, world.device, check())
    Device.objects.filter(pk=world.device.pk).update(revoked_at=timezone.now())
    assert last_checks(world.anna, timezone.now()) == []
    Device.objects.filter(pk=world.device.pk).update(revoked_at=None, person=world.otto)
    assert last_checks(world.anna, timezone.now()) == []
    assert last_checks(world.otto, timezone.now()) == []


def test_a_check_before_new_models_is_doubted(world):
    store(world.anna, world.device, check(3, model="face_mesh@00000000"), session(2))
    (last,) = last_checks(world.anna, timezone.now())
    assert last.doubt == "models"


def test_it_takes_four_queries_and_one_where_there_is_none(world, django_assert_num_queries):
    with django_assert_num_queries(1):
        assert last_checks(world.otto, timezone.now()) == []
    store(world.anna, world.device, *(check(days) for days in range(1, 5)), session(6))
    with django_assert_num_queries(4):
        last_checks(world.anna, timezone.now())


@pytest.mark.parametrize(
    ("change", "age", "model_now", "expected"),
    [
        ({}, VALID, "a", None),
        ({}, VALID + timedelta(seconds=1), "a", "old"),
        ({}, timedelta(), "", None),
        ({}, timedelta(), "b", "models"),
        ({"passed": False}, timedelta(), "b", "failed"),
    ],
)
def test_a_check_counts_until_it_is_old_or_the_models_are_others(change, age, model_now, expected):
    assert doubt({**FOUND, **change}, age, "a", model_now) == expected


def test_each_result_has_words_in_each_language():
    for language, words in {
        "en": "9 of 10 blinks found, 1 blink too many, looking down taken for shut eyes, "
        "shut eyes not found",
        "de": "9 von 10 Lidschlägen gefunden, 1 Lidschlag zu viel, "
        "Blick nach unten für geschlossene Augen gehalten, geschlossene Augen nicht gefunden",
    }.items():
        with translation.override(language):
            found = {"found": 9, "false": 1, "look_down": "taken_for_shut", "shut_s": None}
            assert sentence({**FOUND, **found}) == words
            assert sentence({**FOUND, "look_down": "what a newer agent says"})
