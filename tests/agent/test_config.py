"""Configuration: refused early, with what was expected and what was found."""

import re
import threading
from pathlib import Path

import pytest

from agent import config
from agent.camera.pi import GRACE_S, STOP_TIMEOUT_S
from agent.cli import services
from agent.config import AgentConfig, CameraConfig, load
from agent.errors import ConfigError, ControlsError
from agent.system import systemd
from agent.watch.checkpoints import LOOK_S
from agent.watch.loop import FAULT_S


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "agent.toml"
    path.write_text(text)
    return path


def test_nothing_said_gives_the_defaults() -> None:
    assert load(None, {}) == AgentConfig()


def test_the_file_is_read_and_the_environment_has_the_last_word(tmp_path: Path) -> None:
    file = written(tmp_path, '[camera]\nsource = "usb"\nfps = 15\n[mqtt]\ntls = true\n')
    loaded = load(file, {"BLINKLOG_AGENT_CAMERA_FPS": "20", "BLINKLOG_AGENT_MQTT_TLS": "false"})
    assert (loaded.camera.source, loaded.camera.fps, loaded.mqtt.tls) == ("usb", 20.0, False)


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_a_picture_can_be_said_to_be_turned_and_mirrored(tmp_path: Path, degrees: int) -> None:
    camera = load(written(tmp_path, f"[camera]\nrotate = {degrees}\nflip = true\n"), {}).camera
    assert (camera.rotate, camera.flip) == (degrees, True)
    said = {"BLINKLOG_AGENT_CAMERA_ROTATE": str(degrees), "BLINKLOG_AGENT_CAMERA_FLIP": "true"}
    assert load(None, said).camera == camera


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[camrea]\n", "unknown section: 'camrea'; did you mean 'camera'?"),
        ("[camera]\nframes = 3\n", "unknown key in [camera]: 'frames'"),
        ("[camera]\nwidht = 640\n", "did you mean 'width'?"),
        ("[camera]\nfps = 0\n", "camera.fps: expected 1 to 60, found 0"),
        ("[camera]\nfps = nan\n", "camera.fps: expected 1 to 60, found nan"),
        ("[camera]\nwidth = 640.5\n", "camera.width: expected a whole number, found 640.5"),
        ("[camera]\nloop = 1\n", "camera.loop: expected true or false, found 1"),
        ('[camera]\nsource = "webcam"\n', "expected one of picamera2, usb, replay"),
        (
            "[camera]\nsource = 3\n",
            "camera.source: expected one of picamera2, usb, replay, found 3",
        ),
        ("[camera]\nrotate = 45\n", "camera.rotate: expected one of 0, 90, 180, 270, found 45"),
        ("[camera]\nrotate = 90.0\n", "camera.rotate: expected one of 0, 90, 180, 270, found 90.0"),
        ("[camera]\nrotate = false\n", "camera.rotate: expected one of 0, 90, 180, 270"),
        ("[camera]\nflip = 1\n", "camera.flip: expected true or false, found 1"),
        ('[camera]\nsource = "replay"\n', "camera.file: expected a video file"),
        ('[server]\nurl = "example.org"\n', "server.url: expected https://"),
        ('[mqtt]\nhost = "broker"\n', "server.device: expected this device's id"),
        ("camera = 3\n", "camera: expected a section"),
        ("[camera\n", "invalid TOML"),
        ('[server]\ndevice = ""\n', "server.device: expected text"),
        ('[model]\ncache = "~nobody-here/models"\n', "model.cache: expected a path"),
        ("[controls]\nled_gpio = 17\n", "controls.led_gpio: expected a different GPIO"),
        (
            '[session]\nactivity = "sleeping"\n',
            "session.activity: expected one of reading, screen, talking, eating, resting, other",
        ),
        ("[controls]\nactivity_pin = 22\n", "session.activity_button: expected an activity and"),
        ('[session]\nactivity_button = "reading"\n', "found only one of them"),
        (
            '[session]\nactivity_button = "reading"\n[controls]\nactivity_pin = 17\n',
            "controls.activity_pin: expected a different GPIO from the button's, found 17",
        ),
        (
            '[session]\nactivity_button = "reading"\n[controls]\nactivity_pin = 27\n',
            "controls.activity_pin: expected a different GPIO from the light's, found 27",
        ),
        ("[controls]\nactivity_pin = 28\n", "controls.activity_pin: expected 0 to 27, found 28"),
    ],
)
def test_what_cannot_work_is_refused_with_expected_and_found(
    tmp_path: Path, text: str, says: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        load(written(tmp_path, text), {})
    assert says in str(refused.value)


def test_activities_are_read_from_the_file_and_from_the_environment(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        '[session]\nactivity = "screen"\nactivity_button = "eating"\n'
        "[controls]\nactivity_pin = 22\n",
    )
    settings = load(file, {"BLINKLOG_AGENT_SESSION_ACTIVITY": "reading"})
    assert (settings.session.activity, settings.session.activity_button) == ("reading", "eating")
    assert settings.controls.activity_pin == 22
    assert AgentConfig().session.activity is None


def test_a_camera_that_hangs_is_given_up_before_the_watchdog_ends_the_process() -> None:
    """Else its session would not end as camera_fault, whatever is configured."""
    unit = Path(__file__).parents[2] / "deploy" / "systemd" / "blinklog-watch.service"
    watchdog_s = float(re.findall(r"^WatchdogSec=(\d+)$", unit.read_text(), re.MULTILINE)[0])
    longest_s = CameraConfig.__dataclass_fields__["timeout_s"].metadata["high"]
    giving_up_s = longest_s + GRACE_S + 2 * STOP_TIMEOUT_S  # cancelled, then stopped
    assert giving_up_s + LOOK_S < watchdog_s
    assert watchdog_s > FAULT_S


@pytest.mark.parametrize("name", ["watch", "sync"])
def test_a_service_that_takes_its_time_to_end_is_not_ended_by_the_watchdog(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit = Path(__file__).parents[2] / "deploy" / "systemd" / f"blinklog-{name}.service"
    bounds = re.findall(r"^(?:WatchdogSec|TimeoutStartSec)=(\d+)$", unit.read_text(), re.MULTILINE)
    assert min(map(float, bounds)) > services.FAULT_DELAY_S
    told: list[str] = []
    stopping = threading.Event()
    monkeypatch.setenv("NOTIFY_SOCKET", str(unit))
    monkeypatch.setattr(systemd, "watchdog", lambda: told.append("alive"))
    monkeypatch.setattr(stopping, "wait", lambda timeout: told.append("waits"))
    with pytest.raises(ControlsError), services._delayed_exit(stopping):
        raise ControlsError("no pin")
    assert told == ["alive", "waits"]


def test_a_variable_nobody_knows_is_refused() -> None:
    with pytest.raises(ConfigError, match="did you mean 'threads'"):
        load(None, {"BLINKLOG_AGENT_MODEL_THREAD": "2"})


def test_a_file_that_was_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be read"):
        load(tmp_path / "none.toml", {})


def test_a_secret_comes_from_its_file_or_from_systemds_credentials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert AgentConfig().api_token is None
    (tmp_path / "api-token").write_text("bld_1\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert AgentConfig().api_token == "bld_1"
    named = tmp_path / "named"
    named.write_text("bld_2\n")
    assert load(None, {"BLINKLOG_AGENT_SERVER_TOKEN_FILE": str(named)}).api_token == "bld_2"


def test_a_person_reads_the_secrets_where_systemd_reads_them(tmp_path: Path) -> None:
    file = written(tmp_path, "")
    assert load(file, {}).api_token is None
    (tmp_path / "api-token").write_text("bld_1\n")
    (tmp_path / "mqtt-password").write_text("secret\n")
    assert (load(file, {}).api_token, load(file, {}).mqtt_password) == ("bld_1", "secret")


def test_a_service_has_no_secrets_but_those_systemd_gave_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mqtt-password").write_text("secret\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    assert load(written(tmp_path, ""), {}).mqtt_password is None


def test_the_store_is_the_devices_own_where_there_is_a_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(config, "DEVICE_STATE", tmp_path / "device")
    assert AgentConfig().store_path == tmp_path / "state" / "blinklog" / "agent.sqlite3"
    (tmp_path / "device").mkdir()
    assert AgentConfig().store_path == tmp_path / "device" / "agent.sqlite3"
    monkeypatch.setenv("STATE_DIRECTORY", f"{tmp_path / 'one'}:{tmp_path / 'two'}")
    assert AgentConfig().store_path == tmp_path / "one" / "agent.sqlite3"
    named = load(None, {"BLINKLOG_AGENT_STORE_PATH": str(tmp_path / "named.sqlite3")})
    assert named.store_path == tmp_path / "named.sqlite3"


def test_a_secret_that_cannot_be_read_is_said_without_being_shown(tmp_path: Path) -> None:
    loaded = load(None, {"BLINKLOG_AGENT_SERVER_TOKEN_FILE": str(tmp_path / "none")})
    with pytest.raises(ConfigError, match="the secret can't be read"):
        _ = loaded.api_token


def test_every_key_is_in_the_docs() -> None:
    text = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
    for section, key, default, about in config.settings():
        shown = "-" if default is None else str(default).lower()
        assert f"| `{section}.{key}` | `{shown}` | {about} |" in text
