"""MQTT connections that break, hang or are closed: reported, bounded and used again."""

import contextlib
import gc
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt import client as paho

from agent.errors import AgentError, DeliveryError
from agent.transport import mqtt_connection
from agent.transport.mqtt import MqttSettings, MqttTransport
from tests.agent.documents import document
from tests.agent.servers import Consumer, History, silent_port, until
from tests.agent.transport.mqtt_device import (
    ACK_S,
    DEVICE,
    PASSWORD,
    SOON_S,
    consuming,
    deliver,
    ready,
    to,
)
from tests.broker import Broker, needs_mosquitto
from tests.faults.proxy import Harm, Proxy

pytestmark = [pytest.mark.needs_broker, needs_mosquitto]


def test_a_killed_broker_is_reported_and_used_again_when_it_returns(
    own: Broker, history: History
) -> None:
    transport = to(own)
    with consuming(own, history):
        deliver(transport, document(7))
        own.kill()
        with pytest.raises(DeliveryError, match="the connection was lost"):
            deliver(transport, document(7))
        with pytest.raises(DeliveryError, match="can't be reached"):
            deliver(transport, document(7))
        own.start()
        until(lambda: ready(transport), "delivery again")
        assert len(deliver(transport, final := document(7))) == 1
        assert history.documents[final["session_id"]] == final
    transport.close()


@pytest.mark.parametrize("end", ["killed", "refused", "closed"])
def test_a_connection_that_has_ended_leaves_no_open_files(own: Broker, end: str) -> None:
    """Nor does it wait for the garbage collector, which may not come for days."""
    password = "wrong" if end == "refused" else PASSWORD

    def connection() -> None:
        transport = to(own, password=password)
        with contextlib.suppress(DeliveryError):
            deliver(transport)
        if end == "killed":
            own.kill()
            assert not ready(transport)
            own.start()
        transport.close()

    connection()
    with without_garbage_collection():
        before = open_files()
        for _ in range(3):
            connection()
        assert open_files() == before


@contextlib.contextmanager
def without_garbage_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_broker_killed_after_taking_a_document_has_not_delivered_it(
    own: Broker, history: History
) -> None:
    """The PUBACK came, the server did not get to answer."""
    transport = to(own)
    with consuming(own, history) as consumer:
        consumer.answer = lambda self, message: own.kill()
        with pytest.raises(DeliveryError, match="the connection was lost"):
            deliver(transport, document(7))
    transport.close()


def test_a_broker_killed_just_before_sending_is_reported_as_a_lost_connection(
    own: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    transport = to(own)
    deliver(transport)
    assert transport._connection is not None
    client, thread = transport._connection._client, transport._connection._thread
    publish = client.publish

    def publish_too_late(*args: Any, **named: Any) -> paho.MQTTMessageInfo:
        own.kill()
        assert thread is not None
        thread.join(ACK_S)
        return publish(*args, **named)

    monkeypatch.setattr(client, "publish", publish_too_late)
    with pytest.raises(DeliveryError, match="the connection was lost"):
        deliver(transport, document(7))
    transport.close()


def test_a_broker_that_hangs_does_not_hang_the_device(own: Broker) -> None:
    transport = to(own)
    deliver(transport)
    own.pause()
    try:
        with pytest.raises(DeliveryError, match="no acknowledgement"):
            deliver(transport, document(7), timeout_s=SOON_S)
        transport._discard()
    finally:
        own.resume()
    transport.close()


def test_a_broker_that_never_answers_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.transport.mqtt_connection.CONNECT_S", SOON_S)
    with silent_port() as silent:
        transport = MqttTransport(
            MqttSettings("127.0.0.1", silent.getsockname()[1], tls=False, device=DEVICE)
        )
        with pytest.raises(DeliveryError, match="the broker did not answer the connect request"):
            deliver(transport)
        transport.close()


def test_a_connection_closed_before_an_answer_is_not_waited_for() -> None:
    """A forwarded port closes connections at once if the broker behind it is gone.

    Delivery then goes on over HTTP without waiting for MQTT's timeout.
    """
    with Proxy(9) as proxy:
        proxy.harm = Harm(refuse=True)
        transport = MqttTransport(MqttSettings("127.0.0.1", proxy.port, tls=False, device=DEVICE))
        with pytest.raises(DeliveryError, match="instead of accepting the connect request"):
            deliver(transport)
        transport.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_dead_network_thread_is_noticed_though_paho_calls_it_connected(
    consumer: Consumer, transport: MqttTransport
) -> None:
    deliver(transport, document(7))
    line = transport._connection
    assert line is not None

    def fault(*_: object) -> None:
        raise RuntimeError("a fault in a callback")

    line._client.on_publish = fault
    with pytest.raises(DeliveryError, match="its thread died"):
        deliver(transport, document(7), timeout_s=3600)
    assert deliver(transport, document(7)), "the next connection works"


def test_a_network_thread_that_hangs_is_noticed_and_ends_the_process(
    consumer: Consumer, transport: MqttTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(transport, document(7))
    line = transport._connection
    assert line is not None
    gate = threading.Event()
    line._client.on_publish = lambda *_: gate.wait(20)
    monkeypatch.setattr(mqtt_connection, "STUCK_S", 0.2)
    monkeypatch.setattr(mqtt_connection, "HANG_S", 0.05)
    with pytest.raises(AgentError, match="hangs") as ended:
        deliver(transport, document(7), timeout_s=3600)
    assert not isinstance(ended.value, DeliveryError), "another connection would not mend it"
    gate.set()


def test_a_thread_that_only_pings_does_not_count_as_hung(
    consumer: Consumer, shared: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt_connection, "KEEPALIVE_S", 1)
    monkeypatch.setattr(mqtt_connection, "STUCK_S", 3.0)
    transport = to(shared)
    deliver(transport)
    until_s = time.monotonic() + 5
    while time.monotonic() < until_s:
        deliver(transport)
        time.sleep(0.2)
    transport.close()


def test_closing_twice_or_before_opening_does_nothing(transport: MqttTransport) -> None:
    transport.close()
    transport.close()
