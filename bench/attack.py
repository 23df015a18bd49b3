"""Attack a throw-away installation over HTTP, as people and strangers could; print what held.

    python -m bench.attack

The installation is in a temporary folder, and all requests go to 127.0.0.1. It trusts one proxy, so
that `X-Forwarded-For` can name the networks that the attacks come from. Exits with 1 if an attack
succeeded.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT / "tests" / "golden" / "started.json"
PASSWORD = "a long enough pass phrase"
PEOPLE = ("anna", "carl", "otto", "zoe")
START_S, ANSWER_S = 120.0, 60.0
MOST_DEVICES = 20  # of a person, unless the server is configured otherwise
MB = 1024 * 1024


@dataclass(slots=True)
class Target:
    """A running installation, and the credentials of its people and Anna's device."""

    url: str
    device: str = ""
    tokens: dict[str, str] = field(default_factory=dict)

    def ask(
        self, method: str, path: str, token: str = "", network: str = "", **options: Any
    ) -> requests.Response:
        """Send a request from a network."""
        headers = {"X-Forwarded-For": network or "127.0.0.1"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return requests.request(
            method, self.url + path, headers=headers, timeout=ANSWER_S, **options
        )

    def at_once(self, count: int, attempt: Callable[[int], requests.Response]) -> list[int]:
        """Make `count` attempts at the same time; return their statuses."""
        with ThreadPoolExecutor(count) as pool:
            return [answer.status_code for answer in pool.map(attempt, range(count))]


Attack = Callable[[Target], str | None]


def dripping_posts(target: Target) -> str | None:
    """Twelve POSTs that drip do not silence the server"""
    host, port = target.url.removeprefix("http://").split(":")
    head = f"POST /api/auth/token/ HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1000\r\n\r\n{{"
    with ExitStack() as stack:
        for _ in range(12):
            client = stack.enter_context(socket.create_connection((host, int(port)), 10))
            client.sendall(head.encode())
        time.sleep(1)
        begun_s = time.perf_counter()
        target.ask("GET", "/healthz")
        took_s = time.perf_counter() - begun_s
    return f"an answer took {took_s:.1f} s" if took_s > 5 else None


def passwords_at_once(target: Target) -> str | None:
    """Of forty wrong passwords at the same moment, at most ten are checked"""
    body = {"username": "otto", "password": "wrong"}
    statuses = target.at_once(
        40, lambda _: target.ask("POST", "/api/auth/token/", network="192.0.2.1", json=body)
    )
    checked = statuses.count(401)
    return f"{checked} were checked" if checked > 10 else None


def images_of_links(target: Target) -> str | None:
    """Links to wrong codes, opened as images, lock no visitor out"""
    for number in range(25):
        target.ask("GET", f"/join/WRONG{number}/", network="192.0.2.2")
    answer = target.ask("POST", "/api/device/claim/", network="192.0.2.2", json={"code": "WRONG"})
    return "the visitor is locked out" if answer.status_code == 429 else None


def codes_of_many_networks(target: Target) -> str | None:
    """Wrong codes of 52 networks lock nobody else out"""

    def claim(code: str, network: str) -> int:
        body = {"code": code}
        return target.ask("POST", "/api/device/claim/", network=network, json=body).status_code

    for number in range(52):
        for attempt in range(20):
            claim(f"X{number}Y{attempt}", f"198.51.100.{number}")
    return "everybody is locked out" if claim("OTHER", "203.0.113.9") == 429 else None


def a_locked_name(target: Target) -> str | None:
    """Strangers who try a name do not lock out the browser that its person uses"""
    browser = requests.Session()
    browser.headers.update({"X-Forwarded-For": "192.0.2.3"})

    def log_in(client: requests.Session, password: str, network: str) -> int:
        page = client.get(f"{target.url}/login/", timeout=ANSWER_S).text
        token = page.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
        form = {"username": "zoe", "password": password, "csrfmiddlewaretoken": token}
        headers = {"X-Forwarded-For": network, "Referer": f"{target.url}/login/"}
        return client.post(
            f"{target.url}/login/", form, headers=headers, timeout=ANSWER_S, allow_redirects=False
        ).status_code

    log_in(browser, PASSWORD, "192.0.2.3")
    del browser.cookies["blinklog_session"]
    body = {"username": "zoe", "password": "wrong"}
    for number in range(110):
        network = f"198.51.100.{100 + number // 9}"
        target.ask("POST", "/api/auth/token/", network=network, json=body)
    for _ in range(10):  # of the person's own network too
        target.ask("POST", "/api/auth/token/", network="192.0.2.3", json=body)
    status = log_in(browser, PASSWORD, "192.0.2.3")
    return f"the right password got {status}" if status != 302 else None


def hundreds_of_sessions(target: Target) -> str | None:
    """Nobody starts 300 sessions in a few seconds"""
    statuses = [
        target.ask("POST", "/api/session/start/", target.tokens["carl"], json={}).status_code
        for _ in range(300)
    ]
    return None if 429 in statuses else f"{statuses.count(201)} were started"


def more_than_the_quota(target: Target) -> str | None:
    """A device stores no more than its quota"""
    document = json.loads(GOLDEN.read_text()) | {"padding": "x" * (MB - 4096)}
    stored = 0
    while stored < 100:
        body = document | {"session_id": str(uuid.uuid4())}
        answer = target.ask("POST", "/api/session/start/", target.device, json=body)
        stored += answer.status_code == 201
        if answer.status_code == 429 and answer.json()["code"] == "quota_reached":
            return None if "outcome" not in answer.json() else "the device is told to give up"
        time.sleep(float(answer.headers.get("Retry-After", 0)))  # its rate limit
    return f"{stored} MB were stored"


def dozens_of_devices(target: Target) -> str | None:
    """A person can't have more than 20 devices"""
    made = 0
    for number in range(25):
        code = target.ask(
            "POST", "/api/device/claim-codes/", target.tokens["otto"], json={"label": f"D{number}"}
        ).json()
        if "code" in code:
            body = {"code": code["code"], "agent_version": "0"}
            made += target.ask("POST", "/api/device/claim/", json=body).status_code == 201
    return f"{made} were added" if made > MOST_DEVICES else None


def a_last_revision(target: Target) -> str | None:
    """A device can't shut out later revisions with the highest number"""
    document = json.loads(GOLDEN.read_text()) | {"session_id": str(uuid.uuid4())}
    path = f"/api/session/{document['session_id']}/"
    body = document | {"revision": 2147483647}
    answer = target.ask("PUT", path, target.tokens["other device"], json=body)
    return "revision 2147483647 was stored" if answer.status_code in (200, 201) else None


ATTACKS: tuple[Attack, ...] = (
    dripping_posts,
    passwords_at_once,
    images_of_links,
    codes_of_many_networks,
    a_locked_name,
    hundreds_of_sessions,
    a_last_revision,
    more_than_the_quota,
    dozens_of_devices,
)


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
    target = Target(f"http://127.0.0.1:{port}")
    for person, name in (("anna", "device"), ("carl", "other device")):
        made = run("create-device", "--person", person, "--name", "Attacked", "--json")
        target.tokens[name] = json.loads(made)["token"]
    target.device = target.tokens["device"]
    log = (folder / "log").open("wb")
    with log, subprocess.Popen(
        [*command, "serve", "--bind", f"127.0.0.1:{port}"],
        cwd=ROOT, env=environment, stdout=log, stderr=log,
    ) as server:  # fmt: skip
        try:
            _wait(target)
            for name in ("carl", "otto"):
                body = {"username": name, "password": PASSWORD}
                answer = target.ask("POST", "/api/auth/token/", json=body)
                target.tokens[name] = answer.json()["token"]
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


def main() -> int:
    """Run all attacks; return 1 if one succeeded."""
    argparse.ArgumentParser(prog="bench.attack", description=__doc__).parse_args()
    broken = 0
    with tempfile.TemporaryDirectory(prefix="blinklog-attack-") as folder, ExitStack() as stack:
        target = stack.enter_context(installation(Path(folder)))
        for attack in ATTACKS:
            problem = attack(target)
            broken += problem is not None
            words = (attack.__doc__ or "").strip()
            print(f"{'BROKEN' if problem else 'held':7} {words}{f': {problem}' if problem else ''}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
