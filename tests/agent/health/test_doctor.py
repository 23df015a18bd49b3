"""`blink-agent doctor`: every check with and without a problem, on real devices and servers."""

import contextlib
import fcntl
import json
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import cv2
import gpiozero
import numpy as np
import pytest
from gpiozero.pins.mock import MockFactory, MockPin

from agent import config
from agent.capture import ReplayCamera, UsbCamera
from agent.cli import doctor as cli_doctor
from agent.cli import main as cli
from agent.clock import Clock
from agent.config import AgentConfig, CameraConfig, ControlsConfig
from agent.errors import AgentError, ModelError
from agent.health import check_camera, check_controls, check_network, check_system
from agent.health.doctor import Check, Finding, bad, examine, looked, off, ok
from agent.store.store import Store
from agent.system import systemd
from agent.system.systemd import Unit
from scripts.portrait import Portrait, Schedule, write_video
from tests.agent.servers import TOKEN, Api, Handler, History, running_api, silent_port
from tests.broker import Broker, needs_mosquitto, running_broker

DEVICE = "0193a1b2-0000-7000-8000-000000000001"


def found(look: Callable[[], Finding]) -> Finding:
    """As the command sees it: an AgentError is a finding too."""
    return looked(Check("this", 10, look, "mend it"))


# Whatever becomes of a check


def test_a_check_that_hangs_crashes_or_breaks_is_a_finding_and_the_others_go_on() -> None:
    def hang() -> Finding:
        time.sleep(60)
        return ok("never")

    def crash() -> Finding:
        os.kill(os.getpid(), signal.SIGKILL)
        return ok("never")

    def leave() -> Finding:
        os._exit(3)

    def refuse() -> Finding:
        raise AgentError("expected this, found that")

    looks = [hang, crash, leave, refuse, lambda: 1 / 0, lambda: ok("well"), lambda: off("none")]
    checks = [Check(str(number), 0.3, look, "so") for number, look in enumerate(looks)]  # type: ignore[arg-type]
    results = [result.finding for result in examine(checks)]
    assert results[0] == bad("no answer within 0.3 s", "so")
    assert results[1] == Finding("broken", "the check itself died: SIGKILL", "so")
    assert results[2] == Finding("broken", "the check itself died: exit status 3", "so")
    assert results[3] == bad("expected this, found that", "so")
    assert results[4].state == "broken"
    assert "ZeroDivisionError" in results[4].found
    assert results[5:] == [ok("well"), off("none")]
    assert [each.needs_action for each in results] == [True] * 5 + [False] * 2


# The eyes


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("video") / "grey.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 15, (160, 120))
    for _ in range(15):
        writer.write(np.full((120, 160, 3), 127, np.uint8))
    writer.release()
    return path


def test_a_working_camera_is_ok(video: Path) -> None:
    wanted = CameraConfig(source="replay", file=video)
    finding = check_camera.camera(wanted, lambda: ReplayCamera(video), None)
    assert finding.state == "ok"
    assert "160x120, first frame after" in finding.found


@pytest.mark.parametrize(("code", "degrees"), [
    (cv2.ROTATE_180, 180), (cv2.ROTATE_90_CLOCKWISE, 270), (cv2.ROTATE_90_COUNTERCLOCKWISE, 90),
])  # fmt: skip
def test_an_upside_down_camera_is_reported_with_the_setting(
    tmp_path: Path, portrait: Portrait, new_tracker: Callable[[], Any], code: int, degrees: int
) -> None:
    path, picture = tmp_path / "turned.avi", cv2.rotate(portrait.frame(1.0), code)
    size = picture.shape[1], picture.shape[0]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 15, size)
    for _ in range(8):
        writer.write(picture)
    writer.release()
    wanted = CameraConfig(source="replay", file=path)
    finding = check_camera.camera(wanted, lambda: ReplayCamera(path), None, new_tracker)
    assert finding.state == "bad"
    assert finding.hint == f"set [camera] rotate to {degrees}"


