"""Months of use in short: many sessions, delivered to a server that comes and goes.

    python -m bench.months [--sessions N] [--json]

Runs the real `watch` and `sync`, with mock pins, a looping portrait as the camera, and over TLS a
real Mosquitto and a server that answers. The button is pressed for hundreds of sessions, each as
short as possible. Of every ten, one finds no broker and goes over HTTP, and two find neither broker
nor server and wait. The connections of both services thus open and close as often as in months.
"""

import argparse
import contextlib
import json
import os
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from agent.store.store import Store
from bench.soak import Sample, press, sample
from scripts.demo import toml
from scripts.portrait import demo_schedule, load_portrait, write_video
from tests.agent import servers
from tests.broker import Broker, needs_mosquitto

SESSIONS = 300  # ten minutes
SESSION_S = 1.0  # what comes once a session is to come often
KEEP = 40  # sessions that the device keeps: 1,000 would never be reached
FPS, VIDEO_S = 15.0, 4.0
PRESS_S, LONG_PRESS_S = 0.2, 0.5
PAUSE_S = 0.2  # a release that is shorter passes for a contact that bounces
PRESSES = 10
WAIT_S = 120.0  # delays between two tries grow with each that failed

OUTAGE_EVERY = 10
BROKER_AWAY = 3  # of ten sessions, counted from 0
BOTH_AWAY = (6, 7)

WARM = 10
"""Sessions after which what is made once has been made."""

YEAR = 4 * 365
"""Sessions of a year, four a day."""

GROWTH_LIMIT_MB = 10.0
"""Of a process in a year: 7 KB a session. A picture, or a document of a usual session kept by
mistake, is more; buffers that still find their size are less."""

DATABASE_LIMIT = 64 << 10
"""Bytes that the second half may add: rows differ in length, and fill pages unevenly. Fifty of
these short sessions would fill it."""

WAL_LIMIT = 5 << 20
"""Bytes: 4 MB stay for the next ones, and a transaction is a few pages."""

LOG_LIMIT = 1000
"""Bytes that both services say of a session, outages included: an error each quarter of a second
would be more within seconds."""


@dataclass(frozen=True, slots=True)
class Idle:
    """All that is looked at after a session was delivered. `session` counts from 1.

    `database`, `wal`: bytes. `rows`: sessions in the store. `files`: beside it. `logged`: bytes
    since the beginning, by both services.
    """

    session: int
    watch: Sample
    sync: Sample
    database: int
    wal: int
    rows: int
    files: int
    logged: int


@dataclass(frozen=True, slots=True)
class Service:
    """One process between sessions; MB of 1024 KB, as `top` shows them.

    `warm_mb` is after `WARM` sessions. Growth is that of the second half of all sessions, by a
    straight line.
    """

    warm_mb: float
    last_mb: float
    kb_per_session: float
    mb_per_year: float
    threads_grown: int
    files_grown: int


@dataclass(frozen=True, slots=True)
class Report:
    """What was found. Sizes in bytes; `database_grown` in the second half of the sessions.

    `logged`: of a session with nothing wrong. `logged_mean`: of all, outages included.
    """

    sessions: int
    minutes: float
    watch: Service
    sync: Service
    rows: int
    database: int
    database_grown: int
    wal: int
    files: int
    files_grown: int
    logged: float
    logged_mean: float

    def failures(self) -> list[str]:
        """Which promises were not kept."""
        undelivered = 1 + len(BOTH_AWAY)  # when sessions were deleted for the last time
        found = {
            "rows of delivered sessions stay": self.rows > KEEP + undelivered,
            "the database grows": self.database_grown > DATABASE_LIMIT,
            "the WAL grows": self.wal > WAL_LIMIT,
            "files grow": self.files_grown > 0,
            "much is logged": self.logged_mean > LOG_LIMIT,
        }
        for name, service in (("watch", self.watch), ("sync", self.sync)):
            found[f"memory of {name} grows"] = service.mb_per_year > GROWTH_LIMIT_MB
            found[f"threads of {name} grow"] = service.threads_grown > 0
            found[f"open files of {name} grow"] = service.files_grown > 0
        return [what for what, broken in found.items() if broken]


