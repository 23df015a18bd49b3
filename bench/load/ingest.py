"""Documents per second over MQTT and HTTP, compared with bulk inserts and the broker alone."""

import json
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.environments import ROOT
from tests.broker import Broker, free_port

DEVICES = 50
CONSUMERS = 2
GOLDEN = ROOT / "tests" / "golden" / "final.json"
MINUTES, BLINKS = 20, 300
"""Of a usual session."""
INSERTS = ("bulk", "insert")
WAYS = (*INSERTS, "raw", "mqtt", "http", "http_batch")
READY_S = 60.0
SESSIONS_BEFORE = 10_000
PACE_S = 0.1
"""Between two looks at the history, while documents come in."""

Worker = subprocess.Popen[str]


@dataclass
class Ingest:
    """Seconds of each round, by way; of each look at the history, in milliseconds."""

    documents: int
    size: int
    seconds: dict[str, list[float]] = field(default_factory=lambda: {way: [] for way in WAYS})
    idle_ms: list[float] = field(default_factory=list)
    busy_ms: list[float] = field(default_factory=list)

    def per_s(self, way: str) -> float:
        """Documents a second of the median round."""
        return self.documents / statistics.median(self.seconds[way])

    def as_json(self) -> dict[str, Any]:
        """For the table, and for a program to read."""
        return {
            "bytes": self.size,
            "per_s": {way: round(self.per_s(way), 1) for way in WAYS},
            "history_ms": {
                "idle": _spread(self.idle_ms),
                "under load": _spread(self.busy_ms),
            },
        }


def _spread(values: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(values, n=20)
    return {"median": round(statistics.median(values), 2), "p95": round(cuts[-1], 2)}


def ingest(environment: Mapping[str, str], folder: Path, rounds: int, documents: int) -> Ingest:
    """Every way in turn, `rounds` times; the first round warms up."""
    with ExitStack() as stack:
        broker = Broker(folder)
        stack.callback(broker.stop)
        broker.start()
        port = free_port()
        env = {**environment, "BLINKLOG_MQTT_URL": f"mqtt://127.0.0.1:{broker.port}"}
        people = _people(env)
        count = documents * (rounds + 1)
        files = {way: folder / f"{way}.jsonl" for way in WAYS}
        size = max(_write(files[way], people["devices"], count) for way in WAYS)
        for command in (["serve", "--bind", f"127.0.0.1:{port}"], *[["consume"]] * CONSUMERS):
            stack.enter_context(_running(["server.operations.cli", *command], env, folder))
        look = _Looker(port, people["reader"])
        look.wait()
        senders = {
            way: stack.enter_context(_worker(way, files[way], documents, broker.port, port, env))
            for way in WAYS
        }
        taken = Ingest(documents, size)
        for number in range(rounds + 1):
            for way, worker in senders.items():
                seconds, looks = _let_go(worker, look if way == "mqtt" else None)
                if number:
                    taken.seconds[way].append(seconds)
                    taken.busy_ms += looks
            taken.idle_ms += [look() for _ in range(10)] if number else []
        return taken


def _let_go(worker: Worker, look: "_Looker | None") -> tuple[float, list[float]]:
    """One share of documents: the seconds it took, and what each look at the history took."""
    assert worker.stdin is not None
    over = threading.Event()
    looks: list[float] = []

    def watch() -> None:
        while look is not None and (len(looks) < 2 or not over.is_set()):
            looks.append(look())
            over.wait(PACE_S)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        worker.stdin.write("go\n")
        worker.stdin.flush()
        return float(_line(worker)), looks
    finally:
        over.set()
        watcher.join()


class _Looker:
    """A caregiver who reads the newest page of the history. Milliseconds."""

    def __init__(self, port: int, token: str) -> None:
        address = f"http://127.0.0.1:{port}/api/session/history/?user=person-0"
        self._request = urllib.request.Request(
            address, headers={"Authorization": f"Bearer {token}"}
        )

    def __call__(self) -> float:
        began_s = time.perf_counter()
        with urllib.request.urlopen(self._request, timeout=READY_S) as answer:
            answer.read()
        return 1000 * (time.perf_counter() - began_s)

    def wait(self) -> None:
        """Until the server answers."""
        deadline = time.monotonic() + READY_S
        while True:
            try:
                self()
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)


SET_UP = """
import json, django; django.setup()
from django.core.management import call_command; call_command("migrate", verbosity=0)
from bench.load.rows import fill; from server.care.models import Person, PersonToken
from server.devices.models import Device, DeviceToken
reader = fill(%d); person = Person.objects.get(username="person-0")
made = [Device.objects.create(person=person, label=f"device {n}") for n in range(%d)]
devices = [{"device": str(each.pk), "token": DeviceToken.issue(each)} for each in made]
print(json.dumps({"reader": PersonToken.issue(reader), "devices": devices}))
"""


def _people(env: Mapping[str, str]) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", SET_UP % (SESSIONS_BEFORE, DEVICES)],
        cwd=ROOT,
        env={**env, "DJANGO_SETTINGS_MODULE": "server.config.settings"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return dict(json.loads(done.stdout))


def _write(path: Path, devices: list[dict[str, str]], count: int) -> int:
    """`count` documents of usual sessions, each its own; the bytes of one."""
    pattern = json.loads(GOLDEN.read_text())
    columns = {"at_s": 1.234, "duration_ms": 187, "amplitude": 0.712, "complete": True}
    minute = pattern["minutes"][0]
    pattern["minutes"] = [{**minute, "minute": number} for number in range(MINUTES)]
    pattern["blinks"] = {name: [value] * BLINKS for name, value in columns.items()}
    body = ""
    with path.open("w") as lines:
        for number in range(count):
            session_id = str(uuid.uuid4())
            body = json.dumps({**pattern, "session_id": session_id}, separators=(",", ":"))
            device = devices[number % len(devices)]
            print(json.dumps({**device, "session_id": session_id, "body": body}), file=lines)
    return len(body)


@contextmanager
def _running(command: list[str], env: Mapping[str, str], folder: Path) -> Iterator[Worker]:
    """A process of the product, for as long as the block lasts; its words go to a file."""
    with (folder / f"{command[1]}.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=ROOT,
            env=dict(env),
            stdout=log,
            stderr=log,
            text=True,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def _worker(
    way: str, file: Path, documents: int, broker: int, server: int, env: Mapping[str, str]
) -> Iterator[Worker]:
    if way in INSERTS:
        command = ["bench.load.bulk", way, str(file), str(documents)]
    else:
        port = server if way.startswith("http") else broker
        command = ["bench.load.senders", way, str(port), str(file), str(documents)]
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env=dict(env),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        _line(process)
        yield process
    finally:
        process.kill()
        process.communicate()


def _line(worker: Worker) -> str:
    assert worker.stdout is not None
    if line := worker.stdout.readline():
        return line
    raise RuntimeError("a worker ended early: see its output above")
