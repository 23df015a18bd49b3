"""One connection to an MQTT v5 broker, from opening to closing. Only this module uses paho.

paho's thread only puts incoming events into a queue; everything else runs in the caller's thread. A
connection is never reopened: reconnecting creates a new object, so that no old state is left.
"""

import contextlib
import logging
import math
import queue
import socket
import ssl
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from agent.errors import AgentError, DeliveryError
from agent.records import COMMAND_S
from agent.transport.base import PERHAPS_SHARED, SHARED_IDENTITY

log = logging.getLogger(__name__)

CONNECT_S = 5.0  # for each of: TCP, TLS, the broker's answers to connect and to subscribe
CLOSE_S = 2.0
HANG_S = 10.0  # paho's thread ends within milliseconds of its connection unless it hangs
SLICE_S = 0.5  # how soon a dead network thread is noticed
KEEPALIVE_S = 30  # the broker detects a dead device after one and a half times this
STUCK_S = 90.0  # paho's thread sends or receives at least a ping every KEEPALIVE_S
SESSION_S = 60  # how long the broker keeps a command for a device that is reconnecting
MESSAGE_BYTES = 16 << 10  # largest acknowledgement or command
ENVELOPE_BYTES = 1024  # more than the topics and properties of any message
PACKET_BYTES = 1 << 28  # MQTT's own limit
EVENTS = 1000  # longest queue of unread events; further ones are dropped
TAKEN_OVER = 142  # reason code: the broker accepted another connection with the same client ID
NO_REASON = 128  # paho's for a connection that was closed without one
NO_SUBSCRIBER = 16  # reason code (MQTT 5, section 2.4): accepted, but there is no subscriber
NOBODY_LISTENS = "no server is connected to the broker"


@dataclass(frozen=True, slots=True)
class Published:
    """The broker's answer to the message `mid`. `refusal` is None if it was accepted."""

    mid: int
    refusal: str | None


@dataclass(frozen=True, slots=True)
class Message:
    """A message from the broker. It expires at `until_s` (monotonic clock, in seconds)."""

    topic: str
    payload: bytes
    correlation: bytes
    until_s: float = math.inf


