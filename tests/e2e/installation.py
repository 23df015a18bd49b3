"""A whole installation in a folder: a broker with TLS and identities, server, consumer, devices."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import requests

from agent.face import models
from tests.broker import free_port
from tests.server.secured import SecuredBroker

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 30.0
PASSWORD = "kettle-Biscuit-7-moss"


def until(ask: Callable[[], Any], what: str) -> Any:
    """The answer, once there is one; a test fails that waits in vain."""
    deadline = time.monotonic() + PATIENCE_S
    while not (answer := ask()):
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.05)
    return answer


class Installation:
    """Anna is measured, Carl cares for her; both look through `requests`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.broker = SecuredBroker(folder)
        self.url = f"http://127.0.0.1:{free_port()}"
        self._environment = {
            **{key: value for key, value in os.environ.items() if key != "DATABASE_URL"},
            "BLINKLOG_DATA_DIR": str(folder / "server"),
            "BLINKLOG_HTTPS": "0",
            "BLINKLOG_MODELS": str(models.default_cache()),
            **self.broker.environment(),
            "BLINKLOG_DEVICE_MQTT_URL": f"mqtts://{self.broker.host}:{self.broker.port}",
        }
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Everything but the devices."""
        password = str(self.file("password", PASSWORD))
        self._in_one_process(
            ["migrate", "--quiet"],
            ["create-person", "anna", "--password-file", password],
            ["create-person", "carl", "--password-file", password],
            ["link", "carl", "anna"],
            ["set-up-broker", str(self.folder / "dynamic-security.json")],
        )
        self.broker.start()
        self.process("server.operations.cli", "serve", "--bind", self.url[7:], "--workers", "1")
        self.process("server.operations.cli", "consume")
        until(self._is_ready, "the server is ready")
        login = {"username": "carl", "password": PASSWORD}
        self.token = self.post("/api/auth/token/", login).json()["token"]

    def stop(self) -> None:
        """All of it."""
        for process in self._processes:
            process.kill()
            process.wait()
        self.broker.stop()

    def server(self, *arguments: str) -> Any:
        """Runs a blink-server command; what it says, read as JSON where it is."""
        said = self._run("server.operations.cli", *arguments)
        assert said.returncode == 0, said.stderr
        return json.loads(said.stdout) if "--json" in arguments else said.stdout

    def _in_one_process(self, *commands: list[str]) -> None:
        """Several of blink-server's, as starting Python takes the time here."""
        code = (
            f"from server.operations.cli import main; assert not any(map(main, {list(commands)!r}))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def agent(self, config: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs a blink-agent command to its end."""
        return self._run("agent.cli.main", "--config", str(config), *arguments)

    def process(self, module: str, *arguments: str) -> None:
        """Starts what goes on until `stop`."""
        log = (self.folder / f"{module}-{len(self._processes)}.log").open("wb")
        with log:
            command = [sys.executable, "-m", module, *arguments]
            self._processes.append(
                subprocess.Popen(command, cwd=ROOT, env=self._environment, stdout=log, stderr=log)
            )

    def file(self, name: str, text: str) -> Path:
        """A secret's file."""
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(text)
        return path

    def configure(self, device: dict[str, str], video: Path | None = None) -> Path:
        """What a device with these credentials is told; without a password it has no broker."""
        name = device["device"][:8]
        lines = {
            "camera": {"source": "replay", "loop": True, "file": str(video)},
            "session": {"checkpoint_s": 1},
            "controls": {"pins": "mock"},
            "store": {"path": str(self.folder / f"{name}.sqlite3")},
            "server": {
                "url": self.url,
                "device": device["device"],
                "token_file": str(self.file(f"{name}.token", device["token"])),
            },
        }
        if password := device.get("mqtt_password"):
            lines["mqtt"] = {
                "host": self.broker.host,
                "port": self.broker.port,
                "ca_file": str(self.broker.ca_file),
                "password_file": str(self.file(f"{name}.password", password)),
            }
        text = "".join(
            f"[{section}]\n"
            + "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
            for section, keys in lines.items()
        )
        return self.file(f"{name}.toml", text)

    def get(self, path: str, **query: str) -> Any:
        """As Carl."""
        answer = requests.get(self.url + path, query, headers=self._headers(), timeout=20)
        answer.raise_for_status()
        return answer.json()

    def post(self, path: str, body: dict[str, Any]) -> requests.Response:
        """As Carl, once he has logged in."""
        return requests.post(self.url + path, json=body, headers=self._headers(), timeout=20)

    def history(self) -> list[dict[str, Any]]:
        """Anna's."""
        return list(self.get("/api/session/history/", user="anna")["results"])

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if hasattr(self, "token") else {}

    def _is_ready(self) -> bool:
        with contextlib.suppress(requests.ConnectionError):
            return requests.get(self.url + "/readyz", timeout=5).ok
        return False

    def _run(self, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


def toml(section: str, keys: dict[str, Any]) -> str:
    """One section; JSON writes texts, numbers and truths as TOML does."""
    return f"[{section}]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in keys.items())


@contextlib.contextmanager
def running_installation(folder: Path) -> Iterator[Installation]:
    """For as long as the block lasts."""
    made = Installation(folder)
    try:
        made.start()
        yield made
    finally:
        made.stop()


def grey_video(path: Path, seconds: int = 5, fps: int = 15) -> Path:
    """Nobody to see, and little to compute."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), fps, (160, 120))
    for _ in range(seconds * fps):
        writer.write(np.full((120, 160, 3), 127, np.uint8))
    writer.release()
    return path
