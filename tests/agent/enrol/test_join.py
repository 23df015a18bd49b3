"""The root service: what becomes of each code, and that neither identity nor secret is lost."""

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from agent.enrol import wifi
from agent.enrol.codes import WifiCode, parse
from agent.enrol.join import has_default_route
from agent.enrol.wifi import TRIAL, WifiError
from tests.agent.enrol.box import CODE, DEVICE, identity
from tests.agent.enrol.network import AIR, PASSWORD, WIFI, Device, Network, device, network
from tests.agent.servers import Api

__all__ = ["device", "network"]
ROOT = Path(__file__).resolve().parents[3]


def server_code(api: Api, code: str = CODE) -> str:
    return f"blinklog:1;U:{api.url};C:{code}"


# The Wi-Fi


@pytest.mark.parametrize(
    "password", ["  two and two  ", "back\\\\slash", "semi;colon,#=[x]", '"quoted"']
)
def test_any_password_arrives_at_networkmanager(
    device: Device, network: Network, password: str
) -> None:
    network.air({"home": password})
    (device.boot / "blinklog.toml").write_text(f"[wifi]\nssid = 'home'\npassword = '{password}'\n")
    device.joining().run()
    assert len(network.joined()) == 1


def test_a_network_is_joined_and_known_from_then_on(device: Device, network: Network) -> None:
    assert device.show(WIFI).outcome == "joined"
    (profile,) = network.joined()
    assert "ssid=65;110;110;97;59;115;32;104;111;109;101;" in profile
    assert "psk=correct horse\\\\ battery" in profile
    assert not list(network.profiles.iterdir())


def test_the_password_is_in_no_command_line_and_no_answer(device: Device, network: Network) -> None:
    device.show(WIFI)
    assert "horse" not in network.calls()
    assert "horse" not in (device.answers / "answer.json").read_text()


def test_the_profile_is_root_s_alone_while_it_is_tried(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes: list[int] = []
    real = wifi._nmcli

    def look(*arguments: str, wait_s: float = 0.0) -> str:
        if (network.profiles / TRIAL).exists():
            modes.append(stat.S_IMODE((network.profiles / TRIAL).stat().st_mode))
        return real(*arguments, wait_s=wait_s)

    monkeypatch.setattr(wifi, "_nmcli", look)
    code = parse(WIFI)
    assert isinstance(code, WifiCode)
    wifi.join(code, network.profiles)
    assert set(modes) == {0o600}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("WIFI:S:Anna\\;s home;T:WPA;P:wrong password;;", "the password is wrong"),
        ("WIFI:S:elsewhere;T:WPA;P:12345678;;", "there is no such network in reach"),
        ("WIFI:S:work;T:WPA2-EAP;E:PEAP;;", "enterprise network"),
        ("U12 Hauptbahnhof", "neither of a Wi-Fi network nor of a Blinklog server"),
    ],
)
def test_what_can_t_be_joined_is_said_and_leaves_nothing_behind(
    device: Device, network: Network, text: str, why: str
) -> None:
    device.show(WIFI)
    before = network.joined()
    answer = device.show(text)
    assert answer.outcome == "failed"
    assert why in str(answer.problem)
    assert network.joined() == before
    assert not list(network.profiles.iterdir())


def test_a_new_password_takes_the_place_of_the_old_one(device: Device, network: Network) -> None:
    device.show(WIFI)
    device.show("WIFI:S:open;;")
    network.air(AIR | {"Anna;s home": "a new password"})
    assert device.show("WIFI:S:Anna\\;s home;T:WPA;P:a new password;;").outcome == "joined"
    assert sum("psk=" in each for each in network.joined()) == 1
    assert len(network.joined()) == 2


