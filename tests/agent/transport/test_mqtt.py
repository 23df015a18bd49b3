"""MQTT delivery over a real Mosquitto that runs the deployed configuration and access rules."""

import contextlib
import gc
import json
import logging
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from agent.errors import AgentError, ConfigError, DeliveryError
from agent.transport import mqtt_connection
from agent.transport.base import Acknowledgement
from agent.transport.mqtt import STATUS_S, MqttSettings, MqttTransport
from agent.transport.mqtt_connection import MESSAGE_BYTES, Message
from tests.agent.documents import document
from tests.agent.servers import Consumer, History, certificate, silent_port, until
from tests.broker import Broker, needs_mosquitto, running_broker
from tests.faults.proxy import Harm, Proxy

pytestmark = [pytest.mark.needs_broker, needs_mosquitto]

DEVICE = "0193a1b2-0000-7000-8000-000000000001"
OTHER = "0193a1b2-0000-7000-8000-000000000002"
PASSWORD = "device-secret"
USERS = {DEVICE: PASSWORD, OTHER: "other-secret", "blinklog-server": "server-secret"}
ACKS = f"blinklog/1/devices/{DEVICE}/acks"
COMMANDS = f"blinklog/1/devices/{DEVICE}/commands"
ACK_S = 10.0  # more than a test waits for what does come
SOON_S = 0.3  # for what does not come
ABOUT = {"agent": "1.0.0"}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with running_broker(tmp_path_factory.mktemp("broker"), USERS) as broker:
        yield broker


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Broker]:
    """One to be killed."""
    with running_broker(tmp_path, USERS) as broker:
        yield broker


@pytest.fixture
def history() -> History:
    return History()


@pytest.fixture
def consumer(shared: Broker, history: History) -> Iterator[Consumer]:
    with consuming(shared, history) as consumer:
        yield consumer


@contextlib.contextmanager
def consuming(broker: Broker, history: History) -> Iterator[Consumer]:
    consumer = Consumer(history, "blinklog-server", USERS["blinklog-server"])
    consumer.start(broker.host, broker.port)
    try:
        yield consumer
    finally:
        consumer.stop()


@pytest.fixture
def transport(shared: Broker) -> Iterator[MqttTransport]:
    transport = to(shared)
    yield transport
    transport.close()


def to(
    broker: Broker,
    presence: Any = None,
    clock: Callable[[], float] = time.monotonic,
    **changes: Any,
) -> MqttTransport:
    settings = {
        "host": broker.host,
        "port": broker.port,
        "tls": False,
        "username": DEVICE,
        "password": PASSWORD,
        "device": DEVICE,
        **changes,
    }
    return MqttTransport(MqttSettings(**settings), presence=presence, will_delay_s=0, clock=clock)


def deliver(
    transport: MqttTransport, *documents: dict[str, Any], timeout_s: float = ACK_S
) -> list[Acknowledgement]:
    return list(transport.deliver(documents, timeout_s))


def acknowledged(document: dict[str, Any], outcome: Any = "stored") -> Acknowledgement:
    reason = "blinks: expected columns of one length" if outcome == "rejected" else None
    return Acknowledgement(document["session_id"], document["revision"], outcome, reason)


def some(ask: Callable[[], Sequence[Any]]) -> list[Any]:
    """The first answer that is not empty."""
    found: list[Any] = []

    def asked() -> bool:
        found.extend(ask())
        return bool(found)

    until(asked, "an answer")
    return found


# As it should be


def test_a_document_is_acknowledged_after_the_server_has_it(
    history: History, consumer: Consumer, transport: MqttTransport
) -> None:
    final = document(7)
    assert deliver(transport, final) == [acknowledged(final)]
    assert history.documents[final["session_id"]] == final
    assert consumer.seen == [f"blinklog/1/devices/{DEVICE}/sessions"]


def test_several_documents_are_in_flight_together(
    consumer: Consumer, transport: MqttTransport
) -> None:
    held: list[paho.MQTTMessage] = []

    def when_all_are_there(self: Consumer, message: paho.MQTTMessage) -> None:
        held.append(message)
        if len(held) == 8:
            for each in reversed(held):
                self.behave(each)

    consumer.answer = when_all_are_there
    documents = [document(7) for _ in range(8)]
    words = deliver(transport, *documents)
    assert words == [acknowledged(each) for each in reversed(documents)]


