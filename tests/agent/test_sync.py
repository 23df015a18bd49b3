"""Delivery as a whole: nothing is lost or doubled, and nobody waits on a bad document or server."""

import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.errors import DeliveryError, StoreError
from agent.store.store import Store
from agent.sync import BATCH, CAP_S, RETRY_AFTER_CAP_S, Backoff, Sync
from agent.transport.base import Acknowledgement
from agent.transport.http import HttpSettings, HttpTransport
from agent.transport.mqtt import MqttSettings, MqttTransport
from tests.agent.documents import document
from tests.agent.servers import TOKEN, Api, Consumer, Handler, History, running_api, until
from tests.broker import Broker, needs_mosquitto, running_broker

DEVICE = "0193a1b2-0000-7000-8000-000000000001"
USERS = {DEVICE: "device-secret", "blinklog-server": "server-secret"}
Document = dict[str, Any]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "agent.sqlite3"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    opened = Store(path)
    yield opened
    opened.close()


class Way:
    """A transport by script: `answer` says what becomes of each document, None leaves it open."""

    def __init__(self, history: History, name: str = "way") -> None:
        self.name = name
        self.history = history
        self.error: DeliveryError | None = None
        self.silent: set[str] = set()
        self.passes_over: set[str] = set()  # without a word, and without an error
        self.waiting: list[Document] = []
        self.tries: list[list[tuple[str, int]]] = []
        self.closed = False

    def deliver(self, documents: Sequence[Document], timeout_s: float) -> Iterable[Acknowledgement]:
        if documents:
            self.tries.append([(each["session_id"], each["revision"]) for each in documents])
        if self.error is not None:
            raise self.error
        quiet = self.silent | self.passes_over
        heard = [each for each in documents if each["session_id"] not in quiet]
        for each in heard:
            word = Acknowledgement.read(self.history.accept(each), each)
            assert word is not None
            yield word
        if documents and not heard and not self.passes_over:
            raise DeliveryError("no acknowledgement")

    def commands(self) -> list[Document]:
        waiting, self.waiting = self.waiting, []
        return waiting

    def close(self) -> None:
        self.closed = True


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def history() -> History:
    return History()


@pytest.fixture
def way(history: History) -> Way:
    return Way(history)


def longest(low: float, high: float) -> float:
    """A draw without luck."""
    return high


def scripted(store: Store, clock: Clock, *ways: Way) -> Sync:
    return Sync(store, ways, clock=clock, backoff=lambda: Backoff(clock, longest))


def steps(sync: Sync, clock: Clock, seconds: float) -> None:
    """Runs the loop for so long on the clock, a quarter of a second a step."""
    end_s = clock.now_s + seconds
    while clock.now_s < end_s:
        while sync._step():
            pass
        clock.now_s += 0.25


# Backoff


def test_each_failure_in_a_row_doubles_the_ceiling_up_to_the_cap(clock: Clock) -> None:
    backoff = Backoff(clock, longest)
    assert backoff.ready()
    delays = []
    for _ in range(12):
        backoff.failed()
        begun_s = clock.now_s
        while not backoff.ready():
            clock.now_s += 0.5
        delays.append(clock.now_s - begun_s)
    assert delays == [1, 2, 4, 8, 16, 32, 64, 128, 256, CAP_S, CAP_S, CAP_S]


def test_the_delay_is_drawn_from_the_whole_range_so_that_a_fleet_spreads(clock: Clock) -> None:
    asked = []
    backoff = Backoff(clock, lambda low, high: asked.append((low, high)) or low)  # type: ignore[func-returns-value]
    for _ in range(3):
        backoff.failed()
    assert asked == [(0, 1), (0, 2), (0, 4)]


def test_success_begins_anew_and_so_does_a_failure_long_after_the_last(clock: Clock) -> None:
    backoff = Backoff(clock, longest)
    for begin_anew in (backoff.succeeded, lambda: setattr(clock, "now_s", clock.now_s + 9999)):
        for _ in range(8):
            backoff.failed()
        begin_anew()
        assert backoff.ready()
        backoff.failed()
        clock.now_s += 1
        assert backoff.ready()
        backoff.succeeded()


def test_the_server_s_wish_is_the_least_of_the_delay_within_reason(clock: Clock) -> None:
    backoff = Backoff(clock, longest)
    backoff.failed(retry_after_s=120)
    clock.now_s += 120
    backoff.hurry()
    assert not backoff.ready(), "and not everybody comes at that very second"
    clock.now_s += 1
    assert backoff.ready()
    backoff.failed(retry_after_s=1e9)
    clock.now_s += RETRY_AFTER_CAP_S + 2
    assert backoff.ready()


