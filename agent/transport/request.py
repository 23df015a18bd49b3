"""One request to the server with a time limit, and a readable explanation if it fails.

For commands that a person waits for; `agent.transport.http` delivers documents.
"""

import ipaddress
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests
from urllib3.exceptions import NameResolutionError, NewConnectionError

from agent.calls import OverdueError, within
from agent.errors import AgentError

CONNECT_S = 10.0
ANSWER_BYTES = 16 << 10

_TOO_EARLY, _TOO_LATE = 9, 10  # OpenSSL's error codes for certificates
_NAME, _ADDRESS = 62, 64


@dataclass(frozen=True, slots=True)
class Answer:
    """The server's answer, not validated. `body` is cut at `ANSWER_BYTES`."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class UnreachedError(AgentError, OSError):
    """No answer arrived. `sent` is whether the server may have received the request anyway."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


def ask(
    method: str,
    url: str,
    *,
    ca_file: Path | None = None,
    token: str | None = None,
    body: Mapping[str, Any] | None = None,
    answer_s: float = 10.0,
) -> Answer:
    """Send one request and return the answer, whatever its status. Redirects aren't followed.

    Raises UnreachedError if there is no answer.
    """

    def authorise(request: requests.PreparedRequest) -> requests.PreparedRequest:
        # An auth object, because a netrc entry for the host would replace a plain header.
        if token is not None:
            request.headers["Authorization"] = f"Bearer {token}"
        return request

    def exchange() -> Answer:
        with requests.request(
            method,
            url,
            json=body,
            headers={"Accept": "application/json"},
            auth=authorise,
            timeout=(CONNECT_S, answer_s),
            verify=True if ca_file is None else str(ca_file),
            allow_redirects=False,
            stream=True,
        ) as response:
            read = response.raw.read(ANSWER_BYTES, decode_content=True)
            return Answer(response.status_code, response.headers, read)

    try:
        return within(CONNECT_S + answer_s, exchange)
    except OverdueError as error:  # the answer arrives too slowly
        raise UnreachedError("the server's answer was not complete in time", sent=True) from error
    except Exception as error:  # requests and urllib3 raise many kinds without a common base
        raise _explained(error, ca_file) from error


def is_loopback(host: str) -> bool:
    """Return whether `host` is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def printable(text: str) -> str:
    """Shorten `text` and drop unprintable characters, so that a terminal can show it."""
    return "".join(each for each in text[:200] if each.isprintable())


def _explained(error: Exception, ca_file: Path | None) -> UnreachedError:
    if isinstance(error, requests.exceptions.SSLError):
        return UnreachedError(_untrusted(error, ca_file), sent=False)
    if isinstance(error, (requests.ConnectTimeout, requests.exceptions.ProxyError)):
        return UnreachedError("no server answers at this address", sent=False)
    if _inside(error, NameResolutionError):
        text = "the server's name can't be resolved: is there a network?"
        return UnreachedError(text, sent=False)
    refused = _inside(error, NewConnectionError)
    if refused is not None:
        return UnreachedError(str(refused).rpartition(": ")[2].rpartition("] ")[2], sent=False)
    if isinstance(error, requests.ReadTimeout):
        return UnreachedError("the server got the request, but did not answer in time", sent=True)
    return UnreachedError("the connection was lost before the answer was complete", sent=True)


def _untrusted(error: Exception, ca_file: Path | None) -> str:
    found = _inside(error, ssl.SSLCertVerificationError)
    if not isinstance(found, ssl.SSLCertVerificationError):
        return "TLS failed: does the server speak https at this address?"
    said = found.verify_message
    if found.verify_code in (_TOO_EARLY, _TOO_LATE):
        now = datetime.now(UTC).isoformat(timespec="minutes")
        return f"the server's certificate: {said}. Is this device's clock correct? It says {now}"
    if found.verify_code in (_NAME, _ADDRESS):
        return f"the server's certificate is for another name: {said}"
    trusted = "the system's authorities" if ca_file is None else str(ca_file)
    return f"the server's certificate is not trusted: {said}; this device trusts {trusted}"


def _inside(error: BaseException, kind: type[BaseException]) -> BaseException | None:
    """Find an error of `kind` among the causes of `error`, which the libraries wrap differently."""
    todo: list[Any] = [error]
    for _ in range(20):
        if not todo:
            break
        each = todo.pop(0)
        if isinstance(each, kind):
            return each
        wrapped = [*each.args, getattr(each, "reason", None), each.__cause__]
        todo += [one for one in wrapped if isinstance(one, BaseException)]
    return None
