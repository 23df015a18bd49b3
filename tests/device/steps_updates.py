"""Updates from the server's page: one that works, and bad ones. Nobody has a shell for it.

The device has been enrolled. The houses are those that the installers' steps use.
"""

import json
from pathlib import Path
from typing import Any

import requests

from server.releases import packing
from tests.device.installation import wait_for
from tests.device.payload import BROKEN, NEXT
from tests.device.scene import PATIENCE_S, READY, Scene
from tests.device.sockets import DeviceError
from tests.e2e.installation import PASSWORD
from tests.releases import key_pair, signed

UPDATE_S = 3600.0  # a download through the emulated network, and an installation
OVER = ("installed", "failed", "went_back")


def update(scene: Scene) -> str:
    """The operator offers the next release, the owner asks for it, the device installs it."""
    private = _trusted_key(scene)
    _offer(scene, "next", private)
    told = _ask(scene, NEXT)
    found = scene.agent("--version").strip()
    if told["state"] != "installed" or NEXT not in found:
        raise DeviceError(f"expected {NEXT} to be installed, found {told}, {found}")
    scene.machine.until(READY, "blinklog-watch is ready", PATIENCE_S)
    session = scene.end_by_button(scene.begin_by_button())
    if session["agent"]["version"] != NEXT:
        raise DeviceError(f"expected a session measured by {NEXT}, found {session['agent']}")
    return f"{found}, then a session"


def bad_updates(scene: Scene) -> str:
    """One that another key signed, and one that does not stand: the device is as it was."""
    private, before = _trusted_key(scene), scene.agent("--version")
    archive = _offer(scene, "broken", private)
    told = _ask(scene, BROKEN)
    _is_as_before(scene, before, told, "went_back")
    # A server that was broken into changes what was signed.
    other, _ = key_pair(scene.folder, "stolen")
    file = _shelf(scene) / f"blinklog-device-{BROKEN}-aarch64.json"
    forged = signed(archive, other, key=json.loads(json.loads(file.read_text())["manifest"])["key"])
    file.write_text(json.dumps(forged))
    told = _ask(scene, BROKEN)
    _is_as_before(scene, before, told, "failed")
    if told["code"] != "signature":
        raise DeviceError(f"expected a bad signature, found {told}")
    return f"{before.strip()} still runs"


def _is_as_before(scene: Scene, before: str, told: dict[str, Any], state: str) -> None:
    scene.machine.until(READY, "blinklog-watch is ready", PATIENCE_S)
    if told["state"] != state or scene.agent("--version") != before:
        raise DeviceError(f"expected {state} and {before}, found {told}")
    scene.machine.run(
        "! test -e /var/lib/blinklog-release/work && ! test -e /opt/blinklog/unproven"
    )
    scene.end_by_button(scene.begin_by_button())


def _trusted_key(scene: Scene) -> Path:
    """The operator's private key; the device trusts the public one."""
    private = scene.server.folder / "release-key"
    if not private.exists():
        scene.server.server("release", "key", "--make", str(private), "--json")
        scene.server.server("release", "key", "--trust", f"{private}.pub", "--json")
    told = scene.server.server("release", "key", "--json")
    scene.agent(f"release trust {told['fingerprint']}")
    return private


def _offer(scene: Scene, house: str, private: Path) -> Path:
    archive = scene.folder / f"{house}.tar"
    packing.pack(scene.payload / house, archive)
    scene.server.server("release", "add", str(archive), "--key", str(private), "--json")
    return archive


def _shelf(scene: Scene) -> Path:
    return scene.server.folder / "server" / "releases"


def _ask(scene: Scene, version: str) -> dict[str, Any]:
    """The owner presses the button on the page; how the update ended."""
    server = scene.server
    device = json.loads(scene.agent("status --json"))["device"]["id"]
    login = {"username": scene.person, "password": PASSWORD}
    token = requests.post(f"{server.url}/api/auth/token/", json=login, timeout=20).json()["token"]
    path, headers = (
        f"{server.url}/api/device/{device}/release/",
        {"Authorization": f"Bearer {token}"},
    )

    def software() -> dict[str, Any]:
        return dict(requests.get(path, headers=headers, timeout=20).json())

    def offered() -> Any:
        said = software()
        found = said["offered"]
        return found if said["key_trusted"] and found and found["version"] == version else None

    hurry = "systemctl restart blinklog-sync"  # instead of waiting for ten minutes
    scene.machine.run(hurry)
    sha256 = wait_for(offered, f"{version} is offered by a trusted key", PATIENCE_S)["sha256"]
    asked = requests.post(path, json={"sha256": sha256}, headers=headers, timeout=20)
    if asked.status_code != 200:
        raise DeviceError(f"expected to be heard, found {asked.text}")
    scene.machine.run(hurry)

    def over() -> Any:
        found = software()["update"]
        return found if found and found["state"] in OVER else None

    return dict(wait_for(over, f"{version} is over", UPDATE_S))
