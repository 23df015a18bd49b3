"""Which documents `accept_session` refuses, and what it says of them."""

import copy
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.session_data.accept import accept_session
from server.session_data.models import SessionData
from tests.server.conftest import golden
from tests.server.session_data.altered import GONE, changed

NAN, INFINITY = float("nan"), float("inf")
WRONG = {
    "no schema": (["schema"], GONE),
    "schema 0": (["schema"], 0),
    "schema of words": (["schema"], "1"),
    "schema beyond the column": (["schema"], 40_000),
    "no id": (["session_id"], GONE),
    "no UUID": (["session_id"], "session-1"),
    "an id in upper case": (["session_id"], "0193A1B2-7C3D-7E4F-8A5B-6C7D8E9F0A1B"),
    "an id without dashes": (["session_id"], "0193a1b27c3d7e4f8a5b6c7d8e9f0a1b"),
    "an id that is a number": (["session_id"], 7),
    "no revision": (["revision"], GONE),
    "revision 0": (["revision"], 0),
    "a truth value as revision": (["revision"], True),
    "a revision beyond the column": (["revision"], 2**31),
    "half a revision": (["revision"], 1.5),
    "an unknown state": (["state"], "asleep"),
    "a list as state": (["state"], ["ended"]),
    "an object as state": (["state"], {"of": "affairs"}),
    "a state of half a surrogate": (["state"], "\ud800"),
    "a state as long as a document": (["state"], "y" * 900_000),
    "no text as state": (["state"], ""),
    "no start": (["started_at"], None),
    "a start without a zone": (["started_at"], "2026-11-22T10:15:30"),
    "a start that is a number": (["started_at"], 1700000000),
    "a start in year 0": (["started_at"], "0000-11-22T10:15:30Z"),
    "a start in year 9999": (["started_at"], "9999-12-31T23:59:59-12:00"),
    "no end of what is over": (["ended_at"], None),
    "an end before the start": (["ended_at"], "2026-11-22T10:15:29Z"),
    "an unknown end": (["ended_by"], "boredom"),
    "an end by half a surrogate": (["ended_by"], "\udfff"),
    "an end by a list": (["ended_by"], [["button"]]),
    "a clock that is a text": (["clock"], "noon"),
    "a zone that is a list": (["clock", "timezone"], ["Europe/Berlin"]),
    "a zone with a NUL": (["clock", "timezone"], "Europe\x00Berlin"),
    "half a surrogate": (["clock", "timezone"], "\ud800"),
    "a zone too long": (["clock", "timezone"], "E" * 65),
    "an offset of a day": (["clock", "utc_offset_minutes"], 1440),
    "a word for true": (["clock", "synchronized"], "true"),
    "coverage above 1": (["metrics", "coverage"], 1.01),
    "coverage below 0": (["metrics", "coverage"], -0.01),
    "a share that is a text": (["metrics", "perclos"], "0.1"),
    "not a number": (["metrics", "ear_mean"], NAN),
    "infinity": (["metrics", "duration_s"], INFINITY),
    "a count below 0": (["metrics", "blink_count"], -1),
    "a broken count": (["metrics", "blink_count"], 1.5),
    "a count beyond the column": (["metrics", "frames"], 2**31),
    "a number too long for a float": (["metrics", "duration_s"], 10**400),
    "more partial blinks than blinks": (["metrics", "partial_blink_count"], 6),
    "no numbers of what is over": (["metrics"], GONE),
    "numbers that are null": (["metrics"], None),
    "an end without a number": (["metrics"], {}),
    "an end with unknown numbers alone": (["metrics"], {"steps": 7}),
    "no minutes of what is over": (["minutes"], GONE),
    "minutes that are null": (["minutes"], None),
    "minutes that are an object": (["minutes"], {}),
    "a minute that is null": (["minutes"], [None]),
    "a minute twice": (["minutes"], [{"minute": 0}, {"minute": 0}]),
    "minutes in disorder": (["minutes"], [{"minute": 1}, {"minute": 0}]),
    "more minutes than a day has": (["minutes"], [{"minute": n} for n in range(1442)]),
    "a minute after the day": (["minutes"], [{"minute": 1441}]),
    "blinks that are a list": (["blinks"], []),
    "a column that is missing": (["blinks", "complete"], GONE),
    "a shorter column": (["blinks", "amplitude"], [0.5]),
    "a text in a column": (["blinks", "at_s"], ["0", 1, 2, 3, 4]),
    "a truth value as a time": (["blinks", "at_s"], [True, 1, 2, 3, 4]),
    "null as a time": (["blinks", "at_s"], [None, 1, 2, 3, 4]),
    "a number as a truth value": (["blinks", "complete"], [1, True, True, True, True]),
    "an eye that is no ratio": (["metrics", "ear_open_left"], 5.1),
    "an eye below 0": (["metrics", "ear_open_right"], -0.01),
    "a left eye beyond shut": (["metrics", "blink_closure_left_median"], 1.01),
    "a right eye beyond open": (["metrics", "blink_closure_right_median"], -0.01),
    "more looking down than time": (["metrics", "looking_down"], 1.01),
    "looking down as a word": (["metrics", "looking_down"], "often"),
    "a shorter column of an eye": (["blinks", "closure_left"], [0.5]),
    "a column of an eye beyond shut": (["blinks", "closure_right"], [0.5, 1.1, None, 0, 1]),
    "a column of an eye that is an object": (["blinks", "closure_right"], {}),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_can_not_be_is_refused_and_named(world, what):
    path, value = WRONG[what]
    document = golden("final_eyes")
    changed(path, value)(document)
    answer = accept_session(world.device, document)
    assert answer.outcome == "rejected"
    assert path[0] in answer.reason
    assert len(answer.reason) < 1000
    assert answer.reason.isascii()
    assert not SessionData.objects.exists()


def test_what_was_found_ends_where_the_next_error_begins(world):
    document = golden("final", state="secret; secret", ended_by="secret; secret")
    document["metrics"]["partial_blink_count"] = document["metrics"]["blink_count"] + 1
    told = accept_session(world.device, document).reason.split("; ")
    assert [error.partition(":")[0] for error in told] == [
        "state", "ended_by", "metrics.partial_blink_count",
    ]  # fmt: skip
    assert all(", found " in error for error in told)
    assert "secret" not in "".join(error.partition(", found ")[0] for error in told)
    assert str(document["metrics"]["blink_count"]) not in told[2].partition(", found ")[0]


@pytest.mark.parametrize("document", [None, [], "text", 7, True, {}])
def test_what_is_no_document_is_refused(world, document):
    assert accept_session(world.device, document).outcome == "rejected"


@pytest.mark.parametrize("revision", [True, "7", 7.5, None])
def test_a_refusal_names_as_much_of_the_session_as_can_be_read(world, revision):
    document = golden("final", state="asleep")
    refused = accept_session(world.device, document)
    named = refused.outcome, refused.session_id, refused.revision
    assert named == ("rejected", document["session_id"], document["revision"])
    unread = accept_session(world.device, document | {"session_id": "x", "revision": revision})
    assert (unread.outcome, unread.session_id, unread.revision) == ("rejected", None, None)


def test_infinity_in_a_key_we_do_not_know_is_refused(world):
    answer = accept_session(world.device, golden("final", note=INFINITY))
    assert (answer.outcome, answer.reason) == ("rejected", "expected finite numbers")


@pytest.mark.parametrize("key", ["metrics", "minutes"])
def test_a_finished_session_does_not_lose_its_numbers_to_a_higher_revision_without(world, key):
    final = golden("final")
    accept_session(world.device, final)
    emptied = final | {"revision": final["revision"] + 1}
    del emptied[key]
    assert accept_session(world.device, emptied).outcome == "rejected"
    assert SessionData.objects.get().document == final


def test_a_newer_schema_may_keep_its_numbers_elsewhere(world):
    document = golden("final", schema=2)
    del document["metrics"], document["minutes"]
    assert accept_session(world.device, document).outcome == "stored"


def test_an_active_session_has_no_end(world):
    document = golden("checkpoint", ended_at="2026-11-22T10:20:30Z")
    assert accept_session(world.device, document).outcome == "rejected"


def test_what_was_not_measured_stays_null_and_zero_stays_zero(world):
    accept_session(world.device, golden("no_face"))
    row = SessionData.objects.get()
    assert (row.blink_count, row.perclos, row.valid_s, row.coverage) == (None, None, 0.0, 0.0)


def test_columns_may_have_gaps_where_a_camera_was_too_slow(world):
    document = golden("final")
    document["blinks"]["duration_ms"] = [None] * 5
    assert accept_session(world.device, document).outcome == "stored"


def test_a_two_hour_session_with_5000_blinks_fits(world):
    document = golden("final")
    document["minutes"] = [dict(document["minutes"][0], minute=n) for n in range(120)]
    document["blinks"] = {
        "at_s": [1.44 * n for n in range(5000)],
        "duration_ms": [187] * 5000,
        "amplitude": [0.71] * 5000,
        "complete": [True] * 5000,
    }
    assert len(json.dumps(document)) < 1024 * 1024
    assert accept_session(world.device, document).outcome == "stored"


# With lone surrogates, which JSON can hold and UTF-8 can't.
ANY_TEXT = st.text(st.characters(), max_size=20)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data(), value=JSON_VALUES)
def test_no_value_anywhere_in_a_document_breaks_the_server(world, data, value):
    document = golden("final", schema=data.draw(st.sampled_from([1, 1, 2])))
    top = data.draw(st.sampled_from(sorted(document)))
    inner = document[top]
    if isinstance(inner, dict) and data.draw(st.booleans()):
        document[top] = {**inner, data.draw(st.sampled_from(sorted(inner))): value}
    else:
        document[top] = value
    before = copy.deepcopy(document)
    answer = accept_session(world.device, document)
    assert answer.outcome in ("stored", "rejected", "duplicate")
    assert len(json.dumps(answer.answer())) < 1000
    assert (answer.reason or "").isprintable()
    if answer.outcome == "stored":
        assert SessionData.objects.get(pk=document["session_id"]).document == before
