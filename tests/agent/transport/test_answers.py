"""The server's answers are read as what they are, and whatever else answers is not taken for it."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from agent.records import COMMAND_S
from agent.transport.answers import left_s_of, problem_of, results_of, seconds_of
from tests.agent.documents import document


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (199, "the server answered 199"),
        (200, "login page"),
        (299, "login page"),
        (300, "redirects"),
        (399, "redirects"),
        (400, "the server answered 400"),
        (401, "refuses this device's token"),
        (403, "refuses this device's token"),
        (404, "no Blinklog server"),
        (428, "the server answered 428"),
        (429, "asks to wait"),
        (430, "the server answered 430"),
        (500, "the server answered 500"),
    ],
)
def test_each_status_is_told_as_what_it_means(status: int, says: str) -> None:
    assert says in problem_of(status)
    assert str(status) in problem_of(status)


@pytest.mark.parametrize("zone", ["GMT", "-0000", "+0100"])
def test_a_date_to_wait_for_may_be_in_any_zone(zone: str) -> None:
    """`-0000` is UTC of an unknown place: Python reads it as a time without a zone."""
    offset = timedelta(hours=1) if zone == "+0100" else timedelta()
    moment = datetime.now(UTC) + timedelta(seconds=100)
    written = format_datetime((moment + offset).replace(tzinfo=None)).replace("-0000", zone)
    seconds = seconds_of(written)
    assert seconds is not None
    assert 0 < seconds <= 100


def test_a_number_of_seconds_is_taken_as_it_is_and_nonsense_as_none() -> None:
    assert seconds_of("120") == 120.0
    assert seconds_of(None) is None
    assert seconds_of("²") is None
    assert seconds_of("soon") is None
    assert seconds_of("Mon, 30 Nov 2020 20:56:35 GMT") == 0.0


@pytest.mark.parametrize(
    ("told", "left_s"),
    [(5, 5), (2.5, 2.5), (10_000, COMMAND_S), (None, 0), ("20", 0), ([], 0)],
)
def test_a_command_is_valid_for_as_long_as_is_said_and_no_longer(
    told: object, left_s: float
) -> None:
    assert left_s_of({"expires_in_s": told}) == left_s


def stored(content: dict[str, Any]) -> dict[str, Any]:
    return {"session_id": content["session_id"], "revision": 7, "outcome": "stored"}


def test_what_comes_after_a_deferred_document_is_acknowledged() -> None:
    first, _, third = documents = [document(7) for _ in range(3)]
    results = [stored(first), {"outcome": "deferred"}, stored(third)]
    found = results_of({"results": results}, documents)
    assert found is not None
    assert [each.session_id for each in found] == [first["session_id"], third["session_id"]]


@pytest.mark.parametrize("count", [1, 3])
def test_another_number_of_results_is_no_answer(count: int) -> None:
    documents = [document(7) for _ in range(2)]
    assert results_of({"results": [stored(documents[0])] * count}, documents) is None
