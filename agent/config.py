"""AgentConfig: from a TOML file, then the environment, then systemd's credentials; validated once.

Every key is a field below, with its default, its unit in the name or the text, and its range. A
key nobody knows is refused with the nearest name. `BLINKLOG_AGENT_CAMERA_FPS=15` is `fps` of
`[camera]`.
"""

import dataclasses
import difflib
import math
import os
import tomllib
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from agent.errors import ConfigError

DEFAULT_FILE = Path("/etc/blinklog/agent.toml")
DEVICE_STATE = Path("/var/lib/blinklog")  # the services' state directory, where there is a device
PREFIX = "BLINKLOG_AGENT_"


def _key(default: Any, about: str, low: float = -math.inf, high: float = math.inf) -> Any:
    """A field with its sentence for the docs and its range, ends included."""
    return field(default=default, metadata={"about": about, "low": low, "high": high})


@dataclass(frozen=True, slots=True)
class CameraConfig:
    """[camera]"""

    source: Literal["picamera2", "usb", "replay"] = _key("picamera2", "which camera")
    device: str = _key(
        "/dev/video0", "the USB camera's device file; its name below `/dev/v4l/by-id/` lasts"
    )
    file: Path | None = _key(
        None,
        "the video that `replay` shows in place of a camera; a bare stream (`.h264`, `.mjpeg`) has"
        " no times and is refused",
    )
    loop: bool = _key(False, "whether `replay` begins again at the video's end")
    width: int = _key(640, "width of the picture in pixels", 160, 1920)
    height: int = _key(480, "height of the picture in pixels", 120, 1080)
    fps: float = _key(
        30.0, "frames a second, also of a replayed file; below 15 durations are not measured", 1, 60
    )
    rotate: Literal[0, 90, 180, 270] = _key(
        0,
        "degrees clockwise by which the picture has to be turned to be upright: 0, 90, 180 or 270",
    )
    flip: bool = _key(False, "whether the picture, once upright, is mirrored left to right")
    timeout_s: float = _key(  # with what follows it has to end before the watchdog does us
        3.0, "seconds without a frame until the camera counts as hung", 0.5, 15
    )


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """[model]"""

    cache: Path | None = _key(
        None, "folder of the models; without it `/opt/blinklog/models`, or the user's cache"
    )
    threads: int = _key(1, "threads for an inference", 1, 8)


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """[session]"""

    limit_minutes: float = _key(120.0, "minutes after which a session ends by itself", 0.1, 24 * 60)
    checkpoint_s: float = _key(
        10.0, "seconds between checkpoints: what a power cut can cost", 1, 60
    )
    trust_clock: bool = _key(
        False,
        "whether the clock is trusted without a time service; only where it is right",
    )


@dataclass(frozen=True, slots=True)
class ControlsConfig:
    """[controls]"""

    pins: Literal["gpio", "mock", "none"] = _key(
        "gpio", "`mock`: gpiozero's own stand-in, pressed by SIGUSR1 and released by SIGUSR2"
    )
    button_gpio: int = _key(17, "GPIO number of the button, switching to ground", 0, 27)
    led_gpio: int = _key(27, "GPIO number of the status light", 0, 27)
    long_press_s: float = _key(1.5, "seconds of pressing that end a session", 0.5, 10)
    input_device: Path | None = _key(
        None, "foot switch or USB button that works as the button too, below `/dev/input/by-id/`"
    )
    input_key: int | None = _key(
        None, "code of its only key that counts; without it all do", 1, 767
    )


@dataclass(frozen=True, slots=True)
class StoreConfig:
    """[store]"""

    path: Path | None = _key(
        None, "the database file; without it `/var/lib/blinklog/agent.sqlite3`, or the user's own"
    )
    keep_sessions: int = _key(1000, "delivered sessions kept on the device", 0, 1_000_000)


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """[server]"""

    url: str | None = _key(None, "the server's address, such as https://blinklog.example.org")
    device: str | None = _key(None, "this device's id, as the server gave it")
    token_file: Path | None = _key(
        None, "file with the API token; without it `api-token`, from systemd or beside this file"
    )
    ca_file: Path | None = _key(None, "certificates to trust in place of the system's")
    timeout_s: float = _key(10.0, "seconds to wait for an answer", 1, 120)


