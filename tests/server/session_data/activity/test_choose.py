"""What a person did in a session: the document says it, or a person chooses it and it stays."""

import csv
import io
import json
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from server.care.audit import entries_of
from server.care.models import CareLink
from server.devices.models import Command, CommandName, Device
from server.session_data.accept import Writer as WriterOf
from server.session_data.accept import accept_many, accept_session
from server.session_data.commands import ask as commands
from server.session_data.models import SessionData, State
from server.session_data.summary.views import briefs
from tests.server.conftest import golden
from tests.server.dashboard.browsing import measured


def stored(world, **changes):
    document = golden("final", **changes)
    assert accept_session(world.device, document).outcome == "stored"
    return document, SessionData.objects.get(pk=document["session_id"])


def path(session):
    return f"/api/session/{session.pk}/activity/"


def revised(world, document, **changes):
    newer = {**document, "revision": document["revision"] + 1, **changes}
    assert accept_session(world.device, newer).outcome == "stored"
    return newer


# The document


@pytest.mark.parametrize("as_bytes", [False, True])
@pytest.mark.parametrize(
    ("sent", "activity"),
    [("reading", "reading"), ("other", "other"), (None, None), ("juggling", None), (7, None)],
)
def test_a_document_says_it_and_what_is_unknown_counts_as_none(world, sent, activity, as_bytes):
    document = golden("final", activity=sent)
    given = json.dumps(document).encode() if as_bytes else document
    (accepted,) = accept_many([(WriterOf(world.anna, world.device), given)])
    assert accepted.outcome == "stored"
    session = SessionData.objects.get()
    assert (session.activity, session.activity_chosen) == (activity, False)
    assert session.document["activity"] == sent


@pytest.mark.parametrize("name", ["checkpoint_activity", "final_activity"])
def test_a_devices_golden_document_has_it(world, name):
    document = golden(name)
    assert accept_session(world.device, document).outcome == "stored"
    assert SessionData.objects.get().activity == document["activity"] is not None


def test_a_document_without_it_has_none(world):
    assert stored(world)[1].activity is None


def test_a_later_revision_changes_what_the_document_said(world):
    document, session = stored(world, activity="reading")
    revised(world, document, activity="talking")
    session.refresh_from_db()
    assert session.activity == "talking"


# Choosing


def test_what_a_person_chose_stays_and_the_document_says_it_again_when_that_is_taken_back(
    world, api
):
    document, session = stored(world, activity="reading")
    anna = api("anna")
    told = anna("PUT", path(session), {"activity": "eating"}).json()
    assert (told["activity"], told["activity_chosen"]) == ("eating", True)
    revised(world, document, activity="talking")
    session.refresh_from_db()
    assert (session.activity, session.activity_chosen) == ("eating", True)
    back = anna("DELETE", path(session)).json()
    assert (back["activity"], back["activity_chosen"]) == ("talking", False)


def test_none_can_be_chosen_and_stays(world, api):
    document, session = stored(world, activity="reading")
    api("anna")("PUT", path(session), {"activity": None})
    revised(world, document)
    session.refresh_from_db()
    assert (session.activity, session.activity_chosen) == (None, True)


def test_it_is_in_the_persons_log_once(world, api):
    _document, session = stored(world)
    for body in ({"activity": "eating"}, {"activity": "eating"}):
        api("carl")("PUT", path(session), body)
    api("carl")("DELETE", path(session))
    api("carl")("DELETE", path(session))
    events = [(each.event, each.actor_name, each.count) for each in entries_of(world.anna)[:2]]
    assert events == [("activity_taken_back", "carl", 1), ("activity_chosen", "carl", 1)]


def test_clients_that_keep_in_step_are_told_and_conditions_see_it(world, api):
    _document, session = stored(world)
    anna = api("anna")
    before = anna.get(f"/api/session/{session.pk}/")["ETag"]
    since = anna.get("/api/session/history/", updated_since="2026-01-01T00:00:00Z").json()
    answer = anna("PUT", path(session), {"activity": "reading"})
    assert answer["ETag"] == anna.get(f"/api/session/{session.pk}/")["ETag"] != before
    (row,) = anna.get("/api/session/history/", updated_since=since["cursor"]).json()["results"]
    assert row["activity"] == "reading"


