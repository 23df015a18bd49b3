"""`blink-agent enrol`: assign this device to a person.

The order matters. First check everything that can be checked locally and reserve space for every
file. Then exchange the code, which can't be undone. Then replace all files together. A failure
before the exchange leaves all files unchanged and the code valid.
"""

import ssl
import tomllib
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from agent import __version__, config
from agent.enrol.authority import fetched
from agent.enrol.claim import Broker, Identity, broker_of, checked_code, checked_url, claim
from agent.enrol.toml_edit import Value, with_keys
from agent.errors import AgentError, ConfigError
from agent.files import FileTransaction
from agent.release.signature import KEY_NAME, pinned_key

PUBLIC, PRIVATE = 0o644, 0o600
KEY_STAYS = (
    "the server has another key for releases than this device trusts: if its operator has changed"
    " it, run blink-agent release trust"
)
CA_NAME, MQTT_CA_NAME = "ca.crt", "mqtt-ca.crt"


@dataclass(frozen=True, slots=True)
class EnrolRequest:
    """The options of the command. `file` is the configuration; secrets go next to it.

    A fingerprint stands for a file: the server has the certificates (`agent.enrol.authority`).
    """

    url: str
    code: str
    file: Path
    ca: Path | None = None
    mqtt_ca: Path | None = None
    ca_fingerprint: str | None = None
    mqtt_ca_fingerprint: str | None = None
    insecure: bool = False
    again: bool = False
    same_person: bool = False


@dataclass(frozen=True, slots=True)
class Enrolled:
    """The result. `broker_problem` is why a broker that the server named is not used, and
    `key_problem` why its key for releases is not trusted.
    """

    identity: Identity
    broker: Broker | None
    broker_problem: str | None
    files: tuple[Path, ...]
    key_problem: str | None = None


@dataclass(frozen=True, slots=True)
class _Place:
    """The current configuration and the paths of the files to write."""

    file: Path
    text: str
    values: Mapping[str, Mapping[str, Any]]

    def get(self, section: str, key: str) -> Any:
        found = self.values.get(section, {})
        return found.get(key) if isinstance(found, dict) else None

    def path(self, section: str, key: str, name: str) -> Path:
        """Return the path configured by a key, or else `name` next to the configuration."""
        named = self.get(section, key)
        return Path(named).expanduser() if isinstance(named, str) else self.sibling(name)

    def sibling(self, name: str) -> Path:
        return self.file.parent / name


def enrol(request: EnrolRequest, count_unsent: Callable[[], int]) -> Enrolled:
    """Exchange the code for an identity and write it; `count_unsent` counts undelivered sessions.

    Authorities that are given by fingerprint are fetched first. Raises ConfigError for invalid
    options, ClaimError if the server refuses, and AgentError if an authority is not what it should
    be, or a file can't be written.
    """
    url, code = checked_url(request.url, insecure=request.insecure), checked_code(request.code)
    with fetched(url, request.ca_fingerprint) as ca, fetched(url, request.mqtt_ca_fingerprint) as m:
        request = replace(request, ca=ca or request.ca, mqtt_ca=m or request.mqtt_ca)
        return _enrol(url, code, request, count_unsent)


def _enrol(url: str, code: str, request: EnrolRequest, count_unsent: Callable[[], int]) -> Enrolled:
    authorities = {
        name: _certificates(path)
        for name, path in ((CA_NAME, request.ca), (MQTT_CA_NAME, request.mqtt_ca))
        if path is not None
    }
    place = _place(request.file)
    _check_free(place, request, count_unsent)
    _check_editable(place, url, request)
    token = place.path("server", "token_file", "api-token")
    password = place.path("mqtt", "password_file", "mqtt-password")
    key = place.sibling(KEY_NAME)
    modes = {token: PRIVATE, password: PRIVATE, key: PUBLIC}
    modes |= {place.sibling(name): PUBLIC for name in authorities}
    modes[place.file] = place.file.stat().st_mode & 0o777 if place.file.exists() else PUBLIC
    with FileTransaction(modes) as files:
        identity = claim(url, code, __version__, request.ca or _trusted(place))
        broker, problem = _broker(identity, request)
        for name, certificates in authorities.items():
            files.write(place.sibling(name), certificates)
        files.write(token, f"{identity.token}\n".encode())
        if identity.mqtt_password is None:
            files.remove(password)
        else:
            files.write(password, f"{identity.mqtt_password}\n".encode())
        key_problem = _pin(files, key, identity.release_key, is_new=_is_new_server(place, url))
        files.write(place.file, _edited(place, url, identity, broker, request).encode())
    written = tuple(path for path in modes if path.exists())
    return Enrolled(identity, broker, problem, written, key_problem)