def report(found: Sequence[Idle], seconds: float) -> Report:
    """What the samples say, at least two in each half."""
    half, last = found[len(found) // 2], found[-1]
    steps = [
        after.logged - before.logged
        for before, after in pairwise(found)
        if after.session % OUTAGE_EVERY in (2, 3)  # before the first outage, and long after
    ]
    return Report(
        sessions=last.session,
        minutes=seconds / 60,
        watch=_service([each.session for each in found], [each.watch for each in found]),
        sync=_service([each.session for each in found], [each.sync for each in found]),
        rows=max(each.rows for each in found),
        database=last.database,
        database_grown=last.database - half.database,
        wal=max(each.wal for each in found),
        files=last.files,
        files_grown=last.files - half.files,
        logged=statistics.median(steps),
        logged_mean=last.logged / last.session,
    )


def _service(sessions: Sequence[int], samples: Sequence[Sample]) -> Service:
    half = len(samples) // 2
    kb = [1024 * each.rss_mb for each in samples]
    slope = statistics.linear_regression(sessions[half:], kb[half:]).slope
    return Service(
        warm_mb=samples[min(WARM, half)].rss_mb,
        last_mb=samples[-1].rss_mb,
        kb_per_session=slope,
        mb_per_year=slope * YEAR / 1024,
        threads_grown=_grown([each.threads for each in samples]),
        files_grown=_grown([each.files for each in samples]),
    )


def _grown(counts: Sequence[int]) -> int:
    """Whether there were always more at the end than ever in the first half."""
    return min(counts[-OUTAGE_EVERY:]) - max(counts[: len(counts) // 2])


class Device:
    """The two services, and all that they talk to, in `folder`."""

    def __init__(self, folder: Path, on: contextlib.ExitStack) -> None:
        self._state = folder / "state"
        self._state.mkdir()
        pair = servers.certificate(folder)
        history = servers.History()
        self._broker = Broker(folder, None, *pair)
        self._broker.start()
        on.callback(self._broker.stop)
        self._api = on.enter_context(servers.running_api(history, pair))
        consumer = _Consumer(history, pair[0])
        consumer.start(self._broker.host, self._broker.port)
        on.callback(consumer.stop)
        config = folder / "agent.toml"
        config.write_text(toml(self._sections(folder, pair[0])))
        self._store = on.enter_context(contextlib.closing(Store(self._path)))
        self._logs = {name: folder / f"{name}.log" for name in ("watch", "sync")}
        self._processes = {
            name: on.enter_context(_running(name, config, log)) for name, log in self._logs.items()
        }
        if not self._comes(lambda: self._is("ready"), WAIT_S):
            raise SystemExit(f"months: watch was not ready within {WAIT_S:g} s")

    @property
    def _path(self) -> Path:
        return self._state / "agent.sqlite3"

    def _sections(self, folder: Path, certificate: Path) -> dict[str, dict[str, Any]]:
        video, token = folder / "eyes.avi", folder / "token"
        token.write_text(servers.TOKEN)
        write_video(video, load_portrait(), demo_schedule(VIDEO_S), seconds=VIDEO_S, fps=FPS)
        trusted = {"ca_file": str(certificate)}
        return {
            "camera": {"source": "replay", "file": str(video), "loop": True},
            "controls": {"pins": "mock", "long_press_s": LONG_PRESS_S},
            "store": {"path": str(self._path), "keep_sessions": KEEP},
            "server": {"url": self._api.url, "device": "d", "token_file": str(token), **trusted},
            "mqtt": {"host": self._broker.host, "port": self._broker.port, **trusted},
        }

    def session(self) -> None:
        """From press to press."""
        self._press(PRESS_S, "measuring")
        time.sleep(SESSION_S)
        self._press(LONG_PRESS_S + PRESS_S, "ready")

    def delivered(self) -> None:
        """Until nothing is pending."""
        if not self._comes(lambda: self._store.counts()["pending"] == 0, WAIT_S):
            raise SystemExit(f"months: not delivered within {WAIT_S:g} s")

    def _press(self, seconds: float, state: str) -> None:
        """Until watch is in that state: a busy machine may sleep through a short press, and who
        pressed it presses again."""
        for _ in range(PRESSES):
            press(self._processes["watch"], seconds)
            time.sleep(PAUSE_S)
            if self._comes(lambda: self._is(state), WAIT_S / PRESSES):
                return
        raise SystemExit(f"months: after {PRESSES} presses watch is not {state}")

    def _is(self, state: str) -> bool:
        return bool((self._store.noted("watch") or {}).get("state") == state)

    def _comes(self, condition: Callable[[], bool], seconds: float) -> bool:
        until_s = time.monotonic() + seconds
        while not condition():
            for name, process in self._processes.items():
                if process.poll() is not None:
                    raise SystemExit(f"months: {name}: {self._logs[name].read_text()[-500:]}")
            if time.monotonic() > until_s:
                return False
            time.sleep(0.05)
        return True

    def away(self, session: int) -> bool:
        """Lets broker and server come and go before the session of that number."""
        turn = session % OUTAGE_EVERY
        if turn in (BROKER_AWAY, BOTH_AWAY[0]):
            self._broker.kill()
        if turn == BOTH_AWAY[0]:
            self._api.stop()
        if turn == BOTH_AWAY[-1] + 1:
            self._api.start()
        if turn in (BROKER_AWAY + 1, BOTH_AWAY[-1] + 1):
            self._broker.start()
        return turn in BOTH_AWAY

    def idle(self, session: int) -> Idle:
        """How it is now."""
        return Idle(
            session=session,
            watch=sample(self._processes["watch"].pid),
            sync=sample(self._processes["sync"].pid),
            database=_database_bytes(self._path),
            wal=self._path.with_name(f"{self._path.name}-wal").stat().st_size,
            rows=self._store.counts()["sessions"],
            files=len(list(self._state.iterdir())),
            logged=sum(log.stat().st_size for log in self._logs.values()),
        )


class _Consumer(servers.Consumer):
    """One that comes over TLS."""

    def __init__(self, history: servers.History, certificate: Path) -> None:
        super().__init__(history, None, None)
        self._client.tls_set(str(certificate))


def _database_bytes(path: Path) -> int:
    """Of all its pages, those that are in the WAL only included: the file gets them later."""
    uri = f"{path.as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(uri, uri=True)) as database:
        (pages,), (size,) = (
            database.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "page_size")
        )
    return int(pages) * int(size)


@contextlib.contextmanager
def _running(name: str, config: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "agent.cli.main", "--config", str(config), name]
    environment = {**os.environ, "MALLOC_ARENA_MAX": "2"}  # as the units of deploy/systemd have it
    with (
        log.open("wb") as said,
        subprocess.Popen(command, stderr=said, env=environment) as process,
    ):
        try:
            yield process
        finally:
            process.terminate()


def measure(sessions: int) -> Report:
    """So many sessions, one after the other."""
    found: list[Idle] = []
    with (
        tempfile.TemporaryDirectory(prefix="blinklog-months-") as name,
        contextlib.ExitStack() as on,
    ):
        device = Device(Path(name), on)
        begun_s = time.monotonic()
        for number in range(sessions):
            away = device.away(number)
            device.session()
            if not away:
                device.delivered()
                found.append(device.idle(number + 1))
        return report(found, time.monotonic() - begun_s)


def main() -> int:
    """Measures and prints; 1 if a promise was not kept."""
    options = _options()
    if needs_mosquitto.args[0]:
        print("months: Mosquitto is not installed", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # and nothing is left behind
    found = measure(options.sessions)
    if options.json:
        print(json.dumps({**asdict(found), "failures": found.failures()}, indent=2))
    else:
        _print(asdict(found))
    for failure in found.failures():
        print(f"months: {failure}", file=sys.stderr)
    return 1 if found.failures() else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.months", description=__doc__)
    parser.add_argument(
        "--sessions", type=int, default=SESSIONS, help=f"number of sessions ({SESSIONS})"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    if options.sessions < 2 * OUTAGE_EVERY:
        parser.error(f"--sessions: expected {2 * OUTAGE_EVERY} or more: halves are compared")
    return options


def _print(found: dict[str, Any], before: str = "") -> None:
    for name, value in found.items():
        if isinstance(value, dict):
            _print(value, f"{name}.")
        else:
            shown = f"{value:.2f}" if isinstance(value, float) else f"{value:,}"
            print(f"{before + name:24} {shown}")


if __name__ == "__main__":
    sys.exit(main())
