"""The server's side for the tests of delivery: real sockets, the same rule, every misbehaviour.

`History` is what the server has committed. `Api` answers for it over HTTP, `Consumer` over MQTT.
"""

import contextlib
import http.server
import json
import socket
import ssl
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from agent.transport.http import HttpSettings, HttpTransport

TOKEN = "bld_0123456789"
BATCH = "/api/session/batch/"
WAIT_S = 20.0  # until a test gives up on something that should happen at once


class History:
    """Sessions by the revision rule, and a list of all that was ever said on them."""

    def __init__(self) -> None:
        self.documents: dict[str, dict[str, Any]] = {}
        self.said: list[tuple[str, int, str]] = []
        self.refuse: set[str] = set()
        self._lock = threading.Lock()

    def accept(self, document: dict[str, Any]) -> dict[str, Any]:
        """Commits a document, and answers."""
        session_id, revision = document["session_id"], document["revision"]
        with self._lock:
            known = self.documents.get(session_id, {"revision": 0})["revision"]
            outcome = "stored" if revision > known else "duplicate"
            if revision < known:
                outcome = "stale"
            if session_id in self.refuse:
                outcome = "rejected"
            if outcome == "stored":
                self.documents[session_id] = document
            self.said.append((session_id, revision, outcome))
        reason = "blinks: expected columns of one length" if outcome == "rejected" else None
        return {
            "session_id": session_id,
            "revision": revision,
            "outcome": outcome,
            "reason": reason,
        }

    def revisions(self) -> dict[str, int]:
        """The highest revision of every session."""
        with self._lock:
            return {key: each["revision"] for key, each in self.documents.items()}


# HTTP

Behaviour = Callable[["Handler"], None]


class Handler(http.server.BaseHTTPRequestHandler):
    """One request. `documents` are what it brought, `document` the first of them."""

    protocol_version = "HTTP/1.1"
    server: "_Server"

    def setup(self) -> None:
        super().setup()
        self.server.api.connections.append(self.connection)

    def do_POST(self) -> None:
        self._handle()

    def do_PUT(self) -> None:
        self._handle()

    def do_OPTIONS(self) -> None:
        self._handle()

    def do_GET(self) -> None:
        self._handle()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Says nothing."""

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        brought = json.loads(body or "{}")
        self.documents: list[dict[str, Any]] = brought if isinstance(brought, list) else [brought]
        self.document = self.documents[0]
        api = self.server.api
        api.requests.append((self.command, self.path))
        if api.next:
            api.next.popleft()(self)
        else:
            self.behave()

    def behave(self) -> None:
        """As the real server does."""
        if self.path.startswith(("/api/device/claim/", "/api/device/authorities/")):
            return self._enrol()
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            return self.answer(401, {"detail": "Invalid token."})
        if self.command == "OPTIONS":
            return self.answer(200, {"name": "Start"})
        if (self.command, self.path) == ("GET", "/api/device/commands/"):
            return self.answer(200, {"commands": self.server.api.commands})
        if (self.command, self.path) == ("GET", "/api/device/settings/"):
            return self._settings()
        return self._batch() if self.path == BATCH else self._single()

    def _settings(self) -> None:
        """An older server has none; a newer one says if they are as they were."""
        settings = self.server.api.settings
        if settings is None:
            return self.answer(404, {"detail": "Not found."})
        tag = f'"{settings["version"]}"'
        if self.headers["If-None-Match"] == tag:
            return self.answer(304, b"")
        return self.answer(200, settings, {"ETag": tag})

    def _single(self) -> None:
        """As the real server does with one document."""
        expected = {
            "POST": "/api/session/start/",
            "PUT": f"/api/session/{self.document['session_id']}/",
        }
        if self.path != expected[self.command]:
            return self.answer(404, {"detail": "Not found."})
        said = self.server.api.history.accept(self.document)
        status = {"rejected": 400, "stored": 201 if self.command == "POST" else 200}
        return self.answer(status.get(said["outcome"], 200), said)

    def _batch(self) -> None:
        """Each document by itself; an older server has no batches."""
        if not self.server.api.batches:
            return self.answer(404, {"detail": "Not found."})
        self.server.api.counts.append(len(self.documents))
        accept = self.server.api.history.accept
        return self.answer(200, {"results": [accept(each) for each in self.documents]})

    def _enrol(self) -> None:
        """What needs no token."""
        *_, room, name, _ = self.path.split("/")
        return self._authority(name) if room == "authorities" else self._claim()

    def _authority(self, fingerprint: str) -> None:
        certificates = self.server.api.authorities.get(fingerprint)
        if certificates is None:
            return self.answer(404, {"detail": "Not found."})
        return self.answer(200, {"certificates": certificates})

    def _claim(self) -> None:
        """Each of `codes` is good once."""
        identity = self.server.api.codes.pop(self.document["code"], None)
        if identity is None:
            return self.answer(400, {"detail": "no such code, or not any more"})
        return self.answer(201, identity)

    def answer(
        self, status: int, body: object, headers: dict[str, str] | None = None, length: int = 0
    ) -> None:
        """Sends JSON, or bytes as HTML. `length` lies about the size."""
        page = isinstance(body, bytes)
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html" if page else "application/json")
        self.send_header("Content-Length", str(length or len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def drip(self, data: bytes) -> None:
        """A byte now and then, each well within every read timeout, until the other end leaves."""
        with contextlib.suppress(OSError):
            while not self.server.api.stopping.wait(0.05):
                self.wfile.write(data)
        self.close_connection = True


class _Server(http.server.ThreadingHTTPServer):
    api: "Api"
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that leaves in the middle is what some tests are about."""


