"""Delivery over MQTT v5: published at QoS 1, acknowledged by the server after its commit.

Topics, below `blinklog/1/devices/<device>/`:

| topic | who writes | what |
|---|---|---|
| sessions | device | a session document, with response topic and correlation data |
| acks | server | its word on one document, with the same correlation data |
| status | device | retained: `{"online": true, …}`, every 5 minutes; the last will says false |
| commands | server | start and stop, with a message expiry |

When to connect again is the caller's to decide.
"""

import contextlib
import hashlib
import json
import logging
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
from agent.transport.base import Acknowledgement
from agent.transport.mqtt_connection import (
    MESSAGE_BYTES,
    NOBODY_LISTENS,
    Connection,
    Message,
    Published,
)

log = logging.getLogger(__name__)

Key = tuple[str, int]  # session_id, revision

# How often the status is said again: where a power cut takes the broker along with the device, no
# last will is sent, and a retained `true` would stand for ever. The server waits for three of them.
STATUS_S = 300.0
WILL_DELAY_S = 10  # a connection that is back by then was never offline
SENT = 64  # documents whose late acknowledgement is still understood


@dataclass(frozen=True, slots=True)
class MqttSettings:
    """Where the broker is, and who this device is there."""

    host: str
    port: int = 8883
    tls: bool = True
    ca_file: Path | None = None
    username: str | None = None
    password: str | None = None
    device: str = ""


