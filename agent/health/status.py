"""`blink-agent status`: what the device is doing, what waits and why, in one report.

Read from what the services note in the store, from their locks beside it and from systemd: it works
while they run, when they don't, and where there is no store yet.
"""

import importlib.metadata
import itertools
import platform
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from agent import __version__
from agent.clock import Clock
from agent.config import AgentConfig
from agent.errors import AgentError, StoreError
from agent.face.model_files import read_manifest
from agent.measure.document import iso_utc
from agent.store.store import Store, StoredSession
from agent.system.process_lock import lock_owner
from agent.system.systemd import units

NONE = {"sessions": 0, "pending": 0, "parked": 0, "delivered": 0}
LISTED = 20  # sessions that wait, by name; the count has them all
NOTES = ("watch", "delivery", "store")  # what the services note there
RUNTIMES = ("ai-edge-litert", "tflite-runtime")
BOARD = Path("/proc/device-tree/model")

Report = dict[str, Any]
OpenStore = Callable[[], AbstractContextManager[Store]]


def report(settings: AgentConfig, open_store: OpenStore, clock: Clock) -> Report:
    """All of it, as `status --json` prints it. `sessions` is null where the store can't be read."""
    kept = _kept(settings.store_path, open_store)
    return {
        "version": __version__,
        "doing": _doing(settings.store_path, kept),
        **{key: value for key, value in kept.items() if key != "active"},
        "last_contact": (kept["delivery"] or {}).get("contact"),
        "next_try": _next_try(kept["delivery"], clock),
        "device": _device(settings),
        "clock": {
            "now": iso_utc(clock.now()),
            "synchronized": clock.synchronized(),
            "timezone": clock.timezone(),
        },
        "versions": _versions(),
        "units": _units(),
    }


def _kept(path: Path, open_store: OpenStore) -> Report:
    """What the store says. Nothing is made where there is none."""
    found: Report = {**dict.fromkeys((*NOTES, "sessions", "active")), "waiting": [], "parked": []}
    found["database"] = {"path": str(path), "exists": True}
    try:
        path.stat()
        with open_store() as store:
            found |= {name: store.noted(name) for name in NOTES}
            found["sessions"] = store.counts()
            stored = list(itertools.islice(filter(_open, store.newest()), 1000))
    except (FileNotFoundError, NotADirectoryError):
        return found | {"database": {"path": str(path), "exists": False}, "sessions": NONE}
    except PermissionError:
        found["store"] = {"problem": f"{path}: no permission: sudo blink-agent status"}
        return found
    except StoreError as error:
        found["store"] = {"problem": str(error)}
        return found
    waiting = [each for each in stored if not each.delivered and each.parked_reason is None]
    found["active"] = next((each for each in stored if each.state == "active"), None)
    found["waiting"] = [_session(each) for each in reversed(waiting[-LISTED:])]
    found["parked"] = [
        {"id": each.session_id, "reason": each.parked_reason, "at": each.parked_at}
        for each in stored
        if each.parked_reason
    ]
    return found


def _open(stored: StoredSession) -> bool:
    """Whether there is anything to say of it: it goes on, waits, or was refused."""
    return not stored.delivered or stored.state == "active"


def _session(stored: StoredSession) -> Report:
    return {
        "id": stored.session_id,
        "revision": stored.revision,
        "state": stored.state,
        "started_at": stored.document.get("started_at"),
    }


def _doing(path: Path, kept: Report) -> Report:
    """`state`: starting, ready, measuring, finishing, fault, stopped, `not running`, or, to a user
    who may not look, `unknown`."""
    try:
        process, sync = lock_owner(path, "watch"), lock_owner(path, "sync")
    except AgentError:
        names = ("since", "session_id", "watch_process", "sync_process")
        return {"state": "unknown", **dict.fromkeys(names)}
    active: StoredSession | None = kept["active"]
    doing = {
        "state": _state(kept["watch"] or {}, active) if process else "not running",
        "since": None,
        "session_id": None,
        "watch_process": process,
        "sync_process": sync,
    }
    if doing["state"] == "measuring" and active is not None:
        doing |= {"since": active.document.get("started_at"), "session_id": active.session_id}
    return doing


def _state(note: Report, active: StoredSession | None) -> str:
    """As watch noted it; the store knows of a beginning before and of an end after it."""
    state = str(note.get("state", "starting"))
    if state == "measuring" and active is None:
        return "finishing"
    return "measuring" if state == "ready" and active is not None else state


def _next_try(delivery: Report | None, clock: Clock) -> str | None:
    """When sync tries again, as it planned it: noted once a minute, so it may be over."""
    planned = (delivery or {}).get("next_try")
    now = clock.now().isoformat(timespec="seconds")
    return max(str(planned), now) if planned else None


def _device(settings: AgentConfig) -> Report:
    mqtt = settings.mqtt
    return {
        "id": settings.server.device,
        "server": settings.server.url,
        "broker": None if mqtt.host is None else f"{mqtt.host}:{mqtt.port}",
        "enrolled": None not in (settings.server.device, settings.server.url),
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
