"""What MQTT delivery believes, and what the broker and TLS refuse."""

import logging
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from agent.errors import ConfigError, DeliveryError
from agent.transport.mqtt import MqttSettings, MqttTransport
from agent.transport.mqtt_connection import MESSAGE_BYTES, Message
from tests.agent.documents import document
from tests.agent.servers import Consumer, History, certificate, until
from tests.agent.transport.mqtt_device import (
    ACKS,
    COMMANDS,
    DEVICE,
    OTHER,
    PASSWORD,
    USERS,
    acknowledged,
    deliver,
    to,
)
from tests.broker import Broker, needs_mosquitto, running_broker

pytestmark = [pytest.mark.needs_broker, needs_mosquitto]


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
    assert all(isinstance(each.document, dict) for each in transport.commands())


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
        with pytest.raises(DeliveryError, match="no server is connected to the broker"):
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