def test_an_upright_face_and_an_empty_picture_are_both_ok(
    video: Path, tmp_path: Path, portrait: Portrait, new_tracker: Callable[[], Any]
) -> None:
    upright = tmp_path / "upright.avi"
    write_video(upright, portrait, Schedule(()), seconds=0.5)
    for path, said in ((upright, "a face in it, upright"), (video, "no face in it now")):
        wanted = CameraConfig(source="replay", file=path)
        finding = check_camera.camera(
            wanted, lambda path=path: ReplayCamera(path), None, new_tracker
        )
        assert finding.state == "ok"
        assert said in finding.found


def test_an_unavailable_camera_is_reported_with_a_hint(tmp_path: Path) -> None:
    wanted = CameraConfig(source="usb", device=str(tmp_path / "video0"))
    finding = check_camera.camera(wanted, lambda: UsbCamera(wanted.device, 640, 480, 30), None)
    assert finding.state == "bad"
    assert "can't be opened" in finding.found
    assert "plugged in" in str(finding.hint)


def test_a_camera_in_use_by_watch_is_not_opened() -> None:
    def never() -> Any:
        raise AssertionError("it would be taken from watch")

    finding = check_camera.camera(CameraConfig(), never, 1234)
    assert finding == ok("picamera2: in use by blink-agent watch (process 1234)")


def test_inference_is_timed_against_the_frame_rate(model_cache: Path) -> None:
    finding = check_camera.model(model_cache, 1, 15)
    assert finding.state == "ok"
    assert "the whole face takes" in finding.found
    assert "at 15 fps has 66.7 ms" in finding.found
    slow = check_camera.model(model_cache, 1, 100_000)
    assert slow.state == "bad"
    assert "set [camera] fps to" in str(slow.hint)


def test_missing_models_have_a_hint_to_fetch_them(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is missing"):
        check_camera.model(tmp_path, 1, 30)
    checks = {check.name: check for check in cli_doctor.checks(AgentConfig())}
    assert "models fetch" in checks["model"].hint


# The hands


class StuckPin(MockPin):  # type: ignore[misc]
    """Wired to ground for good."""

    def _set_pull(self, value: str) -> None:
        super()._set_pull(value)
        self.drive_low()


@pytest.fixture
def pins() -> Iterator[Callable[[Any], None]]:
    """Mock pins of a class, as what gpiozero finds on this machine."""
    before = gpiozero.Device.pin_factory

    def use(kind: Any) -> None:
        gpiozero.Device.pin_factory = MockFactory(pin_class=kind)

    yield use
    gpiozero.Device.pin_factory = before


def test_a_button_that_nobody_presses_is_open(pins: Callable[[Any], None]) -> None:
    pins(MockPin)
    assert check_controls.button(ControlsConfig(), None).state == "ok"
    pins(StuckPin)
    stuck = check_controls.button(ControlsConfig(), None)
    assert stuck.state == "bad"
    assert "reads as pressed" in stuck.found


def test_the_light_is_lit_briefly(pins: Callable[[Any], None]) -> None:
    pins(MockPin)
    assert "lit for 0.5 s" in check_controls.light(ControlsConfig(), None).found


def test_unavailable_pins_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpiozero.Device, "pin_factory", None)
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "none_such")
    for look in (check_controls.button, check_controls.light):
        finding = look(ControlsConfig(), None)
        assert finding.state == "bad"
        assert "is not available" in finding.found


def test_a_line_in_use_by_another_program_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_: object, **__: object) -> Any:
        raise RuntimeError("'GPIO busy'")  # as lgpio says it

    monkeypatch.setattr(gpiozero, "LED", busy)
    finding = check_controls.light(ControlsConfig(), None)
    assert "in use by another program" in finding.found


def test_pins_in_use_by_watch_or_not_configured_are_not_touched() -> None:
    for look in (check_controls.button, check_controls.light):
        assert "in use by blink-agent watch (process 7)" in look(ControlsConfig(), 7).found
        assert look(ControlsConfig(pins="none"), 7).state == "off"
        assert look(ControlsConfig(pins="mock"), None).state == "off"


def test_a_usb_button_is_there_and_has_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert check_controls.input_button(None).state == "off"
    assert "does not exist" in check_controls.input_button(tmp_path / "pedal").found
    assert "has no keys" in check_controls.input_button(Path("/dev/null")).found
    monkeypatch.setattr(fcntl, "ioctl", lambda *_: bytes(96))
    assert check_controls.input_button(Path("/dev/null")).state == "ok"


