"""Much at once: a backlog of thousands of sessions, and how soon a start is seen."""

import contextlib
import json
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from agent.store.store import Store
from tests.faults.harness import PERSON, Site
from tests.faults.launcher import until
from tests.faults.parts import Program

GOLDEN = Path(__file__).resolve().parent.parent / "golden"
BLINKS = 300  # of each session in a backlog: about twenty minutes


@dataclass(frozen=True, slots=True)
class Drained:
    """How a backlog went. Resident memory in MB: when all was idle, and at its highest."""

    sessions: int
    seconds: float
    sync_mb: tuple[float, float]
    consumer_mb: tuple[float, float]
    said: int  # lines of progress in the log of sync


def session(number: int) -> dict[str, Any]:
    """A finished session of its own, and no other like it."""
    document: dict[str, Any] = json.loads((GOLDEN / "final.json").read_text())
    began = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=30 * number)
    columns = {"at_s": 4.0, "duration_ms": 187, "amplitude": 0.71, "complete": True}
    document |= {
        "session_id": str(uuid.uuid4()),
        "started_at": began.isoformat(),
        "ended_at": (began + timedelta(minutes=20)).isoformat(),
        "blinks": {name: [value] * BLINKS for name, value in columns.items()},
    }
    document["metrics"]["blink_count"] = 100 + number  # no two alike
    return document


def drain(site: Site, sessions: int, bound_s: float) -> Drained:
    """Fills the store while nothing is delivered, then lets it all go. Raises TimeoutError."""
    device = site.device
    site.start(watch=False)
    device.sync.kill()
    with contextlib.closing(Store(device.store)) as store:
        for number in range(sessions):
            store.put(session(number))
        device.sync.start()
        until(lambda: store.counts()["pending"] < sessions, "the first is delivered")
        idle = memory_mb(device.sync)[0], memory_mb(site.consumer)[0]
        began = time.monotonic()
        until(lambda: store.counts()["pending"] == 0, "the backlog is gone", bound_s, every_s=0.25)
    seconds = time.monotonic() - began
    peaks = memory_mb(device.sync)[1], memory_mb(site.consumer)[1]
    said = device.sync.log.read_text().count(" to go")
    return Drained(sessions, seconds, (idle[0], peaks[0]), (idle[1], peaks[1]), said)


def memory_mb(program: Program) -> tuple[float, float]:
    """Resident memory of a program in MB: now, and at its highest so far."""
    assert program.process is not None
    lines = Path(f"/proc/{program.process.pid}/status").read_text().splitlines()
    values = dict(line.split(":", 1) for line in lines)
    return tuple(int(values[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))  # type: ignore[return-value]


def start_to_history_s(site: Site) -> float:
    """Seconds from a session's start in the store to its entry in the history."""
    started = json.loads((GOLDEN / "started.json").read_text())
    session_id = started["session_id"] = str(uuid.uuid4())
    with contextlib.closing(Store(site.device.store)) as store:
        began = time.monotonic()
        store.put(started)
        until(lambda: shows(site, session_id), "the start is in the history", every_s=0.02)
        took_s = time.monotonic() - began
        store.put({**session(0), "session_id": session_id})
    return took_s


def shows(site: Site, session_id: str) -> bool:
    """Whether the newest page of the history has the session."""
    page = site.ask("/api/session/history/", user=PERSON, limit=200, state="active")
    return session_id in {entry["id"] for entry in page["results"]}