def test_news_ends_a_delay_but_not_two_in_a_row(clock: Clock) -> None:
    backoff = Backoff(clock, longest)
    for _ in range(9):
        backoff.failed()
    assert not backoff.ready()
    backoff.hurry()
    assert backoff.ready()
    backoff.failed()
    backoff.hurry()
    assert not backoff.ready()
    clock.now_s += CAP_S
    assert backoff.ready()
    backoff.failed()
    backoff.hurry()
    assert backoff.ready()


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


# Who delivers


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
    bad = [document(7) for _ in range(2 * BATCH)]
    good = [document(7) for _ in range(2 * BATCH)]
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


# What is said


def test_refused_credentials_keep_everything_and_are_shown(store: Store, history: History) -> None:
    store.put(document(7))
    with running_api(history) as api:
        transport = HttpTransport(HttpSettings(api.url, "revoked"))
        assert not Sync(store, [transport]).once()
        transport.close()
    said = store.noted("delivery")
    assert said["ok"] is False
    assert said["problem"] == "http: the server refuses this device's token (401)"
    assert store.counts() == {"sessions": 1, "pending": 1, "parked": 0, "delivered": 0}


def test_what_is_noted_turns_good_again(store: Store, way: Way, clock: Clock) -> None:
    store.put(document(7))
    way.error = DeliveryError("can't be reached")
    sync = scripted(store, clock, way)
    steps(sync, clock, 5)
    assert store.noted("delivery")["problem"] == "way: can't be reached"
    way.error = None
    steps(sync, clock, 10)
    assert store.noted("delivery")["ok"] is True
    assert store.noted("delivery")["problem"] is None


def test_a_trouble_of_an_earlier_process_is_over_though_there_is_nothing_to_send(
    store: Store, way: Way, clock: Clock
) -> None:
    """As that the device is nobody's yet: right after `enrol` nothing waits."""
    store.note("delivery", {"ok": False, "problem": "run blink-agent enrol", "enrolled": False})
    steps(scripted(store, clock, way), clock, 1)
    said = store.noted("delivery")
    assert (said["ok"], said["problem"], said.get("enrolled")) == (True, None, None)


