"""Delivery over the server's HTTP API: one request a document, answered after the commit.

What an answer means:

| answer | then |
|---|---|
| 2xx with this session, this revision and an outcome, as JSON | that outcome |
| 400, 404, 409, 413, 422 whose JSON says `rejected` | rejected, with its reason |
| 413 from somebody between | this document goes another way, or waits; the next is tried |
| 401, 403 | the token is refused: all waits on the device |
| 429, 503 and other 5xx | later; Retry-After is honoured |
| 3xx, and anything else, as a login page with 200 | not the server's word: later |

Commands don't come this way yet: without a broker a device obeys its button alone.
"""

import contextlib
import json
import socket
import ssl
import threading
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
from agent.records import Document
from agent.transport.base import Acknowledgement

ANSWER_BYTES = 64 << 10  # an acknowledgement has a few hundred
CONNECT_S = 5.0
START = "/api/session/start/"
REJECTIONS = (400, 404, 409, 413, 422)
NOT_TRUSTED = "the server's certificate is not trusted, or TLS failed"


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """Where the server is.

    `timeout_s` bounds one document's request and answer, from the connection on. What comes before
    has limits of its own: the resolver's for the name, `CONNECT_S` for each of its addresses.
    """

    url: str
    token: str
    ca_file: Path | None = None
    timeout_s: float = 10.0


class HttpTransport:
    """Sends documents one after the other over one kept connection.

    Raises ConfigError for certificates that can't be read.
    """

    name = "http"

    def __init__(self, settings: HttpSettings) -> None:
        self._settings = settings
        self._base = settings.url.rstrip("/")
        self._verify = True if settings.ca_file is None else _checked(settings.ca_file)
        self._adapter = _Adapter(pool_connections=1, pool_maxsize=1)
        self._session = requests.Session()
        self._session.mount("https://", self._adapter)
        self._session.mount("http://", self._adapter)
        self._session.auth = self._authorise
        self._in_trouble = False  # whether the last delivery did not end well

    def deliver(
        self,
        documents: Sequence[Document],
        timeout_s: float,  # noqa: ARG002 - the answer to a request has its own limit
    ) -> Iterator[Acknowledgement]:
        """Sends documents; yields the answers. Raises DeliveryError at the first that is none.

        With no documents, after one of those, it asks whether that is over: another way may have
        delivered everything, and nothing else would tell.
        """
        if self._in_trouble and not documents:
            self._ask()
        self._in_trouble = True
        for document in documents:
            acknowledgement = self._send(document)
            if acknowledgement is not None:
                yield acknowledgement
        self._in_trouble = False

    def commands(self) -> list[Document]:
        """None: they come over MQTT."""
        return []

    def close(self) -> None:
        """Closes the connection."""
        self._session.close()

    def _authorise(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        # As an auth object: a netrc entry for the host would replace a mere header.
        request.headers["Authorization"] = f"Bearer {self._settings.token}"
        return request

    def _send(self, document: Document) -> Acknowledgement | None:
        status, retry_after, body = self._exchange(*self._request(document))
        answer = _json(body)
        if 200 <= status < 300:
            acknowledgement = Acknowledgement.read(answer, document)
            if acknowledgement is None:
                raise DeliveryError(_trouble(status))
            return acknowledgement
        if status in REJECTIONS and (rejection := _rejection(answer, document)):
            return rejection
        if status == 413:
            return None
        raise DeliveryError(_trouble(status), _seconds(retry_after))

    def _ask(self) -> None:
        """Raises DeliveryError unless the server is there and takes this device's token."""
        status, retry_after, body = self._exchange("OPTIONS", START, b"")
        if not (200 <= status < 300 and isinstance(_json(body), dict)):
            raise DeliveryError(_trouble(status), _seconds(retry_after))

    def _request(self, document: Document) -> tuple[str, str, bytes]:
        """Method, path and body."""
        body = json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
        if document["revision"] == 1:
            return "POST", START, body
        return "PUT", f"/api/session/{quote(document['session_id'], safe='')}/", body

    def _exchange(self, method: str, path: str, body: bytes) -> tuple[int, str | None, bytes]:
        """Status, Retry-After and body of the answer. Raises DeliveryError."""
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
                text = _beginning(response)
                return response.status_code, response.headers.get("Retry-After"), text
        except (requests.RequestException, OSError) as error:
            if isinstance(error, requests.Timeout) or self._adapter.late:
                raise DeliveryError(f"no answer within {limit_s:g} s") from error
            if isinstance(error, requests.exceptions.SSLError):
                raise DeliveryError(NOT_TRUSTED) from error
            raise DeliveryError("can't be reached, or broke off") from error


class _Adapter(HTTPAdapter):
    """Knows the socket in use, to cut it off.

    A timeout of requests bounds each read; a server that drips a byte at a time passes them all.
    (In the TLS handshake alone the limit of each read is the only one.) `late`: it was cut off.
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
        """Ends whatever goes on inside after `limit_s`, as a connection that broke off."""
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
            with contextlib.suppress(OSError):  # closed already
                # The plain socket's: a TLS socket's own would have the other thread, which still
                # reads, take what is encrypted for the answer.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


def _beginning(response: requests.Response) -> bytes:
    """The body, of which no more is read than an answer has, in however many parts it comes."""
    body = b""
    for part in response.iter_content(ANSWER_BYTES):
        body += part
        if len(body) >= ANSWER_BYTES:
            break
    return body


def _checked(ca_file: Path) -> str:
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
    """A refusal for good: it needn't name the session, the request has."""
    if not isinstance(answer, dict) or answer.get("outcome") != "rejected":
        return None
    named = {"session_id": document["session_id"], "revision": document["revision"]}
    return Acknowledgement.read({**named, **answer}, document)


def _trouble(status: int) -> str:
    if 200 <= status < 300:
        return (
            f"expected an acknowledgement, found something else with status {status}:"
            " a login page in between?"
        )
    if status in (401, 403):
        return f"the server refuses this device's token ({status})"
    if 300 <= status < 400:
        return f"the server's address redirects elsewhere ({status}): not followed"
    if status == 404:
        return "there is no Blinklog server at this address (404)"
    return f"the server answered {status}"


def _seconds(retry_after: str | None) -> float | None:
    """Retry-After is a number of seconds or a date (RFC 9110, section 10.2.3)."""
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
