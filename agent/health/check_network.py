"""Checks of the connection to the server: credentials, broker, server."""

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
from agent.transport.base import PERHAPS_SHARED, SHARED_IDENTITY
from agent.transport.request import Answer, UnreachedError, ask, is_loopback

ENROL = "get a code from the server, then: sudo blink-agent enrol URL CODE"
AGAIN = "get a code from the server, then: sudo blink-agent enrol URL CODE --again"
CLOCKS_APART_S = 60.0  # longer than a slow answer takes, shorter than matters in a history
PATH = "/api/session/start/"  # with OPTIONS: checks the token and changes nothing


def credentials(settings: AgentConfig) -> Finding:
    """Check that this device is enrolled and that its secrets exist and are private."""
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
    return ok(f"device {server.device}; {names} present and private")


def _secret(path: Path) -> Finding | None:
    """Return what is wrong with a secret's file, or None."""
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


def broker(
    settings: AgentConfig, transports: Sequence[Transport], noted: str | None = None
) -> Finding:
    """Check that the broker accepts this device.

    `transports` holds a transport to it, or none. `noted` is the problem that sync last reported.
    """
    host, port = settings.mqtt.host, settings.mqtt.port
    if host is None:
        return off("none is configured: sessions go over HTTP only")
    if not transports:
        return bad(f"{host}: this device has no ID for it", ENROL)
    with closing(transports[0]) as transport:
        try:
            list(transport.deliver([], 0))
        except DeliveryError as error:
            return bad(f"{host}:{port}: {error}", _broker_hint(str(error)))
    for problem in (SHARED_IDENTITY, PERHAPS_SHARED):
        if problem in (noted or ""):
            return bad(f"{host}:{port}: {problem}", f"if there are two, on one of them: {AGAIN}")
    tls = "over TLS" if settings.mqtt.tls else "without TLS"
    return ok(f"{host}:{port} accepts this device, {tls}")


def _broker_hint(said: str) -> str:
    if "refuses" in said:
        return f"it does not accept this device's password: {AGAIN}"
    if "CERTIFICATE" in said or "certificate" in said:
        return "set [mqtt] ca_file to its certificate authority; is the clock right?"
    return "is there a network? Are [mqtt] host and port right, and does the broker run?"


def server(settings: AgentConfig) -> Finding:
    """Check that the server answers, is the right one, and accepts this device's token."""
    url, token = settings.server.url, settings.api_token
    if url is None:
        return bad("no server address is configured", ENROL)
    if token is None:
        return bad(f"{url}: this device has no token for it", ENROL)
    timeout_s = settings.server.timeout_s
    try:
        answer = ask(
            "OPTIONS",
            url.rstrip("/") + PATH,
            ca_file=settings.server.ca_file,
            token=token,
            answer_s=timeout_s,
        )
    except UnreachedError as error:
        return bad(f"{url}: {error}", _server_hint(str(error)))
    return _finding(url, answer)


def _finding(url: str, answer: Answer) -> Finding:
    status = answer.status
    if status in (401, 403):
        return bad(f"{url} refuses this device's token ({status})", AGAIN)
    if 300 <= status < 400:
        return bad(f"{url} redirects ({status})", "set [server] url to the address it redirects to")
    # Many servers and login pages give this answer to any request.
    if status == 404 or (status < 300 and "json" not in answer.headers.get("Content-Type", "")):
        return bad(f"there is no Blinklog server at {url} ({status})", "correct [server] url")
    if status >= 400:
        return bad(f"{url} answers {status}", "ask whoever runs the server; nothing is lost here")
    apart_s = _apart_s(answer.headers.get("Date"))
    if apart_s is not None and apart_s > CLOCKS_APART_S:
        return bad(
            f"{url} accepts this device's token; its clock and this one are {apart_s:.0f} s apart",
            "is the time service running here? timedatectl",
        )
    open_ = "" if _private(url) else ", without TLS: the token is sent unencrypted"
    return ok(f"{url} accepts this device's token{open_}")


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


def _server_hint(said: str) -> str:
    if "the proxy" in said:
        return "correct or unset the proxy's variable, or add the server's name to NO_PROXY"
    if "certificate" in said:
        return "is the clock right? For a private authority set [server] ca_file"
    if "can't be resolved" in said:
        return "is there a network? (ip addr; ping the router) Is [server] url right?"
    return "is there a network? Is [server] url right, and does the server run?"
