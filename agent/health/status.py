"""The report of `blink-agent status`: what the device is doing, and what is unsent and why.

It is read from the services' notes in the store, their lock files and systemd. It therefore works
whether or not the services run, and before there is a store.
"""

import importlib.metadata
import itertools
import platform
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from agent import __version__
from agent.clock import Clock
from agent.config import AgentConfig
from agent.errors import AgentError, StoreError
from agent.face.model_files import read_manifest
from agent.measure.check import doubt
from agent.measure.document import iso_utc, parse_utc
from agent.records import StoredSession
from agent.release.handover import read_outcome
from agent.release.signature import KEY_NAME, fingerprint, pinned_key
from agent.store.store import Store
from agent.system.handover import read_answer
from agent.system.process_lock import lock_owner
from agent.system.systemd import units

NONE = {"sessions": 0, "pending": 0, "parked": 0, "delivered": 0}
LISTED = 20  # unsent sessions listed by ID; the count includes all
NOTES = ("watch", "delivery", "store", "check")  # keys of the services' notes
RUNTIMES = ("ai-edge-litert", "tflite-runtime")
BOARD = Path("/proc/device-tree/model")

Report = dict[str, Any]
OpenStore = Callable[[], AbstractContextManager[Store]]


def report(settings: AgentConfig, open_store: OpenStore, clock: Clock) -> Report:
    """Return the report of `status --json`. `sessions` is None if the store can't be read."""
    kept = _kept(settings.store_path, open_store)
    return {
        "version": __version__,
        "doing": _doing(settings.store_path, kept),
        **{key: value for key, value in kept.items() if key != "active"},
        "check_doubt": _check_doubt(kept["check"], clock),
        "last_contact": (kept["delivery"] or {}).get("contact"),
        "next_try": _next_try(kept["delivery"], clock),
        "device": _device(settings),
        "setup": _setup(),
        "update": _update(settings),
        "clock": {
            "now": iso_utc(clock.now()),
            "synchronized": clock.synchronized(),
            "timezone": clock.timezone(),
        },
        "versions": _versions(),
        "units": _units(),
    }


def _kept(path: Path, open_store: OpenStore) -> Report:
    """Return the store's part of the report. A missing store is not created."""
    found: Report = {**dict.fromkeys((*NOTES, "sessions", "active")), "waiting": [], "parked": []}
    found["database"] = {"path": str(path), "exists": True}
    try:
        path.stat()
        with open_store() as store:
            found |= {name: store.noted(name) for name in NOTES}
            found["sessions"] = store.counts()
            found |= _listed(itertools.islice(filter(_open, store.newest()), 1000))
    except (FileNotFoundError, NotADirectoryError):
        return found | {"database": {"path": str(path), "exists": False}, "sessions": NONE}
    except PermissionError:
        found["store"] = {"problem": f"{path}: no permission: sudo blink-agent status"}
        return found
    except StoreError as error:
        found["store"] = {"problem": str(error)}
    return found


def _listed(newest: Iterable[StoredSession]) -> Report:
    """Return what is listed of the sessions, with one document in memory at a time."""
    active: Report | None = None
    waiting: deque[Report] = deque(maxlen=LISTED)
    parked = []
    for each in newest:
        if each.state == "active" and active is None:
            active = _session(each)
        if each.parked_reason:
            parked.append(
                {"id": each.session_id, "reason": each.parked_reason, "at": each.parked_at}
            )
        elif not each.delivered:
            waiting.append(_session(each))
    return {"active": active, "waiting": list(reversed(waiting)), "parked": parked}


def _open(stored: StoredSession) -> bool:
    """Return whether a session is listed: active, unsent or rejected."""
    return not stored.delivered or stored.state == "active"


def _session(stored: StoredSession) -> Report:
    return {
        "id": stored.session_id,
        "revision": stored.revision,
        "state": stored.state,
        "started_at": stored.document.get("started_at"),
        "activity": stored.document.get("activity"),
    }


def _doing(path: Path, kept: Report) -> Report:
    """Return the `doing` part of the report.

    `state` is starting, ready, measuring, finishing, fault, stopped, `not running`, or `unknown` if
    this user may not look.
    """
    try:
        process, sync = lock_owner(path, "watch"), lock_owner(path, "sync")
    except AgentError:
        names = ("since", "session_id", "activity", "watch_process", "sync_process")
        return {"state": "unknown", **dict.fromkeys(names)}
    active: Report | None = kept["active"]
    doing = {
        "state": _state(kept["watch"] or {}, active) if process else "not running",
        "since": None,
        "session_id": None,
        "activity": None,
        "watch_process": process,
        "sync_process": sync,
    }
    if doing["state"] == "measuring" and active is not None:
        doing |= {"since": active["started_at"], "session_id": active["id"]}
        doing["activity"] = active["activity"]
    return doing


def _state(note: Report, active: Report | None) -> str:
    """Return the state that watch noted, corrected by the active session in the store."""
    state = str(note.get("state", "starting"))
    if state == "measuring" and active is None:
        return "finishing"
    return "measuring" if state == "ready" and active is not None else state


def _next_try(delivery: Report | None, clock: Clock) -> str | None:
    """Return when sync tries again. The plan is noted once a minute, so it may already be past."""
    planned = (delivery or {}).get("next_try")
    now = clock.now().isoformat(timespec="seconds")
    return max(str(planned), now) if planned else None


def _check_doubt(check: Report | None, clock: Clock) -> str | None:
    """Return why the last check of the counting does not count any more: see `check.doubt`."""
    if check is None:
        return None
    age = clock.now() - parse_utc(check["started_at"])
    model_now = read_manifest()["face_trunk"].origin
    return doubt(check["passed"], age, check["agent"]["model"], model_now)


def _device(settings: AgentConfig) -> Report:
    mqtt = settings.mqtt
    return {
        "id": settings.server.device,
        "server": settings.server.url,
        "broker": None if mqtt.host is None else f"{mqtt.host}:{mqtt.port}",
        "enrolled": None not in (settings.server.device, settings.server.url),
    }


def _setup() -> Report | None:
    """Return what became of the newest code or boot file since the start, or None."""
    found = read_answer()
    if found is None:
        return None
    return {
        "source": found.source,
        "outcome": found.outcome,
        "problem": found.problem,
        "at": found.at,
    }


def _update(settings: AgentConfig) -> Report:
    """Return the key that this device trusts for releases, and what became of the last one."""
    key, outcome = pinned_key(settings.file.with_name(KEY_NAME)), read_outcome()
    return {
        "key": key and fingerprint(key),
        "state": outcome and outcome.state,
        "problem": outcome and outcome.problem,
    }


def _versions() -> Report:
    return {
        "agent": __version__,
        "models": {name: each.sha256[:8] for name, each in read_manifest().items()},
        "runtime": next((text for name in RUNTIMES if (text := _version(name))), None),
        "python": platform.python_version(),
        "system": _system(),
        "board": _board(),
    }


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.platform()


def _version(package: str) -> str | None:
    try:
        return f"{package} {importlib.metadata.version(package)}"
    except importlib.metadata.PackageNotFoundError:
        return None


def _board() -> str | None:
    try:
        return BOARD.read_text().rstrip("\0") or None
    except OSError:
        return None


def _units() -> Report | None:
    try:
        found = units()
    except AgentError as error:
        return {"problem": str(error)}
    return None if found is None else {unit.name: unit.text() for unit in found}
