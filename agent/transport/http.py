"""Delivery over the server's HTTP API: requests that are answered after the commit.

A single document is sent as the start or the newest revision of its session. Documents that wait
together are sent in batches (see `batches.py`), which the server answers document by document.

How each answer to a single document is handled:

| answer | result |
|---|---|
| 2xx with this session, this revision and an outcome, as JSON | that outcome |
| 400, 404, 409, 413, 422 whose JSON says `rejected` | rejected, with its reason |
| 413 from a proxy | this document is skipped: it waits, or another transport delivers it |
| 401, 403 | the token is refused: everything stays on the device |
| 429, 503 and other 5xx | retried later; Retry-After is honoured |
| 3xx, and anything else, such as a login page with 200 | not from Blinklog: retried later |

An answer to a batch is handled alike, except that 400, 404, 405, 409, 413 and 422 concern the batch
and none of its documents: these are then sent one by one.

Commands and settings have to be asked for, which `agent.sync` does while they don't arrive over
MQTT.
"""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests
from requests.adapters import HTTPAdapter

from agent.errors import ConfigError, DeliveryError
from agent.records import Document
from agent.transport.answers import (
    json_of,
    left_s_of,
    problem_of,
    rejection_of,
    results_of,
    seconds_of,
)
from agent.transport.base import Acknowledgement, Command
from agent.transport.batches import Batches, body_of
from agent.transport.request import REFUSED, proxy_problem, refusal, through_proxy

ANSWER_BYTES = 64 << 10  # an acknowledgement has a few hundred bytes
ANSWER_BYTES_EACH = 4 << 10  # that of a rejected document in a batch, with what is wrong
CONNECT_S = 5.0
SHORTEST_S = 0.5  # between two requests for commands
START = "/api/session/start/"
BATCH = "/api/session/batch/"
COMMANDS = "/api/device/commands/"
AIM = "/api/device/aim/"
SETTINGS = "/api/device/settings/"
JSON = {"Content-Type": "application/json", "Accept": "application/json"}
REJECTIONS = (400, 404, 409, 413, 422)
NO_BATCHES = (*REJECTIONS, 405)
OLD_SERVER = "the server has no commands for devices over HTTP (404): is it an older release?"
NOT_TRUSTED = "the server's certificate is not trusted, or TLS failed"


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """Server address, token and timeout.

    `timeout_s` limits one document's request and answer once connected. Connecting has its own
    limits: the resolver's for the name, and `CONNECT_S` for each address. `commands_s` is how often
    to ask for commands, in seconds: at least `SHORTEST_S`, or 0 for never.
    """

    url: str
    token: str
    ca_file: Path | None = None
    timeout_s: float = 10.0
    commands_s: float = 2.0


