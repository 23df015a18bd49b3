"""A new device is held two codes before its camera, under a real systemd, and is somebody's.

Wi-Fi is a stand-in of NetworkManager's command; everything else is as on a device: the installer,
the units with their sandboxes, the camera's video, the claim.
"""

import json
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest

from tests.agent.camera.shown_codes import Held, picture
from tests.agent.enrol.network import STANDIN
from tests.deploy.changes import CONFIG, QUICK
from tests.deploy.house import wheel_house
from tests.deploy.machine import Machine, a_machine
from tests.deploy.test_device import INSTALL, ROOT

pytestmark = [
    pytest.mark.slow,  # a whole installation: two minutes
    pytest.mark.timeout(300),
    pytest.mark.usefixtures("needs_machine"),
]

PORT = 18765
WIFI = "WIFI:S:home;T:WPA;P:correct horse battery;;"
SERVER_CODE = f"blinklog:1;U:http://127.0.0.1:{PORT};C:ABCD2345"
SERVER = f"""
import time
from tests.agent.servers import TOKEN, Api, History
api = Api(History())
device = "0193a1b2-0000-7000-8000-000000000001"
api.codes["ABCD2345"] = {{"device": device, "token": TOKEN, "label": "Kitchen"}}
api._port = {PORT}
api.start()
time.sleep(600)
"""
NETWORK = "/run/NetworkManager/standin"


@pytest.fixture(scope="module")
def device(stick: Path) -> Iterator[Machine]:
    shutil.copytree(wheel_house("device"), stick / "first")
    (stick / "agent.toml").write_text(CONFIG.replace("face.avi", "phone.avi"))
    (stick / "server.py").write_text(SERVER)
    (stick / "networks.json").write_text(json.dumps({"home": "correct horse battery"}))
    shutil.copy(STANDIN, stick / "nmcli")
    film(stick / "phone.avi")
    with a_machine(stick) as made:
        made.run("cp /run/share/phone.avi /opt")
        made.run("install -D /run/share/agent.toml -t /etc/blinklog")
        made.run(
            f"mkdir -p {NETWORK}/disk && cp /run/share/nmcli /run/share/networks.json {NETWORK}"
        )
        made.run(f"ln -s {NETWORK}/nmcli /usr/local/bin/nmcli")
        made.begin(f"PYTHONPATH={ROOT} {sys.executable} /run/share/server.py")
        yield made


def film(path: Path) -> None:
    """A phone with the Wi-Fi's code, then with the server's, each a bit different all the time."""
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 5, (640, 480))
    for text in (WIFI, SERVER_CODE):
        for number in range(15):
            held = Held(side=230 + number, turn=number, tilt=0.15, blur=1.2, glare=80)
            video.write(cv2.cvtColor(picture(text, held), cv2.COLOR_GRAY2BGR))
    video.release()


def status(device: Machine) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = json.loads(device.run("blink-agent status --json").stdout)
    return found


def test_two_codes_make_a_new_device_somebody_s(device: Machine) -> None:
    device.run(INSTALL, **QUICK)
    device.run(
        "timeout 90 sh -c"
        " 'until grep -qs enrolled /run/blinklog-join/answer.json; do sleep 0.5; done'"
    )
    found = status(device)
    assert found["device"]["enrolled"] is True
    assert (found["setup"]["outcome"], found["setup"]["source"]) == ("enrolled", "camera")
    assert "ssid=104;111;109;101;" in device.run(f"cat {NETWORK}/disk/*").stdout
    assert device.run("stat -c '%a %U' /etc/blinklog/api-token").stdout.split() == ["600", "root"]
    said = device.run("journalctl --unit blinklog-watch --unit blinklog-join --output cat").stdout
    for step in ("a code was read: wifi", "a code was read: server", "codes: enrolled"):
        assert step in said


def test_the_secrets_are_nowhere_but_where_they_are_used(device: Machine) -> None:
    places = "/run/blinklog-watch /run/blinklog-join /etc/blinklog /var/lib/blinklog"
    places += " /run/NetworkManager/system-connections /var/log/journal /run/log/journal"
    look = f"grep -rlsE 'correct horse|ABCD2345' {places} || true"
    assert device.run(look).stdout == ""
    assert device.run("ls -A /run/blinklog-watch").stdout == ""
    modes = device.run("stat -c '%a %U' /run/blinklog-watch").stdout
    assert modes.split() == ["700", "blinklog"]


def test_sessions_begin_and_are_delivered_from_then_on(device: Machine) -> None:
    for _ in range(30):  # it says for 9 s that it is enrolled
        if status(device)["doing"]["state"] == "ready":
            break
        time.sleep(1)
    device.run("blink-agent start && sleep 2 && blink-agent stop && sleep 2")
    (session,) = json.loads(device.run("blink-agent sessions --json").stdout)
    assert session["state"] == "ended"


def test_a_file_on_the_boot_partition_is_taken_and_its_faults_are_said(device: Machine) -> None:
    device.run("mkdir -p /boot/firmware")
    device.run("printf '[wifi]\\nsid = \"home\"\\n' > /boot/firmware/blinklog.toml")
    device.run("systemctl start blinklog-join")
    setup = status(device)["setup"]
    assert (setup["source"], setup["outcome"]) == ("boot file", "failed")
    assert "unknown key 'sid' in [wifi]" in str(setup["problem"])
    assert "unknown key 'sid'" in device.run("journalctl --unit blinklog-join --output cat").stdout
    assert device.run("ls /boot/firmware").stdout == ""


def test_uninstalling_takes_the_service_along(device: Machine) -> None:
    device.run("/opt/blinklog/current/deploy/install.sh --uninstall --delete-data")
    assert device.run("pgrep -f '[b]in/blink-agent' || true").stdout == ""
    assert (
        device.run(
            "ls /etc/systemd/system /run | grep blinklog | grep -v blinklog-install || true"
        ).stdout
        == ""
    )
