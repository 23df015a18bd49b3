"""Whoever may write a session may not read it: the errors of changes tell nothing that is stored.

Real requests of an institution's admin who has renewed a member's credentials.
"""

import json

import pytest

from server.devices.models import DeadLetter
from server.session_data.models import SessionData
from server.session_data.serializers import MAX_REVISION
from tests.server.conftest import Api, golden


@pytest.fixture
def admin(everybody, api):
    """The token that Irma, who sees nothing of Anna's, was told when she renewed it."""
    told = api("irma")("POST", f"/api/device/{everybody.device.pk}/rotate/").json()
    return Api(told["token"])


@pytest.fixture
def session(everybody, api):
    """A session that Anna's device has measured, with numbers found nowhere else."""
    document = golden("final_eyes", revision=7)
    document["metrics"] |= {"blink_count": 4137, "partial_blink_count": 139}
    assert api("device")("PUT", address(document), document).status_code == 201
    return document


def address(document, end=""):
    return f"/api/session/{document['session_id']}/{end}"


PROBES = {
    "a part above the whole": {"metrics": {"partial_blink_count": 2_000_000_000}},
    "a part below the whole": {"metrics": {"partial_blink_count": 1}},
    "a part without a whole": {"metrics": {"partial_blink_count": 1, "blink_count": None}},
    "one column": {"blinks": {"at_s": [1.0]}},
    "columns without those of the eyes": {"blinks": {"closure_left": [0.5]}},
    "an end before the start": {"ended_at": "1971-01-01T00:00:00Z"},
    "no state": {"state": "active"},
    "no metrics": {"metrics": None},
    "no minutes": {"minutes": None},
    "too much": {"note": "x" * 1_048_000},
}


@pytest.mark.parametrize("what", PROBES)
@pytest.mark.parametrize(("method", "end"), [("PATCH", ""), ("POST", "end/")])
def test_an_error_tells_nothing_that_is_stored(admin, session, what, method, end):
    answer = admin(method, address(session, end), {"revision": 8} | PROBES[what])
    assert (answer.status_code, answer.json()["outcome"]) == (400, "rejected")
    told = json.dumps(answer.json() | {"session_id": "", "revision": 0})
    for value in ("4137", "139", session["started_at"][:10], "[5", "found 1"):
        assert value not in told
    assert SessionData.objects.get().document == session
    assert "4137" not in DeadLetter.objects.get().reason


def outcomes(admin, session, change):
    """Of that change alone, as a bisection would ask."""
    revision = SessionData.objects.get().revision + 1
    answer = admin("PATCH", address(session), {"revision": revision} | change)
    return answer.status_code, answer.json()["reason"]


def test_no_bisection_finds_a_number(admin, session):
    for low, high in ((138, 140), (4136, 4138)):
        for count in (low, high):
            parts = {"metrics": {"partial_blink_count": count}}
            assert outcomes(admin, session, parts) == (
                400, "metrics.partial_blink_count: expected together with blink_count",
            )  # fmt: skip
            whole = {"metrics": {"blink_count": count}}
            assert outcomes(admin, session, whole) == (200, None)
    for length in (4, 5, 6):
        column = {"blinks": {"at_s": [1.0] * length}}
        assert outcomes(admin, session, column)[0] == 400
        table = {name: [0.5] * length for name in ("at_s", "duration_ms", "amplitude")}
        table["complete"] = [True] * length
        assert outcomes(admin, session, {"blinks": table}) == (200, None)


def test_a_new_whole_replaces_its_part_too(admin, session):
    assert outcomes(admin, session, {"metrics": {"blink_count": 3}}) == (200, None)
    row = SessionData.objects.get()
    assert (row.blink_count, row.partial_blink_count) == (3, None)
    both = {"metrics": {"blink_count": 5, "partial_blink_count": 2}}
    assert outcomes(admin, session, both) == (200, None)
    row = SessionData.objects.get()
    assert (row.blink_count, row.partial_blink_count) == (5, 2)


def test_an_error_still_says_what_was_sent(admin, session):
    answer = admin("PATCH", address(session), {"revision": 8, "metrics": {"coverage": 3}})
    assert answer.json()["reason"] == "metrics.coverage: expected a number from 0 to 1, found 3"


def test_what_an_older_server_has_stored_is_not_told_either(admin, session):
    """It was valid then; a stricter server must not quote it."""
    stored = session | {"fps": 1, "camera": {"fps": 4711}}
    SessionData.objects.update(document_json=json.dumps(stored))
    answer = admin("PATCH", address(session), {"revision": 8})
    assert answer.json()["reason"] == "camera.fps: expected a number from 0 to 1000"
    assert "4711" not in answer.content.decode()


# The revision


@pytest.mark.parametrize("revision", [MAX_REVISION + 1, 2**31 - 1, 2**31, 10**30])
def test_a_revision_beyond_any_sensible_one_shuts_out_no_real_one(api, world, revision):
    document = golden("started", revision=revision)
    answer = api("device")("PUT", address(document), document)
    assert (answer.status_code, answer.json()["outcome"]) == (400, "rejected")
    text = "revision: expected a whole number from 1 to 1000000, found "
    assert answer.json()["reason"].startswith(text)
    final = golden("final", session_id=document["session_id"])
    assert api("device")("PUT", address(final), final).json()["outcome"] == "stored"
    answer = api("device")("PATCH", address(final), {"revision": revision})
    assert answer.json()["reason"].startswith(text)


def test_a_day_of_checkpoints_every_second_is_far_below_the_bound(api, world):
    document = golden("final", revision=24 * 60 * 60 + 60)
    assert api("device")("PUT", address(document), document).status_code == 201
    last = document | {"revision": MAX_REVISION}
    assert api("device")("PUT", address(document), last).json()["outcome"] == "stored"
    assert 10 * document["revision"] < MAX_REVISION
