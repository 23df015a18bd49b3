"""What strangers, and anybody who floods the server, can try."""

import socket
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from bench.attack.target import WORKERS, Attack, Browser, Target, document

MOST_DEVICES = 20  # of a person, unless the server is configured otherwise
MB = 1024 * 1024


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
    browser = Browser(target, "192.0.2.3")
    browser.log_in("zoe")
    del browser.session.cookies["blinklog_session"]
    body = {"username": "zoe", "password": "wrong"}
    for number in range(110):
        network = f"198.51.100.{100 + number // 9}"
        target.ask("POST", "/api/auth/token/", network=network, json=body)
    for _ in range(10):  # of the person's own network too
        target.ask("POST", "/api/auth/token/", network="192.0.2.3", json=body)
    status = browser.log_in("zoe")
    return f"the right password got {status}" if status != 302 else None


def hundreds_of_sessions(target: Target) -> str | None:
    """Nobody starts 500 sessions at once: each process lets through two a second after 120"""
    token, begun_s = target.token_of("carl"), time.perf_counter()

    def start(_: int) -> int:
        return target.ask("POST", "/api/session/start/", token, json={}).status_code

    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(start, range(500)))
    most = WORKERS * (121 + 2 * (time.perf_counter() - begun_s))
    started = statuses.count(201)
    return f"{started} were started" if started > most else None


def more_than_the_quota(target: Target) -> str | None:
    """A device stores no more than its quota"""
    large = document("started", padding="x" * (MB - 4096))
    stored = 0
    while stored < 100:
        body = large | {"session_id": str(uuid.uuid4())}
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
            "POST",
            "/api/device/claim-codes/",
            target.token_of("otto"),
            json={"label": f"D{number}"},
        ).json()
        if "code" in code:
            body = {"code": code["code"], "agent_version": "0"}
            made += target.ask("POST", "/api/device/claim/", json=body).status_code == 201
    return f"{made} were added" if made > MOST_DEVICES else None


def a_last_revision(target: Target) -> str | None:
    """A device can't shut out later revisions with the highest number"""
    session_id = str(uuid.uuid4())
    path = f"/api/session/{session_id}/"
    body = document("started", session_id=session_id, revision=2147483647)
    answer = target.ask("PUT", path, target.tokens["other device"], json=body)
    return "revision 2147483647 was stored" if answer.status_code in (200, 201) else None


OUTSIDERS: tuple[Attack, ...] = (
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
