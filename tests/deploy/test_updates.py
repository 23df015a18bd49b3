"""An update from a server's page, on a machine with systemd: the real services, and the installer.

The tests are one story, in order: each begins where the one before ended.
"""

import json
import shutil
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from server.releases import packing
from tests.deploy.changes import BREAKS_INFERENCE, BREAKS_WATCH, QUICK
from tests.deploy.house import ROOT, another, wheel_house
from tests.deploy.machine import Machine, a_machine
from tests.deploy.test_device import BOTH, _prepare, release
from tests.releases import key_pair, signed

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.usefixtures("needs_machine"),
]

# What the device asks; `wanted.json` is the answer, and its reports go to `reports`.
SERVER = """
import http.server, json
from pathlib import Path
SHARE, PART = Path("/run/share"), 1 << 20

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        told = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/api/device/claim/":
            return self.answer(201, (SHARE / "identity.json").read_bytes())
        if self.path != "/api/device/release/":
            return self.answer(503, b"{}")
        with (SHARE / "reports").open("ab") as file:
            file.write(told + b"\\n")
        update, wanted = json.loads(told)["update"], json.loads((SHARE / "wanted.json").read_text())
        over = update and wanted and update["request"] == wanted["request"]
        if over and update["state"] in ("installed", "failed", "went_back"):
            wanted = None
        self.answer(200, json.dumps({"wanted": wanted}).encode())
    def do_GET(self):
        if not self.path.startswith("/api/device/release/"):
            return self.answer(503, b"{}")
        archive = SHARE / "offered.tar"
        size, first = archive.stat().st_size, int(self.headers["Range"][6:-1])
        with archive.open("rb") as file:
            file.seek(first)
            part = file.read(PART)
        self.answer(206, part, f"bytes {first}-{first + len(part) - 1}/{size}")
    def answer(self, status, body, range=None):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if range:
            self.send_header("Content-Range", range)
        self.end_headers()
        self.wfile.write(body)

server = http.server.ThreadingHTTPServer(("127.0.0.1", 8765), Handler)
server.serve_forever()
"""
LINKS = "readlink -e /opt/blinklog/current"
WAIT_S = 240


@pytest.fixture(scope="module")
def keys(stick: Path) -> tuple[Path, str]:
    return key_pair(stick)


@pytest.fixture(scope="module")
def device(stick: Path, keys: tuple[Path, str]) -> Iterator[Machine]:
    shutil.copytree(wheel_house("device"), stick / "first")
    identity = {
        "device": str(uuid.uuid4()), "token": "bld_0123456789", "label": "Kitchen",
        "release_key": keys[1],
    }  # fmt: skip
    (stick / "identity.json").write_text(json.dumps(identity))
    (stick / "wanted.json").write_text("null")
    (stick / "server.py").write_text(SERVER)
    with a_machine(stick) as made:
        _prepare(made, stick)
        made.run("/run/share/first/install.sh --no-camera-packages", **QUICK)
        serve(made)
        made.run("blink-agent enrol http://127.0.0.1:8765 ABCD2345")
        quick = "[Service]\\nEnvironment=BLINKLOG_SETTLE_S=1 PIP_NO_COMPILE=1\\n"
        drop_in = "/etc/systemd/system/blinklog-upgrade.service.d"
        made.run(f"mkdir {drop_in} && printf '{quick}' > {drop_in}/quick.conf")
        made.run("systemctl daemon-reload")
        yield made


def serve(device: Machine) -> None:
    device.begin(f"PYTHONPATH={ROOT} {sys.executable} /run/share/server.py")
    listens = "until (: < /dev/tcp/127.0.0.1/8765) 2>/dev/null; do sleep 0.1; done"
    device.run(f"timeout 30 bash -c '{listens}'")


def offer(stick: Path, house: Path, private: Path, **changes: Any) -> str:
    """Puts a release on offer; the request's id."""
    archive = stick / "offered.tar"
    archive.unlink(missing_ok=True)
    packing.pack(house, archive)
    request = str(uuid.uuid4())
    wanted = {"request": request, "keys": [], **signed(archive, private, **changes)}
    (stick / "wanted.new").write_text(json.dumps(wanted))
    (stick / "wanted.new").replace(stick / "wanted.json")
    return request


