"""What an outcome does to a document, and which commands are kept."""

import contextlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from agent.errors import DeliveryError
from agent.store import file
from agent.store.store import Store
from agent.sync import NEVER_ACKNOWLEDGED, Sync
from agent.transport.base import DELETED, Acknowledgement
from agent.transport.http import HttpSettings, HttpTransport
from tests.agent.documents import document
from tests.agent.servers import TOKEN, History, running_api, until
from tests.agent.store.locks import Browser
from tests.agent.sync.scripted import Clock, Document, Late, Way, running, scripted, steps

# What an outcome does


@pytest.mark.parametrize("before", [None, 7, 9])
def test_stored_duplicate_and_stale_all_mean_delivered(
    before: int | None, store: Store, history: History, way: Way
) -> None:
    final = document(7)
    if before is not None:
        history.accept(document(before, final["session_id"]))
    store.put(final)
    assert Sync(store, [way]).once()
    assert store.counts()["delivered"] == 1


def test_a_rejected_document_is_parked_with_the_reason_and_not_sent_elsewhere(
    store: Store, history: History, way: Way
) -> None:
    other = Way(history, "other")
    store.put(final := document(7))
    history.refuse.add(final["session_id"])
    sync = Sync(store, [way, other])
    assert sync.once(), "nothing is pending"
    assert store.sessions(1)[0].parked_reason == "blinks: expected columns of one length"
    assert (len(way.tries), len(other.tries)) == (1, 0)
    history.refuse.clear()
    store.retry(final["session_id"])
    assert sync.once()
    assert history.revisions() == {final["session_id"]: 7}


def buried(session_id: str, revision: int, reason: str = DELETED) -> Acknowledgement:
    answer = {"session_id": session_id, "revision": revision, "outcome": "stale", "reason": reason}
    word = Acknowledgement.read(answer, {"session_id": session_id, "revision": revision})
    assert word is not None
    return word


def test_a_session_that_its_person_deleted_is_not_sent_again(store: Store, way: Way) -> None:
    started = document(1)
    store.put(started)
    sync = Sync(store, [way])
    assert sync.once()
    store.put(document(2, started["session_id"]))
    sync._record(buried(started["session_id"], 2))
    assert store.counts() == {"sessions": 1, "pending": 0, "parked": 0, "delivered": 1}


def test_somebody_elses_deletion_is_no_acknowledgement(store: Store, way: Way) -> None:
    """The server has never had it from this device: this is the only copy."""
    store.put(final := document(7))
    sync = Sync(store, [way])
    sync._record(buried(final["session_id"], 7))
    assert store.counts() == {"sessions": 1, "pending": 0, "parked": 1, "delivered": 0}
    assert store.sessions(1)[0].parked_reason == NEVER_ACKNOWLEDGED
    store.prune(0)
    assert store.document(final["session_id"]) == final
    store.retry(final["session_id"])
    assert sync.once()
    assert store.counts()["delivered"] == 1


def test_a_higher_revision_at_the_server_is_not_taken_for_a_deletion(
    store: Store, way: Way
) -> None:
    store.put(final := document(7))
    Sync(store, [way])._record(buried(final["session_id"], 7, "revision 9 is already stored"))
    assert store.counts()["delivered"] == 1


def test_a_rejection_with_half_a_character_is_parked_like_any(store: Store) -> None:
    """JSON may hold one; a file can't."""
    store.put(document(7))
    with running_api(History()) as api:
        api.next.append(
            lambda each: each.answer(400, {"outcome": "rejected", "reason": "a face: \ud83d"})
        )
        transport = HttpTransport(HttpSettings(api.url, TOKEN))
        assert Sync(store, [transport]).once()
        transport.close()
    assert store.sessions(1)[0].parked_reason == "a face: ?"


def test_a_revision_made_while_the_last_was_on_its_way_is_sent_too(
    path: Path, store: Store, history: History
) -> None:
    session_id = document()["session_id"]
    watch = Store(path)
    watch.put(document(1, session_id))

    class Slow(Way):
        def deliver(
            self, documents: Sequence[Document], timeout_s: float
        ) -> Iterable[Acknowledgement]:
            watch.put(document(2, session_id))
            yield from super().deliver(documents, timeout_s)

    way = Slow(history)
    assert Sync(store, [way]).once()
    assert way.tries == [[(session_id, 1)], [(session_id, 2)]]
    assert history.revisions() == {session_id: 2}
    watch.close()


@pytest.mark.parametrize("refuse", [False, True])
def test_an_acknowledgement_that_changes_nothing_is_an_error_with_backoff(
    store: Store,
    history: History,
    way: Way,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    path: Path,
    refuse: bool,
) -> None:
    """Such as of a session that a damaged index does not list: it would be sent at full speed."""
    store.put(lost := document(7))
    if refuse:
        history.refuse.add(lost["session_id"])
    name = "park" if refuse else "acknowledge"
    change = getattr(store, name)
    monkeypatch.setattr(
        store,
        name,
        lambda session_id, *rest: session_id != lost["session_id"] and change(session_id, *rest),
    )
    sync = scripted(store, clock, way)
    steps(sync, clock, 3600)
    assert 10 < len(way.tries) < 40, "after 1, 2, 4, ... and at most 300 s"
    assert "acknowledged, but not found in the store" in caplog.text
    with contextlib.closing(Store(path)) as watch:
        watch.put(other := document(7))
    steps(sync, clock, 301)
    assert other["session_id"] not in {each["session_id"] for each in store.pending(9)}
    monkeypatch.undo()
    steps(sync, clock, 301)
    assert store.counts()["pending"] == 0


def test_a_second_acknowledgement_is_no_error(
    store: Store, way: Way, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both transports may have delivered it, or the same one twice."""
    deliver = way.deliver

    def twice(documents: Sequence[Document], timeout_s: float) -> Iterable[Acknowledgement]:
        for each in deliver(documents, timeout_s):
            yield each
            yield each

    monkeypatch.setattr(way, "deliver", twice)
    store.put(document(7))
    assert Sync(store, [way]).once()
    assert len(way.tries) == 1


def test_a_store_that_another_program_locks_takes_the_acknowledgement_later(
    path: Path, store: Store, history: History, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file, "WAIT_S", 0.1)
    store.put(final := document(7))
    browser = Browser(path)
    with running(Late(path), [way], poll_s=0.05):
        until(lambda: len(way.tries) >= 2, "it is sent, and its acknowledgement is not kept")
        assert store.counts()["pending"] == 1
        browser.leave()
        until(lambda: store.counts()["pending"] == 0, "it is delivered")
    assert history.revisions() == {final["session_id"]: 7}


# Commands


def test_commands_go_into_the_store_and_nonsense_does_not(
    store: Store, way: Way, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    command = {
        "id": "0193a1b2-7c3d-7e4f-8a5b-000000000001",
        "command": "start",
        "expires_at": "2026-11-22T10:00:30Z",
    }
    way.waiting = [{"command": "reboot"}, command, command, {}]
    sync = scripted(store, clock, way)
    sync._step()
    assert store.take_command() == command
    assert store.take_command() is None
    assert caplog.text.count("invalid command over way") == 2


def test_commands_are_taken_while_delivery_waits(store: Store, way: Way, clock: Clock) -> None:
    way.error = DeliveryError("no acknowledgement")
    store.put(document(7))
    sync = scripted(store, clock, way)
    steps(sync, clock, 600)
    before = len(way.tries)
    way.waiting = [{}]
    sync._step()
    assert way.waiting == []
    assert len(way.tries) == before