def test_networkmanager_missing_or_stopped_is_said(
    device: Device, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    (network.folder / "stopped").touch()
    assert "NetworkManager does not run" in str(device.show(WIFI).problem)
    (network.folder / "nmcli").unlink()
    monkeypatch.setenv("PATH", str(network.folder))
    assert "NetworkManager is not installed" in str(device.show(WIFI).problem)
    assert not list(network.profiles.iterdir())


def test_a_networkmanager_that_hangs_is_given_up(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    (network.folder / "nmcli").write_text("#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setattr(wifi, "CALL_S", 0.2)
    with pytest.raises(WifiError, match="does not answer"):
        wifi.join(WifiCode(b"home", "open"), network.profiles)
    assert not (network.profiles / TRIAL).exists()


# The server


def test_a_code_enrols_the_device_and_delivery_begins(device: Device, api: Api) -> None:
    assert device.show(server_code(api)).outcome == "enrolled"
    assert f'device = "{DEVICE}"' in device.config.read_text()
    assert device.enrolments == 1


def test_a_used_code_is_refused_and_the_first_device_keeps_it(device: Device, api: Api) -> None:
    device.show(server_code(api))
    before = device.config.read_text()
    answer = device.show(server_code(api))
    assert answer.outcome == "failed"
    assert "the server refuses the code" in str(answer.problem)
    assert device.config.read_text() == before
    assert device.enrolments == 1


def test_a_device_with_sessions_that_wait_is_not_taken_over(device: Device, api: Api) -> None:
    device.show(server_code(api))
    before = device.config.read_text()
    api.codes["ABCD2346"] = identity()
    device.unsent = 3
    answer = device.show(server_code(api, "ABCD2346"))
    assert answer.outcome == "failed"
    assert "3 sessions of the person this device belongs to now are not delivered" in str(
        answer.problem
    )
    assert device.config.read_text() == before
    assert "ABCD2346" in api.codes, "the code stays valid"
    device.unsent = 0
    assert device.show(server_code(api, "ABCD2346")).outcome == "enrolled"


def test_a_server_that_is_away_is_offline_only_without_a_route(device: Device) -> None:
    text = f"blinklog:1;U:http://127.0.0.1:9;C:{CODE}"
    answer = device.show(text)
    assert (answer.outcome, "Connection refused" in str(answer.problem)) == ("failed", True)
    device.route = False
    assert device.show(text).outcome == "offline"


def test_a_server_that_is_no_blinklog_is_said(device: Device, api: Api) -> None:
    api.next.append(lambda handler: handler.answer(404, {}))
    assert "there is no Blinklog server" in str(device.show(server_code(api)).problem)


def test_http_without_tls_is_refused(device: Device) -> None:
    answer = device.show(f"blinklog:1;U:http://blinklog.example.org;C:{CODE}")
    assert "expected https" in str(answer.problem)


def test_a_bug_is_an_answer_too(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.enrol.join.wifi.join", lambda *_: 1 / 0)
    assert device.show(WIFI).problem == "an error in Blinklog: ZeroDivisionError"


def test_the_request_is_gone_before_it_is_used(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[Path] = []
    monkeypatch.setattr(
        "agent.enrol.join.wifi.join", lambda *_: left.extend(device.requests.iterdir())
    )
    device.show(WIFI)
    assert left == []


def test_the_kernel_s_tables_say_whether_there_is_a_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    four, six = tmp_path / "route", tmp_path / "ipv6_route"
    monkeypatch.setattr("agent.enrol.join.ROUTES", four)
    monkeypatch.setattr("agent.enrol.join.ROUTES_6", six)
    assert not has_default_route()
    four.write_text("Iface\tDestination\tGateway\nwlan0\t0000A8C0\t00000000\n")
    assert not has_default_route()
    four.write_text("Iface\tDestination\tGateway\nwlan0\t00000000\t0101A8C0\n")
    assert has_default_route()
    four.unlink()
    six.write_text(f"{'0' * 32} 00 {'0' * 32} 00 {'0' * 32} ffffffff 1 0 00200200 lo\n")
    assert not has_default_route()
    six.write_text(f"{'0' * 32} 00 {'0' * 32} 00 fe80{'0' * 28} 64 1 0 00000003 wlan0\n")
    assert has_default_route()


# Killed at any line

LINES = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.agent.enrol.network import Device, Network
folder, left = Path(sys.argv[2]), int(sys.argv[3])
device = Device.__new__(Device)
device.__dict__ |= dict(
    folder=folder, boot=folder / "boot", requests=folder / "watch", answers=folder / "join",
    config=folder / "etc" / "agent.toml", unsent=0, enrolments=0, route=True,
)
device.network = Network.__new__(Network)
device.network.profiles = folder / "network" / "run"
joining = device.joining()
WATCHED = ("enrol/join.py", "enrol/wifi.py", "enrol/boot_file.py", "system/handover.py")

def step(frame, event, _):
    global left
    if not frame.f_code.co_filename.endswith(WATCHED):
        return None
    if event == "line":
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
    return step

sys.settrace(step)
joining.run()
sys.settrace(None)
print(left)
"""


def run_killed(device: Device, after: int) -> int | None:
    """Run the service and kill it before a line. Return how many lines were left, if it ended."""
    ran = subprocess.run(
        [sys.executable, "-c", LINES, str(ROOT), str(device.folder), str(after)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert ran.returncode in (0, -signal.SIGKILL), ran.stderr
    return int(ran.stdout.split()[-1]) if ran.returncode == 0 else None


@pytest.mark.slow
def test_a_secret_is_gone_after_a_kill_at_any_line_and_the_next_start(
    device: Device, network: Network
) -> None:
    """The password is where NetworkManager keeps it, if it was joined, and nowhere else.

    At every twentieth of the service's lines: each takes two processes.
    """
    device.watch.send(WIFI)
    lines = 100_000 - int(run_killed(device, 100_000) or 0)
    assert len(network.joined()) == 1
    for after in range(0, lines, max(1, lines // 20)):
        for each in (*network.disk.iterdir(), network.folder / "profiles.json"):
            each.unlink(missing_ok=True)
        device.watch.send(WIFI)
        assert run_killed(device, after) is None
        device.joining().run()  # systemd starts it again
        holding = [
            path
            for path, content in device.files().items()
            if PASSWORD.split("\\")[0].encode() in content
        ]
        assert all(path.parent == network.disk for path in holding), (after, holding)
        known = network.folder / "profiles.json"
        profiles = json.loads(known.read_text()) if known.exists() else {}
        assert all(each["saved"] for each in profiles.values()), after
