"""Which transport delivers, when it is left alone, and that no document holds up the others."""

from pathlib import Path

import pytest

from agent.errors import DeliveryError
from agent.store.store import Store
from agent.sync import CAP_S, Backoff, Sync
from agent.transport.http import HttpSettings, HttpTransport
from tests.agent.documents import document, ids
from tests.agent.servers import TOKEN, Handler, History, running_api
from tests.agent.sync.scripted import Clock, Way, longest, scripted, steps


def test_what_the_first_transport_refuses_goes_over_the_second(
    store: Store, history: History, way: Way
) -> None:
    second = Way(history, "second")
    documents = [document(7) for _ in range(3)]
    for each in documents:
        store.put(each)
    way.silent = {documents[1]["session_id"]}
    assert Sync(store, [way, second]).once()
    assert second.tries == [[(documents[1]["session_id"], 7)]]


def test_a_transport_that_fails_is_left_alone_for_a_while(
    store: Store, history: History, way: Way, clock: Clock
) -> None:
    second = Way(history, "second")
    way.error = DeliveryError("can't be reached")
    sync = scripted(store, clock, way, second)
    for _ in range(20):
        store.put(document(7))
    sync._step()
    while sync._step():
        pass
    assert store.counts()["pending"] == 0
    assert len(way.tries) == 1
    assert len(second.tries) == 3


def test_a_batch_is_as_large_as_the_transport_takes_that_gets_it_first(
    store: Store, history: History, way: Way
) -> None:
    way.at_once, second = 3, Way(history, "second")
    for _ in range(6):
        store.put(document(7))
    assert Sync(store, [way, second]).once()
    assert [len(each) for each in way.tries] == [3, 3]


def test_a_dead_server_is_tried_less_and_less_often(store: Store, way: Way, clock: Clock) -> None:
    way.error = DeliveryError("can't be reached")
    store.put(document(7))
    steps(scripted(store, clock, way), clock, 3600)
    assert 15 <= len(way.tries) <= 25, "an hour: 1 + 2 + 4 … + 256 + 10 times 300 s"


def test_new_data_does_not_defeat_the_backoff(
    path: Path, store: Store, way: Way, clock: Clock
) -> None:
    """A session's checkpoint every ten seconds, for an hour, and no server."""
    way.error = DeliveryError("can't be reached")
    watch = Store(path)
    session_id = document()["session_id"]
    sync = scripted(store, clock, way)
    for revision in range(1, 361):
        watch.put(document(revision, session_id, state="active"))
        steps(sync, clock, 10)
    assert len(way.tries) <= 50
    watch.close()


def test_new_data_does_not_make_the_delays_longer_either(clock: Clock) -> None:
    """A minute's outage in a busy hour must not end as a wait of five minutes."""
    drawn: list[float] = []
    backoff = Backoff(clock, lambda low, high: drawn.append(high) or high)
    for _ in range(3):
        backoff.failed()
        backoff.hurry()
        assert backoff.ready()
        backoff.failed()
        clock.now_s += drawn[-1]
    assert drawn == [1, 2, 2, 4, 4, 8]


def test_a_start_is_sent_at_once_though_the_server_was_gone_before(
    path: Path, store: Store, history: History, way: Way, clock: Clock
) -> None:
    way.error = DeliveryError("can't be reached")
    store.put(document(7))
    sync = scripted(store, clock, way)
    steps(sync, clock, 1000)
    way.error = None
    watch = Store(path)
    watch.put(start := document(1))
    steps(sync, clock, 1)
    assert history.revisions()[start["session_id"]] == 1
    assert store.counts()["pending"] == 0
    watch.close()


def test_after_a_success_the_next_trouble_begins_with_short_delays(
    store: Store, way: Way, clock: Clock
) -> None:
    sync = scripted(store, clock, way)
    for _ in range(2):
        store.put(document(7))
        sync._work = True
        way.error = DeliveryError("can't be reached")
        before = len(way.tries)
        steps(sync, clock, 8)
        assert len(way.tries) - before == 4, "at once, after 1, 2 and 4 s"
        way.error = None
        steps(sync, clock, CAP_S / 2)
        assert store.counts()["pending"] == 0