def reports(stick: Path, request: str) -> list[dict[str, Any]]:
    lines = (stick / "reports").read_text().splitlines()
    updates = [json.loads(line)["update"] for line in lines]
    return [each for each in updates if each and each["request"] == request]


def until(device: Machine, request: str, state: str) -> None:
    """Waits until the device has reported the state. sync is restarted, so that it asks now."""
    device.run("systemctl restart blinklog-sync")
    said = f"grep {request} /run/share/reports | grep -c {state}"
    wait = f"timeout {WAIT_S} bash -c 'until [ $({said}) != 0 ]; do sleep 0.2; done'"
    done = device.run(wait, check=False, timeout_s=WAIT_S + 20)
    if done.returncode:
        log = "journalctl -b -n 80 --no-pager; cat /var/lib/blinklog-release/install.log"
        pytest.fail(device.run(f"tail -n 5 /run/share/reports; {log}", check=False).stdout)


def nothing_is_left(device: Machine) -> None:
    device.run("timeout 60 bash -c 'while ls /var/lib/blinklog/release/*.tar; do sleep 0.2; done'")
    device.run("test ! -e /var/lib/blinklog-release/work && test ! -e /opt/blinklog/unproven")


def test_the_key_is_pinned_where_only_root_writes(device: Machine, keys: tuple[Path, str]) -> None:
    assert device.run("cat /etc/blinklog/release-key.pem").stdout == keys[1]
    mode = device.run("stat -c '%U %a' /etc/blinklog/release-key.pem /etc/blinklog").stdout
    assert mode.split() == ["root", "644", "root", "755"]
    as_service = "setpriv --reuid blinklog --regid blinklog --init-groups"
    for attempt in ("rm -f", "truncate -s 0"):
        tried = device.run(f"{as_service} {attempt} /etc/blinklog/release-key.pem", check=False)
        assert tried.returncode != 0


def test_a_release_on_offer_is_installed_and_reported(
    device: Machine, stick: Path, keys: tuple[Path, str]
) -> None:
    house = another(stick / "first", stick / "second", "0.2.0", {})
    request = offer(stick, house, keys[0])
    until(device, request, "installed")
    assert release(device) == "0.2.0"
    device.run(f"timeout 60 bash -c 'until {BOTH} >/dev/null; do sleep 0.2; done'")
    nothing_is_left(device)
    states = [each["state"] for each in reports(stick, request)]
    assert "installing" in states


def test_a_release_of_another_key_changes_nothing(
    device: Machine, stick: Path, keys: tuple[Path, str]
) -> None:
    house = another(stick / "first", stick / "third", "0.3.0", {})
    other, _ = key_pair(stick, "other")
    request = offer(stick, house, other)
    until(device, request, "failed")
    assert reports(stick, request)[-1]["code"] == "signature"
    assert release(device) == "0.2.0"


def test_what_sync_hands_over_unsigned_is_not_installed_either(
    device: Machine, stick: Path
) -> None:
    """As somebody who has broken into sync could."""
    wanted = json.loads((stick / "wanted.json").read_text())
    sha256 = json.loads(wanted["manifest"])["sha256"]
    signature = {"text": wanted["manifest"], "signature": wanted["signature"]}
    told = {"id": "by-hand", "release": signature, "rotations": []}
    (stick / "request.json").write_text(json.dumps(told))
    inbox = "/var/lib/blinklog/release"
    as_service = "setpriv --reuid blinklog --regid blinklog --init-groups"
    (stick / "hand_over").write_text(
        f"mkdir -p {inbox} && cp /run/share/offered.tar {inbox}/{sha256}.tar"
        f" && cp /run/share/request.json {inbox}/request.json\n"
    )
    device.run("systemctl stop blinklog-sync")
    device.run(f"chmod a+rX /run/share; cd /; {as_service} bash /run/share/hand_over")
    outcome = "/var/lib/blinklog-release/outcome.json"
    wait = f"until grep -q 'by-hand' {outcome}; do sleep 0.1; done"
    device.run(f"timeout 60 bash -c '{wait}'")
    told = json.loads(device.run(f"cat {outcome}").stdout)
    assert (told["state"], told["code"]) == ("failed", "signature")
    assert release(device) == "0.2.0"
    device.run("systemctl start blinklog-sync")