# What is kept


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Store]:
    with contextlib.closing(Store(path)) as store:
        yield store


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", "size=4m,mode=0755", "tmpfs", str(folder)]
    if subprocess.run(["mount", *options], capture_output=True, check=False).returncode:
        pytest.skip("a small disk can't be mounted without being root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_writable_store_is_ok(tmp_path: Path) -> None:
    path = tmp_path / "agent.sqlite3"
    absent = check_system.store(path, lambda: opened(path))
    assert absent.state == "off"
    assert list(tmp_path.iterdir()) == []
    with opened(path):
        pass
    finding = check_system.store(path, lambda: opened(path))
    assert finding.state == "ok"
    assert "sessions: 0, pending: 0, refused: 0" in finding.found


def test_a_store_of_a_newer_version_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "agent.sqlite3"
    with opened(path):
        pass
    with contextlib.closing(sqlite3.connect(path)) as newer:
        newer.execute("PRAGMA user_version = 99")
    finding = check_system.store(path, lambda: opened(path))
    assert finding.state == "bad"
    assert finding.hint == "install the version that wrote it, or a newer one"


def test_a_replaced_damaged_store_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "agent.sqlite3"
    path.write_bytes(b"no database" * 1000)
    finding = check_system.store(path, lambda: opened(path))
    assert "a damaged one was set aside: agent.damaged-" in finding.found


def test_small_full_and_read_only_disks_are_reported(small_disk: Path) -> None:
    path = small_disk / "agent.sqlite3"
    with opened(path):
        pass
    low = check_system.disk(path)
    assert low.state == "bad"
    assert "MB free" in low.found
    remount = ["mount", "-o", "remount,ro", str(small_disk)]
    subprocess.run(remount, check=True)
    for finding in (check_system.disk(path), check_system.store(path, lambda: opened(path))):
        assert finding.state == "bad"
        assert "ead-only" in finding.found
        assert "mmc" in str(finding.hint)


def test_a_disk_with_space_is_ok(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_system, "LOW_BYTES", 1)
    assert check_system.disk(tmp_path / "agent.sqlite3").state == "ok"


@dataclass(frozen=True, slots=True)
class FixedClock(Clock):
    """A clock that a test has set."""

    at: datetime
    sure: bool = True

    def now(self) -> datetime:
        return self.at

    def synchronized(self) -> bool:
        return self.sure


def test_a_clock_is_ok_if_synchronised_and_plausible() -> None:
    now = datetime.now(UTC)
    assert check_system.clock(FixedClock(now)).state == "ok"
    assert "not synchronised" in check_system.clock(FixedClock(now, sure=False)).found
    past = FixedClock(datetime(2000, 1, 1, tzinfo=UTC))
    assert "before this software was installed" in check_system.clock(past).found


# What is sent


def settings(tmp_path: Path, **variables: str) -> AgentConfig:
    """A configuration of its own, its secrets beside it."""
    file = tmp_path / "agent.toml"
    environ = {f"BLINKLOG_AGENT_{name}": text for name, text in variables.items()}
    return config.parse("", file, environ)


def enrolled(tmp_path: Path, url: str, token: str = TOKEN, **variables: str) -> AgentConfig:
    file = tmp_path / "api-token"
    file.touch(mode=0o600)
    file.write_text(token)
    return settings(tmp_path, SERVER_URL=url, SERVER_DEVICE=DEVICE, **variables)


@pytest.fixture
def api() -> Iterator[Api]:
    with running_api(History()) as running:
        yield running


def test_credentials_must_exist_and_be_private(tmp_path: Path) -> None:
    assert "not enrolled" in check_network.credentials(settings(tmp_path)).found
    here = enrolled(tmp_path, "https://here.test")
    assert check_network.credentials(here).state == "ok"
    (tmp_path / "api-token").chmod(0o644)
    assert check_network.credentials(here).hint == f"sudo chmod 600 {tmp_path / 'api-token'}"
    (tmp_path / "api-token").write_text("")
    assert "is empty" in check_network.credentials(here).found
    (tmp_path / "api-token").unlink()
    assert "is missing" in check_network.credentials(here).found


def test_a_broker_needs_its_password(tmp_path: Path) -> None:
    here = enrolled(tmp_path, "https://here.test", MQTT_HOST="broker.test")
    assert "mqtt-password is missing" in check_network.credentials(here).found


def test_a_server_that_accepts_the_token_is_ok(tmp_path: Path, api: Api) -> None:
    finding = check_network.server(enrolled(tmp_path, api.url))
    assert finding == ok(f"{api.url} accepts this device's token")
    assert api.requests == [("OPTIONS", "/api/session/start/")]
    assert api.history.said == []


def answers(status: int, **headers: str) -> Callable[[Handler], None]:
    return lambda handler: handler.answer(status, {}, headers)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (answers(401), "refuses this device's token (401)"),
        (answers(302, Location="https://login.test"), "redirects (302)"),
        (answers(404), "there is no Blinklog server at"),
        (answers(503), "answers 503"),
        (lambda handler: handler.answer(200, b"<h1>Log in</h1>"), "there is no Blinklog server"),
    ],
)
def test_a_server_problem_is_reported_with_a_hint(
    tmp_path: Path, api: Api, answer: Callable[[Handler], None], says: str
) -> None:
    api.next.append(answer)
    finding = check_network.server(enrolled(tmp_path, api.url))
    assert finding.state == "bad"
    assert says in finding.found
    assert finding.hint


