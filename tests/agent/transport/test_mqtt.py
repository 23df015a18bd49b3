"""MQTT delivery over a real Mosquitto that runs the deployed configuration and access rules."""

import json
import signal
import subprocess
import sys
import time
import uuid

import pytest
from paho.mqtt import client as paho

from agent.errors import DeliveryError
from agent.transport.mqtt import MqttTransport
from agent.transport.mqtt_connection import Message
from tests.agent.documents import document
from tests.agent.servers import Consumer, History, until
from tests.agent.transport.mqtt_device import (
    ABOUT,
    ACK_S,
    COMMANDS,
    DEVICE,
    PASSWORD,
    SOON_S,
    acknowledged,
    consuming,
    deliver,
    some,
    to,
)
from tests.broker import Broker, needs_mosquitto

pytestmark = [pytest.mark.needs_broker, needs_mosquitto]


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
    with pytest.raises(DeliveryError, match="no server is connected to the broker"):
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


# Presence


def test_the_status_is_online_until_the_transport_closes(
    shared: Broker, consumer: Consumer
) -> None:
    transport = to(shared, ABOUT)
    deliver(transport)
    until(lambda: consumer.statuses[-1:] == [{"agent": "1.0.0", "online": True}], "online")
    transport.close()
    until(lambda: consumer.statuses[-1:] == [{"agent": "1.0.0", "online": False}], "offline")


def test_all_statuses_of_a_connection_name_it_and_no_other_one(
    shared: Broker, consumer: Consumer
) -> None:
    named: list[set[str | None]] = []
    for _ in range(2):
        transport = to(shared, ABOUT)
        deliver(transport)
        until(lambda: [each["online"] for each in consumer.statuses[-1:]] == [True], "online")
        transport.close()
        until(lambda: not consumer.statuses[-1]["online"], "offline")
        named.append(set(consumer.connections[-2:]))
    (first,), (second,) = named
    assert first
    assert second
    assert first != second


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
    assert [said_after(299.5), said_after(0.5), said_after(1), said_after(900)] == [0, 1, 0, 1]
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
    assert [each.document for each in some(transport.commands)] == [start]
    assert transport.commands() == []
    transport.close()


def test_only_an_open_lasting_connection_listens(shared: Broker, consumer: Consumer) -> None:
    lasting, temporary = to(shared, ABOUT), to(shared)
    assert not lasting.listening
    for each in (lasting, temporary):
        deliver(each)
    assert (lasting.listening, temporary.listening) == (True, False)
    for each in (lasting, temporary):
        each.close()
    assert not lasting.listening


def test_a_command_is_valid_for_as_long_as_the_broker_says(
    shared: Broker, consumer: Consumer
) -> None:
    """Whatever this device's clock says; time in the queue of this process counts."""
    transport = to(shared, ABOUT)
    deliver(transport)
    consumer.publish(COMMANDS, {"id": "one"}, expiry_s=12)
    consumer.publish(COMMANDS, {"id": "two"}).wait_for_publish(ACK_S)
    assert transport._connection is not None
    arrived = transport._connection._events.queue
    until(lambda: sum(isinstance(each, Message) for each in list(arrived)) == 2, "both arrived")
    time.sleep(0.2)
    one, two = some(transport.commands)
    assert 10 < one.left_s <= 11.8
    assert 28 < two.left_s <= 29.8
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
    consumer.publish(COMMANDS, {"id": "while away"}, expiry_s=30).wait_for_publish(ACK_S)
    time.sleep(1.1)  # the broker counts whole seconds
    with pytest.raises(DeliveryError, match="the connection was lost"):
        deliver(transport)
    (command,) = some(lambda: deliver(transport) or transport.commands())
    assert command.document == {"id": "while away"}
    assert command.left_s < 29, "the time at the broker counts"
    transport.close()