def test_an_update_waits_for_the_session_that_is_being_measured(
    device: Machine, stick: Path, keys: tuple[Path, str]
) -> None:
    device.run("blink-agent start && sleep 1.5")
    request = offer(stick, stick / "third", keys[0])
    until(device, request, "waiting")
    assert '"state": "measuring"' in device.run("blink-agent status --json").stdout
    assert release(device) == "0.2.0"
    device.run("blink-agent stop && sleep 1.5")
    until(device, request, "installed")
    assert release(device) == "0.3.0"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("version", "changes", "state"),
    [
        ("0.4.0", {"agent/face/models.py": BREAKS_INFERENCE}, "failed"),
        ("0.5.0", {"agent/watch/loop.py": BREAKS_WATCH}, "went_back"),
    ],
    ids=["fails its self-test", "does not stand"],
)
def test_a_release_that_does_not_work_goes_back_by_itself(
    device: Machine,
    stick: Path,
    keys: tuple[Path, str],
    version: str,
    changes: dict[str, str],
    state: str,
) -> None:
    house = another(stick / "first", stick / version, version, changes)
    request = offer(stick, house, keys[0])
    until(device, request, state)
    assert version in reports(stick, request)[-1]["problem"]
    assert release(device) == "0.3.0"
    device.run(f"timeout 60 bash -c 'until {BOTH} >/dev/null; do sleep 0.2; done'")
    nothing_is_left(device)


@pytest.mark.slow
def test_a_power_cut_while_the_new_release_is_watched_goes_back_and_is_said(
    device: Machine, stick: Path, keys: tuple[Path, str]
) -> None:
    house = another(stick / "first", stick / "0.6.0", "0.6.0", {})
    slow = "/etc/systemd/system/blinklog-upgrade.service.d/quick.conf"
    device.run(f"sed -i s/SETTLE_S=1/SETTLE_S=60/ {slow} && systemctl daemon-reload")
    request = offer(stick, house, keys[0])
    device.run("systemctl restart blinklog-sync")
    switched = "until [ -e /opt/blinklog/unproven ]; do sleep 0.1; done; sleep 0.5"
    device.run(f"timeout {WAIT_S} bash -c '{switched}'", timeout_s=WAIT_S + 20)
    assert release(device) == "0.6.0"
    device.cut_power()
    device.boot()
    serve(device)
    assert release(device) == "0.3.0"
    until(device, request, "failed")
    assert reports(stick, request)[-1]["code"] == "interrupted"
    nothing_is_left(device)


@pytest.mark.slow
def test_a_root_service_that_is_killed_brings_it_to_an_end(
    device: Machine, stick: Path, keys: tuple[Path, str]
) -> None:
    drop_in = "/etc/systemd/system/blinklog-upgrade.service.d/quick.conf"
    device.run(f"sed -i s/SETTLE_S=60/SETTLE_S=10/ {drop_in} && systemctl daemon-reload")
    request = offer(stick, stick / "0.6.0", keys[0])
    device.run("systemctl restart blinklog-sync")
    begun = "until systemctl is-active blinklog-upgrade | grep -q activating; do sleep 0.1; done"
    device.run(f"timeout {WAIT_S} bash -c '{begun}'", timeout_s=WAIT_S + 20)
    device.run("systemctl kill --signal=KILL --kill-whom=main blinklog-release")
    until(device, request, "installed")
    assert release(device) == "0.6.0"
    nothing_is_left(device)


def test_uninstalling_leaves_nothing_of_it(device: Machine) -> None:
    device.run("/opt/blinklog/current/deploy/install.sh --uninstall --delete-data")
    places = "/etc/systemd/system /var/lib /etc"
    found = device.run(f"find {places} -name 'blinklog*' ! -name blinklog-test")
    assert found.stdout == ""