def test_the_outcome_is_passed_on(
    history: History, consumer: Consumer, transport: MqttTransport
) -> None:
    final, refused = document(7), document(7)
    late = document(2, final["session_id"])
    history.refuse.add(refused["session_id"])
    for each, outcome in [
        (final, "stored"),
        (final, "duplicate"),
        (late, "stale"),
        (refused, "rejected"),
    ]:
        assert deliver(transport, each) == [acknowledged(each, outcome)]


def test_delivering_nothing_keeps_the_connection_without_waiting(
    consumer: Consumer, transport: MqttTransport
) -> None:
    assert deliver(transport, timeout_s=3600) == []
    assert deliver(transport, timeout_s=3600) == []


def test_a_two_hour_session_fits(
    history: History, consumer: Consumer, transport: MqttTransport
) -> None:
    columns = {name: [12345.678] * 5000 for name in ("at_s", "duration_ms", "amplitude")}
    final = document(7, blinks={**columns, "complete": [False] * 5000})
    assert deliver(transport, final) == [acknowledged(final)]
    assert history.documents[final["session_id"]] == final


# Nobody there


def test_without_a_server_at_the_broker_nothing_is_acknowledged(
    shared: Broker, transport: MqttTransport
) -> None:
    with pytest.raises(DeliveryError, match="no server listens at the broker"):
        deliver(transport, document(7), timeout_s=3600)


def test_a_silent_server_times_out(
    history: History, consumer: Consumer, transport: MqttTransport
) -> None:
    consumer.answer = lambda self, message: None
    with pytest.raises(DeliveryError, match=r"no acknowledgement within 0\.3 s"):
        deliver(transport, document(7), timeout_s=SOON_S)
    consumer.answer = Consumer.behave
    assert len(deliver(transport, document(7))) == 1, "the connection is still good"


def test_some_acknowledgements_count_without_the_others(
    consumer: Consumer, transport: MqttTransport
) -> None:
    good, ignored = document(7), document(7)

    def only_good(self: Consumer, message: paho.MQTTMessage) -> None:
        if json.loads(message.payload)["session_id"] == good["session_id"]:
            self.behave(message)

    consumer.answer = only_good
    assert deliver(transport, ignored, good, timeout_s=SOON_S) == [acknowledged(good)]


def test_a_late_acknowledgement_still_counts(consumer: Consumer, transport: MqttTransport) -> None:
    held: list[paho.MQTTMessage] = []
    consumer.answer = lambda self, message: held.append(message)
    final = document(7)
    with pytest.raises(DeliveryError, match="no acknowledgement"):
        deliver(transport, final, timeout_s=SOON_S)
    consumer.behave(held[0])
    assert some(lambda: deliver(transport)) == [acknowledged(final)]


def test_a_late_acknowledgement_of_the_first_try_ends_the_wait_of_the_second(
    consumer: Consumer, transport: MqttTransport
) -> None:
    held: list[paho.MQTTMessage] = []
    consumer.answer = lambda self, message: held.append(message)
    final = document(7)
    with pytest.raises(DeliveryError, match="no acknowledgement"):
        deliver(transport, final, timeout_s=SOON_S)
    consumer.answer = lambda self, message: self.behave(held[0])
    assert deliver(transport, final) == [acknowledged(final)]


# What comes is not to be trusted


def test_only_a_matching_acknowledgement_counts(
    consumer: Consumer, transport: MqttTransport, caplog: pytest.LogCaptureFixture
) -> None:
    final = document(7)
    good = {"session_id": final["session_id"], "revision": 7, "outcome": "stored", "reason": None}

    def mislead(self: Consumer, message: paho.MQTTMessage) -> None:
        answers: list[Any] = [
            b"\xff\xfe",
            b"[" * 9000,
            [],
            {},
            {**good, "session_id": document()["session_id"]},
            {**good, "revision": 6},
            {**good, "revision": 8},
            {**good, "outcome": "ok"},
        ]
        for nonsense in answers:
            self.reply(message, nonsense)
        self.publish(ACKS, good, correlation=b"not what was sent")
        self.publish(ACKS, good)

    consumer.answer = mislead
    with pytest.raises(DeliveryError, match="no acknowledgement"):
        deliver(transport, final, timeout_s=1)
    assert caplog.text.count("ignoring messages") == 1, "a flood does not fill the log"
    consumer.answer = Consumer.behave
    assert deliver(transport, final) == [acknowledged(final)]


def test_a_repeated_acknowledgement_is_read_once(
    consumer: Consumer, transport: MqttTransport
) -> None:
    def twice(self: Consumer, message: paho.MQTTMessage) -> None:
        self.behave(message)
        self.behave(message)

    consumer.answer = twice
    first, second = document(7), document(7)
    assert deliver(transport, first) == [acknowledged(first)]
    assert deliver(transport, second) == [acknowledged(second)]


