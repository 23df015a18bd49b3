"""`blink-agent doctor`: a check that hangs is a finding; a problem makes the exit status 1."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent.cli import main as cli
from agent.clock import Clock
from agent.errors import AgentError
from agent.health import check_system
from agent.health.doctor import Check, Finding, bad, examine, off, ok
from tests.agent.health.checks import DEVICE
from tests.agent.servers import TOKEN, Api

ROOT = Path(__file__).parents[3]


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


STUBBORN = """
import os, sys, time
from pathlib import Path
from agent.health.doctor import Check, examine

def never():
    Path(sys.argv[1]).write_text(str(os.getpid()))
    while True:
        time.sleep(60)

os.kill = lambda *_: None  # as where the kernel does not let go of it
(result,) = examine([Check("camera", 0.5, never, "so")])
print(result.finding.found)
"""


def test_a_check_that_can_not_even_be_killed_does_not_keep_the_command_from_ending(
    tmp_path: Path,
) -> None:
    child = tmp_path / "child"
    try:
        ran = subprocess.run(
            [sys.executable, "-c", STUBBORN, child],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
            cwd=ROOT,
        )
        assert (ran.returncode, ran.stdout) == (0, "no answer within 0.5 s\n"), ran.stderr
    finally:
        os.kill(int(child.read_text()), signal.SIGKILL)  # it was left behind


# A file system whose server takes requests and answers none: who waits for it can't be killed.
SILENT = """
import contextlib, ctypes, os, struct, subprocess, sys, threading
from pathlib import Path
folder = sys.argv[1]
fuse = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
options = f"fd={fuse},rootmode=40000,user_id=0,group_id=0".encode()
if ctypes.CDLL(None).mount(b"silent", folder.encode(), b"fuse", 0, options):
    sys.exit(77)

def serve():
    while True:
        _, operation, number = struct.unpack_from("IIQ", os.read(fuse, 1 << 20))
        if operation == 26:  # FUSE_INIT
            said = struct.pack("4I2H2I2H8I", 7, 31, 0, 0, 1, 1, 4096, 1, 1, 0, *[0] * 8)
            os.write(fuse, struct.pack("IiQ", 16 + len(said), 0, number) + said)

threading.Thread(target=serve, daemon=True).start()
command = [sys.executable, "-c", sys.argv[2], f"{folder}/pedal"]
print(subprocess.run(command, timeout=20, check=True, stdout=subprocess.PIPE, text=True).stdout)
for process in Path("/proc").glob("[0-9]*"):
    with contextlib.suppress(OSError):  # it has ended
        state = (process / "stat").read_text().rpartition(") ")[2][0]
        if state == "D" and folder in (process / "cmdline").read_text():
            print("left behind, not to be killed")
"""
LOOKS = """
import sys
from pathlib import Path
from agent.health.check_controls import input_button
from agent.health.doctor import Check, examine

(result,) = examine([Check("usb button", 0.5, lambda: input_button(Path(sys.argv[1])), "so")])
print(result.finding.found, result.finding.hint)
"""


def test_a_check_that_hangs_in_the_kernel_does_not_keep_the_command_from_ending(
    tmp_path: Path,
) -> None:
    if os.geteuid() or not os.access("/dev/fuse", os.W_OK):
        pytest.skip("a file system of its own needs root and /dev/fuse")
    command = ["unshare", "--mount", sys.executable, "-c", SILENT, str(tmp_path), LOOKS]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)
    if ran.returncode == 77 or "unshare" in ran.stderr:
        pytest.skip(f"a FUSE file system can't be mounted here: {ran.stderr}")
    assert ran.stdout.split("\n")[0] == "no answer within 0.5 s so", ran.stderr
    assert "left behind, not to be killed" in ran.stdout


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
        "camera": "ok", "model": "ok", "button": "off", "second button": "off", "light": "off",
        "usb button": "off", "store": "off", "disk": "ok", "clock": "ok", "credentials": "ok",
        "broker": "off", "server": "ok", "services": "off",
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
