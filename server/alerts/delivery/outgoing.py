"""HTTP POST to an address that a user entered, which is untrusted.

Only http(s) to public addresses is allowed, unless the setting `WEBHOOK_PRIVATE` also allows
private ones. The name is resolved here and the connection goes to the checked address, so that DNS
can't change in between. Redirects are not followed, and the response body is not read.
"""

import ipaddress
import queue
import socket
import ssl
import threading
import time
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import SplitResult, urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from server.alerts.delivery.outbox import SendError
from server.alerts.delivery.special_networks import Address, is_private, is_special

# Timeouts in seconds: for resolving the name, for any other wait, and for the whole exchange, even
# if the server keeps sending slowly. The last is longer than the other two together, so that there
# is a connection to cut when it expires.
RESOLVE_S = 3.0
WAIT_S = 5.0
WHOLE_S = 10.0


# Allowed addresses


def check_url(text: str) -> None:
    """Check an address without resolving it. Raises `ValidationError`."""
    try:
        url = urlsplit(text)
        good = url.scheme in ("http", "https") and url.hostname and url.port != 0
    except ValueError:
        url, good = SplitResult("", "", "", "", ""), False
    if not good or not text.isascii() or not text.isprintable() or " " in text:
        raise ValidationError(_("Enter an address such as https://example.org/hook."))
    if "@" in url.netloc:
        raise ValidationError(_("Enter an address without a user name or password."))
    if literal(url.hostname or "") and not may_reach(literal(url.hostname or "")):
        raise ValidationError(_("This server does not send to private addresses."))


def literal(host: str) -> Address | None:
    """Return the address that a host is written as; `None` for a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def may_reach(address: Address | None) -> bool:
    """Return whether this server may call the address."""
    if address is None:
        return False
    return not is_special(address) and (settings.WEBHOOK_PRIVATE or not is_private(address))


def reachable_address(host: str, port: int) -> str:
    """Return an allowed address of the host. Raises `SendError`.

    All addresses of the name must be allowed: a name with both public and private ones may be an
    attack.
    """
    addresses = [str(entry[4][0]).partition("%")[0] for entry in _resolved(host, port)]
    if not addresses:
        raise SendError("the host has no address")
    if not all(may_reach(literal(address)) for address in addresses):
        raise SendError("the host has an address that this server does not call")
    return addresses[0]


def _resolved(host: str, port: int) -> list[Any]:
    """Resolve a name; return nothing after `RESOLVE_S`.

    A thread does it, because resolving has no timeout and can't be interrupted.
    """
    answer: queue.SimpleQueue[list[Any]] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answer.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, ValueError):
            answer.put([])

    threading.Thread(target=ask, daemon=True).start()
    try:
        return answer.get(timeout=RESOLVE_S)
    except queue.Empty:
        return []


# The exchange


class _PinnedHTTP(HTTPConnection):
    """Connects to the checked address and does not resolve the name again."""

    pinned = ""

    def connect(self) -> None:
        self.sock = socket.create_connection((self.pinned, self.port), self.timeout)


class _PinnedHTTPS(HTTPSConnection):
    """The same with TLS. The certificate must match the host name."""

    pinned = ""

    def connect(self) -> None:
        plain = socket.create_connection((self.pinned, self.port), self.timeout)
        self.sock = wrapped = ssl.create_default_context().wrap_socket(
            plain, server_hostname=self.host, do_handshake_on_connect=False
        )
        wrapped.do_handshake()  # after `self.sock` is set, so that the timer can cut it


def exchange(address: str, body: bytes, headers: dict[str, str]) -> int:
    """POST and return the response status. Raises `SendError`. Takes at most `WHOLE_S`."""
    try:
        check_url(address)
    except ValidationError:
        raise SendError("the address can't be called", permanent=True) from None
    try:
        return _exchange(urlsplit(address), body, headers)
    except (OSError, HTTPException, ValueError) as error:
        raise SendError(f"the host can't be reached: {type(error).__name__}") from None


def _exchange(url: SplitResult, body: bytes, headers: dict[str, str]) -> int:
    begun_s = time.monotonic()
    host = url.hostname or ""
    secure = url.scheme == "https"
    port = url.port or (443 if secure else 80)
    made = (_PinnedHTTPS if secure else _PinnedHTTP)(host, port, timeout=WAIT_S)
    made.pinned = reachable_address(host, port)
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    watchdog = threading.Timer(begun_s + WHOLE_S - time.monotonic(), _cut, [made])
    watchdog.daemon = True
    watchdog.start()
    try:
        made.request("POST", target, body, headers)
        return made.getresponse().status
    finally:
        watchdog.cancel()
        made.close()


def _cut(connection: HTTPConnection) -> None:
    """Cut the connection, so that a server that sends a byte now and then can't block a pass."""
    if (sock := connection.sock) is not None:
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            return
