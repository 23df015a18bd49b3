"""The MQTT broker's settings, and a connection to it. Only this module imports paho.

A connection has no thread: the caller drives it through `next_messages`. So no message is processed
while the database is unavailable, and no error is lost in a callback.
"""

import secrets
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from server.common.secret_files import read_secret

SESSIONS = "$share/blinklog/blinklog/1/devices/+/sessions"
STATUS = "blinklog/1/devices/+/status"
VIEWS = "$share/blinklog/blinklog/1/devices/+/aim"

CONNECT_S = 5.0
KEEPALIVE_S = 30
# For a connection that makes one request: paho also uses it as the timeout of the TLS handshake.
SHORT_KEEPALIVE_S = 5
# Maximum number of messages in a batch.
MOST_AT_ONCE = 100
# Maximum number of unacknowledged messages: the next batch arrives while one is processed.
MOST_IN_FLIGHT = 2 * MOST_AT_ONCE
# A document may have 1 MiB. Larger packets are accepted so that they are rejected with a reason,
# instead of being dropped by the broker.
LARGEST_PACKET = 4 * 1024 * 1024
NO_SUBSCRIBER = 16  # a reason code (MQTT 5, section 2.4); not a failure


class BrokerError(OSError):
    """The broker can't be reached, refused a request, or disconnected."""


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """Settings from `BLINKLOG_MQTT_URL` or `BLINKLOG_MQTT_ADMIN_URL`, and the password file."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    username: str | None
    password: str | None


@dataclass(frozen=True, slots=True)
class Message:
    """A message from the broker. A `retained` one was published some time ago."""

    topic: str
    payload: bytes
    retained: bool = False
    correlation: bytes | None = None
    mid: int = 0
    qos: int = 0


def device_topic(device: object, kind: str) -> str:
    """Return a device's topic of this kind: sessions, acks, status, aim, commands or settings.

    The device "+" matches any device.
    """
    return f"blinklog/1/devices/{device}/{kind}"


def broker_settings() -> BrokerSettings:
    """Return the settings of the account that consumes sessions and sends commands.

    Raises `ImproperlyConfigured` if a setting is invalid.
    """
    return _settings("BLINKLOG_MQTT", settings.MQTT_URL, settings.MQTT_PASSWORD_FILE)


def admin_settings() -> BrokerSettings | None:
    """Return the settings of the account that manages devices' accounts at the broker.

    Returns `None` if the server doesn't manage them.
    """
    if not settings.MQTT_ADMIN_URL:
        return None
    return _settings(
        "BLINKLOG_MQTT_ADMIN", settings.MQTT_ADMIN_URL, settings.MQTT_ADMIN_PASSWORD_FILE
    )


def _settings(name: str, address: str, password_file: str) -> BrokerSettings:
    expected = f"{name}_URL: expected mqtt://[user[:password]@]host[:port], or mqtts:"
    try:
        url = urlsplit(address)
        port = url.port
    except ValueError:  # its message may contain a part of the password
        raise ImproperlyConfigured(expected) from None
    if url.scheme not in ("mqtt", "mqtts") or not url.hostname:
        raise ImproperlyConfigured(expected)
    secure = url.scheme == "mqtts"
    password = read_secret(f"{name}_PASSWORD_FILE", password_file)
    return BrokerSettings(
        host=url.hostname,
        port=port or (8883 if secure else 1883),
        tls=_tls() if secure else None,
        username=unquote(url.username) if url.username else None,
        password=password or (unquote(url.password) if url.password else None),
    )


def _tls() -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=settings.MQTT_CA_FILE or None)
    except OSError as error:
        raise ImproperlyConfigured(
            f"BLINKLOG_MQTT_CA_FILE: expected certificates in PEM, found: {error}"
        ) from error


class Connection:
    """One connection with a clean session. To reconnect, create a new object.

    Any method raises `BrokerError` once the connection is lost.
    """

    def __init__(self, broker: BrokerSettings, keepalive_s: int = KEEPALIVE_S) -> None:
        self._inbox: deque[Message] = deque()
        # Message id -> the broker's reason code, `None` until the acknowledgement arrives.
        self._awaited: dict[int, Any] = {}
        self._problem: str | None = None
        self._ready = False
        self._client = client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"blinklog-server-{secrets.token_hex(8)}",
            protocol=paho.MQTTv5,
            manual_ack=True,
            reconnect_on_failure=False,
        )
        client.connect_timeout = CONNECT_S
        if broker.username:
            client.username_pw_set(broker.username, broker.password)
        if broker.tls:
            client.tls_set_context(broker.tls)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_disconnect = self._on_disconnect
        self._broker = broker
        self._keepalive_s = keepalive_s
        # One object for all answers: making one takes longer than sending an answer.
        self._correlated = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]

    def open(self, topics: Sequence[str]) -> None:
        """Connect and subscribe at QoS 1."""
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.ReceiveMaximum = MOST_IN_FLIGHT
        properties.MaximumPacketSize = LARGEST_PACKET
        try:
            self._client.connect(
                self._broker.host, self._broker.port, self._keepalive_s, properties=properties
            )
        except (OSError, ValueError) as error:
            raise BrokerError(f"can't be reached: {error}") from error
        self._wait_until(lambda: self._ready)
        if topics:
            self._ready = False
            self._client.subscribe([(topic, 1) for topic in topics])
            self._wait_until(lambda: self._ready)

    def next_messages(self, timeout_s: float) -> list[Message]:
        """Return the messages received, about `MOST_AT_ONCE` at most.

        Waits at most `timeout_s` seconds for the first.
        """
        self._step(timeout_s)
        received = 0
        while received < len(self._inbox) < MOST_AT_ONCE:
            received = len(self._inbox)
            self._step(0)
        messages = list(self._inbox)
        self._inbox.clear()
        return messages

    def answer(self, topic: str, payload: bytes, correlation: bytes | None) -> None:
        """Publish an acknowledgement at QoS 0. If it is lost, the device sends again."""
        properties = None
        if correlation is not None:
            properties = self._correlated
            properties.CorrelationData = correlation
        self._client.publish(topic, payload, qos=0, properties=properties)

    def publish(
        self, topic: str, payload: bytes, expiry_s: int | None = None, *, retain: bool = False
    ) -> bool:
        """Publish at QoS 1, wait until the broker has the message, and return whether anyone
        subscribes to the topic.

        The broker drops the message after `expiry_s` seconds. With `retain` it keeps the message
        for later subscribers.
        """
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if expiry_s is not None:
            properties.MessageExpiryInterval = expiry_s
        # Only now, because paho would make two objects for each answer in order to call it.
        self._client.on_publish = self._on_publish
        sent = self._client.publish(topic, payload, qos=1, retain=retain, properties=properties)
        self._awaited[sent.mid] = None
        self._wait_until(lambda: self._awaited[sent.mid] is not None)
        self._client.on_publish = None
        reason = self._awaited.pop(sent.mid)
        if reason.is_failure:
            raise BrokerError(f"refused a message: {reason}")
        return bool(reason.value != NO_SUBSCRIBER)

    def acknowledge(self, message: Message) -> None:
        """Acknowledge a message to the broker once it has been processed."""
        self._client.ack(message.mid, message.qos)

    def close(self) -> None:
        """Disconnect. Messages not acknowledged yet stay unacknowledged."""
        self._client.disconnect()
        self._client.loop(0)

    def _step(self, timeout_s: float) -> None:
        """Wait for the socket once, at most `timeout_s` seconds, and run the callbacks."""
        code = self._client.loop(timeout_s)
        if self._problem is not None or code != paho.MQTT_ERR_SUCCESS:
            raise BrokerError(self._problem or paho.error_string(code))

    def _wait_until(self, true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + CONNECT_S
        while not true():
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise BrokerError(f"did not answer within {CONNECT_S:g} s")
            self._step(left_s)

    # paho's callbacks only record what happened: an exception in them would be lost.

    def _on_connect(self, _c: Any, _u: Any, _flags: Any, reason: Any, _p: Any) -> None:
        if reason.is_failure:
            self._problem = f"refused the connection: {reason}"
        self._ready = True

    def _on_subscribe(self, _c: Any, _u: Any, _mid: Any, reasons: Any, _p: Any) -> None:
        refused = [str(reason) for reason in reasons if reason.is_failure]
        if refused:
            self._problem = f"refused a subscription: {refused[0]}"
        self._ready = True

    def _on_publish(self, _c: Any, _u: Any, mid: int, reason: Any, _p: Any) -> None:
        if mid in self._awaited:
            self._awaited[mid] = reason

    def _on_message(self, _c: Any, _u: Any, message: paho.MQTTMessage) -> None:
        correlation = getattr(message.properties, "CorrelationData", None)
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""
        self._inbox.append(
            Message(
                topic,
                bytes(message.payload),
                message.retain,
                correlation,
                message.mid,
                message.qos,
            )
        )

    def _on_disconnect(self, _c: Any, _u: Any, _flags: Any, reason: Any, _p: Any) -> None:
        self._problem = self._problem or f"disconnected: {reason}"


@contextmanager
def connected(broker: BrokerSettings, topics: Sequence[str] = ()) -> Iterator[Connection]:
    """Open a connection and close it when the block ends. Raises `BrokerError`."""
    connection = Connection(broker, SHORT_KEEPALIVE_S)
    try:
        connection.open(topics)
        yield connection
    finally:
        connection.close()