def test_different_clocks_are_reported(
    tmp_path: Path, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead = datetime.now(UTC) + timedelta(hours=3)
    monkeypatch.setattr(Handler, "date_time_string", lambda *_: f"{ahead:%a, %d %b %Y %T} GMT")
    assert "s apart" in check_network.server(enrolled(tmp_path, api.url)).found


def test_an_invalid_date_is_ignored(
    tmp_path: Path, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    absurd = "Wed, 21 Oct 2015 07:28:00 +99999999999999999"
    monkeypatch.setattr(Handler, "date_time_string", lambda *_: absurd)
    assert check_network.server(enrolled(tmp_path, api.url)).state == "ok"


def test_an_unreachable_or_silent_server_is_reported(tmp_path: Path) -> None:
    nobody = check_network.server(enrolled(tmp_path, "http://127.0.0.1:9"))
    assert "Connection refused" in nobody.found
    with silent_port() as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        finding = check_network.server(enrolled(tmp_path, url, SERVER_TIMEOUT_S="1"))
    assert "did not answer in time" in finding.found
    assert check_network.server(settings(tmp_path)).state == "bad"


USERS = {DEVICE: "good", "blinklog-server": "server"}


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with running_broker(tmp_path_factory.mktemp("broker"), USERS) as running:
        yield running


def broker_check(tmp_path: Path, password: str, **variables: str) -> Finding:
    (tmp_path / "mqtt-password").write_text(password)
    here = enrolled(tmp_path, "https://here.test", MQTT_TLS="false", **variables)
    checks = {check.name: check for check in cli_doctor.network_checks(here)}
    return found(checks["broker"].look)


@pytest.mark.needs_broker
@needs_mosquitto
def test_a_broker_accepts_this_device_or_says_why_not(tmp_path: Path, broker: Broker) -> None:
    where = {"MQTT_HOST": broker.host, "MQTT_PORT": str(broker.port)}
    assert broker_check(tmp_path, "good", **where).state == "ok"
    refused = broker_check(tmp_path, "wrong", **where)
    assert refused.state == "bad"
    assert "Not authorized" in refused.found
    assert "enrol" in str(refused.hint)


def test_an_unreachable_broker_is_reported(tmp_path: Path) -> None:
    finding = broker_check(tmp_path, "good", MQTT_HOST="127.0.0.1", MQTT_PORT="9")
    assert finding.state == "bad"
    assert "can't be reached" in finding.found


def test_no_broker_is_no_problem(tmp_path: Path) -> None:
    assert check_network.broker(settings(tmp_path), []).state == "off"


# The services


WELL = Unit(systemd.SYNC, True, "active", "running", "enabled", 0, "success")


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        ({"loaded": False}, "install it"),
        ({"enabled": "disabled"}, "systemctl enable --now"),
        ({"active": "failed", "result": "watchdog"}, "systemctl restart"),
        ({"active": "activating"}, "systemctl restart"),
        ({"restarts": 11}, "keeps restarting"),
    ],
)
def test_a_service_problem_is_reported(change: Mapping[str, Any], hint: str) -> None:
    values = {name: getattr(WELL, name) for name in Unit.__slots__}
    finding = check_system.services([WELL, Unit(**{**values, **change})])
    assert finding.state == "bad"
    assert hint in str(finding.hint)