def test_a_bad_document_does_not_hold_up_the_others(
    store: Store, history: History, way: Way, clock: Clock
) -> None:
    """Nobody answers on the oldest, more of them than fit a batch."""
    bad = [document(7) for _ in range(2 * way.at_once)]
    good = [document(7) for _ in range(2 * way.at_once)]
    for each in bad + good:
        store.put(each)
    way.silent = {each["session_id"] for each in bad}
    steps(scripted(store, clock, way), clock, 3600)
    assert set(history.revisions()) == {each["session_id"] for each in good}
    assert len(way.tries) < 200, "and they are not sent over and over"
    way.silent = set()
    steps(scripted(store, clock, way), clock, 1)
    assert store.counts()["pending"] == 0


def test_a_document_that_is_passed_over_is_not_sent_over_and_over(
    store: Store, history: History, way: Way, clock: Clock
) -> None:
    """As a proxy does with a body that is too large for it."""
    large, small = document(7), document(7)
    store.put(large)
    store.put(small)
    way.passes_over = {large["session_id"]}
    steps(scripted(store, clock, way), clock, 3600)
    assert set(history.revisions()) == {small["session_id"]}
    assert 10 <= len(way.tries) <= 40


def test_after_a_document_was_passed_over_a_failure_costs_one_delay_as_ever(
    store: Store, way: Way, clock: Clock
) -> None:
    store.put(large := document(7))
    way.passes_over = {large["session_id"]}
    sync = scripted(store, clock, way)
    steps(sync, clock, 0.5)
    way.passes_over, way.error = set(), DeliveryError("can't be reached")
    counts = []
    for _ in range(16):
        steps(sync, clock, 1)
        counts.append(len(way.tries))
    tries = [number for number in range(1, 16) if counts[number] > counts[number - 1]]
    assert tries == [2, 6, 14], "after the first delays of 1 s and 2 s: 4 s and 8 s"


def test_a_document_that_makes_the_server_fail_does_not_hold_up_the_others(
    store: Store, history: History, clock: Clock
) -> None:
    with running_api(history) as api:
        bad, *good = [document(7) for _ in range(12)]
        for each in (bad, *good):
            store.put(each)

        def fails_on_bad(handler: Handler) -> None:
            api.next.append(fails_on_bad)
            if handler.document["session_id"] == bad["session_id"]:
                return handler.answer(500, b"")
            return handler.behave()

        api.next.append(fails_on_bad)
        transport = HttpTransport(HttpSettings(api.url, TOKEN))
        sync = Sync(store, [transport], clock=clock, backoff=lambda: Backoff(clock, longest))
        steps(sync, clock, 60)
        assert set(history.revisions()) == {each["session_id"] for each in good}
        sync.close()


def test_once_goes_on_behind_a_bad_document_and_ends(
    store: Store, history: History, way: Way
) -> None:
    bad, *good = [document(7) for _ in range(20)]
    for each in (bad, *good):
        store.put(each)
    way.silent = {bad["session_id"]}
    assert not Sync(store, [way]).once()
    assert len(history.revisions()) == 19


def test_once_gives_up_on_a_dead_server_without_going_through_everything(
    store: Store, way: Way
) -> None:
    for _ in range(100):
        store.put(document(7))
    way.error = DeliveryError("can't be reached")
    assert not Sync(store, [way]).once()
    assert len(way.tries) == 2
    assert store.counts()["pending"] == 100


@pytest.mark.parametrize(
    ("bad", "tried"),
    [
        ((0, 2, 4), [0, 1, 2, 3, 4, 5]),
        ((1, 2), [0, 1, 2]),
        ((0, 1), [0, 1]),
    ],
)
def test_once_ends_after_two_failures_in_a_row(
    store: Store, way: Way, bad: tuple[int, ...], tried: list[int]
) -> None:
    way.at_once = 1
    documents = [document(7) for _ in range(6)]
    for each in documents:
        store.put(each)
    way.silent = {documents[number]["session_id"] for number in bad}
    assert not Sync(store, [way]).once()
    places = [ids(documents).index(session_id) for ((session_id, _),) in way.tries]
    assert places[: len(tried)] == tried
    assert len(way.history.revisions()) == len(set(tried) - set(bad))
