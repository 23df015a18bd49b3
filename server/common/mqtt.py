"""The broker: where it is, who we are there, and one connection to it. The only user of paho here.

A connection is driven by whoever calls `next_messages`: no thread of its own, so nothing goes on
behind the back of a database that is away, and no error is lost in a callback.
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

CONNECT_S = 5.0
KEEPALIVE_S = 30
# Of a connection that lives for one question: paho bounds the TLS handshake by it.
SHORT_KEEPALIVE_S = 5
# Messages of one batch.
MOST_AT_ONCE = 100
# The broker sends no more than this many before we have acknowledged some: while a batch is dealt
# with, the next one comes.
MOST_IN_FLIGHT = 2 * MOST_AT_ONCE
# A document may have 1 MiB; what is a little larger is to be refused by name, not silently.
LARGEST_PACKET = 4 * 1024 * 1024
NO_SUBSCRIBER = 16  # a reason code (MQTT 5, section 2.4) that is no failure


class BrokerError(OSError):
    """The broker can't be reached, refused us, or went away."""


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """From `BLINKLOG_MQTT_URL`, or `BLINKLOG_MQTT_ADMIN_URL`, and its neighbours."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    username: str | None
    password: str | None


@dataclass(frozen=True, slots=True)
class Message:
    """A message from the broker. `retained`: it was said some time ago."""

    topic: str
    payload: bytes
    retained: bool = False
    correlation: bytes | None = None
    mid: int = 0
    qos: int = 0


def device_topic(device: object, kind: str) -> str:
    """One of a device's topics: sessions, acks, status or commands. "+" is any device."""
    return f"blinklog/1/devices/{device}/{kind}"


def broker_settings() -> BrokerSettings:
    """Who consumes and commands. Raises `ImproperlyConfigured`: what was expected, and found."""
    return _settings("BLINKLOG_MQTT", settings.MQTT_URL, settings.MQTT_PASSWORD_FILE)


def admin_settings() -> BrokerSettings | None:
    """Who makes devices' identities at the broker; `None` where somebody else does."""
    if not settings.MQTT_ADMIN_URL:
        return None
    return _settings(
        "BLINKLOG_MQTT_ADMIN", settings.MQTT_ADMIN_URL, settings.MQTT_ADMIN_PASSWORD_FILE
    )


def _settings(name: str, address: str, password_file: str) -> BrokerSettings:
    url = urlsplit(address)
    try:
        port = url.port
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}_URL: {error}") from error
    if url.scheme not in ("mqtt", "mqtts") or not url.hostname:
        raise ImproperlyConfigured(
            f"{name}_URL: expected mqtt://[user[:password]@]host[:port], or mqtts:"
        )
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
    """One clean session at the broker; when it ends, the next is a new object.

    Raises `BrokerError` from any method once the broker is gone.
    """

    def __init__(self, broker: BrokerSettings, keepalive_s: int = KEEPALIVE_S) -> None:
        self._inbox: deque[Message] = deque()
        self._awaited: dict[int, Any] = {}  # the broker's words on messages that wait for them
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
        client.on_publish = self._on_publish
        client.on_disconnect = self._on_disconnect
        self._broker = broker
        self._keepalive_s = keepalive_s

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
        """What has come, at most `MOST_AT_ONCE`; waits for the first, at most `timeout_s`."""
        self._step(timeout_s)
        come = 0
        while come < len(self._inbox) < MOST_AT_ONCE:
            come = len(self._inbox)
            self._step(0)
        messages = list(self._inbox)
        self._inbox.clear()
        return messages

    def answer(self, topic: str, payload: bytes, correlation: bytes | None) -> None:
        """Publish at QoS 0: an answer that gets lost is asked for again."""
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if correlation is not None:
            properties.CorrelationData = correlation
        self._client.publish(topic, payload, qos=0, properties=properties)

    def publish(
        self, topic: str, payload: bytes, expiry_s: int | None = None, *, retain: bool = False
    ) -> bool:
        """Publish at QoS 1; when this returns the broker has it. Whether anybody subscribes to it.

        The broker forgets it after `expiry_s`, or with `retain` keeps it for who subscribes later.
        """
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if expiry_s is not None:
            properties.MessageExpiryInterval = expiry_s
        sent = self._client.publish(topic, payload, qos=1, retain=retain, properties=properties)
        self._awaited[sent.mid] = None
        self._wait_until(lambda: self._awaited[sent.mid] is not None)
        reason = self._awaited.pop(sent.mid)
        if reason.is_failure:
            raise BrokerError(f"refused a message: {reason}")
        return bool(reason.value != NO_SUBSCRIBER)

    def acknowledge(self, message: Message) -> None:
        """Tell the broker that this message is dealt with."""
        self._client.ack(message.mid, message.qos)

    def close(self) -> None:
        """Say goodbye. What was not acknowledged stays so."""
        self._client.disconnect()
        self._client.loop(0)

    def _step(self, timeout_s: float) -> None:
        """One bounded wait on the socket, callbacks included."""
        code = self._client.loop(timeout_s)
        if self._problem is not None or code != paho.MQTT_ERR_SUCCESS:
            raise BrokerError(self._problem or paho.error_string(code))

    def _wait_until(self, true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + CONNECT_S
        while not true():
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise BrokerError(f"gave no answer within {CONNECT_S:g} s")
            self._step(left_s)

    # paho's callbacks: they note, and do nothing that could fail.

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
        self._problem = self._problem or f"went away: {reason}"


@contextmanager
def connected(broker: BrokerSettings, topics: Sequence[str] = ()) -> Iterator[Connection]:
    """A connection for as long as the block lasts. Raises `BrokerError`."""
    line = Connection(broker, SHORT_KEEPALIVE_S)
    try:
        line.open(topics)
        yield line
    finally:
        line.close()
