"""Delivery over the server's HTTP API: one request per document, answered after the commit.

How each answer is handled:

| answer | result |
|---|---|
| 2xx with this session, this revision and an outcome, as JSON | that outcome |
| 400, 404, 409, 413, 422 whose JSON says `rejected` | rejected, with its reason |
| 413 from a proxy | this document is skipped: it waits, or another transport delivers it |
| 401, 403 | the token is refused: everything stays on the device |
| 429, 503 and other 5xx | retried later; Retry-After is honoured |
| 3xx, and anything else, such as a login page with 200 | not from Blinklog: retried later |

Commands have to be asked for, which `agent.sync` does while they don't arrive over MQTT.
"""

import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests
from requests.adapters import HTTPAdapter

from agent.errors import ConfigError, DeliveryError
from agent.records import COMMAND_S, Document
from agent.transport.base import Acknowledgement, Command
from agent.transport.request import REFUSED, proxy_problem, refusal, through_proxy

ANSWER_BYTES = 64 << 10  # an acknowledgement has a few hundred bytes
CONNECT_S = 5.0
SHORTEST_S = 0.5  # between two requests for commands
START = "/api/session/start/"
COMMANDS = "/api/device/commands/"
AIM = "/api/device/aim/"
REJECTIONS = (400, 404, 409, 413, 422)
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
    """Sends documents one after the other over one kept-alive connection.

    Raises ConfigError if the certificates can't be read.
    """

    name = "http"
    listening = False

    def __init__(self, settings: HttpSettings) -> None:
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
        for document in documents:
            acknowledgement = self._send(document)
            if acknowledgement is not None:
                yield acknowledgement
        self._failed = False

    def commands(self) -> list[Command]:
        """Ask the server for this device's commands. Raises DeliveryError without an answer.

        The time that the request took counts as part of the commands' lifetime.
        """
        if self.ask_s is None:
            return []
        asked_s = time.monotonic()
        status, retry_after, body = self._exchange("GET", COMMANDS, b"")
        answer = _json(body)
        waiting = answer.get("commands") if isinstance(answer, dict) else None
        if status != 200 or not isinstance(waiting, list):
            problem = OLD_SERVER if status == 404 else _problem(status)
            raise DeliveryError(problem, _seconds(retry_after))
        took_s = time.monotonic() - asked_s
        return [Command(each, _left_s(each) - took_s) for each in waiting if isinstance(each, dict)]

    def show(self, view: Document) -> bool:
        """Send a view. Return False if this device asks for no commands. Raises DeliveryError."""
        if self.ask_s is None:
            return False
        body = json.dumps(view, separators=(",", ":"), allow_nan=False).encode()
        status, retry_after, _ = self._exchange("POST", AIM, body)
        if status != 204:
            raise DeliveryError(_problem(status), _seconds(retry_after))
        return True

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def _authorise(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        # An auth object, because a netrc entry for the host would replace a plain header.
        request.headers["Authorization"] = f"Bearer {self._settings.token}"
        return request

    def _send(self, document: Document) -> Acknowledgement | None:
        status, retry_after, body = self._exchange(*self._request(document))
        answer = _json(body)
        if 200 <= status < 300:
            acknowledgement = Acknowledgement.read(answer, document)
            if acknowledgement is None:
                raise DeliveryError(_problem(status))
            return acknowledgement
        if status in REJECTIONS and (rejection := _rejection(answer, document)):
            return rejection
        if status == 413:
            return None
        raise DeliveryError(_problem(status), _seconds(retry_after))

    def _check_server(self) -> None:
        """Raise DeliveryError unless the server answers and accepts this device's token."""
        status, retry_after, body = self._exchange("OPTIONS", START, b"")
        if not (200 <= status < 300 and isinstance(_json(body), dict)):
            raise DeliveryError(_problem(status), _seconds(retry_after))

    def _request(self, document: Document) -> tuple[str, str, bytes]:
        """Return method, path and body of the request for a document."""
        body = json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
        if document["revision"] == 1:
            return "POST", START, body
        return "PUT", f"/api/session/{quote(document['session_id'], safe='')}/", body

    def _exchange(self, method: str, path: str, body: bytes) -> tuple[int, str | None, bytes]:
        """Send a request; return status, Retry-After and body. Raises DeliveryError."""
        limit_s = self._settings.timeout_s
        try:
            with (
                self._adapter.cut_after(limit_s),
                self._session.request(
                    method,
                    self._base + path,
                    data=body,
                    headers={"Content-Type": "application/json", "Accept": "application/json"},
                    timeout=(min(CONNECT_S, limit_s), limit_s),
                    allow_redirects=False,
                    verify=self._verify,
                    stream=True,
                ) as response,
            ):
                text = _read_body(response)
        except (requests.RequestException, OSError) as error:
            raise DeliveryError(self._explained(error)) from error
        if response.status_code == REFUSED:
            raise DeliveryError(refusal(self._base, REFUSED))
        return response.status_code, response.headers.get("Retry-After"), text

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


def _read_body(response: requests.Response) -> bytes:
    """Read the body, up to about `ANSWER_BYTES`, however many chunks it comes in."""
    body = b""
    for part in response.iter_content(ANSWER_BYTES):
        body += part
        if len(body) >= ANSWER_BYTES:
            break
    return body


def _checked_file(ca_file: Path) -> str:
    try:
        ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise ConfigError(f"{ca_file}: expected certificates in PEM, found: {error}") from error
    return str(ca_file)


def _json(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _rejection(answer: object, document: Document) -> Acknowledgement | None:
    """Read a rejection. It need not name the session: the request did."""
    if not isinstance(answer, dict) or answer.get("outcome") != "rejected":
        return None
    named = {"session_id": document["session_id"], "revision": document["revision"]}
    return Acknowledgement.read({**named, **answer}, document)


def _left_s(command: Document) -> float:
    """Return for how many seconds the command is valid, as the server says; 0 if it does not."""
    left_s = command.get("expires_in_s")
    return min(left_s, COMMAND_S) if isinstance(left_s, (int, float)) else 0.0


def _problem(status: int) -> str:
    if 200 <= status < 300:
        return (
            f"expected an acknowledgement, found another answer with status {status}:"
            " from a login page?"
        )
    if status in (401, 403):
        return f"the server refuses this device's token ({status})"
    if 300 <= status < 400:
        return f"the server redirects to another address ({status}); set [server] url to it"
    if status == 404:
        return "there is no Blinklog server at this address (404)"
    if status == 429:
        return "the server asks to wait (429): a limit or quota of this device is reached"
    return f"the server answered {status}"


def _seconds(retry_after: str | None) -> float | None:
    """Parse Retry-After: a number of seconds or a date (RFC 9110, section 10.2.3)."""
    if retry_after is None:
        return None
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after[:9])
    try:
        moment = parsedate_to_datetime(retry_after)
    except (ValueError, IndexError, OverflowError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
