"""Acknowledgements read from a server's answers."""

from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from agent.records import REASON_CHARACTERS
from agent.transport.base import Acknowledgement

SENT = {"session_id": "s", "revision": 3}


def read(**changes: Any) -> Acknowledgement | None:
    answer = {"session_id": "s", "revision": 3, "outcome": "stored", "reason": None} | changes
    return Acknowledgement.read(answer, SENT)


@pytest.mark.parametrize("outcome", ["stored", "duplicate", "stale", "rejected"])
def test_an_answer_names_the_session_and_the_revision(outcome: str) -> None:
    assert read(outcome=outcome) == Acknowledgement("s", 3, outcome, None)  # type: ignore[arg-type]


@pytest.mark.parametrize("answer", [None, [], "stored", 3, {}])
def test_an_invalid_answer_is_none(answer: object) -> None:
    assert Acknowledgement.read(answer, SENT) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"session_id": "t"},
        {"session_id": None},
        {"outcome": "kept"},
        {"outcome": None},
        {"revision": True},
        {"revision": 3.0},
        {"revision": "3"},
        {"revision": None},
    ],
)
def test_an_answer_about_something_else_is_none(changes: dict[str, Any]) -> None:
    assert read(**changes) is None


@pytest.mark.parametrize("outcome", ["stored", "duplicate", "rejected"])
@pytest.mark.parametrize("revision", [2, 4])
def test_an_answer_about_another_revision_is_none(outcome: str, revision: int) -> None:
    assert read(outcome=outcome, revision=revision) is None


def test_only_a_higher_revision_makes_a_document_stale() -> None:
    stale = read(outcome="stale", revision=9)
    assert stale is not None
    assert stale.revision == 3
    assert read(outcome="stale", revision=2) is None


def test_a_reason_is_printable_and_limited() -> None:
    rejected = read(outcome="rejected", reason="not\x1b[31m yours\ud800" + "x" * 1000)
    assert rejected is not None
    assert rejected.reason is not None
    assert rejected.reason.startswith("not?[31m yours?x")
    assert len(rejected.reason) == REASON_CHARACTERS == 500


@pytest.mark.parametrize("reason", [None, 7, ["no"]])
def test_a_reason_that_is_no_text_is_left_out(reason: object) -> None:
    rejected = read(outcome="rejected", reason=reason)
    assert rejected is not None
    assert rejected.reason is None


def test_an_acknowledgement_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        Acknowledgement("a", 1, "stored").outcome = "stale"  # type: ignore[misc]