def test_a_huge_message_does_not_reach_the_device(
    consumer: Consumer, transport: MqttTransport, caplog: pytest.LogCaptureFixture
) -> None:
    def huge(self: Consumer, message: paho.MQTTMessage) -> None:
        self.publish(ACKS, b" " * (MESSAGE_BYTES + 1))
        self.behave(message)

    consumer.answer = huge
    final = document(7)
    assert deliver(transport, final) == [acknowledged(final)]
    assert "ignoring messages" not in caplog.text


@given(
    st.binary(max_size=200),
    st.sampled_from([ACKS, COMMANDS, "elsewhere"]),
    st.sampled_from([b"", b"known", b"x"]),
)
def test_no_message_breaks_the_reader(payload: bytes, topic: str, correlation: bytes) -> None:
    transport = MqttTransport(MqttSettings("nowhere", tls=False, device=DEVICE))
    transport._sent[b"known"] = ("a", 7)
    transport._read_message(Message(topic, payload, correlation))
    assert not transport._acknowledged
    assert all(isinstance(each, dict) for each in transport.commands())


# What the broker refuses


def test_a_wrong_password_is_reported(shared: Broker) -> None:
    transport = to(shared, password="wrong")
    with pytest.raises(
        DeliveryError, match=r"the broker refuses the connect request: Not authorized"
    ):
        deliver(transport, document(7))
    transport.close()


def test_a_device_can_t_write_as_another(
    shared: Broker, history: History, consumer: Consumer
) -> None:
    transport = to(shared, device=OTHER)
    with pytest.raises(DeliveryError, match=r"the broker refused it: Not authorized"):
        deliver(transport, document(7), timeout_s=3600)
    transport.close()
    assert history.documents == {}


def test_a_device_reads_neither_another_s_acknowledgements_nor_anybody_s_sessions(
    shared: Broker, consumer: Consumer, transport: MqttTransport
) -> None:
    heard: list[str] = []
    ready = threading.Event()
    spy = paho.Client(CallbackAPIVersion.VERSION2, "spy", protocol=paho.MQTTv5)
    spy.username_pw_set(OTHER, USERS[OTHER])
    spy.on_message = lambda _client, _data, message: heard.append(message.topic)
    spy.on_subscribe = lambda *_: ready.set()
    spy.connect(shared.host, shared.port)
    spy.loop_start()
    spy.subscribe("#", qos=1)
    assert ready.wait(10)
    consumer.publish(f"blinklog/1/devices/{OTHER}/commands", {"for": "the spy"})
    deliver(transport, document(7))
    consumer.publish(f"blinklog/1/devices/{OTHER}/acks", {"last": "word"})
    until(lambda: f"blinklog/1/devices/{OTHER}/acks" in heard, "the spy's own message")
    spy.disconnect()
    spy.loop_stop()
    assert {topic.split("/")[3] for topic in heard} == {OTHER}


def test_anonymous_connections_are_refused(shared: Broker) -> None:
    transport = to(shared, username=None, password=None)
    with pytest.raises(DeliveryError, match="the broker refuses the connect request"):
        deliver(transport)
    transport.close()


def test_a_session_above_the_broker_s_limit_is_not_published(
    consumer: Consumer, transport: MqttTransport
) -> None:
    deliver(transport)
    huge, small = document(7, note="x" * 1_048_576), document(7)
    assert deliver(transport, huge, small) == [acknowledged(small)]
    with pytest.raises(DeliveryError, match="larger than the broker accepts"):
        deliver(transport, huge)
    assert deliver(transport, document(7)), "the connection is still good"


# Connections end


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


def ready(transport: MqttTransport) -> bool:
    try:
        return len(deliver(transport, document(1))) == 1
    except DeliveryError:
        return False


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
    """As by a forwarded port whose broker is gone: the other way must not wait for this one."""
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


# Presence


def test_the_status_is_online_until_the_transport_closes(
    shared: Broker, consumer: Consumer
) -> None:
    transport = to(shared, ABOUT)
    deliver(transport)
    until(lambda: consumer.statuses[-1:] == [{"agent": "1.0.0", "online": True}], "online")
    transport.close()
    until(lambda: consumer.statuses[-1:] == [{"agent": "1.0.0", "online": False}], "offline")


def test_the_status_is_retained_for_a_server_that_connects_later(
    shared: Broker, history: History
) -> None:
    transport = to(shared, ABOUT)
    deliver(transport)
    with consuming(shared, history) as consumer:
        until(lambda: {"agent": "1.0.0", "online": True} in consumer.statuses, "online")
    transport.close()


