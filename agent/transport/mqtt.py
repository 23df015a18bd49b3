"""Delivery over MQTT v5: publish documents at QoS 1; the server acknowledges after its commit.

Topics below `blinklog/1/devices/<device>/`:

| topic | written by | content |
|---|---|---|
| sessions | device | a session document, with response topic and correlation data |
| acks | server | the acknowledgement of one document, with the same correlation data |
| status | device | retained: `{"online": true, …}`, every 5 minutes; the last will says false |
| aim | device | what it sees of the eyes, while its camera is aimed |
| commands | server | start and stop, with a message expiry |
| settings | server | retained: what was set on the server for this device |

The caller decides when to reconnect.
"""

import contextlib
import hashlib
import json
import logging
import math
import secrets
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.errors import ConfigError, DeliveryError
from agent.records import Document
from agent.transport.base import Acknowledgement, Command
from agent.transport.mqtt_connection import (
    MESSAGE_BYTES,
    NOBODY_LISTENS,
    Connection,
    Message,
    Published,
)

log = logging.getLogger(__name__)

Key = tuple[str, int]  # session_id, revision

# How often the status is repeated. If a power cut stops broker and device together, no last will is
# sent and a retained `true` would stay for ever. The server waits for three intervals.
STATUS_S = 300.0
WILL_DELAY_S = 10  # a device that reconnects within this time is not reported offline
# So many accepted connections ended by the broker within a minute are reported as what they mean.
ENDS, ENDS_S = 3, 60.0
ENDS_LAST_S = 900.0  # two devices that take turns, each waiting up to 300 s, meet more often
AT_ONCE = 8  # documents in flight: enough to hide a round trip, few enough to send again
SENT = 64  # documents whose late acknowledgement is still recognised


@dataclass(frozen=True, slots=True)
class MqttSettings:
    """Broker address, credentials and device ID."""

    host: str
    port: int = 8883
    tls: bool = True
    ca_file: Path | None = None
    username: str | None = None
    password: str | None = None
    device: str = ""