def _is_new_server(place: _Place, url: str) -> bool:
    return bool(place.get("server", "url") != url)


def _pin(files: FileTransaction, file: Path, key: str | None, *, is_new: bool) -> str | None:
    """Pin the key of the server's releases. Return why another one stays.

    The server that the device belonged to before can't replace the key: whoever has broken into it
    could then install software here by having the device enrolled again.
    """
    known = None if is_new else pinned_key(file)
    if known is not None:
        return None if key == known else KEY_STAYS
    if key is None:
        files.remove(file)
    else:
        files.write(file, key.encode())
    return None


def _place(file: Path) -> _Place:
    try:
        text = file.read_text("utf-8") if file.exists() else ""
        return _Place(file, text, tomllib.loads(text))
    except OSError as error:
        raise ConfigError(f"{file}: can't be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: is not TOML: {error}") from error


def _certificates(path: Path) -> bytes:
    try:
        ssl.create_default_context(cafile=path)
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: expected certificates in PEM, found: {error}") from error


def _trusted(place: _Place) -> Path | None:
    named = place.get("server", "ca_file")
    return Path(named).expanduser() if isinstance(named, str) else None


def _check_free(place: _Place, request: EnrolRequest, count_unsent: Callable[[], int]) -> None:
    """Refuse to give one person's unsent sessions to another."""
    device = place.get("server", "device")
    if device is None:
        return
    if not request.again:
        raise AgentError(
            f"this device is already enrolled: it is {device} at {place.get('server', 'url')};"
            " --again replaces that"
        )
    if not request.same_person and (count := count_unsent()):
        raise AgentError(
            f"{count} sessions of the person this device belongs to now are not delivered: run"
            " blink-agent sync --once first; or use --same-person, and they are delivered under the"
            " new identity"
        )


def _check_editable(place: _Place, url: str, request: EnrolRequest) -> None:
    """Try the edit with a placeholder identity, before anything is changed."""
    nobody = Identity(str(uuid.UUID(int=0)), "", "", "", None, None)
    for broker in (Broker("localhost", 8883, tls=True), None):
        config.parse(_edited(place, url, nobody, broker, request), place.file)


def _broker(identity: Identity, request: EnrolRequest) -> tuple[Broker | None, str | None]:
    """Return the broker, or why it can't be used: sessions then go over HTTP."""
    try:
        return broker_of(identity, insecure=request.insecure), None
    except ConfigError as error:
        return None, str(error)


def _edited(
    place: _Place, url: str, identity: Identity, broker: Broker | None, request: EnrolRequest
) -> str:
    server: dict[str, Value] = {"url": url, "device": identity.device}
    mqtt: dict[str, Value] = {}
    if broker is not None:
        mqtt = {"host": broker.host, "port": broker.port, "tls": broker.tls}
    elif identity.mqtt_password is None or identity.mqtt_url is not None:
        mqtt = {"host": None}
    if request.ca is not None:
        server["ca_file"] = str(place.sibling(CA_NAME))
    if (request.mqtt_ca or request.ca) is not None:
        mqtt["ca_file"] = str(place.sibling(MQTT_CA_NAME if request.mqtt_ca else CA_NAME))
    return with_keys(place.text, {"server": server, "mqtt": mqtt})