def test_running_services_are_ok_and_a_missing_systemd_is_off() -> None:
    assert check_system.services([WELL]).state == "ok"
    assert check_system.services(None).state == "off"


@pytest.fixture
def systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """What systemctl does here."""

    def does(script: str) -> None:
        program = tmp_path / "systemctl"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(systemd, "SYSTEMD", tmp_path)
    return does


def test_systemd_is_asked_for_both_services(systemctl: Callable[[str], None]) -> None:
    systemctl(
        "printf 'Result=watchdog\\nNRestarts=3\\nLoadState=loaded\\nActiveState=active\\n'\n"
        "printf 'SubState=running\\nUnitFileState=enabled\\n'"
    )
    watch, sync = systemd.units() or []
    assert (watch.name, sync.name) == (systemd.WATCH, systemd.SYNC)
    assert watch.text() == "active (running), enabled, 3 restarts, ended by watchdog"


@pytest.mark.parametrize(
    ("script", "says"),
    [("exec sleep 60", "did not answer within 0.2 s"), ("echo no >&2; exit 1", "failed: no")],
)
def test_a_systemd_that_does_not_answer_is_a_finding(
    systemctl: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, script: str, says: str
) -> None:
    monkeypatch.setattr(systemd, "SHOW_S", 0.2)
    systemctl(script)
    finding = found(lambda: check_system.services(systemd.units()))
    assert finding.state == "bad"
    assert says in finding.found


# The command


def test_the_exit_status_is_0_without_problems_and_1_otherwise(
    tmp_path: Path,
    api: Api,
    video: Path,
    model_cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(Clock, "synchronized", lambda _: True)
    monkeypatch.setattr(check_system, "LOW_BYTES", 1)
    file = tmp_path / "agent.toml"
    file.write_text(
        f'[camera]\nsource = "replay"\nfile = "{video}"\nfps = 15\n[controls]\npins = "none"\n'
        f'[server]\nurl = "{api.url}"\ndevice = "{DEVICE}"\n'
        f'[store]\npath = "{tmp_path / "agent.sqlite3"}"\n[model]\ncache = "{model_cache}"\n'
    )
    (tmp_path / "api-token").touch(mode=0o600)
    (tmp_path / "api-token").write_text(TOKEN)
    assert cli.main(["--config", str(file), "doctor", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    states = {each["check"]: each["state"] for each in report["checks"]}
    assert report["ok"] is True
    assert states.pop("settings") == "ok"
    assert states == {
        "camera": "ok", "model": "ok", "button": "off", "light": "off", "usb button": "off",
        "store": "off", "disk": "ok", "clock": "ok", "credentials": "ok", "broker": "off",
        "server": "ok", "services": "off",
    }  # fmt: skip

    file.write_text(file.read_text().replace("fps = 15", "fsp = 15"))
    assert cli.main(["--config", str(file), "doctor", "--json"]) == 1
    (only,) = json.loads(capsys.readouterr().out)["checks"]
    assert (only["check"], only["state"]) == ("settings", "bad")
    assert "did you mean 'fps'?" in only["found"]

    file.write_text(file.read_text().replace("fsp = 15", "fps = 15"))
    (tmp_path / "api-token").write_text("revoked")
    assert cli.main(["--config", str(file), "doctor"]) == 1
    said = capsys.readouterr().out
    assert "BAD    server       " in said
    assert "enrol URL CODE --again" in said
    assert "ok     camera" in said