class Api:
    """The server's API on a free port. `next` holds what the next requests meet instead; `codes`
    those that can be claimed, with the identity that each gives; `commands` those that wait;
    `authorities` certificates by their fingerprint. `batches` is whether it takes several documents
    in one request."""

    def __init__(self, history: History, certificate: tuple[Path, Path] | None = None) -> None:
        self.history = history
        self.next: deque[Behaviour] = deque()
        self.codes: dict[str, dict[str, Any]] = {}
        self.commands: list[dict[str, Any]] = []
        self.settings: dict[str, Any] | None = None  # as an older server, which has none
        self.batches = True
        self.authorities: dict[str, str] = {}
        self.requests: list[tuple[str, str]] = []
        self.counts: list[int] = []  # of the documents in each batch
        self.connections: list[socket.socket] = []
        self.stopping = threading.Event()
        self._certificate = certificate
        self._port = 0
        self._server: _Server | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self._certificate else 'http'}://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Listens, after a stop on the same port as before."""
        self.stopping.clear()
        server = self._server = _Server(("127.0.0.1", self._port), Handler)
        server.api = self
        self._port = server.server_address[1]
        if self._certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self._certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()

    def stop(self) -> None:
        """Nobody listens any more. Twice is once."""
        if self._server is not None:
            self.stopping.set()
            self._server.shutdown()
            self._server.server_close()
            self._server = None
            for connection in self.connections:
                with contextlib.suppress(OSError):  # ended already
                    connection.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def running_api(history: History, certificate: tuple[Path, Path] | None = None) -> Iterator[Api]:
    """The API for as long as the block lasts."""
    api = Api(history, certificate)
    api.start()
    try:
        yield api
    finally:
        api.stop()


def certificate(directory: Path) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1 and its key."""
    certificate, key = directory / "server.crt", directory / "server.key"
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
        " -subj /CN=blinklog-test -addext subjectAltName=IP:127.0.0.1"
        " -keyout {key} -out {certificate}"
    )
    parts = [part.format(key=key, certificate=certificate) for part in command.split()]
    subprocess.run(parts, check=True, capture_output=True)
    return certificate, key


# MQTT


class Consumer:
    """The server's consumer. `answer` replaces what it does with a message."""

    def __init__(self, history: History, username: str | None, password: str | None) -> None:
        self.history = history
        self.answer: Callable[[Consumer, paho.MQTTMessage], None] = Consumer.behave
        self.statuses: list[dict[str, Any]] = []
        self.connections: list[str | None] = []  # which connection each status is about
        self.seen: list[str] = []
        self._ready = threading.Event()
        self._client = client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id="blinklog-server-1", protocol=paho.MQTTv5
        )
        if username is not None:
            client.username_pw_set(username, password)
        client.on_message = self._on_message
        client.on_connect = self._on_connect
        client.on_subscribe = lambda *_: self._ready.set()
        client.reconnect_delay_set(1, 1)

    def start(self, host: str, port: int) -> None:
        """Returns when it is subscribed."""
        self._client.connect(host, port)
        self._client.loop_start()
        assert self._ready.wait(WAIT_S)

    def stop(self) -> None:
        """Leaves."""
        self._client.disconnect()
        self._client.loop_stop()

    def publish(
        self,
        topic: str,
        payload: Any,
        correlation: bytes | None = None,
        expiry_s: int | None = None,
        *,
        retain: bool = False,
    ) -> paho.MQTTMessageInfo:
        """Sends JSON, or bytes as they are; the answer can be waited for."""
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if expiry_s is not None:
            properties.MessageExpiryInterval = expiry_s
        if correlation is not None:
            properties.CorrelationData = correlation
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        return self._client.publish(topic, data, qos=1, retain=retain, properties=properties)

    def behave(self, message: paho.MQTTMessage) -> None:
        """As the real consumer does."""
        self.reply(message, self.history.accept(json.loads(message.payload)))

    def reply(self, message: paho.MQTTMessage, said: Any) -> None:
        """Answers where the message asks for it."""
        asked: Any = message.properties
        self.publish(asked.ResponseTopic, said, asked.CorrelationData)

    def _on_connect(self, *_: object) -> None:
        sessions = "$share/blinklog/blinklog/1/devices/+/sessions"
        self._client.subscribe([(sessions, 1), ("blinklog/1/devices/+/status", 1)])

    def _on_message(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        self.seen.append(message.topic)
        if message.topic.endswith("/status"):
            status = json.loads(message.payload)
            self.connections.append(status.pop("connection", None))
            self.statuses.append(status)
        else:
            self.answer(self, message)


def until(condition: Callable[[], Any], what: str) -> None:
    """Waits for something that has to happen; a test fails that waits in vain."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.01)


def silent_port() -> socket.socket:
    """A socket that takes connections and never says a word."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    return listening


class opened:  # noqa: N801 - reads as a function
    """An HTTP transport to `api`, closed again."""

    def __init__(self, api: Api, **changes: Any) -> None:
        settings = {"url": api.url, "token": TOKEN, "timeout_s": 5.0, **changes}
        self._transport = HttpTransport(HttpSettings(**settings))

    def __enter__(self) -> HttpTransport:
        return self._transport

    def __exit__(self, *_: object) -> None:
        self._transport.close()