@dataclass(frozen=True, slots=True)
class MqttConfig:
    """[mqtt]"""

    host: str | None = _key(None, "the broker's name; without it sessions go over HTTP alone")
    port: int = _key(8883, "the broker's port", 1, 65535)
    tls: bool = _key(True, "whether the connection is encrypted")
    ca_file: Path | None = _key(None, "certificates to trust in place of the system's")
    password_file: Path | None = _key(
        None, "file with the password; without it `mqtt-password`, from systemd or beside this file"
    )


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """All sections. Build it with `load`."""

    camera: CameraConfig = CameraConfig()
    model: ModelConfig = ModelConfig()
    session: SessionConfig = SessionConfig()
    controls: ControlsConfig = ControlsConfig()
    store: StoreConfig = StoreConfig()
    server: ServerConfig = ServerConfig()
    mqtt: MqttConfig = MqttConfig()
    file: Path = DEFAULT_FILE  # where it was read from, or would have been

    @property
    def store_path(self) -> Path:
        """Where the store is: as said, else the device's, for its services and for whoever asks
        what they do; else, where this is no device, in the user's own state directory."""
        if self.store.path is not None:
            return self.store.path
        if state := os.environ.get("STATE_DIRECTORY"):
            return Path(state.split(":")[0]) / "agent.sqlite3"
        if DEVICE_STATE.is_dir():
            return DEVICE_STATE / "agent.sqlite3"
        home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
        return Path(home) / "blinklog" / "agent.sqlite3"

    @property
    def api_token(self) -> str | None:
        """The device's token, or None where there is none yet."""
        return _secret(self.token_path, named=self.server.token_file is not None)

    @property
    def token_path(self) -> Path:
        """Where the token is, or would be."""
        return self.server.token_file or self._secret_path("api-token")

    @property
    def mqtt_password(self) -> str | None:
        """The device's password for the broker, or None."""
        return _secret(self.password_path, named=self.mqtt.password_file is not None)

    @property
    def password_path(self) -> Path:
        """Where the broker's password is, or would be."""
        return self.mqtt.password_file or self._secret_path("mqtt-password")

    def _secret_path(self, name: str) -> Path:
        """A service has its secrets from systemd; a person, who is root then, reads them where
        systemd does: beside the configuration."""
        folder = os.environ.get("CREDENTIALS_DIRECTORY")
        return (Path(folder) if folder else self.file.parent) / name


def load(file: Path | None = None, environ: Mapping[str, str] | None = None) -> AgentConfig:
    """The configuration of `file` (default /etc/blinklog/agent.toml, where there is one).

    Raises ConfigError that names the key, what was expected and what was found.
    """
    environ = os.environ if environ is None else environ
    path = file_of(file, environ)
    named = file is not None or "BLINKLOG_CONFIG" in environ
    return parse(_text_of(path) if named or path.exists() else "", path, environ)


def file_of(named: Path | None, environ: Mapping[str, str] | None = None) -> Path:
    """The file that is read: as named, else as the environment says, else the device's."""
    environ = os.environ if environ is None else environ
    return named or Path(environ.get("BLINKLOG_CONFIG", DEFAULT_FILE))


def parse(text: str, file: Path, environ: Mapping[str, str] | None = None) -> AgentConfig:
    """The configuration that `text`, the content of `file`, means. Raises ConfigError."""
    values = _from_environment(environ or {}, _from_text(text, file))
    sections: dict[str, Any] = {}
    for name, kind in _sections().items():
        sections[name] = _section(name, kind, values.get(name, {}))
    config = AgentConfig(**sections, file=file)
    _check(config)
    return config


def settings() -> Iterator[tuple[str, str, Any, str]]:
    """Section, key, default and meaning of every setting, for the docs and their test."""
    for section, kind in _sections().items():
        for each in dataclasses.fields(kind):
            yield section, each.name, each.default, each.metadata["about"]


def _sections() -> dict[str, type]:
    hints = typing.get_type_hints(AgentConfig)
    return {name: kind for name, kind in hints.items() if kind is not Path}


def _text_of(path: Path) -> str:
    try:
        return path.read_text("utf-8")  # as TOML is, whatever the locale
    except OSError as error:
        raise ConfigError(f"{path}: can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not TOML: {error}") from error


