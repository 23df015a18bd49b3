"""Exchange a claim code for this device's identity: one request to the server."""

import json
import re
import uuid
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from agent.errors import AgentError, ConfigError
from agent.release.signature import ReleaseKeyError, checked_key
from agent.transport.request import Answer, UnreachedError, ask, is_loopback, printable

PATH = "/api/device/claim/"
CODE_CHARACTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # no 0 O 1 I: hard to read out and copy
CODE_LENGTH = 8
ANSWER_S = 30.0  # the server updates the broker before it answers
SECRET = re.compile(r"[\x21-\x7e]{8,512}")

LOST = (
    "The code may be used up anyway. Look at the person's page: if a device of this name has"
    " appeared there that was never seen, remove it and make a new code; if not, try again with"
    " this one."
)


@dataclass(frozen=True, slots=True)
class Broker:
    """The broker's address."""

    host: str
    port: int
    tls: bool


@dataclass(frozen=True, slots=True)
class Identity:
    """The server's answer to the code. `server_time` is its clock when it answered.

    `release_key` is the public key that signs its releases.
    """

    device: str
    token: str
    label: str
    mqtt_password: str | None
    mqtt_url: str | None
    server_time: datetime | None
    release_key: str | None = None


class ClaimError(AgentError):
    """No identity was received. `spent` is whether the code may be used up anyway."""

    def __init__(self, message: str, *, spent: bool = False) -> None:
        super().__init__(f"{message}. {LOST}" if spent else message)
        self.spent = spent


def checked_url(text: str, *, insecure: bool = False) -> str:
    """Return the server's address without a trailing slash. Raises ConfigError.

    Without TLS only this machine is allowed, unless `insecure` is set.
    """
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"the address: {error}: found {text!r}") from error
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ConfigError(f"the address: expected https://…, found {text!r}")
    if parts.username or parts.password or parts.query or parts.fragment or port == 0:
        raise ConfigError(f"the address: expected only https://host or https://host:port, {text!r}")
    if parts.scheme == "http" and not insecure and not is_loopback(parts.hostname):
        raise ConfigError(
            f"the address: expected https://…, found {text!r}: the device's token would be sent"
            " unencrypted; use --insecure if you accept that"
        )
    return text.strip().rstrip("/")


def checked_code(text: str) -> str:
    """Return the eight characters of the code; spaces, dashes and case are ignored.

    Raises ConfigError.
    """
    code = re.sub(r"[\s-]", "", text).upper()
    if len(code) != CODE_LENGTH or any(each not in CODE_CHARACTERS for each in code):
        raise ConfigError(
            f"the code: expected {CODE_LENGTH} letters and digits, never 0, O, 1 or I; found"
            f" {text!r}"
        )
    return code


def claim(url: str, code: str, version: str, ca_file: Path | None = None) -> Identity:
    """Exchange `code` for an identity, within a minute. Raises ClaimError."""
    request = {"code": code, "agent_version": version}
    try:
        answer = ask("POST", url + PATH, ca_file=ca_file, body=request, answer_s=ANSWER_S)
    except UnreachedError as error:
        hint = "; trust another with --ca FILE" if "not trusted" in str(error) else ""
        raise ClaimError(f"{url}: {error}{hint}", spent=error.sent) from error
    except KeyboardInterrupt as error:
        raise ClaimError("interrupted", spent=True) from error
    if answer.status == 201:
        return _identity(answer.body)
    raise _refusal(url, answer)


def _refusal(url: str, answer: Answer) -> ClaimError:
    status, detail = answer.status, _detail(answer.body)
    again = _later(answer.headers.get("Retry-After"))
    if status == 400:
        return ClaimError(f"the server refuses the code: {detail}")
    if status == 429:
        return ClaimError(f"too many wrong codes were tried: try again {again}")
    if status == 503:
        return ClaimError(
            f"the server can't do it now: {detail}; the code stays valid: try again {again}"
        )
    if 300 <= status < 400:
        there = printable(answer.headers.get("Location", "no address"))
        return ClaimError(f"{url} redirects: use the address that it redirects to: {there}")
    if status in (404, 405) or status < 300:  # below 300: a login page, for example
        return ClaimError(f"there is no Blinklog server at {url}, or one too old for claim codes")
    return ClaimError(f"the server answered {status}: {detail}", spent=status >= 500)


def _later(retry_after: str | None) -> str:
    if retry_after is None or not (retry_after.isascii() and retry_after.isdigit()):
        return "later"
    seconds = int(retry_after[:6])
    return f"in {seconds} s" if seconds < 120 else f"in {-(-seconds // 60)} minutes"


def _detail(body: bytes) -> str:
    answer = _object(body)
    return printable(str(answer["detail"])) if "detail" in answer else "no reason given"


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _identity(body: bytes) -> Identity:
    answer = _object(body)
    try:
        password = answer.get("mqtt_password")
        return Identity(
            device=str(uuid.UUID(answer["device"])),
            token=_secret(answer["token"]),
            label=printable(str(answer.get("label") or "")),
            mqtt_password=None if password is None else _secret(password),
            mqtt_url=answer.get("mqtt_url"),
            server_time=_moment(answer.get("server_time")),
            release_key=_key(answer.get("release_key")),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ClaimError("the server's answer is not an identity", spent=True) from error


def _secret(value: object) -> str:
    if not isinstance(value, str) or not SECRET.fullmatch(value):
        raise ValueError("a secret")
    return value


def _key(value: object) -> str | None:
    """Return the key of releases; None if the server has none, or none that can be used."""
    try:
        return checked_key(value)
    except ReleaseKeyError:
        return None


def _moment(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def broker_of(identity: Identity, *, insecure: bool = False) -> Broker | None:
    """Return the broker that the server named, or None. Raises ConfigError if it can't be used."""
    if identity.mqtt_url is None:
        return None
    try:
        parts: SplitResult = urlsplit(identity.mqtt_url)
        host, port = parts.hostname, parts.port
    except (ValueError, AttributeError, TypeError) as error:
        raise ConfigError(f"the broker's address is invalid: {identity.mqtt_url!r}") from error
    if parts.scheme not in ("mqtt", "mqtts") or not host or not printable(host) == host:
        raise ConfigError(f"the broker: expected mqtts://host, found {identity.mqtt_url!r}")
    tls = parts.scheme == "mqtts"
    if not (tls or insecure or is_loopback(host)):
        raise ConfigError("the broker does not use TLS, and --insecure was not given")
    return Broker(host, port or (8883 if tls else 1883), tls)