def test_the_status_is_repeated_every_few_minutes(shared: Broker, consumer: Consumer) -> None:
    now_s = [1000.0]
    transport = to(shared, ABOUT, clock=lambda: now_s[0])

    def said_after(passed_s: float) -> int:
        """How often, by the time that a document sent then is acknowledged."""
        before = len(consumer.statuses)
        now_s[0] += passed_s
        deliver(transport, document(7))
        return len(consumer.statuses) - before

    said_after(0)
    assert [said_after(STATUS_S - 1), said_after(1), said_after(1), said_after(900)] == [0, 1, 0, 1]
    assert consumer.statuses[-1] == {"agent": "1.0.0", "online": True}
    transport.close()


CHILD = """
import sys, time
from agent.transport.mqtt import MqttSettings, MqttTransport
settings = MqttSettings("127.0.0.1", int(sys.argv[1]), False, None, *sys.argv[2:5])
transport = MqttTransport(settings, presence={"agent": "child"}, will_delay_s=0)
list(transport.deliver([], 0))
print("connected", flush=True)
time.sleep(60)
"""


def test_a_killed_device_is_shown_as_offline(shared: Broker, consumer: Consumer) -> None:
    arguments = [sys.executable, "-c", CHILD, str(shared.port), DEVICE, PASSWORD, DEVICE]
    child = subprocess.Popen(arguments, stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"connected\n"
    until(lambda: {"agent": "child", "online": True} in consumer.statuses, "online")
    child.send_signal(signal.SIGKILL)
    child.wait(10)
    child.stdout.close()
    until(lambda: consumer.statuses[-1] == {"agent": "child", "online": False}, "the last will")


def test_a_temporary_connection_does_not_disturb_the_lasting_one(
    shared: Broker, consumer: Consumer, transport: MqttTransport
) -> None:
    lasting = to(shared, ABOUT)
    deliver(lasting)
    until(lambda: [each["online"] for each in consumer.statuses[-1:]] == [True], "online")
    count = len(consumer.statuses)
    another = to(shared)
    for each in (transport, another, transport, lasting):
        assert len(deliver(each, document(7))) == 1
    transport.close()
    another.close()
    assert len(deliver(lasting, document(7))) == 1
    assert len(consumer.statuses) == count
    lasting.close()


# Commands


def test_commands_reach_the_lasting_connection(shared: Broker, consumer: Consumer) -> None:
    transport = to(shared, ABOUT)
    deliver(transport)
    start = {"id": str(uuid.uuid4()), "command": "start"}
    consumer.publish(COMMANDS, b"no JSON")
    consumer.publish(COMMANDS, start)
    assert some(transport.commands) == [start]
    assert transport.commands() == []
    transport.close()


def test_a_command_finds_a_device_that_is_just_reconnecting(
    shared: Broker, consumer: Consumer
) -> None:
    transport = to(shared, ABOUT)
    deliver(transport)
    until(lambda: [each["online"] for each in consumer.statuses[-1:]] == [True], "online")
    assert transport._connection is not None
    transport._connection.discard()
    until(lambda: not consumer.statuses[-1]["online"], "the loss is noticed")
    consumer.publish(COMMANDS, {"id": "while away"}).wait_for_publish(ACK_S)
    with pytest.raises(DeliveryError, match="the connection was lost"):
        deliver(transport)
    assert some(lambda: deliver(transport) or transport.commands()) == [{"id": "while away"}]
    transport.close()


# TLS


# paho leaves the socket of a failed handshake to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_private_authority_is_trusted_only_if_configured(
    tmp_path: Path, history: History
) -> None:
    files = certificate(tmp_path)
    with running_broker(tmp_path, USERS, *files) as broker:
        untrusting = to(broker, tls=True)
        with pytest.raises(DeliveryError, match="certificate verify failed"):
            deliver(untrusting)
        untrusting.close()
        trusting = to(broker, tls=True, ca_file=files[0])
        with pytest.raises(DeliveryError, match="no server listens"):
            deliver(trusting, document(7))
        trusting.close()


def test_unreadable_certificates_are_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"ca\.pem: expected certificates"):
        MqttTransport(MqttSettings("localhost", ca_file=tmp_path / "ca.pem", device=DEVICE))


def test_neither_password_nor_document_is_logged(
    consumer: Consumer, transport: MqttTransport, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    deliver(transport, document(7))
    for secret in (PASSWORD, "blink_count"):
        assert secret not in caplog.text
