"""Commands in the store: each is given out once, and only for `COMMAND_S` after its arrival.

The wall clock may be wrong, and may be set while a command waits. So the time that a command has
left is counted by the monotonic clock, which is valid for one boot: after a restart, the age of
earlier commands is unknown, and they are dropped. The column `expires_at` is what the sender said.
"""

import json
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from agent.records import ACTIVITIES, COMMAND_S, Document
from agent.store.database import Database

NAMES = ("start", "stop", "aim", "check")
COMMANDS_KEPT = 200  # IDs remembered to recognise repeated commands, long after they expire


@dataclass(frozen=True, slots=True)
class Moment:
    """A time in seconds by the monotonic clock of the boot `boot_id`."""

    boot_id: str
    seconds: float


def row_of(command: Document, left_s: float, now: Moment) -> dict[str, Any]:
    """Return the columns of an untrusted command that is valid for `left_s` seconds from `now`.

    It is valid for at most `COMMAND_S`. Raises ValueError saying what was expected.
    """
    name = command.get("command")
    if name not in NAMES:
        raise ValueError(f"command: expected one of {', '.join(NAMES)}, found {name!r:.40}")
    expires_at_s = _timestamp_s(command.get("expires_at"))
    kept = {"command": name, "expires_at": command["expires_at"]}
    for key in ("id", "session_id"):
        if key == "id" or command.get(key) is not None:
            kept[key] = _uuid(key, command.get(key))
    if name == "start" and command.get("activity") is not None:
        kept["activity"] = None if unknown_activity(command) else command["activity"]
    until_s = now.seconds + min(max(left_s, 0.0), COMMAND_S)
    text = json.dumps({**kept, "boot_id": now.boot_id, "until_s": until_s})
    return {"id": kept["id"], "command": text, "expires_at": expires_at_s}


def unknown_activity(command: Document) -> bool:
    """Return whether a start command names an activity that this release does not know."""
    activity = command.get("activity")
    return command["command"] == "start" and activity not in (None, *ACTIVITIES)


def add(db: Database, row: dict[str, Any]) -> bool:
    """Save a command; return False if its ID is already known."""
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


def first(db: Database, now: Moment) -> Document | None:
    """Return the oldest valid command without taking it."""
    commands = (_valid(text, now) for _, text in _waiting(db))
    return next((each for each in commands if each is not None), None)


def take(db: Database, now: Moment) -> Document | None:
    """Take the oldest valid command, and drop those before it.

    Taken and dropped commands stay in the table, to recognise repetitions.
    """
    for number, text in _waiting(db):
        db.execute("UPDATE commands SET taken = 1 WHERE number = ?", [number])
        if (command := _valid(text, now)) is not None:
            return command
    return None


def drop(db: Database, command_id: str) -> None:
    """Mark a command as taken."""
    db.execute("UPDATE commands SET taken = 1 WHERE id = ? AND taken = 0", [command_id])


def _waiting(db: Database) -> list[tuple[int, str]]:
    sql = "SELECT number, command FROM commands WHERE taken = 0 ORDER BY number"
    return [(number, text) for number, text in db.execute(sql)]


def _valid(text: str, now: Moment) -> Document | None:
    """Return a waiting command; None if it has expired, is damaged, or is from another boot.

    If no boot ID can be read, a time too far in the future shows that the command is of another
    boot.
    """
    try:
        command: Document = json.loads(text)
        same_boot = command.pop("boot_id") == now.boot_id
        left_s = command.pop("until_s") - now.seconds
    except (ValueError, TypeError, AttributeError, KeyError):  # KeyError: by an older release
        return None
    is_known = command.get("command") in NAMES and isinstance(command.get("id"), str)
    return command if same_boot and is_known and 0 < left_s <= COMMAND_S else None


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