@pytest.mark.parametrize(
    "body",
    [{"activity": "juggling"}, {"activity": 7}, {}, {"activity": "reading", "note": "x"}, []],
    ids=str,
)
def test_an_unknown_word_of_a_person_is_refused(world, api, body):
    _document, session = stored(world)
    assert api("anna")("PUT", path(session), body).status_code == 400
    session.refresh_from_db()
    assert session.activity is None


@pytest.mark.parametrize("lost", ["may_control", "may_see_history"])
def test_a_caregiver_needs_to_see_the_history_and_to_start_and_stop(world, api, lost):
    _document, session = stored(world)
    CareLink.objects.filter(caregiver=world.carl).update(**{lost: False})
    for method, body in (("PUT", {"activity": "reading"}), ("DELETE", None)):
        assert api("carl")(method, path(session), body).status_code == 404


def test_of_a_session_under_way_only_by_those_who_see_it(world, api):
    document = golden("checkpoint")
    accept_session(world.device, document)
    session = SessionData.objects.get()
    assert api("carl")("PUT", path(session), {"activity": "reading"}).status_code == 200
    CareLink.objects.filter(caregiver=world.carl).update(may_see_live=False)
    assert api("carl")("PUT", path(session), {"activity": "eating"}).status_code == 404
    session.refresh_from_db()
    assert session.activity == "reading"


def test_a_check_has_none(world, api):
    _document, session = stored(world)
    SessionData.objects.update(state=State.CHECK)
    for method, body in (("PUT", {"activity": "reading"}), ("DELETE", None)):
        answer = api("anna")(method, path(session), body)
        assert (answer.status_code, answer.json()["code"]) == (409, "is_check")


# A session of one's own


def test_a_session_of_ones_own_begins_with_it_and_the_newest_word_counts(world, api):
    anna = api("anna")
    told = anna("POST", "/api/session/start/", {"activity": "reading"}).json()
    where = f"/api/session/{told['id']}/"
    assert (told["activity"], told["activity_chosen"]) == ("reading", False)
    anna("PUT", f"{where}activity/", {"activity": "eating"})
    assert anna("PATCH", where, {"metrics": {"blink_count": 3}}).status_code == 200
    assert anna.get(where).json()["activity"] == "eating"
    assert anna("PATCH", where, {"activity": "resting"}).status_code == 200
    told = anna.get(where).json()
    assert (told["activity"], told["activity_chosen"]) == ("resting", False)
    assert anna("PUT", where, told).status_code == 200  # what was read can be sent again


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_an_unknown_word_in_ones_own_request_is_refused_by_name(world, api, method):
    anna, where = api("anna"), "/api/session/start/"
    if method == "PATCH":
        where = f"/api/session/{anna('POST', where, {}).json()['id']}/"
    answer = anna(method, where, {"activity": "juggling"})
    assert answer.status_code == 400
    assert "activity" in answer.json()["errors"]
    assert "juggling" in answer.json()["detail"]


# Starting


@pytest.fixture
def sent(monkeypatch):
    told = []
    monkeypatch.setattr(commands, "_send", told.append)
    return told


def test_a_start_tells_the_device_and_the_device_remembers_it(world, api, sent):
    body = {"device": str(world.device.pk), "activity": "reading"}
    answer = api("carl")("POST", "/api/session/start/", body)
    assert (answer.status_code, answer.json()["activity"]) == (202, "reading")
    (command,) = sent
    assert commands.message_of(command)["activity"] == "reading"
    assert Device.objects.get(pk=world.device.pk).activity == "reading"
    (waiting,) = api("device").get("/api/device/commands/").json()["commands"]
    assert waiting["activity"] == "reading"


def test_a_start_without_it_has_no_such_key(world, api, sent):
    Device.objects.update(activity="reading")
    api("anna")("POST", "/api/session/start/", {"device": str(world.device.pk)})
    assert "activity" not in commands.message_of(sent[0])
    assert Device.objects.get(pk=world.device.pk).activity == ""


