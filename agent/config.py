"""AgentConfig: read from a TOML file, overridden by the environment, validated once.

Secrets come from files, which systemd may provide as credentials. Every key is a field below, with
its default, its description and its range. Unknown keys are rejected; the error suggests the
nearest name. `BLINKLOG_AGENT_CAMERA_FPS=15` overrides `fps` in `[camera]`.
"""

import dataclasses
import difflib
import math
import os
import tomllib
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from agent.convert import value_of
from agent.errors import ConfigError
from agent.records import Activity

DEFAULT_FILE = Path("/etc/blinklog/agent.toml")
DEVICE_STATE = Path("/var/lib/blinklog")  # the services' state directory on a device
PREFIX = "BLINKLOG_AGENT_"


def _key(default: Any, about: str, low: float = -math.inf, high: float = math.inf) -> Any:
    """Return a field with its description for the docs and its range, both ends included."""
    return field(default=default, metadata={"about": about, "low": low, "high": high})


@dataclass(frozen=True, slots=True)
class CameraConfig:
    """[camera]"""

    source: Literal["picamera2", "usb", "replay"] = _key("picamera2", "which camera")
    device: str = _key(
        "/dev/video0", "the USB camera's device file; its name in `/dev/v4l/by-id/` is stable"
    )
    file: Path | None = _key(
        None,
        "the video that `replay` plays instead of a camera; a raw stream (`.h264`, `.mjpeg`) has no"
        " timestamps and is rejected",
    )
    loop: bool = _key(False, "whether `replay` starts again at the end of the video")
    width: int = _key(640, "width of the picture in pixels", 160, 1920)
    height: int = _key(480, "height of the picture in pixels", 120, 1080)
    fps: float = _key(
        30.0,
        "frames per second, also for a replayed file; below 15, durations are not measured",
        1,
        60,
    )
    rotate: Literal[0, 90, 180, 270] = _key(
        0,
        "degrees clockwise to rotate the picture so that it is upright: 0, 90, 180 or 270",
    )
    flip: bool = _key(False, "whether the upright picture is mirrored left to right")
    timeout_s: float = _key(  # this and what follows must take less than WatchdogSec
        3.0, "seconds without a frame until the camera is considered hung", 0.5, 15
    )


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """[model]"""

    cache: Path | None = _key(
        None, "folder of the models; default `/opt/blinklog/models`, or the user's cache"
    )
    threads: int = _key(1, "threads per inference", 1, 8)


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """[session]"""

    limit_minutes: float = _key(
        120.0, "minutes after which a session ends automatically", 0.1, 24 * 60
    )
    checkpoint_s: float = _key(
        10.0, "seconds between checkpoints: the most that a power cut can lose", 1, 60
    )
    trust_clock: bool = _key(
        False,
        "whether the clock is trusted without a time service; only where it is right",
    )
    activity: Activity | None = _key(
        None,
        "what the person does in every session of this device: `reading`, `screen`, `talking`,"
        " `eating`, `resting` or `other`",
    )
    activity_button: Activity | None = _key(
        None, "the activity of sessions that the second button starts"
    )


@dataclass(frozen=True, slots=True)
class ControlsConfig:
    """[controls]"""

    pins: Literal["gpio", "mock", "none"] = _key(
        "gpio", "`mock`: gpiozero's mock pins, pressed by SIGUSR1 and released by SIGUSR2"
    )
    button_gpio: int = _key(17, "GPIO number of the button, which connects it to ground", 0, 27)
    led_gpio: int = _key(27, "GPIO number of the status light", 0, 27)
    activity_pin: int | None = _key(
        None,
        "GPIO number of a second button, whose sessions have the activity"
        " `session.activity_button`",
        0,
        27,
    )
    long_press_s: float = _key(1.5, "seconds to hold the button to end a session", 0.5, 10)
    input_device: Path | None = _key(
        None, "foot switch or USB button to use as well, in `/dev/input/by-id/`"
    )
    input_key: int | None = _key(
        None, "code of the only key to use on it; default all keys", 1, 767
    )


@dataclass(frozen=True, slots=True)
class StoreConfig:
    """[store]"""

    path: Path | None = _key(
        None,
        "the database file; default `/var/lib/blinklog/agent.sqlite3`, or in the user's state"
        " folder",
    )
    keep_sessions: int = _key(
        1000, "delivered sessions to keep on the device; unsent ones are all kept", 0, 1_000_000
    )


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """[server]"""

    url: str | None = _key(None, "the server's URL, such as https://blinklog.example.org")
    device: str | None = _key(None, "this device's id, assigned by the server")
    token_file: Path | None = _key(
        None, "file with the API token; default `api-token`, from systemd or next to this file"
    )
    ca_file: Path | None = _key(None, "CA certificates to trust instead of the system's")
    timeout_s: float = _key(10.0, "seconds to wait for a response", 1, 120)
    commands_s: float = _key(2.0, "seconds between HTTP requests for commands; 0: never", 0, 20)