class Connection:
    """A client of the broker. It connects when `open` is called.

    With `lasting`, the broker keeps the session for `SESSION_S` after the connection ends, so that
    a command reaches a device that is reconnecting. `will` is the topic and payload that the broker
    publishes, retained, `will_delay_s` seconds after the connection was lost.
    """

    def __init__(
        self,
        client_id: str,
        *,
        username: str | None = None,
        password: str | None = None,
        tls: ssl.SSLContext | None = None,
        lasting: bool = False,
        will: tuple[str, bytes] | None = None,
        will_delay_s: int = 0,
    ) -> None:
        self.payload_bytes = PACKET_BYTES - ENVELOPE_BYTES
        self._lasting = lasting
        self._answers: queue.SimpleQueue[list[ReasonCode] | None] = queue.SimpleQueue()
        self._events: queue.Queue[Published | Message] = queue.Queue(EVENTS)
        self._thread: threading.Thread | None = None
        self._end: str | None = None
        self._accepted = False
        self._suspicion: str | None = None
        self._ignored = 0
        self._active_s = time.monotonic()
        self._client = client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=paho.MQTTv5,
            reconnect_on_failure=False,
        )
        client.connect_timeout = CONNECT_S
        if username is not None:
            client.username_pw_set(username, password)
        if tls is not None:
            client.tls_set_context(tls)
        if will is not None:
            delay = _properties(PacketTypes.WILLMESSAGE, WillDelayInterval=will_delay_s)
            client.will_set(*will, qos=1, retain=True, properties=delay)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        client.on_disconnect = self._on_disconnect
        client.on_log = self._on_log

    def open(
        self, host: str, port: int, topics: Sequence[str], retained: Sequence[str] = ()
    ) -> None:
        """Connect and subscribe, to `retained` with the retained messages if the broker permits it.

        After a DeliveryError, call `discard`.
        """
        properties = _properties(
            PacketTypes.CONNECT,
            SessionExpiryInterval=SESSION_S if self._lasting else 0,
            MaximumPacketSize=MESSAGE_BYTES,
        )
        try:
            self._client.connect(
                host, port, KEEPALIVE_S, clean_start=not self._lasting, properties=properties
            )
        except (OSError, ValueError) as error:
            raise DeliveryError(f"can't be reached: {error}") from error
        self._client.loop_start()
        # No retained messages: an old command must not start a session.
        options = SubscribeOptions(qos=1, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND)
        self._expect("the connect request")
        kept = SubscribeOptions(qos=1, retainHandling=SubscribeOptions.RETAIN_SEND_ON_SUBSCRIBE)
        wanted = [(topic, options) for topic in topics] + [(topic, kept) for topic in retained]
        self._client.subscribe(wanted)
        self._expect("the subscribe request", len(topics))
        self._accepted = True

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        retain: bool = False,
        response_topic: str | None = None,
        correlation: bytes | None = None,
    ) -> int:
        """Publish at QoS 1 and return the message ID.

        Raises DeliveryError if not connected: paho would queue the message in memory.
        """
        self.check()
        properties = _properties(
            PacketTypes.PUBLISH, ResponseTopic=response_topic, CorrelationData=correlation
        )
        sent = self._client.publish(topic, payload, qos=1, retain=retain, properties=properties)
        if sent.rc == paho.MQTT_ERR_NO_CONN:  # since the check
            raise self._lost()
        if sent.rc != paho.MQTT_ERR_SUCCESS:
            raise DeliveryError(f"can't send: {paho.error_string(sent.rc)}")
        return sent.mid

    def next(self, until_s: float) -> Published | Message | None:
        """Return the next event, or None at `until_s` (monotonic clock, in seconds).

        Raises DeliveryError once the connection has ended.
        """
        while True:
            left_s = until_s - time.monotonic()
            try:
                return self._events.get(left_s > 0, min(max(left_s, 0), SLICE_S))
            except queue.Empty:
                self.check()
                if left_s <= 0:
                    return None

    def check(self) -> None:
        """Raise DeliveryError if the connection has ended or paho's thread is dead or hangs."""
        if self._end is None and self._client.is_connected():
            if self._thread is None or not self._thread.is_alive():
                self._end = "its thread died"
            elif time.monotonic() - self._active_s > STUCK_S:
                self._end = "its thread hangs"
            else:
                return
        raise self._lost()

    @property
    def suspicion(self) -> str | None:
        """What it means if the broker ends one accepted connection after the other like this."""
        return self._suspicion if self._accepted else None

    def ignore(self) -> None:
        """Count a message of an unknown kind; log the first."""
        self._ignored += 1
        if self._ignored == 1:
            log.warning("ignoring messages that are neither acknowledgements nor commands")

    def close(self, farewell: tuple[str, bytes] | None = None) -> None:
        """Publish `farewell` (topic and payload, retained), disconnect, and wait a few seconds."""
        with contextlib.suppress(DeliveryError, RuntimeError, ValueError):  # skip it if it fails
            if farewell is not None:
                self.check()
                self._client.publish(*farewell, qos=1, retain=True).wait_for_publish(CLOSE_S)
        self._client.disconnect()
        if self._thread is not None:
            self._thread.join(CLOSE_S)
        self.discard()

    def discard(self) -> None:
        """End the connection at once, in any state.

        Raises AgentError if paho's thread hangs: the process must then exit.
        """
        found = self._client.socket()
        if isinstance(found, socket.socket):
            with contextlib.suppress(OSError):  # already closed
                # Shut down the plain socket: a TLS shutdown would stop decrypting while the other
                # thread still reads.
                socket.socket.shutdown(found, socket.SHUT_RDWR)
        if self._thread is not None:
            self._thread.join(HANG_S)  # normally instant: the thread reads the end of the stream
            if self._thread.is_alive():
                raise AgentError("the thread of the MQTT connection hangs")
        self._client.loop_stop()
        if isinstance(found, socket.socket):
            found.close()
        self._break_cycle()

    def _break_cycle(self) -> None:
        """Break the reference cycle with paho's client.

        Its two wake-up sockets then close now, not at the next garbage collection, which may be
        days away.
        """
        client = self._client
        client.on_connect = client.on_subscribe = client.on_publish = None
        client.on_message = client.on_disconnect = client.on_log = None

    def _lost(self) -> DeliveryError:
        return DeliveryError(f"the connection was lost: {self._end or 'no reason given'}")

    def _expect(self, what: str, needed: int = 1) -> None:
        """Wait for the broker's answer; the first `needed` reasons must not be failures."""
        try:
            reasons = self._answers.get(timeout=CONNECT_S)
        except queue.Empty:
            raise DeliveryError(f"the broker did not answer {what}") from None
        if reasons is None:
            raise DeliveryError(f"the broker closed the connection instead of accepting {what}")
        for reason in reasons[:needed]:
            if reason.is_failure:
                raise DeliveryError(f"the broker refuses {what}: {reason}")

    # These run in paho's thread. An exception would end it while `is_connected()` stays true.

    def _on_connect(
        self, _client: object, _data: object, _flags: object, reason: ReasonCode, properties: Any
    ) -> None:
        self._thread = threading.current_thread()
        self._active_s = time.monotonic()
        packet_bytes = getattr(properties, "MaximumPacketSize", PACKET_BYTES)
        self.payload_bytes = packet_bytes - ENVELOPE_BYTES
        self._answers.put([reason])

    def _on_subscribe(
        self, _client: object, _data: object, _mid: int, reasons: list[ReasonCode], _: object
    ) -> None:
        self._answers.put(reasons)

    def _on_publish(
        self, _client: object, _data: object, mid: int, reason: ReasonCode, _: object
    ) -> None:
        self._put(Published(mid, _refusal(reason)))

    def _on_message(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        try:
            correlation = getattr(message.properties, "CorrelationData", b"")
            # The broker subtracts the time for which it kept the message.
            left_s = getattr(message.properties, "MessageExpiryInterval", COMMAND_S)
            until_s = time.monotonic() + left_s
            self._put(Message(message.topic, bytes(message.payload), correlation, until_s))
        except UnicodeDecodeError:  # an invalid topic
            self.ignore()

    def _on_disconnect(
        self, _client: object, _data: object, _flags: object, reason: ReasonCode, _: object
    ) -> None:
        self._end = str(reason)
        if reason.value == TAKEN_OVER:
            self._suspicion = SHARED_IDENTITY
        elif reason.value == NO_REASON:
            self._suspicion = PERHAPS_SHARED
        self._answers.put(None)  # unblocks `open`

    def _on_log(self, _client: object, _data: object, _level: int, _text: str) -> None:
        """Note that paho's thread is alive: it logs everything it does."""
        if threading.current_thread() is self._thread:
            self._active_s = time.monotonic()

    def _put(self, event: Published | Message) -> None:
        try:
            self._events.put_nowait(event)
        except queue.Full:  # documents are sent again, and commands expire
            self.ignore()


def _refusal(reason: ReasonCode) -> str | None:
    """Return why the broker refused a message. A PUBACK may carry a refusal, which paho ignores."""
    if reason.value == NO_SUBSCRIBER:
        return NOBODY_LISTENS
    return f"the broker refused it: {reason}" if reason.is_failure else None


def _properties(packet: int, **values: object) -> Properties:
    properties = Properties(packet)  # type: ignore[no-untyped-call]
    for name, value in values.items():
        if value is not None:
            setattr(properties, name, value)
    return properties
