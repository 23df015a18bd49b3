"""The way between a device and its server: commands, credentials that change, credentials that end.

Real processes of both sides, a real Mosquitto with TLS and the dynamic-security plugin.
"""

import contextlib
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from agent import __version__
from agent.face import models
from agent.store.store import Store
from tests.broker import needs_mosquitto
from tests.e2e.installation import PASSWORD, Installation, grey_video, running_installation, until

pytestmark = [pytest.mark.needs_broker, needs_mosquitto]
GOLDEN = Path(__file__).resolve().parent.parent / "golden"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    models.fetch(models.default_cache())
    with running_installation(tmp_path_factory.mktemp("way")) as running:
        yield running


@pytest.fixture
def device(installed: Installation) -> dict[str, str]:
    name = uuid.uuid4().hex
    made: dict[str, str] = installed.server(
        "create-device", "--person", "anna", "--name", name, "--json"
    )
    return made


def session_in(installed: Installation, session_id: str) -> dict[str, Any]:
    found = [each for each in installed.history() if each["id"] == session_id]
    return found[0] if found else {"state": "none"}


def told_of(installed: Installation, device: dict[str, str]) -> dict[str, Any]:
    """What its person is told of a device."""
    login = installed.post("/api/auth/token/", {"username": "anna", "password": PASSWORD}).json()
    answer = requests.get(
        f"{installed.url}/api/device/{device['device']}/",
        headers={"Authorization": f"Bearer {login['token']}"},
        timeout=20,
    )
    return dict(answer.json())


def test_a_caregiver_starts_and_stops_a_session_from_the_server(
    installed: Installation, device: dict[str, str]
) -> None:
    config = installed.configure(device, grey_video(installed.folder / "grey.avi"))
    installed.process("agent.cli.main", "--config", str(config), "watch")
    installed.process("agent.cli.main", "--config", str(config), "sync")
    with contextlib.closing(Store(installed.folder / f"{device['device'][:8]}.sqlite3")) as store:
        until(lambda: (store.noted("watch") or {}).get("state") == "ready", "watch is ready")

    def start() -> Any:
        answer = installed.post("/api/session/start/", {"device": device["device"]})
        return None if answer.status_code == 409 else answer

    started = until(start, "the device is connected")
    assert started.status_code == 202
    assert told_of(installed, device)["agent_version"] == __version__
    session_id = started.json()["session_id"]
    until(lambda: session_in(installed, session_id)["state"] == "active", "it is active")
    assert installed.get(started.headers["Location"])["outcome"] == "obeyed"

    stopped = installed.post(f"/api/session/{session_id}/end/", {})
    assert stopped.status_code == 202
    until(lambda: session_in(installed, session_id)["state"] == "ended", "it is over")
    assert installed.get(stopped.headers["Location"])["outcome"] == "obeyed"
    session = session_in(installed, session_id)
    assert session["ended_by"] == "command"
    assert session["duration_s"] > 0
    assert session["coverage"] == 0  # nobody was there
    assert (
        len([each for each in installed.history() if each["device"]["id"] == device["device"]]) == 1
    )


def keep(installed: Installation, device: dict[str, str]) -> str:
    """A session that waits on the device; its id."""
    document: dict[str, Any] = json.loads((GOLDEN / "final.json").read_text())
    document["session_id"] = str(uuid.uuid4())
    with contextlib.closing(Store(installed.folder / f"{device['device'][:8]}.sqlite3")) as store:
        store.put(document)
    return str(document["session_id"])


def pending(installed: Installation, config: Path) -> int:
    status = json.loads(installed.agent(config, "status", "--json").stdout)
    return int(status["sessions"]["pending"])


@pytest.mark.parametrize(
    "way", ["both ways", pytest.param("over HTTP alone", marks=pytest.mark.slow)]
)
def test_credentials_are_rotated_without_losing_a_session(
    installed: Installation, device: dict[str, str], way: str
) -> None:
    if way == "over HTTP alone":
        del device["mqtt_password"]
    config = installed.configure(device)
    kept = [keep(installed, device)]
    new = installed.server("rotate-token", device["device"], "--json")
    # The device does not know yet: the broker refuses it, its token of before goes on.
    assert installed.agent(config, "sync", "--once").returncode == 0
    installed.server("revoke-token", device["device"], "--prefix", device["token"])
    kept.append(keep(installed, device))
    assert installed.agent(config, "sync", "--once").returncode == 1
    assert pending(installed, config) == 1
    config = installed.configure({key: new[key] for key in device})
    assert installed.agent(config, "sync", "--once").returncode == 0
    assert {session_in(installed, each)["state"] for each in kept} == {"ended"}


def test_what_a_revoked_device_measured_waits_there(
    installed: Installation, device: dict[str, str]
) -> None:
    config = installed.configure(device)
    installed.server("revoke-device", device["device"])
    waiting = keep(installed, device)
    done = installed.agent(config, "sync", "--once")
    assert done.returncode == 1
    assert "refuses this device's token (401)" in done.stderr
    assert pending(installed, config) == 1
    assert session_in(installed, waiting)["state"] == "none"
