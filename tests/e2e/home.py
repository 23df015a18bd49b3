"""A real server over a seeded database, and a real browser; each ends with its `with` block."""

import contextlib
import fcntl
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
# It phones nobody of its own accord; root has no sandbox, and containers have little shared memory.
FLAGS = (
    "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run", "--disable-default-apps", "--disable-dev-shm-usage",
    *(["--no-sandbox"] if os.geteuid() == 0 else []),
)  # fmt: skip
START_S = 40
SEEDS: Path | None = None
"""Where what was seeded is kept for the next server of this run; None: it is seeded each time."""
SEEDS_LAST_S = 240.0
"""The session that is under way would be an old one later."""


@dataclass(frozen=True)
class Home:
    """Where the server is, what was seeded, and the devices' tokens and ids by person.

    With `environment` a command reaches the same database.
    """

    url: str
    tokens: dict[str, str]
    sessions: dict[str, list[str]]
    devices: dict[str, str]
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def mail(self) -> Path:
        """The folder of the e-mails that were sent."""
        return Path(self.environment["BLINKLOG_DATA_DIR"]) / "mail"


@contextmanager
def serving(mail: bool = False) -> Iterator[Home]:
    """`blink-server serve` on a free port, over an SQLite of its own.

    With `mail`, it sends e-mail into the folder `Home.mail`.
    """
    with tempfile.TemporaryDirectory(prefix="blinklog-e2e-") as folder:
        environment = _environment(folder, mail)
        seeded = _seeded(Path(folder), environment)
        port = _free_port()
        if mail:  # links in e-mails lead here
            environment["BLINKLOG_URL"] = f"http://127.0.0.1:{port}"
        command = [
            sys.executable,
            "-m",
            "server.operations.cli",
            "serve",
            "--bind",
            f"127.0.0.1:{port}",
        ]
        log = Path(folder) / "serve.log"
        with log.open("wb") as output:
            server = subprocess.Popen(
                [*command, "--workers", "1"],
                cwd=ROOT,
                env=environment,
                stdout=output,
                stderr=output,
            )
        try:
            url = f"http://127.0.0.1:{port}"
            _wait(server, url, log)
            yield Home(url, environment=environment, **seeded)
        finally:
            _end(server)


@contextmanager
def browsing() -> Iterator[Browser]:
    """Debian's Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


def _seeded(folder: Path, environment: dict[str, str]) -> dict[str, Any]:
    """Fill the database in `folder`, by a copy if this run has made one lately; what is in it."""
    if SEEDS is None:
        return _seed(environment)
    SEEDS.mkdir(parents=True, exist_ok=True)
    database, told = SEEDS / "database", SEEDS / "told.json"
    with (SEEDS / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not told.exists() or time.time() - told.stat().st_mtime > SEEDS_LAST_S:
            shutil.rmtree(database, ignore_errors=True)
            database.mkdir()
            found = _seed({**environment, "BLINKLOG_DATA_DIR": str(database)})
            told.write_text(json.dumps(found))
        shutil.copytree(database, folder, dirs_exist_ok=True)
        _heard_just_now(folder / "blinklog.sqlite3")
        return dict(json.loads(told.read_text()))


def _heard_just_now(database: Path) -> None:
    """The session that is under way and the devices were heard of as this server starts."""
    now = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S.%f}"
    with contextlib.closing(sqlite3.connect(database)) as db, db:
        active = "UPDATE session_data_sessiondata SET updated_at = ? WHERE state = 'active'"
        assert db.execute(active, (now,)).rowcount == 1
        db.execute("UPDATE devices_device SET last_seen_at = ? WHERE online", (now,))


def _seed(environment: dict[str, str]) -> dict[str, Any]:
    return dict(json.loads(_run([sys.executable, "-m", "tests.e2e.seed"], environment)))


def _environment(folder: str, mail: bool) -> dict[str, str]:
    own = ("DATABASE_URL", "BLINKLOG_", "DJANGO_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    return kept | {
        "BLINKLOG_DATA_DIR": folder,
        "BLINKLOG_EMAIL_URL": f"file://{folder}/mail" if mail else "",
        "BLINKLOG_SIGN_UP": "open",
        "BLINKLOG_SECRET_KEY": "for the length of a test",
        "BLINKLOG_MQTT_URL": "mqtt://127.0.0.1:1",  # nobody is there
        "DJANGO_SETTINGS_MODULE": "server.config.settings",
    }


def _run(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_python(home: Home, *arguments: str) -> str:
    """Run Python over the database of that server, and return what it prints."""
    return _run([sys.executable, *arguments], home.environment)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _wait(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until and server.poll() is None:
        try:
            with urlopen(f"{url}/healthz", timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"the server did not start:\n{log.read_text()}")


def _end(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(20)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def device_says(home: Home, name: str, document: dict[str, Any]) -> None:
    """Send one document as that person's device does: over HTTP, with its token."""
    import requests

    answer = requests.put(
        f"{home.url}/api/session/{document['session_id']}/",
        json=document,
        headers={"Authorization": f"Bearer {home.tokens[name]}"},
        timeout=20,
    )
    assert (answer.status_code, answer.json()["outcome"]) in {(200, "stored"), (201, "stored")}
