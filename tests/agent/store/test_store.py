"""The store follows the revision rule: what is pending, what is acknowledged, what is pruned."""

import sqlite3
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from agent.store.store import Store
from tests.agent.documents import document, ids
from tests.agent.store.damage import filled

# The revision rule


def test_a_document_comes_back_as_it_was_put(store: Store) -> None:
    final = document(7, note="Umlaute: äöü, 目")
    assert store.put(final)
    assert store.document(final["session_id"]) == final
    assert store.document("unknown") is None


def test_a_higher_revision_replaces_a_lower_one(store: Store) -> None:
    first = document(1)
    store.put(first)
    assert store.put(document(7, first["session_id"]))
    assert [each["revision"] for each in store.pending(10)] == [7]


@pytest.mark.parametrize("late", [1, 6, 7])
def test_a_late_lower_or_equal_revision_changes_nothing(store: Store, late: int) -> None:
    final = document(7)
    store.put(final)
    assert not store.put(document(late, final["session_id"], camera=None))
    assert store.document(final["session_id"]) == final


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("session_id", 5, "expected a text, found 5"),
        ("session_id", "", "expected a text, found ''"),
        ("revision", 0, "expected a whole number from 1, found 0"),
        ("revision", True, "expected a whole number from 1, found True"),
        ("revision", "7", "expected a whole number from 1, found '7'"),
        ("revision", 1 << 63, "expected a whole number from 1, found 9223372036854775808"),
        ("state", "paused", "expected one of active, ended, interrupted, found 'paused'"),
        ("metrics", float("nan"), "not JSON compliant"),
    ],
)
def test_an_invalid_document_is_refused(store: Store, key: str, value: Any, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        store.put({**document(7), key: value})
    assert store.counts()["sessions"] == 0


def test_the_highest_revision_that_sqlite_can_hold_is_one(store: Store) -> None:
    highest = document((1 << 63) - 1)
    assert store.put(highest)
    assert store.document(highest["session_id"]) == highest


class RevisionRule(RuleBasedStateMachine):
    """The store against a dictionary: session -> (document, acked revision, parked)."""

    sessions = st.sampled_from(["a", "b", "c"])
    revisions = st.integers(1, 5)

    @initialize()
    def begin(self) -> None:
        self.store = Store(self.path)
        self.model: dict[str, tuple[dict[str, Any], int, bool]] = {}

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self.directory = tempfile.TemporaryDirectory()
        self.path = Path(self.directory.name) / "agent.sqlite3"

    @rule(session=sessions, revision=revisions, state=st.sampled_from(["active", "ended"]))
    def put(self, session: str, revision: int, state: str) -> None:
        put = {"session_id": session, "revision": revision, "state": state}
        known, acked, _ = self.model.get(session, ({"revision": 0}, 0, False))
        higher = revision > known["revision"]
        assert self.store.put(put) == higher
        if higher:
            self.model[session] = (put, acked, False)

    @rule(session=sessions, revision=revisions)
    def acknowledge(self, session: str, revision: int) -> None:
        known, acked, parked = self.model.get(session, ({"revision": 0}, 0, False))
        news = acked < revision <= known["revision"]
        assert self.store.acknowledge(session, revision) == news
        if news:
            self.model[session] = (known, revision, parked and revision < known["revision"])

    @rule(session=sessions, revision=revisions)
    def park(self, session: str, revision: int) -> None:
        known, acked, _ = self.model.get(session, ({"revision": 0}, 0, False))
        parks = known["revision"] == revision > acked
        assert self.store.park(session, revision, "no") == parks
        if parks:
            self.model[session] = (known, acked, True)

    @rule(session=sessions)
    def retry(self, session: str) -> None:
        known, acked, parked = self.model.get(session, ({}, 0, False))
        assert self.store.retry(session) == parked
        if parked:
            self.model[session] = (known, acked, False)

    @rule(keep=st.integers(0, 2))
    def prune(self, keep: int) -> None:
        done = [
            session
            for session, (known, acked, _) in self.model.items()
            if acked == known["revision"] and known["state"] == "ended"
        ]
        gone = done[: max(0, len(done) - keep)]
        assert self.store.prune(keep) == len(gone)
        for session in gone:
            del self.model[session]

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = Store(self.path)

    @invariant()
    def pending_is_what_is_neither_acknowledged_nor_parked(self) -> None:
        if not hasattr(self, "store"):
            return
        waiting = [
            known
            for known, acked, parked in self.model.values()
            if acked < known["revision"] and not parked
        ]
        waiting.sort(key=lambda known: known["state"] != "active")  # stable: then by arrival
        assert self.store.pending(10) == waiting

    def teardown(self) -> None:
        self.store.close()
        self.directory.cleanup()


TestRevisionRule = RevisionRule.TestCase
TestRevisionRule.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)

# Pending


def test_active_sessions_are_pending_first_then_the_oldest(store: Store) -> None:
    old, newer, running = document(7), document(7), document(1)
    for each in (old, newer, running):
        store.put(each)
    assert ids(store.pending(10)) == ids([running, old, newer])
    assert ids(store.pending(1)) == ids([running])


def test_pending_skips_a_revision_but_not_the_next_one(store: Store) -> None:
    one, other = document(1), document(7)
    store.put(one)
    store.put(other)
    skip = [(one["session_id"], 1)]
    assert ids(store.pending(10, skip=skip)) == ids([other])
    store.put(document(2, one["session_id"], state="active"))
    assert ids(store.pending(10, skip=skip)) == ids([one, other])


