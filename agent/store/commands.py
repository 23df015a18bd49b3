"""Command rows: a command is accepted once, taken once, and expires."""

import json
import uuid
from datetime import datetime
from typing import Any

from agent.records import Document
from agent.store.database import Database

COMMANDS = ("start", "stop")
COMMAND_S = 30.0  # lifetime of a command from its arrival; change it with the server's `LIFE`
COMMANDS_KEPT = 200  # IDs remembered to recognise repeated commands, long after they expire


def command_row(command: Document) -> dict[str, Any]:
    """Return the columns of an untrusted command. Raises ValueError saying what was expected."""
    name = command.get("command")
    if name not in COMMANDS:
        raise ValueError(f"command: expected one of {', '.join(COMMANDS)}, found {name!r:.40}")
    expires_s = _timestamp_s(command.get("expires_at"))
    kept = {"command": name, "expires_at": command["expires_at"]}
    for key in ("id", "session_id"):
        if key == "id" or command.get(key) is not None:
            kept[key] = _uuid(key, command.get(key))
    return {"id": kept["id"], "command": json.dumps(kept), "expires_at": expires_s}


def _uuid(key: str, value: object) -> str:
    try:
        return str(uuid.UUID(value if isinstance(value, str) else ""))
    except ValueError:
        raise ValueError(f"{key}: expected a UUID, found {value!r:.40}") from None


def _timestamp_s(value: object) -> float:
    """Parse an ISO 8601 time with its zone into seconds since 1970."""
    try:
        moment = datetime.fromisoformat(value if isinstance(value, str) else "")
        if moment.tzinfo is not None:
            return moment.timestamp()
    except (ValueError, OverflowError):
        pass
    raise ValueError(f"expires_at: expected a time with its zone, found {value!r:.40}")


def add_command(db: Database, row: dict[str, Any]) -> bool:
    """Insert a command; return False if its ID is already known."""
    added = db.execute(
        "INSERT INTO commands (id, command, expires_at) VALUES (:id, :command, :expires_at)"
        " ON CONFLICT (id) DO NOTHING",
        row,
    ).rowcount
    db.execute(
        "DELETE FROM commands WHERE number <= (SELECT max(number) FROM commands) - ?",
        [COMMANDS_KEPT],
    )
    return added > 0


def take_command(db: Database, now_s: float) -> str | None:
    """Take the oldest valid command. Taken and expired ones stay, to recognise repetitions.

    An expiry too far ahead means that the clock was set back: the command's age is unknown, so drop
    it. Twice the lifetime allows for a small step back just after a command arrived.
    """
    db.execute(
        "UPDATE commands SET taken = 1 WHERE taken = 0 AND (expires_at <= ? OR expires_at > ?)",
        [now_s, now_s + 2 * COMMAND_S],
    )
    row = db.execute(
        "SELECT number, command FROM commands WHERE taken = 0 ORDER BY number LIMIT 1"
    ).fetchone()
    if row is None:
        return None
    db.execute("UPDATE commands SET taken = 1 WHERE number = ?", [row[0]])
    return str(row[1])
