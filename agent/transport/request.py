"""One request to the server with a time limit, and a readable explanation if it fails.

For commands that a person waits for; `agent.transport.http` delivers documents. Both name the proxy
from the environment (HTTPS_PROXY, NO_PROXY and their kin) if a request fails: requests uses it by
itself.
"""

import contextlib
import ipaddress
import os
import re
import ssl
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.utils import get_environ_proxies, select_proxy
from urllib3.exceptions import (
    ConnectTimeoutError,
    InsecureRequestWarning,
    NameResolutionError,
    NewConnectionError,
)

from agent.calls import OverdueError, within
from agent.errors import AgentError

CONNECT_S = 10.0
ANSWER_BYTES = 16 << 10

REFUSED = 407  # only a proxy answers this: RFC 9110, section 15.5.8

_REFUSAL = re.compile(r"Tunnel connection failed: (\d{3})")
_TOO_EARLY, _TOO_LATE = 9, 10  # OpenSSL's error codes for certificates
_NAME, _ADDRESS = 62, 64


@dataclass(frozen=True, slots=True)
class Answer:
    """The server's answer, not validated. `body` is cut at the size that was asked for."""

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
    checked: bool = True,
    most: int = ANSWER_BYTES,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Send one request and return the answer, whatever its status. Redirects aren't followed.

    With `checked` false, whoever answers is believed to be the server: only for an answer without
    secrets that is checked in another way. Raises UnreachedError if there is no answer.
    """
    trusted: bool | str = checked if ca_file is None else str(ca_file)

    def authorise(request: requests.PreparedRequest) -> requests.PreparedRequest:
        # An auth object, because a netrc entry for the host would replace a plain header.
        if token is not None:
            request.headers["Authorization"] = f"Bearer {token}"
        return request

    def exchange() -> Answer:
        with (
            _no_warning(checked),
            requests.request(
                method,
                url,
                json=body,
                headers={"Accept": "application/json", **(headers or {})},
                auth=authorise,
                timeout=(CONNECT_S, answer_s),
                verify=trusted,
                allow_redirects=False,
                stream=True,
            ) as response,
        ):
            if response.status_code == REFUSED:
                raise UnreachedError(refusal(url, REFUSED), sent=False)
            read = response.raw.read(most, decode_content=True)
            return Answer(response.status_code, response.headers, read)

    try:
        return within(CONNECT_S + answer_s, exchange)
    except OverdueError as error:  # the answer arrives too slowly
        late = f"the server's answer was not complete in time{through_proxy(url)}"
        raise UnreachedError(late, sent=True) from error
    except UnreachedError:
        raise
    except Exception as error:  # requests and urllib3 raise many kinds without a common base
        raise _explained(error, url, ca_file) from error


@contextlib.contextmanager
def _no_warning(checked: bool) -> Iterator[None]:
    """Silence urllib3's warning about an unchecked connection that is wanted."""
    with warnings.catch_warnings():
        if not checked:
            warnings.simplefilter("ignore", InsecureRequestWarning)
        yield


def is_loopback(host: str) -> bool:
    """Return whether `host` is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def printable(text: str) -> str:
    """Shorten `text` and drop unprintable characters, so that a terminal can show it."""
    return "".join(each for each in text[:200] if each.isprintable())


# The proxy


def proxy_of(url: str) -> str | None:
    """Return "the proxy HOST:PORT (VARIABLE)" if requests to `url` go through one, or None.

    The user name and the password are left out.
    """
    address = select_proxy(url, get_environ_proxies(url))
    if address is None:
        return None
    scheme = urlsplit(url).scheme
    names = [each for name in (f"{scheme}_proxy", "all_proxy") for each in (name, name.upper())]
    name = next((each for each in names if os.environ.get(each)), names[0])
    shown = address.rpartition("@")[2].rpartition("//")[2].rstrip("/")
    return f"the proxy {''.join(filter(str.isprintable, shown))} ({name})"


def through_proxy(url: str) -> str:
    """Return ", through the proxy …" to add to what went wrong, or nothing."""
    proxy = proxy_of(url)
    return f", through {proxy}" if proxy else ""


def refusal(url: str, status: int) -> str:
    """Return the message for a proxy that answers `status` in the server's place."""
    password = ": it asks for a user name and a password" if status == REFUSED else ""
    return f"{proxy_of(url) or 'a proxy'} refuses the request ({status}){password}"


def proxy_problem(error: Exception, url: str) -> str | None:
    """Return what is wrong with the proxy, or None if it isn't what failed."""
    proxy = proxy_of(url)
    if proxy is None:
        return None
    if isinstance(error, (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema)):
        return f"{proxy} can't be used: expected an address such as http://host:port"
    if isinstance(error, requests.exceptions.ProxyError):
        found = _REFUSAL.search(str(error))
        return refusal(url, int(found[1])) if found else f"{proxy} does not answer"
    return None


# What failed


def _explained(error: Exception, url: str, ca_file: Path | None) -> UnreachedError:
    problem = proxy_problem(error, url)
    if problem is not None:
        return UnreachedError(problem, sent=_may_have_passed(error, url))
    text, sent = _reason(error, ca_file)
    return UnreachedError(f"{text}{through_proxy(url)}", sent=sent)


def _reason(error: Exception, ca_file: Path | None) -> tuple[str, bool]:
    """Return why there is no answer, and whether the server may have received the request."""
    if isinstance(error, requests.exceptions.SSLError):
        return _untrusted(error, ca_file), False
    if isinstance(error, requests.ConnectTimeout):
        return "no server answers at this address", False
    if _inside(error, NameResolutionError):
        return "the server's name can't be resolved: is there a network?", False
    refused = _inside(error, NewConnectionError)
    if refused is not None:
        return str(refused).rpartition(": ")[2].rpartition("] ")[2], False
    if isinstance(error, requests.ReadTimeout):
        return "the request was sent, but the server did not answer in time", True
    return "the connection was lost before the answer was complete", True


def _may_have_passed(error: Exception, url: str) -> bool:
    """Return whether a proxy that failed may have passed the request on.

    With https it gets the request only inside a tunnel, after it has answered.
    """
    unsent = (NewConnectionError, ConnectTimeoutError, requests.exceptions.InvalidURL)
    return url.startswith("http:") and not any(_inside(error, each) for each in unsent)


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
