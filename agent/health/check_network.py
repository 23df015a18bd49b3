"""Checks of the way to the server: credentials, broker, server."""

from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

from agent.config import AgentConfig
from agent.errors import DeliveryError
from agent.health.doctor import Finding, bad, off, ok
from agent.sync import Transport
from agent.transport.request import Answer, UnreachedError, ask, is_loopback

ENROL = "get a code from the server, then: sudo blink-agent enrol URL CODE"
AGAIN = "get a code from the server, then: sudo blink-agent enrol URL CODE --again"
CLOCKS_APART_S = 60.0  # more than a slow answer takes, less than anybody would accept in a history
PATH = "/api/session/start/"  # OPTIONS: asks who we are, and changes nothing


def credentials(settings: AgentConfig) -> Finding:
    """Whether this device is somebody's, and its secrets are there and secret."""
    server, mqtt = settings.server, settings.mqtt
    if server.device is None or server.url is None:
        return bad("this device is not enrolled", ENROL)
    secrets = [settings.token_path]
    if mqtt.host is not None:
        secrets.append(settings.password_path)
    for path in secrets:
        if (finding := _secret(path)) is not None:
            return finding
    names = " and ".join(path.name for path in secrets)
    return ok(f"device {server.device}; {names} there, and nobody else's to read")


def _secret(path: Path) -> Finding | None:
    """What is wrong with a secret's file, or None."""
    try:
        mode = path.stat().st_mode & 0o777
        empty = not path.read_text("utf-8").strip()
    except FileNotFoundError:
        return bad(f"{path} is missing", AGAIN)
    except PermissionError:
        return bad(f"{path} can't be read by this user", "sudo blink-agent doctor")
    except (OSError, UnicodeDecodeError) as error:
        return bad(f"{path} can't be read: {error}", AGAIN)
    if empty:
        return bad(f"{path} is empty", AGAIN)
    if mode & 0o077:
        return bad(f"others may use {path} (mode {mode:04o})", f"sudo chmod 600 {path}")
    return None


def broker(settings: AgentConfig, ways: Sequence[Transport]) -> Finding:
    """Whether the broker lets this device in. `ways`: a transport to it, or none."""
    host, port = settings.mqtt.host, settings.mqtt.port
    if host is None:
        return off("none is configured: sessions go over HTTP alone")
    if not ways:
        return bad(f"{host}: there is no device id for it", ENROL)
    with closing(ways[0]) as way:
        try:
            list(way.deliver([], 0))
        except DeliveryError as error:
            return bad(f"{host}:{port}: {error}", _mend_broker(str(error)))
    tls = "over TLS" if settings.mqtt.tls else "without TLS"
    return ok(f"{host}:{port} lets this device in, {tls}")


def _mend_broker(said: str) -> str:
    if "refuses" in said:
        return f"its password is not this device's any more: {AGAIN}"
    if "CERTIFICATE" in said or "certificate" in said:
        return "name the authority of its certificate: [mqtt] ca_file; is the clock right?"
    return "is there a network? Is [mqtt] host and port the broker's, and does it run?"


def server(settings: AgentConfig) -> Finding:
    """Whether the server is there, is who it should be, and knows this device's token."""
    url, token = settings.server.url, settings.api_token
    if url is None:
        return bad("no address is configured", ENROL)
    if token is None:
        return bad(f"{url}: there is no token for it", ENROL)
    settings_s = settings.server.timeout_s
    try:
        answer = ask(
            "OPTIONS",
            url.rstrip("/") + PATH,
            ca_file=settings.server.ca_file,
            token=token,
            answer_s=settings_s,
        )
    except UnreachedError as error:
        return bad(f"{url}: {error}", _mend_server(str(error)))
    return _said(url, answer)


def _said(url: str, answer: Answer) -> Finding:
    status = answer.status
    if status in (401, 403):
        return bad(f"{url} refuses this device's token ({status})", AGAIN)
    if 300 <= status < 400:
        return bad(
            f"{url} leads elsewhere ({status})", "give the address it leads to: [server] url"
        )
    # Many a server and login page answers this to everybody.
    if status == 404 or (status < 300 and "json" not in answer.headers.get("Content-Type", "")):
        return bad(f"there is no Blinklog server at {url} ({status})", "correct [server] url")
    if status >= 400:
        return bad(f"{url} answers {status}", "ask whoever runs the server; nothing is lost here")
    apart_s = _apart_s(answer.headers.get("Date"))
    if apart_s is not None and apart_s > CLOCKS_APART_S:
        return bad(
            f"{url} takes this device's token; its clock and this one are {apart_s:.0f} s apart",
            "is the time service running here? timedatectl",
        )
    open_ = "" if _private(url) else ", without TLS: anybody in between can read the token"
    return ok(f"{url} takes this device's token{open_}")


def _private(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "https" or is_loopback(parts.hostname or "")


def _apart_s(date: str | None) -> float | None:
    try:
        there = parsedate_to_datetime(date or "")
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    there = there if there.tzinfo else there.replace(tzinfo=UTC)
    return abs((datetime.now(UTC) - there).total_seconds())


def _mend_server(said: str) -> str:
    if "certificate" in said:
        return "is the clock right? A private authority's certificate is named by [server] ca_file"
    if "name is not known" in said:
        return "is there a network? (ip addr; ping the router) Is [server] url right?"
    return "is there a network? Is [server] url right, and does the server run?"
