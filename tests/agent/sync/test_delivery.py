"""Delivery to a real broker and a real server: nothing is lost or doubled."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agent.store.store import Store
from agent.sync import Backoff, Sync
from agent.transport.http import HttpSettings, HttpTransport
from agent.transport.mqtt import AT_ONCE, MqttSettings, MqttTransport
from tests.agent.documents import document
from tests.agent.servers import TOKEN, Api, Consumer, History, running_api, until
from tests.agent.sync.scripted import Late, running
from tests.broker import Broker, needs_mosquitto, running_broker

DEVICE = "0193a1b2-0000-7000-8000-000000000001"
USERS = {DEVICE: "device-secret", "blinklog-server": "server-secret"}


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
    assert [each for each in api.requests if each[0] != "GET"] == [("POST", "/api/session/start/")]


@pytest.mark.needs_broker
@needs_mosquitto
def test_a_command_that_comes_over_both_at_once_is_taken_once(
    path: Path, store: Store, history: History, broker: Broker, consumer: Consumer, api: Api
) -> None:
    """Over HTTP before there is a broker, over HTTP and MQTT at once, and over MQTT alone."""
    sent = {"command": "start", "expires_at": "2026-11-22T10:00:30Z", "expires_in_s": 30.0}
    commands = [{"id": f"0193a1b2-7c3d-7e4f-8a5b-00000000000{n}", **sent} for n in range(3)]
    topic = f"blinklog/1/devices/{DEVICE}/commands"
    online = {"agent": "1.0.0", "online": True}
    taken: list[str] = []

    def take() -> int:
        if (command := store.take_command()) is not None:
            taken.append(command["id"])
        return len(taken)

    broker.kill()
    api.commands = commands[:1]
    with running(Late(path), both(broker, api), backoff=quick):
        until(lambda: take() == 1, "over HTTP")
        api.commands = commands[:2]
        broker.start()
        until(lambda: online in consumer.statuses, "the broker is connected")
        for command in commands:
            consumer.publish(topic, command, expiry_s=30).wait_for_publish(10)
        until(lambda: take() == 3, "over MQTT, and the second over HTTP too")
        store.put(document(1))
        until(lambda: store.counts()["delivered"] == 1, "the loop goes on")
        assert take() == 3
    assert sorted(taken) == [each["id"] for each in commands]


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
    assert 1 < most <= AT_ONCE


SYNC = """
import sys, threading
from pathlib import Path
from agent.store.store import Store
from agent.sync import Sync
from agent.transport.http import HttpSettings, HttpTransport
Sync(Store(Path(sys.argv[1])), [HttpTransport(HttpSettings(*sys.argv[2:4]))]).run(threading.Event())
"""


def test_killing_delivery_between_the_word_and_its_note_costs_duplicates_and_nothing_else(
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
    assert outcomes.count("duplicate") <= 4 * max(api.counts), "at most one batch for each kill"
