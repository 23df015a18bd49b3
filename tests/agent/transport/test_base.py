"""Acknowledgements read from a server's answers."""

import json
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


ANY_CHARACTER = st.characters(exclude_categories=())  # halves of one, too: JSON may hold them


def test_true_is_not_revision_1() -> None:
    started = {"session_id": "a", "revision": 1}
    assert Acknowledgement.read({**started, "outcome": "stored"}, started) is not None
    assert Acknowledgement.read({**started, "revision": True, "outcome": "stored"}, started) is None


def test_any_reason_can_be_stored_and_printed() -> None:
    sent = {"session_id": "a", "revision": 1}
    answer = '"session_id": "a", "revision": 1, "outcome": "rejected"'
    reason = r'"half a face: \ud83d\u001b[2J\n, größer als 1"'
    word = Acknowledgement.read(json.loads(f'{{{answer}, "reason": {reason}}}'), sent)
    assert word is not None
    assert word.reason == "half a face: ??[2J?, größer als 1"
    word = Acknowledgement.read({**json.loads(f"{{{answer}}}"), "reason": "x" * 100_000}, sent)
    assert word is not None
    assert word.reason == "x" * REASON_CHARACTERS


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(ANY_CHARACTER),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
nearly = st.fixed_dictionaries(
    {},
    optional={
        "session_id": st.sampled_from(["a", "b"]) | json_values,
        "revision": st.integers(6, 8) | json_values,
        "outcome": st.sampled_from(["stored", "duplicate", "stale", "rejected", "ok"])
        | json_values,
        "reason": st.text(ANY_CHARACTER) | json_values,
    },
)


@given(nearly | json_values)
def test_any_answer_can_be_read_and_only_a_matching_one_is_an_acknowledgement(answer: Any) -> None:
    word = Acknowledgement.read(answer, {"session_id": "a", "revision": 7})
    if word is None:
        return
    assert (word.session_id, word.revision) == ("a", 7)
    (word.reason or "").encode()
    assert answer["session_id"] == "a"
    assert answer["outcome"] == word.outcome
    assert answer["revision"] == 7 or (word.outcome == "stale" and answer["revision"] > 7)
