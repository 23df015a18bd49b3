"""`blink-agent enrol`: this device becomes somebody's.

The order is the promise. All that can be wrong here is looked for first, and room is taken for
every file; then the code is traded, which can't be undone; then all files change together. Whatever
fails before that leaves everything as it was, and the code good.
"""

import ssl
import tomllib
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent import __version__, config
from agent.enrol.claim import Broker, Identity, broker_of, checked_code, checked_url, claim
from agent.enrol.toml_edit import Value, with_keys
from agent.errors import AgentError, ConfigError
from agent.system.files import FileTransaction

PUBLIC, PRIVATE = 0o644, 0o600
CA_NAME, MQTT_CA_NAME = "ca.crt", "mqtt-ca.crt"


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for. `file` is the configuration; the secrets go beside it."""

    url: str
    code: str
    file: Path
    ca: Path | None = None
    mqtt_ca: Path | None = None
    insecure: bool = False
    again: bool = False
    same_person: bool = False


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What came of it: who this device is now, its broker if any, and why none if one was named."""

    identity: Identity
    broker: Broker | None
    broker_problem: str | None
    files: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class _Place:
    """The configuration as it is, and where things go."""

    file: Path
    text: str
    values: Mapping[str, Mapping[str, Any]]

    def get(self, section: str, key: str) -> Any:
        found = self.values.get(section, {})
        return found.get(key) if isinstance(found, dict) else None

    def path(self, section: str, key: str, name: str) -> Path:
        """The file that a key names, else `name` beside the configuration."""
        named = self.get(section, key)
        return Path(named).expanduser() if isinstance(named, str) else self.beside(name)

    def beside(self, name: str) -> Path:
        return self.file.parent / name


def enrol(wish: Wish, waiting: Callable[[], int]) -> Enrolled:
    """Trades the code and writes what came of it; `waiting` counts sessions not delivered yet.

    Raises ConfigError for what is asked wrongly, ClaimError for what the server says, and
    AgentError for what can't be written.
    """
    url, code = checked_url(wish.url, insecure=wish.insecure), checked_code(wish.code)
    authorities = {
        name: _certificates(path)
        for name, path in ((CA_NAME, wish.ca), (MQTT_CA_NAME, wish.mqtt_ca))
        if path is not None
    }
    place = _place(wish.file)
    _check_free(place, wish, waiting)
    _check_editable(place, url, wish)
    token = place.path("server", "token_file", "api-token")
    password = place.path("mqtt", "password_file", "mqtt-password")
    modes = {token: PRIVATE, password: PRIVATE}
    modes |= {place.beside(name): PUBLIC for name in authorities}
    modes[place.file] = place.file.stat().st_mode & 0o777 if place.file.exists() else PUBLIC
    with FileTransaction(modes) as files:
        identity = claim(url, code, __version__, wish.ca or _trusted(place))
        broker, problem = _broker(identity, wish)
        for name, certificates in authorities.items():
            files.write(place.beside(name), certificates)
        files.write(token, f"{identity.token}\n".encode())
        if identity.mqtt_password is None:
            files.remove(password)
        else:
            files.write(password, f"{identity.mqtt_password}\n".encode())
        files.write(place.file, _edited(place, url, identity, broker, wish).encode())
    return Enrolled(identity, broker, problem, tuple(path for path in modes if path.exists()))


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


def _check_free(place: _Place, wish: Wish, waiting: Callable[[], int]) -> None:
    """What waits here was measured for whoever the device belonged to, and nobody else."""
    device = place.get("server", "device")
    if device is None:
        return
    if not wish.again:
        raise AgentError(
            f"this device is enrolled already: it is {device} at {place.get('server', 'url')};"
            " --again replaces that"
        )
    if not wish.same_person and (count := waiting()):
        raise AgentError(
            f"{count} sessions of whom this device belongs to now are not delivered: run"
            " blink-agent sync --once first; or say --same-person, and they are delivered under the"
            " new identity"
        )


def _check_editable(place: _Place, url: str, wish: Wish) -> None:
    """Tries it with an invented identity, while nothing has happened yet."""
    nobody = Identity(str(uuid.UUID(int=0)), "", "", "", None, None)
    for broker in (Broker("localhost", 8883, tls=True), None):
        config.parse(_edited(place, url, nobody, broker, wish), place.file)


def _broker(identity: Identity, wish: Wish) -> tuple[Broker | None, str | None]:
    """An unfit one is no reason to lose the identity: sessions go over HTTP then."""
    try:
        return broker_of(identity, insecure=wish.insecure), None
    except ConfigError as error:
        return None, str(error)


def _edited(place: _Place, url: str, identity: Identity, broker: Broker | None, wish: Wish) -> str:
    server: dict[str, Value] = {"url": url, "device": identity.device}
    mqtt: dict[str, Value] = {}
    if broker is not None:
        mqtt = {"host": broker.host, "port": broker.port, "tls": broker.tls}
    elif identity.mqtt_password is None or identity.mqtt_url is not None:
        mqtt = {"host": None}
    if wish.ca is not None:
        server["ca_file"] = str(place.beside(CA_NAME))
    if (wish.mqtt_ca or wish.ca) is not None:
        mqtt["ca_file"] = str(place.beside(MQTT_CA_NAME if wish.mqtt_ca else CA_NAME))
    return with_keys(place.text, {"server": server, "mqtt": mqtt})
