"""A throw-away installation on this machine, and who attacks it.

All requests go to 127.0.0.1. The installation trusts one proxy, so that `X-Forwarded-For` can name
the networks that the attacks come from.
"""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"
PASSWORD = "a long enough pass phrase"
# Anna is measured. Carl sees all of hers, Hana the past alone; Irma administers their home. Otto
# and Zoe are strangers, and Ella is let in later.
PEOPLE = ("anna", "carl", "ella", "hana", "irma", "otto", "zoe")
SITE = "https://blinklog.example.org"
START_S, ANSWER_S = 120.0, 60.0
WORKERS = 2
BESIDE_S = 5.0  # for what the server does beside an answer


@dataclass(slots=True)
class Target:
    """A running installation, and the credentials of its people and two devices.

    `device` is the token of Anna's device, and `device_id` its id; Otto has the other one. `mails`
    is the folder with the e-mails that the server has sent. `run` runs `blink-server`.
    """

    url: str
    device: str = ""
    device_id: str = ""
    tokens: dict[str, str] = field(default_factory=dict)
    mails: Path = Path()
    run: Callable[..., str] = lambda *_: ""

    def ask(
        self, method: str, path: str, token: str = "", network: str = "", **options: Any
    ) -> requests.Response:
        """Send a request from a network."""
        headers = {"X-Forwarded-For": network or "127.0.0.1", **options.pop("headers", {})}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return requests.request(
            method, self.url + path, headers=headers, timeout=ANSWER_S, **options
        )

    def at_once(self, count: int, attempt: Callable[[int], requests.Response]) -> list[int]:
        """Make `count` attempts at the same time; return their statuses."""
        with ThreadPoolExecutor(count) as pool:
            return [answer.status_code for answer in pool.map(attempt, range(count))]

    def soon(self, happened: Callable[[], bool]) -> bool:
        """Return whether something happens within `BESIDE_S`."""
        until_s = time.monotonic() + BESIDE_S
        while not (done := happened()) and time.monotonic() < until_s:
            time.sleep(0.1)
        return done

    def token_of(self, name: str) -> str:
        """Return the person's API token, asking for one the first time."""
        if name not in self.tokens:
            body = {"username": name, "password": PASSWORD}
            self.tokens[name] = self.ask("POST", "/api/auth/token/", json=body).json()["token"]
        return self.tokens[name]


class Browser:
    """A browser, with its cookies."""

    def __init__(self, target: Target, network: str = "127.0.0.1") -> None:
        self._url = target.url
        self.session = requests.Session()
        self.session.headers.update({"X-Forwarded-For": network})

    def get(self, path: str) -> requests.Response:
        """Open a page."""
        return self.session.get(self._url + path, timeout=ANSWER_S)

    def post(self, path: str, form: dict[str, str], page: str = "", **headers: str) -> Any:
        """Submit the form of a page, which is at the same path unless given."""
        text = self.get(page or path).text
        token = text.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
        return self.session.post(
            self._url + path,
            {**form, "csrfmiddlewaretoken": token},
            headers={"Referer": self._url + path, **headers},
            timeout=ANSWER_S,
            allow_redirects=False,
        )

    def log_in(self, name: str, password: str = PASSWORD, **headers: str) -> int:
        """Log in; return the status, which is 302 if it succeeded."""
        form = {"username": name, "password": password}
        return int(self.post("/login/", form, **headers).status_code)


Attack = Callable[[Target], str | None]
"""Attacks; returns what succeeded, or `None` if the installation held."""


def document(name: str, **changes: Any) -> dict[str, Any]:
    """Return a golden document, changed."""
    found: dict[str, Any] = json.loads((GOLDEN / f"{name}.json").read_text())
    return found | changes


@contextmanager
def installation(folder: Path) -> Iterator[Target]:
    """Install and start a server in `folder`; stop it afterwards."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {
        **{name: value for name, value in os.environ.items() if name != "DATABASE_URL"},
        "BLINKLOG_DATA_DIR": str(folder),
        "BLINKLOG_TRUSTED_PROXIES": "1",
        "BLINKLOG_HTTPS": "0",
        "BLINKLOG_URL": SITE,
        "BLINKLOG_EMAIL_URL": f"file://{folder / 'mails'}",
    }
    command = [sys.executable, "-m", "server.operations.cli"]

    def run(*arguments: str) -> str:
        return subprocess.run(
            [*command, *arguments], cwd=ROOT, env=environment, text=True, check=True,
            input=PASSWORD + "\n", stdout=subprocess.PIPE,
        ).stdout  # fmt: skip

    run("migrate", "--quiet")
    for name in PEOPLE:
        run("create-person", name, "--password-stdin")
    run("link", "carl", "anna")
    run("link", "hana", "anna", "--may", "history")
    run("institution", "Home", "--admin", "irma", "--member", "anna", "carl")
    target = Target(f"http://127.0.0.1:{port}", mails=folder / "mails", run=run)
    for person, name in (("anna", "device"), ("otto", "other device")):
        made = run("create-device", "--person", person, "--name", "=1+1", "--json")
        target.tokens[name] = json.loads(made)["token"]
        target.device_id = target.device_id or json.loads(made)["device"]
    target.device = target.tokens["device"]
    log = (folder / "log").open("wb")
    with log, subprocess.Popen(
        [*command, "serve", "--bind", f"127.0.0.1:{port}", "--workers", str(WORKERS)],
        cwd=ROOT, env=environment, stdout=log, stderr=log,
    ) as server:  # fmt: skip
        try:
            _wait(target)
            yield target
        finally:
            server.terminate()


def _wait(target: Target) -> None:
    deadline_s = time.monotonic() + START_S
    while True:
        try:
            target.ask("GET", "/healthz")
        except requests.RequestException:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.2)
        else:
            return
