"""What the connection makes of paho's calls: paho's client by script, without a broker."""

import queue
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest
from paho.mqtt import client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from agent.errors import AgentError, DeliveryError
from agent.records import COMMAND_S
from agent.transport import mqtt_connection
from agent.transport.base import PERHAPS_SHARED, SHARED_IDENTITY
from agent.transport.mqtt_connection import (
    EVENTS,
    KEEPALIVE_S,
    NOBODY_LISTENS,
    STUCK_S,
    Connection,
    Message,
    Published,
)

SUCCESS = ReasonCode(PacketTypes.CONNACK, "Success")


class Client:
    """paho's client: it answers what it is asked at once, in this thread, as `answers` say."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.connected = True
        self.granted = [ReasonCode(PacketTypes.SUBACK, "Granted QoS 1")] * 9
        self.refused: ReasonCode | None = None
        self.rc = paho.MQTT_ERR_SUCCESS
        self.asked: dict[str, Any] = {}
        self.subscribed: list[Any] = []
        self.published: list[Any] = []

    def connect(self, host: str, port: int, keepalive: int, **options: Any) -> None:
        self.asked = {"address": (host, port), "keepalive": keepalive, **options}

    def loop_start(self) -> None:
        self.connection._on_connect(None, None, None, self.refused or SUCCESS, None)

    def subscribe(self, topics: Any) -> None:
        self.subscribed = topics
        self.connection._on_subscribe(None, None, 1, self.granted[: len(topics)], None)

    def is_connected(self) -> bool:
        return self.connected

    def publish(self, *arguments: Any, **options: Any) -> Any:
        self.published.append((arguments, options))
        return SimpleNamespace(rc=self.rc, mid=5)


def with_client(**options: Any) -> tuple[Connection, Client]:
    connection = Connection("a", **options)
    client: Any = Client(connection)
    connection._client = client
    return connection, client


def opened(**options: Any) -> tuple[Connection, Client]:
    connection, client = with_client(**options)
    connection.open("host", 8883, ["acks", "commands"], ["settings"])
    return connection, client


# Opening


def test_a_lasting_connection_has_its_session_kept_for_a_minute() -> None:
    _, client = opened(lasting=True)
    assert client.asked["address"] == ("host", 8883)
    assert client.asked["clean_start"] is False
    assert client.asked["properties"].SessionExpiryInterval == 60


def test_a_temporary_one_leaves_nothing_at_the_broker() -> None:
    _, client = opened()
    assert client.asked["clean_start"] is True
    assert client.asked["properties"].SessionExpiryInterval == 0


def test_the_broker_is_told_how_much_it_may_send() -> None:
    _, client = opened()
    assert client.asked["properties"].MaximumPacketSize == 16 << 10


def test_an_old_command_is_not_sent_again_but_settings_are() -> None:
    """MQTT 5, section 3.8.3.1: retained messages are sent at 0, and not at 2."""
    _, client = opened()
    handling = {
        topic: (options.QoS, options.retainHandling) for topic, options in client.subscribed
    }
    assert handling == {"acks": (1, 2), "commands": (1, 2), "settings": (1, 0)}


def test_a_broker_that_refuses_settings_alone_is_used_and_another_is_not() -> None:
    refused = ReasonCode(PacketTypes.SUBACK, "Not authorized")
    connection, client = with_client()
    client.granted[2] = refused
    connection.open("host", 8883, ["acks", "commands"], ["settings"])
    connection, client = with_client()
    client.granted[1] = refused
    with pytest.raises(DeliveryError, match="refuses the subscribe request: Not authorized"):
        connection.open("host", 8883, ["acks", "commands"], ["settings"])


def test_the_name_and_the_will_are_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []

    class Recorded(paho.Client):
        def will_set(self, *arguments: Any, **options: Any) -> None:
            made.append((arguments, options))

    monkeypatch.setattr(paho, "Client", Recorded)
    Connection("a", will=("status", b"{}"), will_delay_s=10)
    ((arguments, options),) = made
    assert arguments == ("status", b"{}")
    assert (options["qos"], options["retain"]) == (1, True)
    assert options["properties"].WillDelayInterval == 10
    Connection("a")
    assert len(made) == 1


@pytest.mark.parametrize(
    ("limit", "largest"), [(None, (1 << 28) - 1024), (2 << 20, (2 << 20) - 1024)]
)
def test_a_document_may_be_as_large_as_the_broker_says_or_mqtt(
    limit: int | None, largest: int
) -> None:
    connection, _ = with_client()
    said = SimpleNamespace() if limit is None else SimpleNamespace(MaximumPacketSize=limit)
    connection._on_connect(None, None, None, SUCCESS, said)
    assert connection.payload_bytes == largest
    assert Connection("a").payload_bytes == (1 << 28) - 1024


# Sending


def test_a_document_is_published_with_its_properties() -> None:
    connection, client = opened()
    assert connection.publish("sessions", b"{}", response_topic="acks", correlation=b"c") == 5
    ((arguments, options),) = client.published
    assert arguments == ("sessions", b"{}")
    assert (options["qos"], options["retain"]) == (1, False)
    assert options["properties"].ResponseTopic == "acks"
    assert options["properties"].CorrelationData == b"c"
    connection.publish("status", b"{}", retain=True)
    assert client.published[-1][1]["retain"] is True
    assert not hasattr(client.published[-1][1]["properties"], "ResponseTopic")


@pytest.mark.parametrize(
    ("rc", "says"),
    [
        (paho.MQTT_ERR_NO_CONN, "the connection was lost"),
        (paho.MQTT_ERR_QUEUE_SIZE, "can't send: Message queue full"),
    ],
)
def test_what_paho_did_not_take_is_a_failure(rc: Any, says: str) -> None:
    connection, client = opened()
    client.rc = rc
    with pytest.raises(DeliveryError, match=says):
        connection.publish("sessions", b"{}")


# Receiving


def test_events_come_in_order_and_none_after_the_time_to_wait() -> None:
    connection, _ = opened()
    for mid, reason in ((1, "Success"), (2, "No matching subscribers"), (3, "Quota exceeded")):
        connection._on_publish(None, None, mid, ReasonCode(PacketTypes.PUBACK, reason), None)
    found = [connection.next(0) for _ in range(4)]
    refusals = [None, NOBODY_LISTENS, "the broker refused it: Quota exceeded"]
    assert found == [
        Published(mid, each) for mid, each in zip((1, 2, 3), refusals, strict=True)
    ] + [None]


def test_it_waits_in_slices_so_that_a_dead_thread_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connection, _ = opened()
    now_s = [100.0]
    waits: list[tuple[bool, float]] = []

    def get(block: bool, timeout: float) -> Any:
        waits.append((block, timeout))
        now_s[0] += timeout
        raise queue.Empty

    monkeypatch.setattr(connection._events, "get", get)
    monkeypatch.setattr(time, "monotonic", lambda: now_s[0])
    assert connection.next(101.25) is None
    assert waits == [(True, 0.5), (True, 0.5), (True, 0.25), (False, 0.0)]
    waits.clear()
    assert connection.next(0) is None
    assert waits == [(False, 0.0)]


def message(**properties: Any) -> Any:
    return SimpleNamespace(
        topic="commands", payload=bytearray(b"{}"), properties=SimpleNamespace(**properties)
    )


def test_a_message_expires_when_the_broker_says_or_after_half_a_minute() -> None:
    connection, _ = opened()
    now_s = time.monotonic()
    connection._on_message(None, None, message(MessageExpiryInterval=12, CorrelationData=b"c"))
    connection._on_message(None, None, message())
    one, other = connection.next(0), connection.next(0)
    assert isinstance(one, Message)
    assert isinstance(other, Message)
    assert (one.topic, one.payload, one.correlation) == ("commands", b"{}", b"c")
    assert other.correlation == b""
    assert 0 <= one.until_s - now_s - 12 < 5
    assert 0 <= other.until_s - now_s - COMMAND_S < 5


def test_what_does_not_fit_the_queue_is_dropped_and_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    connection, _ = opened()
    for _ in range(EVENTS + 3):
        connection._on_message(None, None, message())
    assert caplog.text.count("ignoring messages") == 1
    found = 0
    while connection.next(0) is not None:
        found += 1
    assert found == EVENTS


# The end


def test_a_thread_counts_as_hung_when_not_even_a_ping_was_due(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert STUCK_S >= 2 * KEEPALIVE_S
    now_s = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now_s[0])
    connection, _ = opened()
    now_s[0] += STUCK_S
    connection.check()
    connection._on_log(None, None, 0, "pinging")
    now_s[0] += STUCK_S
    connection.check()
    other = threading.Thread(target=connection._on_log, args=[None, None, 0, "another's"])
    other.start()
    other.join()
    now_s[0] += 0.5
    with pytest.raises(DeliveryError, match="its thread hangs"):
        connection.check()


@pytest.mark.parametrize(
    ("reason", "means"),
    [
        ("Session taken over", SHARED_IDENTITY),
        ("Unspecified error", PERHAPS_SHARED),
        ("Server shutting down", None),
        ("Server busy", None),
    ],
)
def test_an_end_may_mean_that_another_device_has_this_identity(
    reason: str, means: str | None
) -> None:
    connection, _ = opened()
    assert connection.suspicion is None
    ended = ReasonCode(PacketTypes.DISCONNECT, reason)
    connection._on_disconnect(None, None, None, ended, None)
    assert connection.suspicion == means
    with pytest.raises(DeliveryError, match=f"the connection was lost: {reason}"):
        connection.check()


def test_a_connection_that_was_never_accepted_says_nothing_about_others() -> None:
    connection, _ = with_client()
    taken_over = ReasonCode(PacketTypes.DISCONNECT, "Session taken over")
    connection._on_disconnect(None, None, None, taken_over, None)
    assert connection.suspicion is None


def test_a_farewell_is_published_and_waited_for_before_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connection = Connection("a")
    steps: list[Any] = []
    client: Any = SimpleNamespace(
        is_connected=lambda: True,
        publish=lambda *args, **named: (steps.append((args, named)), sent)[1],
        disconnect=lambda: steps.append("disconnect"),
        loop_stop=lambda: steps.append("stop"),
        socket=lambda: None,
    )
    sent = SimpleNamespace(wait_for_publish=steps.append)
    connection._client = client
    connection._thread = threading.Thread(target=time.sleep, args=[0.2])
    connection._thread.start()
    connection.close(("status", b"offline"))
    assert steps == [
        (("status", b"offline"), {"qos": 1, "retain": True}), mqtt_connection.CLOSE_S,
        "disconnect", "stop",
    ]  # fmt: skip


def test_a_thread_that_does_not_end_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt_connection, "HANG_S", 0.05)
    connection, _ = with_client()
    connection._client.socket = lambda: None  # type: ignore[assignment, method-assign]
    gate = threading.Event()
    connection._thread = threading.Thread(target=gate.wait, args=[20])
    connection._thread.start()
    with pytest.raises(AgentError, match="hangs"):
        connection.discard()
    gate.set()
    connection._thread.join()
