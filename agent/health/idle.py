"""Whether nobody is measured: for updates, which must not end a session."""

import contextlib
import json
import sqlite3
from pathlib import Path

from agent.errors import AgentError
from agent.system.owner import acting_as_owner
from agent.system.process_lock import lock_owner

# What `watch` notes while it does nothing for anybody; as in deploy/install.sh.
IDLE = ("starting", "ready", "looking", "fault", "stopped")
WAIT_S = 2.0


def is_idle(store: Path) -> bool:
    """Return whether no session is running. What can't be found out is not idle.

    It only reads, with a connection of its own: cheaper than opening the store, and also for other
    threads.
    """
    with acting_as_owner(store):
        try:
            if not store.exists() or lock_owner(store, "watch") is None:
                return True
            return _reads_idle(store)
        except (OSError, AgentError, sqlite3.Error, ValueError):
            return False


def _reads_idle(store: Path) -> bool:
    address = f"{store.absolute().as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(address, uri=True, timeout=WAIT_S)) as db:
        active = db.execute("SELECT 1 FROM sessions WHERE state = 'active' LIMIT 1").fetchone()
        note = db.execute("SELECT value FROM notes WHERE key = 'watch'").fetchone()
    state = json.loads(note[0]).get("state") if note else "starting"
    return active is None and state in IDLE