def test_a_way_s_trouble_is_over_when_that_way_was_asked_and_not_before(
    store: Store, history: History, way: Way, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Though the other way has delivered everything meanwhile."""
    caplog.set_level(logging.INFO)
    refused = "http: the server refuses this device's token (401)"
    with running_api(history) as api:
        api.next.extend([lambda each: each.answer(401, {"detail": "Invalid token."})] * 3)
        transport = HttpTransport(HttpSettings(api.url, TOKEN))
        ways: list[Any] = [way, transport]
        sync = Sync(store, ways, clock=clock, backoff=lambda: Backoff(clock, longest))
        way.error = DeliveryError("can't be reached")
        store.put(final := document(7))
        sync._step()
        assert store.noted("delivery")["problem"] == f"way: can't be reached; {refused}"
        way.error = None
        steps(sync, clock, 1.5)
        assert store.counts()["delivered"] == 1
        steps(sync, clock, 1)
        assert store.noted("delivery")["problem"] == refused
        assert "http works again" not in caplog.text
        steps(sync, clock, 60)
        assert store.noted("delivery")["problem"] is None
        assert "http works again" in caplog.text
        put = ("PUT", f"/api/session/{final['session_id']}/")
        assert api.requests == [put, *[("OPTIONS", "/api/session/start/")] * 3]
        transport.close()


def test_the_first_contact_after_that_is_noted_at_once(
    store: Store, path: Path, way: Way, clock: Clock
) -> None:
    store.note("delivery", {"ok": False, "problem": "run blink-agent enrol"})
    sync = scripted(store, clock, way)
    steps(sync, clock, 1)
    with closing(Store(path)) as watch:
        watch.put(document(7))
    steps(sync, clock, 1)
    assert store.counts()["pending"] == 0
    assert store.noted("delivery")["contact"] is not None


def test_delivery_that_finds_nothing_wrong_and_nothing_to_send_writes_nothing(
    store: Store, way: Way, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes: list[str] = []
    monkeypatch.setattr(store, "note", lambda key, value: notes.append(key))
    steps(scripted(store, clock, way), clock, 600)
    assert not notes


def test_the_log_says_a_trouble_once_and_never_what_is_in_a_document(
    store: Store, way: Way, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    store.put(document(7))
    way.error = DeliveryError("can't be reached")
    sync = scripted(store, clock, way)
    steps(sync, clock, 600)
    assert caplog.text.count("can't be reached") == 1
    way.error = None
    steps(sync, clock, 600)
    assert "way works again" in caplog.text
    assert "blink_count" not in caplog.text


def test_delivery_hardly_writes_while_it_fails(
    store: Store, way: Way, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every write wears the card; a server may be gone for weeks."""
    store.put(document(7))
    way.error = DeliveryError("can't be reached")
    notes: list[str] = []
    monkeypatch.setattr(store, "note", lambda key, value: notes.append(key))
    steps(scripted(store, clock, way), clock, 50)
    assert len(way.tries) == 6
    assert len(notes) <= 2


# Commands


def test_commands_go_into_the_store_and_nonsense_does_not(
    store: Store, way: Way, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    now = datetime.now(UTC)
    command = {
        "id": "0193a1b2-7c3d-7e4f-8a5b-000000000001",
        "command": "start",
        "expires_at": (now + timedelta(seconds=30)).isoformat(),
    }
    way.waiting = [{"command": "reboot"}, command, command, {}]
    sync = scripted(store, clock, way)
    sync._step()
    assert store.take_command(now) == command
    assert store.take_command(now) is None
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


# The loop


class Late:
    """A store that opens itself in whatever thread uses it first: a Store belongs to one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._store: Store | None = None

    def __getattr__(self, name: str) -> Any:
        if self._store is None:
            self._store = Store(self._path)
        return getattr(self._store, name)


@contextmanager
def running(late: Any, ways: Sequence[Any], **options: Any) -> Iterator[None]:
    """Delivery in a thread of its own, as in a process of its own."""
    sync, stop = Sync(late, ways, **options), threading.Event()
    failures: list[BaseException] = []

    def run() -> None:
        try:
            sync.run(stop)
        except BaseException as error:
            failures.append(error)
        finally:
            late.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(20)
        sync.close()
    assert not thread.is_alive()
    assert failures == []


def test_the_loop_feeds_the_watchdog_and_ends_when_told(path: Path, way: Way) -> None:
    beats: list[int] = []
    with running(Late(path), [way], poll_s=0.01, alive=lambda: beats.append(1)):
        until(lambda: len(beats) > 5, "five beats")
    assert way.closed


def test_a_store_that_can_t_be_written_delays_and_does_not_end_the_loop(
    path: Path, store: Store, history: History, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        full = True

        def __getattr__(self, name: str) -> Any:
            return getattr(late, name)

        def acknowledge(self, session_id: str, revision: int) -> bool:
            if self.full:
                raise StoreError("the disk is full")
            return bool(late.acknowledge(session_id, revision))

    late, full = Late(path), Full()
    store.put(final := document(7))
    backoff: Callable[[], Backoff] = lambda: Backoff(draw=lambda low, high: 0.05)  # noqa: E731
    with running(full, [way], poll_s=0.01, backoff=backoff):
        until(lambda: len(history.said) > 2, "the document is sent again and again")
        full.full = False
        until(lambda: store.counts()["delivered"] == 1, "delivered at last")
    assert history.revisions() == {final["session_id"]: 7}
    assert [said[2] for said in history.said[:2]] == ["stored", "duplicate"]


def test_a_store_that_fails_for_good_is_said_once_and_starves_the_watchdog(
    path: Path, way: Way, caplog: pytest.LogCaptureFixture
) -> None:
    class Gone:
        looks = 0

        def data_version(self) -> object:
            self.looks += 1
            raise StoreError("the disk gave an input/output error")

        def close(self) -> None:
            pass

    beats: list[int] = []
    gone: Any = Gone()
    with running(gone, [way], poll_s=0.01, alive=lambda: beats.append(1)):
        until(lambda: gone.looks > 10, "it is tried again and again")
    assert beats == []
    assert len([each for each in caplog.messages if "input/output" in each]) == 1


# The real thing


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    directory = tmp_path / "broker"
    directory.mkdir()
    with running_broker(directory, USERS) as broker:
        yield broker


@pytest.fixture
def consumer(broker: Broker, history: History) -> Iterator[Consumer]:
    consumer = Consumer(history, "blinklog-server", USERS["blinklog-server"])
    consumer.start(broker.host, broker.port)
    yield consumer
    consumer.stop()


@pytest.fixture
def api(history: History) -> Iterator[Api]:
    with running_api(history) as api:
        yield api


def both(broker: Broker, api: Api) -> list[Any]:
    settings = MqttSettings(broker.host, broker.port, False, None, DEVICE, USERS[DEVICE], DEVICE)
    return [
        MqttTransport(settings, presence={"agent": "1.0.0"}, will_delay_s=0),
        HttpTransport(HttpSettings(api.url, TOKEN)),
    ]


def quick() -> Backoff:
    """Tests don't wait for minutes."""
    return Backoff(draw=lambda low, high: min(high, 0.2))


@pytest.mark.needs_broker
@needs_mosquitto
def test_a_session_is_in_the_history_exactly_once_whatever_falls_over(
    path: Path, store: Store, history: History, broker: Broker, consumer: Consumer, api: Api
) -> None:
    """Broker and API go and come while sessions are made; in the end each is there, as it ended."""
    sessions = [document()["session_id"] for _ in range(12)]
    falls = [broker.kill, api.stop, broker.start, api.start] * 3
    with running(Late(path), both(broker, api), ack_s=1, backoff=quick):
        for number, (session_id, fall) in enumerate(zip(sessions, falls, strict=True)):
            store.put(document(1, session_id))
            if number % 4 != 2:  # when both are down
                until(lambda: session_id in history.revisions(), "the start arrives")  # noqa: B023
            fall()
            for revision in range(2, 8):
                store.put(document(revision, session_id))
        until(lambda: store.counts()["delivered"] == len(sessions), "everything delivered")
    assert history.revisions() == dict.fromkeys(sessions, 7)
    stored = [said[:2] for said in history.said if said[2] == "stored"]
    assert len(stored) == len(set(stored))


@pytest.mark.needs_broker
@needs_mosquitto
def test_without_a_consumer_the_other_way_is_taken_at_once(
    path: Path, store: Store, history: History, broker: Broker, api: Api
) -> None:
    with running(Late(path), both(broker, api), backoff=quick):
        store.put(start := document(1))
        until(lambda: history.revisions() == {start["session_id"]: 1}, "over HTTP")
    assert api.requests == [("POST", "/api/session/start/")]


@pytest.mark.needs_broker
@needs_mosquitto
def test_a_backlog_drains_with_few_in_flight(
    path: Path, store: Store, history: History, broker: Broker, consumer: Consumer
) -> None:
    for _ in range(150):
        store.put(document(7))
    most = 0
    behave = Consumer.behave

    def counting(self: Consumer, message: Any) -> None:
        nonlocal most
        with closing(Store(path)) as theirs:
            most = max(most, len(consumer.seen) - theirs.counts()["delivered"])
        behave(self, message)

    consumer.answer = counting
    settings = MqttSettings(broker.host, broker.port, False, None, DEVICE, USERS[DEVICE], DEVICE)
    with running(Late(path), [MqttTransport(settings)]):
        until(lambda: store.counts()["delivered"] == 150, "all delivered")
    assert len(history.said) == 150, "each was sent once"
    assert 1 < most <= BATCH


SYNC = """
import sys, threading
from pathlib import Path
from agent.store.store import Store
from agent.sync import Sync
from agent.transport.http import HttpSettings, HttpTransport
Sync(Store(Path(sys.argv[1])), [HttpTransport(HttpSettings(*sys.argv[2:4]))]).run(threading.Event())
"""


def test_killing_delivery_between_the_word_and_its_note_costs_a_duplicate_and_nothing_else(
    path: Path, store: Store, history: History, api: Api
) -> None:
    documents = [document(7) for _ in range(30)]
    for each in documents:
        store.put(each)
    for round_ in range(4):
        arguments = [sys.executable, "-c", SYNC, str(path), api.url, TOKEN]
        child = subprocess.Popen(arguments)
        enough = len(history.said) + 3 + round_
        until(lambda: len(history.said) >= enough, "some words")  # noqa: B023
        child.kill()
        child.wait(10)
    transport = HttpTransport(HttpSettings(api.url, TOKEN))
    assert Sync(store, [transport]).once()
    transport.close()
    assert history.revisions() == {each["session_id"]: 7 for each in documents}
    outcomes = [said[2] for said in history.said]
    assert outcomes.count("stored") == 30
    assert outcomes.count("duplicate") <= 4
