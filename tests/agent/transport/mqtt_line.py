"""A connection by script in place of a broker: it sends nothing, and says what a test wants."""

import itertools
import json
import time
from collections import deque
from typing import Any

from agent.errors import DeliveryError
from agent.transport.mqtt_connection import Message, Published

DEVICE = "0193a1b2-0000-7000-8000-000000000001"
TOPIC = f"blinklog/1/devices/{DEVICE}/"


class Line:
    """A connection. `events` come one after the other; `published` is what was sent."""

    made: list["Line"] = []

    def __init__(self, client_id: str, **options: Any) -> None:
        self.client_id = client_id
        self.options = options
        self.topics: list[Any] = []
        self.payload_bytes = 1 << 20
        self.events: deque[Published | Message] = deque()
        self.published: list[tuple[str, bytes, dict[str, Any]]] = []
        self.waits_s: list[float] = []
        self.ends: str | None = None
        self.suspicion: str | None = None
        self.ignored = 0
        self.state = "new"
        self._mids = itertools.count(1)
        Line.made.append(self)

    def open(self, host: str, port: int, topics: Any, retained: Any = ()) -> None:
        self.topics = [host, port, topics, retained]
        self.state = "open"

    def check(self) -> None:
        if self.ends is not None:
            raise DeliveryError(f"the connection was lost: {self.ends}")

    def publish(self, topic: str, payload: bytes, **options: Any) -> int:
        self.check()
        self.published.append((topic, payload, options))
        return next(self._mids)

    def next(self, until_s: float) -> Published | Message | None:
        self.check()
        if self.events:
            return self.events.popleft()
        self.waits_s.append(until_s - time.monotonic())
        return None

    def ignore(self) -> None:
        self.ignored += 1

    def close(self, farewell: Any = None) -> None:
        self.state = "closed"

    def discard(self) -> None:
        self.state = "discarded"

    # What a test says

    def sent(self) -> list[dict[str, Any]]:
        """The documents, in order."""
        return [json.loads(payload) for topic, payload, _ in self.published if "sessions" in topic]

    def acknowledge(self, place: int) -> None:
        """Acknowledge the document that was sent at `place`."""
        documents = [each for each in self.published if "sessions" in each[0]]
        _, payload, options = documents[place]
        content = json.loads(payload)
        said = {"session_id": content["session_id"], "revision": content["revision"]}
        answer = json.dumps({**said, "outcome": "stored"}).encode()
        self.events.append(Message(f"{TOPIC}acks", answer, options["correlation"]))