class HttpTransport:
    """Sends documents, one request after the other, over one kept-alive connection.

    Raises ConfigError if the certificates can't be read.
    """

    name = "http"
    listening = False

    def __init__(
        self, settings: HttpSettings, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.ask_s = max(settings.commands_s, SHORTEST_S) if settings.commands_s > 0 else None
        self._settings = settings
        self._base = settings.url.rstrip("/")
        self._verify = True if settings.ca_file is None else _checked_file(settings.ca_file)
        self._adapter = _Adapter(pool_connections=1, pool_maxsize=1)
        self._session = requests.Session()
        self._session.mount("https://", self._adapter)
        self._session.mount("http://", self._adapter)
        self._session.auth = self._authorise
        self._failed = False  # whether the last delivery failed
        self._batches = Batches(clock)
        self._settings_tag: str | None = None  # the ETag of the settings that were told last

    @property
    def at_once(self) -> int:
        """How many documents to deliver next at most: few at first, and after a failure."""
        return self._batches.at_once

    def deliver(
        self,
        documents: Sequence[Document],
        timeout_s: float,  # noqa: ARG002 - a request has its own timeout
    ) -> Iterator[Acknowledgement]:
        """Send documents; yield each acknowledgement. Raises DeliveryError at the first failure.

        Without documents, after a failure, check whether the server can be reached again. Otherwise
        nothing would end the reported failure once another transport has delivered everything.
        """
        if self._failed and not documents:
            self._check_server()
        self._failed = True
        left = list(documents)
        while left:
            bodies = self._batches.next(left)
            try:
                acknowledgements = self._send_all(left[: len(bodies)], bodies)
            except DeliveryError:
                self._batches.failed()
                raise
            if acknowledgements is None:
                self._batches.refused()
                continue
            self._batches.sent(len(bodies))
            del left[: len(bodies)]
            yield from acknowledgements
        self._failed = False

    def commands(self) -> list[Command]:
        """Ask the server for this device's commands. Raises DeliveryError without an answer.

        The time that the request took counts as part of the commands' lifetime.
        """
        if self.ask_s is None:
            return []
        asked_s = time.monotonic()
        status, retry_after, body = self._exchange("GET", COMMANDS, b"")
        answer = json_of(body)
        waiting = answer.get("commands") if isinstance(answer, dict) else None
        if status != 200 or not isinstance(waiting, list):
            problem = OLD_SERVER if status == 404 else problem_of(status)
            raise DeliveryError(problem, seconds_of(retry_after))
        took_s = time.monotonic() - asked_s
        return [
            Command(each, left_s_of(each) - took_s) for each in waiting if isinstance(each, dict)
        ]

    def settings(self) -> Document | None:
        """Ask the server for this device's settings; None if they are as told last.

        None too if this device asks for no commands, or if the server is an older release. Raises
        DeliveryError without an answer.
        """
        if self.ask_s is None:
            return None
        tag = {} if self._settings_tag is None else {"If-None-Match": self._settings_tag}
        response, body = self._request("GET", SETTINGS, b"", headers=tag)
        if response.status_code in (304, 404):
            return None
        told = json_of(body)
        if response.status_code != 200 or not isinstance(told, dict):
            problem = problem_of(response.status_code)
            raise DeliveryError(problem, seconds_of(response.headers.get("Retry-After")))
        self._settings_tag = response.headers.get("ETag")
        return told

    def show(self, view: Document) -> bool:
        """Send a view. Return False if this device asks for no commands. Raises DeliveryError."""
        if self.ask_s is None:
            return False
        status, retry_after, _ = self._exchange("POST", AIM, body_of(view))
        if status != 204:
            raise DeliveryError(problem_of(status), seconds_of(retry_after))
        return True

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def _authorise(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        # An auth object, because a netrc entry for the host would replace a plain header.
        request.headers["Authorization"] = f"Bearer {self._settings.token}"
        return request

    def _send_all(
        self, documents: Sequence[Document], bodies: Sequence[bytes]
    ) -> list[Acknowledgement] | None:
        """Send documents in one request; return the acknowledgements, or None for a refused batch.

        A document that the server defers, or that a proxy finds too large, gets none.
        """
        if len(documents) > 1:
            return self._send_batch(documents, bodies)
        acknowledgement = self._send(documents[0], bodies[0])
        return [] if acknowledgement is None else [acknowledgement]

    def _send_batch(
        self, documents: Sequence[Document], bodies: Sequence[bytes]
    ) -> list[Acknowledgement] | None:
        most = ANSWER_BYTES + len(documents) * ANSWER_BYTES_EACH
        body = b"[" + b",".join(bodies) + b"]"
        status, retry_after, text = self._exchange("POST", BATCH, body, most)
        if status in NO_BATCHES:
            return None
        results = results_of(json_of(text), documents) if status == 200 else None
        if results is None:
            raise DeliveryError(problem_of(status), seconds_of(retry_after))
        return results

    def _send(self, document: Document, body: bytes) -> Acknowledgement | None:
        status, retry_after, text = self._exchange(*_request(document), body)
        answer = json_of(text)
        if 200 <= status < 300:
            acknowledgement = Acknowledgement.read(answer, document)
            if acknowledgement is None:
                raise DeliveryError(problem_of(status))
            return acknowledgement
        if status in REJECTIONS and (rejection := rejection_of(answer, document)):
            return rejection
        if status == 413:
            return None
        raise DeliveryError(problem_of(status), seconds_of(retry_after))

    def _check_server(self) -> None:
        """Raise DeliveryError unless the server answers and accepts this device's token."""
        status, retry_after, body = self._exchange("OPTIONS", START, b"")
        if not (200 <= status < 300 and isinstance(json_of(body), dict)):
            raise DeliveryError(problem_of(status), seconds_of(retry_after))

    def _exchange(
        self, method: str, path: str, body: bytes, most: int = ANSWER_BYTES
    ) -> tuple[int, str | None, bytes]:
        """Send a request; return status, Retry-After and body, up to about `most` bytes of it.

        Raises DeliveryError.
        """
        response, text = self._request(method, path, body, most)
        return response.status_code, response.headers.get("Retry-After"), text

    def _request(
        self,
        method: str,
        path: str,
        body: bytes,
        most: int = ANSWER_BYTES,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[requests.Response, bytes]:
        limit_s = self._settings.timeout_s
        try:
            with (
                self._adapter.cut_after(limit_s),
                self._session.request(
                    method,
                    self._base + path,
                    data=body,
                    headers={**JSON, **(headers or {})},
                    timeout=(min(CONNECT_S, limit_s), limit_s),
                    allow_redirects=False,
                    verify=self._verify,
                    stream=True,
                ) as response,
            ):
                text = _read_body(response, most)
        except (requests.RequestException, OSError) as error:
            raise DeliveryError(self._explained(error)) from error
        if response.status_code == REFUSED:
            raise DeliveryError(refusal(self._base, REFUSED))
        return response, text

    def _explained(self, error: Exception) -> str:
        """Return why there is no answer, and name the proxy if there is one."""
        through = through_proxy(self._base)
        if isinstance(error, requests.Timeout) or self._adapter.late:
            return f"no answer within {self._settings.timeout_s:g} s{through}"
        if isinstance(error, requests.exceptions.SSLError):
            return f"{NOT_TRUSTED}{through}"
        problem = proxy_problem(error, self._base)
        return problem or f"can't be reached, or the connection was lost{through}"


class _Adapter(HTTPAdapter):
    """An adapter that can cut off the request in progress.

    The library's own timeout applies to each read, so a server that sends one byte at a time never
    exceeds it. (During the TLS handshake it is the only limit.) `late` is whether the request was
    cut off.
    """

    def __init__(self, **options: Any) -> None:
        self._socket: socket.socket | None = None
        self.late = False
        super().__init__(**options)

    def get_connection_with_tls_context(self, *args: Any, **options: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **options)
        if not hasattr(pool.ConnectionCls, "cuttable"):
            pool.ConnectionCls = self._watched(pool.ConnectionCls)
        return pool

    def _watched(self, base: Any) -> Any:
        adapter = self

        class Watched(base):  # type: ignore[misc]
            cuttable = True

            def connect(self) -> None:
                super().connect()
                adapter._socket = self.sock
                if adapter.late:
                    adapter._cut()

        return Watched

    @contextlib.contextmanager
    def cut_after(self, limit_s: float) -> Iterator[None]:
        """Cut off the requests made inside the block after `limit_s` seconds."""
        self.late = False
        timer = threading.Timer(limit_s, self._cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()

    def _cut(self) -> None:
        self.late = True
        if self._socket is not None:
            with contextlib.suppress(OSError):  # already closed
                # Shut down the plain socket: after a TLS shutdown, the thread that is still reading
                # would read encrypted bytes as the answer.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


def _read_body(response: requests.Response, most: int) -> bytes:
    """Read the body, up to about `most` bytes, however many chunks it comes in."""
    body = b""
    for part in response.iter_content(ANSWER_BYTES):
        body += part
        if len(body) >= most:
            break
    return body


def _request(document: Document) -> tuple[str, str]:
    """Return method and path of the request for a single document."""
    if document["revision"] == 1:
        return "POST", START
    return "PUT", f"/api/session/{quote(document['session_id'], safe='')}/"


def _checked_file(ca_file: Path) -> str:
    try:
        ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise ConfigError(f"{ca_file}: expected certificates in PEM, found: {error}") from error
    return str(ca_file)