class MqttTransport:
    """Delivers over one MQTT connection that it keeps open.

    `presence` holds the fields of the status message besides `online`. With it, this is the
    device's lasting connection: it publishes the status and receives commands, and the broker
    closes it when the device opens another. Without it, the connection is temporary: it publishes
    no status and receives no commands. Raises ConfigError if the certificates can't be read.
    """

    name = "mqtt"
    ask_s: float | None = None
    at_once = AT_ONCE

    def __init__(
        self,
        settings: MqttSettings,
        *,
        presence: Mapping[str, Any] | None = None,
        will_delay_s: int = WILL_DELAY_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._broker = settings
        self._clock = clock
        self._status_s = 0.0  # when the status was last published on this connection
        self._presence = presence
        self._will_delay_s = will_delay_s
        self._tls = _tls_context(settings.ca_file) if settings.tls else None
        self._topic = f"blinklog/1/devices/{settings.device}/"
        self._connection: Connection | None = None
        self._connection_id = ""  # in its status and last will, so that the server can order them
        self._sent: dict[bytes, Key] = {}  # by correlation data; outlives a connection
        self._mids: dict[int, Key] = {}
        self._acknowledged: deque[Acknowledgement] = deque()
        self._view_mids: set[int] = set()
        self._shows_none = False  # whether views don't arrive over this connection
        self._refused: dict[Key, str] = {}
        self._commands: list[tuple[Document, float]] = []  # each with the time when it expires
        self._settings: Document | None = None  # the newest, until it is asked for
        self._ends: deque[float] = deque(maxlen=ENDS)
        self._ends_again_s = -math.inf  # until when another end is no surprise

    def deliver(self, documents: Sequence[Document], timeout_s: float) -> Iterator[Acknowledgement]:
        """Publish documents; yield acknowledgements as they arrive, including late ones.

        Stop when all are acknowledged, or `timeout_s` seconds after the last acknowledgement.
        Raises DeliveryError if there is no connection or none of the documents was acknowledged.
        """
        unacknowledged: set[Key] = set()
        try:
            connection = self._connected()
            self._refused.clear()
            unacknowledged.update(self._publish(connection, document) for document in documents)
            until_s = time.monotonic() + timeout_s
            while self._acknowledged or self._pump(
                connection, until_s if unacknowledged - self._refused.keys() else 0
            ):
                while self._acknowledged:
                    acknowledgement = self._acknowledged.popleft()
                    unacknowledged.discard((acknowledgement.session_id, acknowledgement.revision))
                    until_s = time.monotonic() + timeout_s
                    yield acknowledgement
        except DeliveryError as error:
            suspicion = None if self._connection is None else self._connection.suspicion
            self._discard()
            if suspicion is not None and self._is_confirmed():
                raise DeliveryError(suspicion, lasts_s=ENDS_LAST_S) from error
            raise
        if documents and len(unacknowledged) == len(documents):
            problem = next(iter(self._refused.values()), None)
            raise DeliveryError(problem or f"no acknowledgement within {timeout_s:g} s")

    @property
    def listening(self) -> bool:
        """Whether commands arrive: whether the lasting connection is open, as far as is known."""
        return self._presence is not None and self._connection is not None

    def commands(self) -> list[Command]:
        """Return the commands received since the last call: JSON objects, not validated."""
        with contextlib.suppress(DeliveryError):  # `deliver` reports it and reconnects
            while self._connection is not None and self._pump(self._connection, 0):
                pass
        commands, self._commands = self._commands, []
        now_s = time.monotonic()
        return [Command(document, until_s - now_s) for document, until_s in commands]

    def settings(self) -> Document | None:
        """Return the newest settings received since the last call. `commands` receives them too."""
        settings, self._settings = self._settings, None
        return settings

    def show(self, view: Document) -> bool:
        """Publish a view on the lasting connection.

        Return False if there is none, or after the broker has refused a view on it or nobody
        listened: an older broker's rules or an older server don't know views.
        """
        if not self.listening or self._connection is None or self._shows_none:
            return False
        self._view_mids.add(self._connection.publish(f"{self._topic}aim", _encoded(view)))
        return True

    def close(self) -> None:
        """Publish the offline status and disconnect, so that the broker sends no last will."""
        if self._connection is not None:
            self._connection.close(self._status(online=False))
            self._connection = None

    # Outgoing

    def _connected(self) -> Connection:
        """Return the open connection, or connect if there is none.

        A lost connection raises DeliveryError once before the next call reconnects, so that the
        caller decides how long to wait in between.
        """
        if self._connection is None:
            self._connection = self._new_connection()
            names = ["acks"] if self._presence is None else ["acks", "commands"]
            topics = [f"{self._topic}{name}" for name in names]
            retained = [] if self._presence is None else [f"{self._topic}settings"]
            broker = self._broker
            self._connection.open(broker.host, broker.port, topics, retained)
            self._publish_status(self._connection)
        self._connection.check()
        if self._clock() - self._status_s >= STATUS_S:
            self._publish_status(self._connection)
        return self._connection

    def _publish_status(self, connection: Connection) -> None:
        self._status_s = self._clock()
        if status := self._status(online=True):
            connection.publish(*status, retain=True)

    def _discard(self) -> None:
        connection, self._connection = self._connection, None
        self._mids.clear()
        self._view_mids.clear()
        self._shows_none = False
        if connection is not None:
            connection.discard()

    def _is_confirmed(self) -> bool:
        """Count a connection that the broker ended; return whether that happens again and again.

        It takes several within a minute to say so, and then one now and then to go on.
        """
        now_s = self._clock()
        self._ends.append(now_s)
        often = len(self._ends) == ENDS and now_s - self._ends[0] <= ENDS_S
        if often or now_s < self._ends_again_s:
            self._ends_again_s = now_s + ENDS_LAST_S
        return now_s < self._ends_again_s

    def _new_connection(self) -> Connection:
        self._connection_id = secrets.token_hex(8)
        return Connection(
            self._client_id(),
            username=self._broker.username,
            password=self._broker.password,
            tls=self._tls,
            lasting=self._presence is not None,
            will=self._status(online=False),
            will_delay_s=self._will_delay_s,
        )

    def _client_id(self) -> str:
        """Return the client ID: always the same for lasting connections, and hard to guess.

        A broker hands a session over to any client that connects with its ID.
        """
        device, password = self._broker.device, self._broker.password
        if self._presence is None:
            return f"{device}-{secrets.token_hex(8)}"
        return f"{device}-{hashlib.sha256(f'{device} {password}'.encode()).hexdigest()[:16]}"

    def _status(self, *, online: bool) -> tuple[str, bytes] | None:
        """Return topic and payload of the status, or None if this connection publishes none."""
        if self._presence is None:
            return None
        status = {**self._presence, "online": online, "connection": self._connection_id}
        return f"{self._topic}status", _encoded(status)

    def _publish(self, connection: Connection, document: Document) -> Key:
        key: Key = (document["session_id"], document["revision"])
        payload = _encoded(document)
        if len(payload) > connection.payload_bytes:
            self._refused[key] = "a session is larger than the broker accepts"
            return key
        correlation = secrets.token_bytes(12)
        self._sent[correlation] = key
        if len(self._sent) > SENT:
            self._sent.pop(next(iter(self._sent)))
        mid = connection.publish(
            f"{self._topic}sessions",
            payload,
            response_topic=f"{self._topic}acks",
            correlation=correlation,
        )
        self._mids[mid] = key
        return key

    # Incoming

    def _pump(self, connection: Connection, until_s: float) -> bool:
        """Handle the next event; return False if none arrived by `until_s`."""
        event = connection.next(until_s)
        if isinstance(event, Published) and event.mid in self._view_mids:
            self._view_mids.discard(event.mid)
            self._shows_none = event.refusal is not None
        elif isinstance(event, Published):
            self._read_refusal(self._mids.pop(event.mid, None), event.refusal)
        elif isinstance(event, Message) and not self._read_message(event):
            connection.ignore()
        return event is not None

    def _read_refusal(self, key: Key | None, refusal: str | None) -> None:
        if refusal is not None and key is not None:
            self._refused[key] = refusal
        elif refusal not in (None, NOBODY_LISTENS):  # a retained status needs no subscriber
            log.warning("the status was not published: %s", refusal)

    def _read_message(self, message: Message) -> bool:
        """Return whether this is an acknowledgement, a command or settings; all are untrusted."""
        value = _decoded(message.payload)
        if value is None:
            return False
        if message.topic == f"{self._topic}commands":
            self._commands.append((value, message.until_s))
            return True
        if message.topic == f"{self._topic}settings":
            self._settings = value
            return True
        key = self._sent.get(message.correlation)
        if key is None or message.topic != f"{self._topic}acks":
            return False
        acknowledgement = Acknowledgement.read(value, {"session_id": key[0], "revision": key[1]})
        if acknowledgement is None:
            return False
        del self._sent[message.correlation]
        self._acknowledged.append(acknowledgement)
        return True


def _tls_context(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise ConfigError(f"{ca_file}: expected certificates in PEM, found: {error}") from error


def _encoded(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def _decoded(payload: bytes) -> Document | None:
    """Decode a JSON object; return None if it is invalid or too large."""
    try:
        value = json.loads(payload) if len(payload) <= MESSAGE_BYTES else None
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
