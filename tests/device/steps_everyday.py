"""An ordinary day: set up, made somebody's, pressed, measured, and the light that answers."""

import json
import os
import shlex
import subprocess
import sys
from typing import Any

import yaml

from tests.device import host
from tests.device.scene import CONFIG, PATIENCE_S, READY, Scene
from tests.device.sockets import DeviceError
from tests.e2e.installation import ROOT

INSTALL_S = 1800
REPLAY_S = 900
MEASURED_S = 6.0
SECRETS = ["api-token", "mqtt-password"]
# What another processor's arithmetic may make of it, in the document's own units.
CLOSE = {
    **dict.fromkeys(("ear_mean", "ear_open", "ear_open_left", "ear_open_right"), 0.002),
    **dict.fromkeys(("blink_closure_left_median", "blink_closure_right_median"), 0.01),
    **dict.fromkeys(("perclos", "looking_down"), 0.01),
    **dict.fromkeys(("longest_closure_s", "inter_blink_interval_median_s"), 0.01),
    **dict.fromkeys(("blink_duration_median_ms", "blink_duration_p90_ms"), 3),
}


def install(scene: Scene) -> str:
    """The real installer, from the wheel house alone: the device has no way to the internet.

    As a card does that installs by itself: by the commands of `deploy/image/user-data`, which
    cloud-init runs on a Pi.
    """
    machine, house = scene.machine, scene.folder / "blinklog-device.tar"
    host.run("tar", "--create", "--file", house, "-C", scene.payload, "first")
    machine.put({f"/boot/firmware/{house.name}": house})
    house.unlink()
    machine.boot()
    machine.run("mount -o ro /dev/vdb /mnt")
    # What a person with this hardware would configure: a film as camera, and where the pins are.
    machine.run(f"mkdir -p /srv /etc/blinklog && cp /mnt/*.avi /srv && cp /mnt/agent.toml {CONFIG}")
    said = ""
    for command in yaml.safe_load((ROOT / "deploy/image/user-data").read_text())["runcmd"]:
        said += machine.run(f"BLINKLOG_START_S=300 {shlex.join(command)}", INSTALL_S)
    (scene.folder / "install.log").write_text(said)
    machine.until(READY, "blinklog-watch is ready", PATIENCE_S)
    machine.run(f"rm /boot/firmware/{house.name}")
    version = scene.agent("--version").strip()
    machine.shut_down()
    return version


def boot_to_ready(scene: Scene) -> str:
    """A cold start, after being switched off in order."""
    seconds = scene.boot()
    return f"takes commands after {seconds:.0f} s"


def enrol(scene: Scene) -> str:
    """The code becomes an identity at server and broker; the device is seen as connected."""
    code = scene.server.claim_code(scene.person, scene.label)
    how = "--insecure --mqtt-ca /mnt/ca.crt"  # no TLS for HTTP here, and a broker of a private CA
    scene.agent(f"enrol {scene.server.device_url} {code} {how}")
    scene.machine.until("systemctl is-active --quiet blinklog-sync", "sync runs", PATIENCE_S)
    ready = 'blink-agent status --json | grep \'"state": "ready"\''
    scene.machine.until(ready, "it looks for codes no more", PATIENCE_S)
    modes = scene.machine.run("stat -c '%a %U' /etc/blinklog/api-token /etc/blinklog/mqtt-password")
    expect(set(modes.split("\n")) - {""}, {"600 root"}, "the secrets' files")
    again = scene.machine.try_to(
        f"blink-agent enrol {scene.server.device_url} {code} {how} --again"
    )
    if again[0] == 0:
        raise DeviceError("the code worked twice")
    return "the code works once"


def press(scene: Scene) -> str:
    """A short press; the light changes and the session is under way at the server."""
    lever = scene.machine.lever
    session_id = scene.begin_by_button()
    answers = [each.at_s - lever.held_s for each in lever.light if each.at_s > lever.held_s]
    if not answers:
        raise DeviceError("the light did not answer")
    (scene.folder / "session").write_text(session_id)
    return f"light reacted after {1000 * answers[0]:.0f} ms"


def long_press(scene: Scene) -> str:
    """A long one; the final numbers are at the server, and equal to the device's own."""
    begun = scene.folder / "session"
    session_id = begun.read_text() if begun.exists() else scene.begin_by_button()
    scene.await_measured(session_id, MEASURED_S)
    session = scene.end_by_button(session_id)
    expect(session["ended_by"], "button", "who ended it")
    [kept] = [each for each in scene.kept() if each["session_id"] == session_id]
    for name, measured in kept["metrics"].items():
        expect(session[name], measured, name)
    return f"{kept['metrics']['duration_s']} s, {kept['metrics']['frames']} frames"


def same_blinks(scene: Scene) -> str:
    """A recording, measured there and here; delivered from there."""
    secrets = [f"-p LoadCredential={each}:/etc/blinklog/{each}" for each in SECRETS]
    user = "-p User=blinklog -p StateDirectory=blinklog"
    service = f"systemd-run --quiet --wait --pipe {user} {' '.join(secrets)}"
    command = f"{service} blink-agent replay /mnt/face.mkv --json --deliver 2>/run/replay.log"
    told = scene.machine.run(f"{command} || {{ cat /run/replay.log; exit 1; }}", REPLAY_S)
    there = json.loads(told)
    here = _replayed_here(scene)
    expect(there["frames"], here["frames"], "frames")
    blinks = [
        (each["first_frame"], each["last_frame"], each["complete"]) for each in here["blinks"]
    ]
    found = [
        (each["first_frame"], each["last_frame"], each["complete"]) for each in there["blinks"]
    ]
    expect(found, blinks, "the blinks")
    worst = _compared(there["document"]["metrics"], here["document"]["metrics"])
    scene.await_state(there["document"]["session_id"], "ended")
    delivered = scene.server.session(there["document"]["session_id"])
    expect(delivered["blinks"], there["document"]["blinks"], "the blinks in the history")
    return f"{len(blinks)} blinks in {here['frames']} frames; EAR differs by {worst:.5f}"


def _replayed_here(scene: Scene) -> dict[str, Any]:
    command = [
        sys.executable,
        "-m",
        "agent.cli.main",
        "replay",
        str(scene.payload / "face.mkv"),
        "--json",
    ]
    environment = {**os.environ, "BLINKLOG_CONFIG": os.devnull}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, timeout=300, check=True
    )
    return dict(json.loads(done.stdout))


def _compared(there: dict[str, Any], here: dict[str, Any]) -> float:
    for name, value in here.items():
        if name not in CLOSE:
            expect(there[name], value, name)
        elif there[name] != value and not _close(there[name], value, CLOSE[name]):
            raise DeviceError(f"{name}: expected {value}, found {there[name]}")
    return float(abs(there["ear_mean"] - here["ear_mean"]))


def _close(found: float | None, wanted: float | None, apart: float) -> bool:
    return found is not None and wanted is not None and abs(found - wanted) <= apart


def expect(found: Any, wanted: Any, what: str) -> None:
    """Raises DeviceError where they differ."""
    if found != wanted:
        raise DeviceError(f"{what}: expected {wanted!r}, found {found!r}")
