"""Devices that send session documents as fast as they are accepted. Workers of bench.load.

    python -m bench.load.senders mqtt|raw|http|http_batch WHERE FILE

FILE has one document per line, with its device. Each line on standard input sends the next share;
the answer is the time in seconds from the first document sent to the last acknowledgement, from the
server (mqtt, http, http_batch) or from a plain subscriber (raw).
"""

import http.client
import itertools
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from agent.transport.batches import MOST_AT_ONCE

IN_FLIGHT = 400
"""Documents sent and not yet answered, of all devices together: fifty with eight each."""
HTTP_CONNECTIONS = 8
STUCK_S = 120.0

Document = dict[str, str]
"""`device`, `token`, `session_id` and `body`, all as text."""


class MqttFleet:
    """All devices by one connection; counts what comes back on `answers`."""

    def __init__(self, port: int, kind: str, answers: str) -> None:
        self.kind = kind
        self._free = threading.Semaphore(IN_FLIGHT)
        self._left = 0
        self._done = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        self._client.max_inflight_messages_set(IN_FLIGHT)
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        subscribed = threading.Event()
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.subscribe(f"blinklog/1/devices/+/{answers}", qos=0)
        assert subscribed.wait(10)

    def send(self, documents: Sequence[Document]) -> None:
        """Returns when all of them were answered."""
        self._left, _ = len(documents), self._done.clear()
        for each in documents:
            assert self._free.acquire(timeout=STUCK_S), f"{self._left} left, and no answer"
            topic = f"blinklog/1/devices/{each['device']}/{self.kind}"
            self._client.publish(topic, each["body"], qos=1)
        assert self._done.wait(STUCK_S), f"{self._left} left, and no answer"

    def _on_message(self, _c: object, _u: object, message: paho.MQTTMessage) -> None:
        if message.topic.endswith("acks"):
            outcome = json.loads(message.payload)["outcome"]
            assert outcome == "stored", outcome
        self._free.release()
        self._left -= 1
        if self._left == 0:
            self._done.set()


class HttpFleet:
    """Connections that are kept, each with its share of the devices."""

    def __init__(self, port: int) -> None:
        self._port = port

    def send(self, documents: Sequence[Document]) -> None:
        """Returns when all of them were answered. Raises what a connection raised."""
        backlogs: dict[str, list[Document]] = {}
        for each in documents:
            backlogs.setdefault(each["token"], []).append(each)
        devices = list(backlogs.values())
        shares = [devices[n::HTTP_CONNECTIONS] for n in range(HTTP_CONNECTIONS)]
        problems: list[BaseException] = []
        threads = [
            threading.Thread(target=noting(problems, self._send_share), args=(share,))
            for share in shares
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if problems:
            raise problems[0]

    def _send_share(self, devices: Sequence[Sequence[Document]]) -> None:
        line = http.client.HTTPConnection("127.0.0.1", self._port, timeout=STUCK_S)
        for documents in devices:
            self.send_by(line, documents)
        line.close()

    def send_by(self, line: http.client.HTTPConnection, documents: Sequence[Document]) -> None:
        """One request for each document of a device."""
        for each in documents:
            path = f"/api/session/{each['session_id']}/"
            answered(line, "PUT", path, each["token"], each["body"], 201)


class BatchFleet(HttpFleet):
    """The same, for devices with a backlog: as many documents in a request as a device sends."""

    def send_by(self, line: http.client.HTTPConnection, documents: Sequence[Document]) -> None:
        """One request for a device, or a few."""
        for first in range(0, len(documents), MOST_AT_ONCE):
            batch = documents[first : first + MOST_AT_ONCE]
            body = f"[{','.join(each['body'] for each in batch)}]"
            said = answered(line, "POST", "/api/session/batch/", batch[0]["token"], body, 200)
            outcomes = [each["outcome"] for each in json.loads(said)["results"]]
            assert outcomes == ["stored"] * len(batch), said[:200]


def answered(
    line: http.client.HTTPConnection,
    method: str,
    path: str,
    token: str,
    body: str,
    expected: int,
) -> bytes:
    """Send a request, and return the answer to it."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    line.request(method, path, body, headers)
    answer = line.getresponse()
    said = answer.read()
    assert answer.status == expected, f"{answer.status}: {said[:200]!r}"
    return said


def noting(problems: list[BaseException], function: Callable[..., None]) -> Callable[..., None]:
    """`function`, which raises into `problems`: a thread's own errors are seen by nobody."""

    def noted(*arguments: Any) -> None:
        try:
            function(*arguments)
        except Exception as error:
            problems.append(error)

    return noted


def shares(path: Path, size: int) -> Iterator[list[Document]]:
    """The file's documents, `size` at a time."""
    with path.open() as lines:
        while share := [json.loads(line) for line in itertools.islice(lines, size)]:
            yield share


def main() -> None:
    """See above."""
    how, port, path, size = sys.argv[1:]
    fleet: MqttFleet | HttpFleet
    if how.startswith("http"):
        fleet = (BatchFleet if how == "http_batch" else HttpFleet)(int(port))
    else:
        answers = "acks" if how == "mqtt" else "raw"
        fleet = MqttFleet(int(port), "sessions" if how == "mqtt" else "raw", answers)
    rest = shares(Path(path), int(size))
    print("ready", flush=True)
    for _ in sys.stdin:
        documents = next(rest)
        began_s = time.perf_counter()
        fleet.send(documents)
        print(time.perf_counter() - began_s, flush=True)


if __name__ == "__main__":
    main()