def _from_text(text: str, path: Path) -> dict[str, dict[str, Any]]:
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: is not TOML: {error}") from error
    for name, section in values.items():
        _known(name, _sections(), "section")
        if not isinstance(section, dict):
            raise ConfigError(f"{name}: expected a section [{name}], found {section!r}")
    return values


def _from_environment(
    environ: Mapping[str, str], values: dict[str, dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    merged = {name: dict(section) for name, section in values.items()}
    for variable, text in environ.items():
        if variable.startswith(PREFIX):
            section, _, key = variable.removeprefix(PREFIX).lower().partition("_")
            _known(section, _sections(), "section")
            merged.setdefault(section, {})[key] = text
    return merged


def _section(name: str, kind: type, values: Mapping[str, Any]) -> Any:
    hints = typing.get_type_hints(kind)
    found = {}
    for key, value in values.items():
        _known(key, hints, f"key in [{name}]")
        found[key] = _value(f"{name}.{key}", hints[key], value)
    section = kind(**found)
    for each in dataclasses.fields(section):
        number = getattr(section, each.name)
        low, high = each.metadata["low"], each.metadata["high"]
        if isinstance(number, int | float) and not low <= number <= high:
            raise ConfigError(f"{name}.{each.name}: expected {low:g} to {high:g}, found {number}")
    return section


def _known(name: str, names: Mapping[str, Any], what: str) -> None:
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(names)}"
        raise ConfigError(f"unknown {what}: {name!r}{hint}")


def _value(name: str, kind: Any, value: Any) -> Any:
    """`value` as `kind`. Text from the environment may stand for a number or a truth."""
    if typing.get_origin(kind) is Literal:
        return _choice(name, typing.get_args(kind), value)
    if isinstance(kind, types.UnionType):
        kind = next(each for each in typing.get_args(kind) if each is not type(None))
    try:
        return _CONVERT[kind](value)
    except (KeyError, TypeError, ValueError):
        raise ConfigError(f"{name}: expected {_SAY[kind]}, found {value!r}") from None


def _choice(name: str, choices: tuple[Any, ...], value: Any) -> Any:
    """`value` as one of `choices`, which are of one type."""
    try:
        chosen = _CONVERT[type(choices[0])](value)
    except (TypeError, ValueError):
        chosen = None
    if chosen in choices:
        return chosen
    raise ConfigError(f"{name}: expected one of {', '.join(map(str, choices))}, found {value!r}")


_TRUTHS = {"true": True, "1": True, "false": False, "0": False}


def _bool(value: object) -> bool:
    if isinstance(value, bool):
        return value
    return _TRUTHS[_text(value).lower()]


def _int(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError
    return int(value)


def _float(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError
    return float(value)


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise TypeError
    return value


def _path(value: object) -> Path:
    try:
        return Path(_text(value)).expanduser()
    except RuntimeError as error:  # ~somebody who isn't here
        raise ValueError(str(error)) from error


_CONVERT: dict[Any, Any] = {bool: _bool, int: _int, float: _float, str: _text, Path: _path}
_SAY = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    Path: "a path",
}


def _secret(file: Path, *, named: bool) -> str | None:
    """A secret from its file, never from the command line; one that was `named` must be there."""
    try:
        return file.read_text("utf-8").strip() or None
    except (OSError, UnicodeDecodeError) as error:
        if isinstance(error, FileNotFoundError) and not named:
            return None
        raise ConfigError(f"{file}: the secret can't be read: {error}") from error


def _check(config: AgentConfig) -> None:
    """What one key alone can't show."""
    if config.camera.source == "replay" and config.camera.file is None:
        raise ConfigError("camera.file: expected a video file for source 'replay', found none")
    controls = config.controls
    if controls.pins != "none" and controls.button_gpio == controls.led_gpio:
        raise ConfigError(
            "controls.led_gpio: expected another GPIO than the button's, found"
            f" {controls.led_gpio} for both"
        )
    url = config.server.url
    if url is not None and not url.startswith(("https://", "http://")):
        raise ConfigError(f"server.url: expected https://… or http://…, found {url!r}")
    if config.mqtt.host is not None and config.server.device is None:
        raise ConfigError(
            "server.device: expected this device's id, as the broker is set; found none"
        )