@dataclass(frozen=True, slots=True)
class MqttConfig:
    """[mqtt]"""

    host: str | None = _key(
        None, "the broker's host name; without it, sessions are sent over HTTP only"
    )
    port: int = _key(8883, "the broker's port", 1, 65535)
    tls: bool = _key(True, "whether to encrypt the connection")
    ca_file: Path | None = _key(None, "CA certificates to trust instead of the system's")
    password_file: Path | None = _key(
        None, "file with the password; default `mqtt-password`, from systemd or next to this file"
    )


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """All sections. Create it with `load`."""

    camera: CameraConfig = CameraConfig()
    model: ModelConfig = ModelConfig()
    session: SessionConfig = SessionConfig()
    controls: ControlsConfig = ControlsConfig()
    store: StoreConfig = StoreConfig()
    server: ServerConfig = ServerConfig()
    mqtt: MqttConfig = MqttConfig()
    file: Path = DEFAULT_FILE  # the file it was read from, or the default

    @property
    def store_path(self) -> Path:
        """Path of the store.

        It is `store.path` if set, else a file in the device's state directory, which services and
        commands share, else one in the user's state directory.
        """
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
        """The device's API token, or None. Raises ConfigError if its file can't be read."""
        return _secret(self.token_path, named=self.server.token_file is not None)

    @property
    def token_path(self) -> Path:
        """Path of the API token. The file may not exist."""
        return self.server.token_file or self._secret_path("api-token")

    @property
    def mqtt_password(self) -> str | None:
        """The device's MQTT password, or None. Raises ConfigError if its file can't be read."""
        return _secret(self.password_path, named=self.mqtt.password_file is not None)

    @property
    def password_path(self) -> Path:
        """Path of the MQTT password. The file may not exist."""
        return self.mqtt.password_file or self._secret_path("mqtt-password")

    def _secret_path(self, name: str) -> Path:
        """Return the default path of a secret.

        A service gets its secrets from systemd. Commands, which need root for it, read the files
        that systemd reads: they are next to the configuration.
        """
        folder = os.environ.get("CREDENTIALS_DIRECTORY")
        return (Path(folder) if folder else self.file.parent) / name


def load(file: Path | None = None, environ: Mapping[str, str] | None = None) -> AgentConfig:
    """Load the configuration from `file`, by default /etc/blinklog/agent.toml if it exists.

    Raises ConfigError with the key, what was expected and what was found.
    """
    environ = os.environ if environ is None else environ
    path = file_of(file, environ)
    named = file is not None or "BLINKLOG_CONFIG" in environ
    return parse(_text_of(path) if named or path.exists() else "", path, environ)


def file_of(named: Path | None, environ: Mapping[str, str] | None = None) -> Path:
    """Return the file to read: `named`, else $BLINKLOG_CONFIG, else the default."""
    environ = os.environ if environ is None else environ
    return named or Path(environ.get("BLINKLOG_CONFIG", DEFAULT_FILE))


def parse(text: str, file: Path, environ: Mapping[str, str] | None = None) -> AgentConfig:
    """Parse `text`, the content of `file`. Raises ConfigError."""
    values = _from_environment(environ or {}, _from_text(text, file))
    sections: dict[str, Any] = {}
    for name, kind in _sections().items():
        sections[name] = _section(name, kind, values.get(name, {}))
    config = AgentConfig(**sections, file=file)
    _check(config)
    return config


def settings() -> Iterator[tuple[str, str, Any, str]]:
    """Yield section, key, default and description of every setting, for the docs and their test."""
    for section, kind in _sections().items():
        for each in dataclasses.fields(kind):
            yield section, each.name, each.default, each.metadata["about"]


def _sections() -> dict[str, type]:
    hints = typing.get_type_hints(AgentConfig)
    return {name: kind for name, kind in hints.items() if kind is not Path}


def _text_of(path: Path) -> str:
    try:
        return path.read_text("utf-8")  # TOML's encoding, independent of the locale
    except OSError as error:
        raise ConfigError(f"{path}: can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: invalid TOML: {error}") from error


def _from_text(text: str, path: Path) -> dict[str, dict[str, Any]]:
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: invalid TOML: {error}") from error
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
        found[key] = value_of(f"{name}.{key}", hints[key], value)
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
        hint = f"; did you mean {near[0]!r}?" if near else f"; expected one of {', '.join(names)}"
        raise ConfigError(f"unknown {what}: {name!r}{hint}")


def _secret(file: Path, *, named: bool) -> str | None:
    """Return the secret in `file`, or None. Secrets never come from the command line.

    Raises ConfigError if the file can't be read, or is missing although the configuration names it.
    """
    try:
        return file.read_text("utf-8").strip() or None
    except (OSError, UnicodeDecodeError) as error:
        if isinstance(error, FileNotFoundError) and not named:
            return None
        raise ConfigError(f"{file}: the secret can't be read: {error}") from error


def _check(config: AgentConfig) -> None:
    """Validate settings that depend on each other."""
    if config.camera.source == "replay" and config.camera.file is None:
        raise ConfigError("camera.file: expected a video file for source 'replay', found none")
    if config.controls.pins != "none":
        _check_pins(config.controls)
    if (config.controls.activity_pin is None) != (config.session.activity_button is None):
        raise ConfigError(
            "session.activity_button: expected an activity and the second button's GPIO in"
            " controls.activity_pin, found only one of them"
        )
    url = config.server.url
    if url is not None and not url.startswith(("https://", "http://")):
        raise ConfigError(f"server.url: expected https://… or http://…, found {url!r}")
    if config.mqtt.host is not None and config.server.device is None:
        raise ConfigError(
            "server.device: expected this device's id, because [mqtt] host is set; found none"
        )


def _check_pins(controls: ControlsConfig) -> None:
    """Require a GPIO of its own for each part."""
    owners: dict[int, str] = {controls.button_gpio: "the button's"}
    for key, owner in (("led_gpio", "the light's"), ("activity_pin", "the second button's")):
        pin = getattr(controls, key)
        if pin in owners:
            raise ConfigError(
                f"controls.{key}: expected a different GPIO from {owners[pin]}, found {pin} for"
                " both"
            )
        if pin is not None:
            owners[pin] = owner