def test_an_acknowledgement_of_an_older_revision_leaves_the_newer_pending(store: Store) -> None:
    session_id = document()["session_id"]
    store.put(document(1, session_id))
    store.put(document(2, session_id))
    assert store.acknowledge(session_id, 1)
    assert [each["revision"] for each in store.pending(10)] == [2]
    assert store.acknowledge(session_id, 2)
    assert store.pending(10) == []
    assert not store.acknowledge(session_id, 2)


def test_an_acknowledgement_of_an_unknown_session_changes_nothing(store: Store) -> None:
    store.put(final := document(7))
    assert not store.acknowledge(final["session_id"], 8)
    assert not store.acknowledge("unknown", 1)
    assert ids(store.pending(10)) == [final["session_id"]]


def test_the_acknowledged_revision_is_told_and_0_without_one(store: Store) -> None:
    store.put(one := document(7))
    store.put(other := document(6))
    assert store.acknowledged("unknown") == store.acknowledged(one["session_id"]) == 0
    store.acknowledge(one["session_id"], 7)
    store.acknowledge(other["session_id"], 6)
    assert [store.acknowledged(each["session_id"]) for each in (one, other)] == [7, 6]


def test_the_session_that_is_pending_longest_is_told_and_none_if_none_is(store: Store) -> None:
    assert store.oldest_pending() is None
    running, old, newer = document(3, state="active"), document(7), document(7)
    for each in (running, old, newer):
        store.put(each)
    assert store.oldest_pending() == 2, "in the order of arrival; a running one does not count"
    store.acknowledge(old["session_id"], 7)
    assert store.oldest_pending() == 3
    store.park(newer["session_id"], 7, "no")
    assert store.oldest_pending() is None


def test_a_parked_session_says_why_and_waits_for_retry(store: Store) -> None:
    store.put(final := document(7))
    assert store.park(final["session_id"], 7, "blinks: expected columns")
    assert store.pending(10) == []
    assert store.counts() == {"sessions": 1, "pending": 0, "parked": 1, "delivered": 0}
    assert store.sessions(1)[0].parked_reason == "blinks: expected columns"
    assert store.retry(final["session_id"])
    assert ids(store.pending(10)) == [final["session_id"]]
    assert not store.retry(final["session_id"])


def test_a_higher_revision_of_a_parked_session_is_tried(store: Store) -> None:
    store.put(checkpoint := document(2))
    store.park(checkpoint["session_id"], 2, "no")
    store.put(document(3, checkpoint["session_id"]))
    assert [each["revision"] for each in store.pending(10)] == [3]


def test_a_refusal_of_an_older_revision_does_not_park_the_newer(store: Store) -> None:
    session_id = document()["session_id"]
    store.put(document(1, session_id))
    store.put(document(2, session_id))
    assert not store.park(session_id, 1, "late")
    assert ids(store.pending(10)) == [session_id]


def test_a_refusal_of_what_was_delivered_changes_nothing(store: Store) -> None:
    """Two transports may answer the same document."""
    store.put(final := document(7))
    store.acknowledge(final["session_id"], 7)
    assert not store.park(final["session_id"], 7, "no")
    assert store.sessions(1)[0].parked_reason is None
    assert store.counts() == {"sessions": 1, "pending": 0, "parked": 0, "delivered": 1}


def test_unfinished_returns_interrupted_sessions(store: Store) -> None:
    store.put(document(7))
    store.put(running := document(3, state="active"))
    store.acknowledge(running["session_id"], 3)
    assert store.unfinished() == [running]


def test_sessions_are_listed_newest_first_with_their_delivery_state(store: Store) -> None:
    old, new = document(7), document(7)
    store.put(old)
    store.put(new)
    store.acknowledge(new["session_id"], 7)
    found = store.sessions(10)
    assert [each.session_id for each in found] == ids([new, old])
    assert [each.delivered for each in found] == [True, False]
    assert found[0].document == new


def test_iterating_over_years_of_sessions_needs_the_memory_of_a_few(store: Store) -> None:
    """Services have a limit to it: a thousand sessions of two hours at once were 300 MB."""
    made = [document(7) for _ in range(100)]
    for each in made:
        store.put({**each, "blinks": {"at_s": [number / 8 for number in range(5000)]}})
    tracemalloc.start()
    try:
        found = [each.session_id for each in store.newest()]
        peak_mb = tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()
    assert found == ids(made)[::-1]
    assert peak_mb < 2, "as text alone all at once are 4 MB"


def test_an_altered_document_is_never_delivered(path: Path) -> None:
    documents = filled(path, 3)
    blinks = documents[1]["metrics"]["blink_count"]
    with sqlite3.connect(path) as raw:  # a flipped bit in the middle of a row: SQLite can't tell
        raw.execute(
            "UPDATE sessions SET document = replace(document, ?, ?) WHERE session_id = ?",
            [f'"blink_count":{blinks}', '"blink_count":99', documents[1]["session_id"]],
        )
    raw.close()
    store = Store(path)
    assert ids(store.pending(9)) == [documents[2]["session_id"]]
    assert ids(store.pending(1)) == [documents[2]["session_id"]]
    assert store.counts()["parked"] == 1
    store.close()


# Pruning


def test_pruning_deletes_only_the_oldest_delivered_sessions(store: Store) -> None:
    delivered = [document(7) for _ in range(4)]
    waiting, refused, running = document(7), document(7), document(3, state="active")
    for each in (*delivered, waiting, refused, running):
        store.put(each)
    for each in (*delivered, running):
        store.acknowledge(each["session_id"], each["revision"])
    store.park(refused["session_id"], 7, "no")
    assert store.prune(2) == 2
    kept = [each.session_id for each in store.sessions(10)]
    assert kept == ids([running, refused, waiting, delivered[3], delivered[2]])
    assert store.prune(0) == 2
    assert store.counts()["sessions"] == 3