class MqttTransport:
    """Keeps one connection and delivers over it.

    `presence`, what the status says beside `online`, makes this the device's one lasting
    connection: it shows presence and takes commands, and the next one replaces it. Without it, it
    comes and goes beside that one unseen. Raises ConfigError for certificates that can't be read.
    """

    name = "mqtt"

    def __init__(
        self,
        settings: MqttSettings,
        *,
        presence: Mapping[str, Any] | None = None,
        will_delay_s: int = WILL_DELAY_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._status_s = 0.0  # when it was last said, on this connection
        self._presence = presence
        self._will_delay_s = will_delay_s
        self._tls = _tls_context(settings.ca_file) if settings.tls else None
        self._topic = f"blinklog/1/devices/{settings.device}/"
        self._line: Connection | None = None
        self._sent: dict[bytes, Key] = {}  # by correlation data; outlives a connection
        self._mids: dict[int, Key] = {}
        self._words: deque[Acknowledgement] = deque()
        self._refused: dict[Key, str] = {}
        self._commands: list[Document] = []

    def deliver(self, documents: Sequence[Document], timeout_s: float) -> Iterator[Acknowledgement]:
        """Publishes documents; yields acknowledgements as they come, late ones too.

        Ends when all are acknowledged, or `timeout_s` after the last word. Raises DeliveryError if
        there is no connection, and if none of the documents was acknowledged.
        """
        waiting: set[Key] = set()
        try:
            line = self._connected()
            self._refused.clear()
            waiting.update(self._publish(line, document) for document in documents)
            until_s = time.monotonic() + timeout_s
            while self._words or self._pump(line, until_s if waiting - self._refused.keys() else 0):
                while self._words:
                    word = self._words.popleft()
                    waiting.discard((word.session_id, word.revision))
                    until_s = time.monotonic() + timeout_s
                    yield word
        except DeliveryError:
            self._discard()
            raise
        if documents and len(waiting) == len(documents):
            problem = next(iter(self._refused.values()), None)
            raise DeliveryError(problem or f"no acknowledgement within {timeout_s:g} s")

    def commands(self) -> list[Document]:
        """The commands that have come since the last call: JSON objects, unchecked."""
        with contextlib.suppress(DeliveryError):  # `deliver` will say so, and connect again
            while self._line is not None and self._pump(self._line, 0):
                pass
        commands, self._commands = self._commands, []
        return commands

    def close(self) -> None:
        """Says goodbye, so that the broker need not send the last will."""
        if self._line is not None:
            self._line.close(self._status(online=False))
            self._line = None

    # Out

    def _connected(self) -> Connection:
        """The connection. That one was lost is said before the next is tried: how long to wait in
        between is the caller's to decide."""
        if self._line is None:
            self._line = self._connection()
            names = ["acks"] if self._presence is None else ["acks", "commands"]
            topics = [f"{self._topic}{name}" for name in names]
            self._line.open(self._settings.host, self._settings.port, topics)
            self._say_status(self._line)
        self._line.check()
        if self._clock() - self._status_s >= STATUS_S:
            self._say_status(self._line)
        return self._line

    def _say_status(self, line: Connection) -> None:
        self._status_s = self._clock()
        if status := self._status(online=True):
            line.publish(*status, retain=True)

    def _discard(self) -> None:
        line, self._line = self._line, None
        self._mids.clear()
        if line is not None:
            line.discard()

    def _connection(self) -> Connection:
        return Connection(
            self._client_id(),
            username=self._settings.username,
            password=self._settings.password,
            tls=self._tls,
            lasting=self._presence is not None,
            will=self._status(online=False),
            will_delay_s=self._will_delay_s,
        )

    def _client_id(self) -> str:
        """The same for every lasting connection, and known to nobody else: a broker hands a session
        to whoever comes with its id."""
        device, password = self._settings.device, self._settings.password
        if self._presence is None:
            return f"{device}-{secrets.token_hex(8)}"
        return f"{device}-{hashlib.sha256(f'{device} {password}'.encode()).hexdigest()[:16]}"

    def _status(self, *, online: bool) -> tuple[str, bytes] | None:
        """Topic and payload of the status, or None where this connection shows none."""
        if self._presence is None:
            return None
        return f"{self._topic}status", _packed({**self._presence, "online": online})

    def _publish(self, line: Connection, document: Document) -> Key:
        key: Key = (document["session_id"], document["revision"])
        payload = _packed(document)
        if len(payload) > line.payload_bytes:
            self._refused[key] = "a session is larger than the broker takes"
            return key
        correlation = secrets.token_bytes(12)
        self._sent[correlation] = key
        if len(self._sent) > SENT:
            self._sent.pop(next(iter(self._sent)))
        mid = line.publish(
            f"{self._topic}sessions",
            payload,
            response_topic=f"{self._topic}acks",
            correlation=correlation,
        )
        self._mids[mid] = key
        return key

    # In

    def _pump(self, line: Connection, until_s: float) -> bool:
        """Deals with the next event; False if none came in time."""
        event = line.next(until_s)
        if isinstance(event, Published):
            self._read_refusal(self._mids.pop(event.mid, None), event.refusal)
        elif isinstance(event, Message) and not self._read_message(event):
            line.ignore()
        return event is not None

    def _read_refusal(self, key: Key | None, refusal: str | None) -> None:
        if refusal is not None and key is not None:
            self._refused[key] = refusal
        elif refusal not in (None, NOBODY_LISTENS):  # a status is kept for who comes later
            log.warning("the status: %s", refusal)

    def _read_message(self, message: Message) -> bool:
        """Whether it was an acknowledgement or a command. Nothing that comes is to be trusted."""
        value = _unpacked(message.payload)
        if value is None:
            return False
        if message.topic == f"{self._topic}commands":
            self._commands.append(value)
            return True
        key = self._sent.get(message.correlation)
        if key is None or message.topic != f"{self._topic}acks":
            return False
        word = Acknowledgement.read(value, {"session_id": key[0], "revision": key[1]})
        if word is None:
            return False
        del self._sent[message.correlation]
        self._words.append(word)
        return True


def _tls_context(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise ConfigError(f"{ca_file}: expected certificates in PEM, found: {error}") from error


def _packed(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def _unpacked(payload: bytes) -> Document | None:
    """A JSON object of sensible size, or None."""
    try:
        value = json.loads(payload) if len(payload) <= MESSAGE_BYTES else None
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
