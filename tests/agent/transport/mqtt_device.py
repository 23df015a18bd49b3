"""A device, a server and a broker between them, over MQTT."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from agent.errors import DeliveryError
from agent.transport.base import Acknowledgement
from agent.transport.mqtt import MqttSettings, MqttTransport
from tests.agent.documents import document
from tests.agent.servers import Consumer, History, until
from tests.broker import Broker

DEVICE = "0193a1b2-0000-7000-8000-000000000001"
OTHER = "0193a1b2-0000-7000-8000-000000000002"
PASSWORD = "device-secret"
USERS = {DEVICE: PASSWORD, OTHER: "other-secret", "blinklog-server": "server-secret"}
ACKS = f"blinklog/1/devices/{DEVICE}/acks"
COMMANDS = f"blinklog/1/devices/{DEVICE}/commands"
ACK_S = 10.0  # more than a test waits for what does come
SOON_S = 0.3  # for what does not come
ABOUT = {"agent": "1.0.0"}


@contextlib.contextmanager
def consuming(broker: Broker, history: History) -> Iterator[Consumer]:
    consumer = Consumer(history, "blinklog-server", USERS["blinklog-server"])
    consumer.start(broker.host, broker.port)
    try:
        yield consumer
    finally:
        consumer.stop()


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


def ready(transport: MqttTransport) -> bool:
    try:
        return len(deliver(transport, document(1))) == 1
    except DeliveryError:
        return False
