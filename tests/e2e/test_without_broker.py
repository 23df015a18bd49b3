"""Starting and stopping from the server where there is no broker: real processes of both sides."""

import contextlib
import sqlite3
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from agent.face import models
from agent.store.store import Store
from tests.broker import free_port
from tests.e2e.installation import PASSWORD, Installation, grey_video, until

SOON_S = 12.0  # "within a few seconds", on a machine that does other things too


class WithoutBroker(Installation):
    """Server and devices, and nobody at the broker's address."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._environment |= {
            "BLINKLOG_MQTT_URL": f"mqtt://127.0.0.1:{free_port()}",
            "BLINKLOG_MQTT_ADMIN_URL": "",
            "BLINKLOG_DEVICE_MQTT_URL": "",
        }

    def start(self) -> None:
        password = str(self.file("password", PASSWORD))
        self._in_one_process(
            ["migrate", "--quiet"],
            ["create-person", "anna", "--password-file", password],
            ["create-person", "carl", "--password-file", password],
            ["link", "carl", "anna"],
        )
        self.serve()
        login = {"username": "carl", "password": PASSWORD}
        self.token = self.post("/api/auth/token/", login).json()["token"]

    def serve(self) -> None:
        """`blink-server serve`; a test may end it and start it again."""
        self.process("server.operations.cli", "serve", "--bind", self.url[7:], "--workers", "1")
        self.serving = self._processes[-1]
        until(self._is_ready, "the server is ready")

    def online(self, device: dict[str, str]) -> bool | None:
        """Whether the page says that it is connected."""
        (found,) = (
            each
            for each in self.get("/api/device/", user="anna")["results"]
            if each["id"] == device["device"]
        )
        return found["online"]  # type: ignore[no-any-return]


@pytest.fixture
def installed(tmp_path: Path) -> Iterator[WithoutBroker]:
    models.fetch(models.default_cache())
    made = WithoutBroker(tmp_path)
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture
def device(installed: WithoutBroker) -> dict[str, str]:
    made = installed.server("create-device", "--person", "anna", "--name", "Kitchen", "--json")
    return {key: made[key] for key in ("device", "token")}


def session_in(installed: Installation, session_id: str) -> dict[str, Any]:
    found = [each for each in installed.history() if each["id"] == session_id]
    return found[0] if found else {"state": "none"}


def start(installed: WithoutBroker, device: dict[str, str]) -> requests.Response:
    return installed.post("/api/session/start/", {"device": device["device"]})


def test_a_session_is_started_and_stopped_from_the_page_over_http(
    installed: WithoutBroker, device: dict[str, str]
) -> None:
    """Also after the server was away for a while."""
    assert installed.online(device) is None
    assert start(installed, device).status_code == 503
    config = installed.configure(device, grey_video(installed.folder / "grey.avi"))
    installed.process("agent.cli.main", "--config", str(config), "watch")
    installed.process("agent.cli.main", "--config", str(config), "sync")
    with contextlib.closing(Store(installed.folder / f"{device['device'][:8]}.sqlite3")) as store:
        until(lambda: (store.noted("watch") or {}).get("state") == "ready", "watch is ready")
    until(lambda: installed.online(device), "the page says that it is connected")

    asked_s = time.monotonic()
    started = start(installed, device)
    assert started.status_code == 202
    session_id = started.json()["session_id"]
    until(lambda: session_in(installed, session_id)["state"] == "active", "it is active")
    assert time.monotonic() - asked_s < SOON_S
    assert installed.get(started.headers["Location"])["outcome"] == "obeyed"

    asked_s = time.monotonic()
    assert installed.post(f"/api/session/{session_id}/end/", {}).status_code == 202
    until(lambda: session_in(installed, session_id)["state"] == "ended", "it is over")
    assert time.monotonic() - asked_s < SOON_S
    assert session_in(installed, session_id)["ended_by"] == "command"

    installed.serving.terminate()
    installed.serving.wait(30)
    time.sleep(3)  # it is asked in vain, with a pause that grows
    installed.serve()
    again = until(lambda: _accepted(start(installed, device)), "it is connected again")
    until(lambda: session_in(installed, again.json()["session_id"])["state"] == "active", "again")
    assert len(installed.history()) == 2, "each command was obeyed once"


def _accepted(answer: requests.Response) -> requests.Response | None:
    return answer if answer.status_code == 202 else None


@pytest.mark.slow
def test_a_command_that_nobody_took_in_time_is_not_obeyed_later(
    installed: WithoutBroker, device: dict[str, str]
) -> None:
    """`sync` has brought it, and `watch` is started when it has expired."""
    config = installed.configure(device)
    installed.process("agent.cli.main", "--config", str(config), "sync")
    until(lambda: installed.online(device), "the page says that it is connected")
    started = start(installed, device)
    path = installed.folder / f"{device['device'][:8]}.sqlite3"

    def arrived() -> int:
        with contextlib.closing(sqlite3.connect(path)) as raw:
            count: int = raw.execute("SELECT count(*) FROM commands").fetchone()[0]
            return count

    until(arrived, "the command arrives")
    with contextlib.closing(Store(path)) as store:
        command = store.next_command()
        assert command is not None
        assert uuid.UUID(command["session_id"]) == uuid.UUID(started.json()["session_id"])
        time.sleep(31)
        assert store.take_command() is None
    assert arrived() == 1
    assert installed.get(started.headers["Location"])["outcome"] == "expired"