def test_a_stop_forgets_nothing(world, sent):
    Device.objects.update(activity="reading")
    accept_session(world.device, golden("checkpoint"))
    commands.ask(world.anna, world.device, CommandName.STOP, SessionData.objects.get().pk)
    assert Device.objects.get(pk=world.device.pk).activity == "reading"
    assert Command.objects.get().activity == ""


# Where it is shown


def test_the_history_can_be_asked_for_one_activity_or_none(world, api):
    ids = {
        word: _of_yesterday(world, n, word) for n, word in enumerate(["reading", "eating", None])
    }
    anna = api("anna")

    def found(**query):
        return [row["id"] for row in anna.get("/api/session/history/", **query).json()["results"]]

    assert found(activity="reading") == [ids["reading"]]
    assert found(activity="none") == [ids[None]]
    assert found(activity="talking") == []
    assert found(activity="eating", state="active,ended,interrupted") == [ids["eating"]]
    assert len(found()) == 3
    assert anna.get("/api/session/history/", activity="juggling").status_code == 400
    assert anna.get("/api/session/history/", activity="eating").json()["activity"] == "eating"


def test_the_history_of_an_activity_is_read_in_the_order_of_an_index(world):
    _of_yesterday(world, 0, "reading")
    mine = SessionData.objects.filter(user=world.anna, activity="reading")
    plan = mine.order_by("-placed_at", "-id").values("id")[:50].explain()
    if connection.vendor == "sqlite":
        assert "session_by_activity" in plan
        assert "TEMP B-TREE" not in plan


def test_a_summary_is_read_from_its_index_alone(world):
    day = timezone.now().date()
    with CaptureQueriesContext(
        connection,
    ) as asked:
        briefs(world.anna, day, day)
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(f"EXPLAIN QUERY PLAN {asked[0]['sql']}")
            assert "COVERING INDEX session_summary" in str(cursor.fetchall())


def test_the_summary_has_each_activity_apart_and_can_be_asked_for_one(world, api):
    for n, (word, rate) in enumerate([("reading", 7.0), ("reading", 8.0), ("talking", 20.0)]):
        _of_yesterday(world, n, word, rate)
    anna = api("anna")
    (period,) = anna.get("/api/session/summary/", period="7").json()["periods"]
    rates = {
        each["activity"]: (each["sessions"], each["metrics"]["blink_rate_per_min"]["median"])
        for each in period["activities"]
    }
    assert rates == {"reading": (2, 7.5), "talking": (1, 20.0)}
    assert period["metrics"]["blink_rate_per_min"]["median"] == 8.0
    told = anna.get("/api/session/summary/", period="7", activity="talking").json()
    assert told["activity"] == "talking"
    assert told["periods"][0]["metrics"]["blink_rate_per_min"]["median"] == 20.0
    assert anna.get("/api/session/summary/", activity="juggling").status_code == 400


def test_exports_have_it(world, api):
    _of_yesterday(world, 0, "reading")
    anna = api("anna")

    def exported(form):
        answer = anna.get("/api/session/export/", **{"as": form})
        return b"".join(answer.streaming_content).decode()

    (row,) = csv.DictReader(io.StringIO(exported("csv")))
    assert (row["activity"], row["activity_chosen"]) == ("reading", "false")
    (told,) = json.loads(exported("json"))["sessions"]
    assert (told["activity"], told["activity_chosen"]) == ("reading", False)
    bundle = json.loads(exported("fhir"))
    components = [each for one in bundle["entry"] for each in one["resource"].get("component", ())]
    coded = [each["valueCodeableConcept"] for each in components if "valueCodeableConcept" in each]
    assert [each["coding"][0]["code"] for each in coded] == ["activity-reading"]
    columns = anna.get("/api/session/export/codebook/", of="sessions").json()["tables"][0]
    assert {"activity", "activity_chosen"} <= {each["name"] for each in columns["columns"]}


def _of_yesterday(world, n, activity, rate=15.0):
    changes = {"activity": activity} if activity else {}
    session_id = f"0193a1b2-0000-7000-8000-00000000000{n}"
    return measured(
        world.device,
        timedelta(days=1, minutes=10 * n),
        session_id=session_id,
        metrics={"blink_rate_per_min": rate},
        **changes,
    )
