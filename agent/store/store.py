"""The store: the newest document of every session, in a SQLite file shared by `watch` and `sync`.

Guarantees:
- A document is on the disk when `put` returns.
- A higher revision replaces a lower one; any other revision is a no-op.
- Sessions that the server has not acknowledged are never deleted.
- On a full disk no session begins, but running sessions are finished and delivered.
- Damaged documents are never delivered: each document has a checksum.
- A damaged file is set aside and its readable sessions move to a new one (`agent.store.file`).

Each `Store` belongs to one thread. Open one per thread and process.
"""

import contextlib
import itertools
import json
import logging
import sqlite3
import uuid
import zlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agent.errors import StoreError
from agent.records import REASON_CHARACTERS, Document, StoredSession
from agent.store.database import Database
from agent.store.file import Rescue, StoreFile
from agent.store.schema import APPLICATION_ID, MIGRATIONS

log = logging.getLogger(__name__)

Row = dict[str, Any]

STATES = ("active", "ended", "interrupted")
COMMANDS = ("start", "stop")
COMMAND_S = 30.0  # lifetime of a command from its arrival; change it with the server's `LIFE`
COMMANDS_KEPT = 200  # IDs remembered to recognise repeated commands, long after they expire
PAGE = 16  # sessions in memory at a time: a thousand of two hours each would take 300 MB

_PENDING = "acked_revision < revision AND parked_reason IS NULL"
_PUT = """
    INSERT INTO sessions
        (number, session_id, revision, state, document, checksum, created_at, updated_at)
    VALUES (:number, :session_id, :revision, :state, :document, :checksum, :now, :now)
    ON CONFLICT (session_id) DO UPDATE SET
        revision = excluded.revision, state = excluded.state, document = excluded.document,
        checksum = excluded.checksum, updated_at = excluded.updated_at,
        parked_reason = NULL, parked_at = NULL  -- another revision may be accepted
    WHERE excluded.revision > sessions.revision
"""
_ACKNOWLEDGE = """
    UPDATE sessions SET acked_revision = :revision,
        parked_reason = iif(:revision = revision, NULL, parked_reason),
        parked_at = iif(:revision = revision, NULL, parked_at)
    WHERE session_id = :session_id AND acked_revision < :revision AND :revision <= revision
"""
_PARK = """
    UPDATE sessions SET parked_reason = :reason, parked_at = :now
    WHERE session_id = :session_id AND revision = :revision AND acked_revision < revision
"""
_RETRY = """
    UPDATE sessions SET parked_reason = NULL, parked_at = NULL
    WHERE session_id = :session_id AND parked_reason IS NOT NULL
"""
_PRUNE = """
    DELETE FROM sessions WHERE number IN (
        SELECT number FROM sessions WHERE acked_revision >= revision AND state <> 'active'
        ORDER BY number DESC LIMIT -1 OFFSET :keep)
"""
_COUNTS = f"""
    SELECT count(*) AS sessions,
        count(*) FILTER (WHERE {_PENDING}) AS pending,
        count(*) FILTER (WHERE acked_revision < revision AND parked_reason IS NOT NULL) AS parked,
        count(*) FILTER (WHERE acked_revision >= revision) AS delivered
    FROM sessions
"""
_NEXT_PENDING = f"""
    SELECT * FROM sessions
    WHERE {_PENDING} AND session_id || ' ' || revision NOT IN (SELECT value FROM json_each(:skip))
    ORDER BY state <> 'active', number LIMIT :limit
"""
_OLDEST_PENDING = f"""
    SELECT number FROM sessions WHERE {_PENDING} AND state <> 'active' ORDER BY number LIMIT 1
"""
_NEWEST = "SELECT * FROM sessions WHERE number < :before ORDER BY number DESC LIMIT :limit"
_NOTE = "INSERT OR REPLACE INTO notes (key, value) VALUES (:key, :value)"


class Store:
    """Opens or creates the file at `path`. Every method raises StoreError if the disk fails."""

    def __init__(self, path: Path) -> None:
        self._file = StoreFile(
            path, application_id=APPLICATION_ID, migrations=MIGRATIONS, rescue=_rescue
        )

    def close(self) -> None:
        """Close the file. A second call does nothing."""
        self._file.close()

    # Sessions

    def put(self, document: Document) -> bool:
        """Save a document if its revision is higher than the stored one; return whether it was.

        Raises ValueError if it is invalid, StoreError for a new session on a full disk.
        """
        begins = document.get("revision") == 1 and document.get("state") == "active"
        if begins and not self._file.has_reserve():
            raise StoreError("the disk is full: no new session")
        return self._change(_PUT, {**_row(document), "number": None, "now": _now()}) > 0

    def document(self, session_id: str) -> Document | None:
        """Return the newest document of a session."""
        rows = self._read("SELECT * FROM sessions WHERE session_id = :id", {"id": session_id})
        return next(iter(self._undamaged(rows)), None)

    def pending(self, limit: int, skip: Iterable[tuple[str, int]] = ()) -> list[Document]:
        """Return up to `limit` documents that the server has not acknowledged.

        Active sessions come first, then the oldest. `skip`: (session_id, revision) to leave out.
        """
        skipped = json.dumps([f"{session_id} {revision}" for session_id, revision in skip])
        while True:
            rows = self._read(_NEXT_PENDING, {"skip": skipped, "limit": limit})
            documents = self._undamaged(rows)
            if documents or not rows:  # otherwise all were damaged and are parked now
                return documents

    def acknowledge(self, session_id: str, revision: int) -> bool:
        """Record that the server has committed `revision`; return whether that is new."""
        return self._change(_ACKNOWLEDGE, {"session_id": session_id, "revision": revision}) > 0

    def park(self, session_id: str, revision: int, reason: str) -> bool:
        """Stop sending `revision`; return whether it was parked.

        A call of `retry`, or a higher revision, makes the session pending again.
        """
        values = {"session_id": session_id, "revision": revision, "now": _now()}
        return self._change(_PARK, {**values, "reason": reason[:REASON_CHARACTERS]}) > 0

    def retry(self, session_id: str) -> bool:
        """Make a parked session pending again; return whether it was parked."""
        return self._change(_RETRY, {"session_id": session_id}) > 0

    def unfinished(self) -> list[Document]:
        """Return the active sessions. At start-up these are the interrupted ones."""
        rows = self._read("SELECT * FROM sessions WHERE state = 'active' ORDER BY number", {})
        return self._undamaged(rows)

    def sessions(self, limit: int) -> list[StoredSession]:
        """Return the newest `limit` sessions, newest first."""
        return list(itertools.islice(self.newest(), limit))

    def newest(self) -> Iterator[StoredSession]:
        """Yield all sessions, newest first, with few in memory at a time."""
        before = 1 << 62
        while rows := self._read(_NEWEST, {"before": before, "limit": PAGE}):
            before = rows[-1]["number"]
            for row in rows:
                if (document := _document(row)) is not None:
                    yield _stored(row, document)

    def counts(self) -> dict[str, int]:
        """Return the numbers of `sessions` and of those `pending`, `parked` and `delivered`."""
        return self._read(_COUNTS, {})[0]

    def prune(self, keep: int) -> int:
        """Delete delivered, finished sessions beyond the newest `keep`; return how many."""
        return self._change(_PRUNE, {"keep": keep})

    def oldest_pending(self) -> int | None:
        """Return the number of the finished session that is pending longest, or None."""
        rows = self._read(_OLDEST_PENDING, {})
        return rows[0]["number"] if rows else None

    def problem(self) -> str | None:
        """Return why no session can begin now, or None.

        Recreates the reserve file if it is missing and there is space. Otherwise writes nothing.
        """
        return self._file.problem()

    def data_version(self) -> tuple[int, int]:
        """Return a value that changes when another process has written. Cheap to poll."""
        rows = self._read("PRAGMA data_version", {})
        return self._file.inode, rows[0]["data_version"]

    # Commands

    def add_command(self, command: Document, now: datetime | None = None) -> bool:
        """Save a command for `take_command`; return False if its ID is already known.

        It is valid for at most `COMMAND_S` from its arrival at `now` by this device's clock, even
        if that clock is wrong. Raises ValueError for an invalid command.
        """
        row = _command_row(command)
        arrived = datetime.now(UTC) if now is None else now
        row["expires_at"] = min(row["expires_at"], arrived.timestamp() + COMMAND_S)
        return self._file.run(lambda db: _add_command(db, row), write=True)

    def take_command(self, now: datetime) -> Document | None:
        """Return the oldest command that is neither taken nor expired. Each is returned once."""
        if not self._read("SELECT 1 FROM commands WHERE taken = 0 LIMIT 1", {}):
            return None  # the usual case, several times a second: avoid a write
        text = self._file.run(lambda db: _take_command(db, now.timestamp()), write=True)
        return None if text is None else _object(text)

    # Notes

    def note(self, key: str, value: Any) -> None:
        """Save a small value under `key`. An unchanged value costs no write."""
        if self.noted(key) != value:
            self._change(_NOTE, {"key": key, "value": json.dumps(value)})

    def noted(self, key: str) -> Any:
        """Return the last value saved under `key`, or None."""
        rows = self._read("SELECT value FROM notes WHERE key = :key", {"key": key})
        return json.loads(rows[0]["value"]) if rows else None

    def _read(self, sql: str, values: dict[str, Any]) -> list[Row]:
        return self._file.run(lambda db: list(db.query(sql, values)))

    def _change(self, sql: str, values: dict[str, Any]) -> int:
        """Run one statement; return how many rows it changed."""
        return self._file.run(lambda db: db.execute(sql, values).rowcount, write=True)

    def _undamaged(self, rows: list[Row]) -> list[Document]:
        """Return the undamaged documents of `rows`; park the damaged ones."""
        documents = []
        for row in rows:
            document = _document(row)
            if document is not None:
                documents.append(document)
            elif row["parked_reason"] is None:
                log.error("session %s is damaged in the store", row["session_id"])
                self.park(row["session_id"], row["revision"], "damaged in the device's store")
        return documents


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# Session rows


def _row(document: Document) -> Row:
    """Return the columns of a document. Raises ValueError."""
    session_id, revision, state = (document.get(key) for key in ("session_id", "revision", "state"))
    if not isinstance(session_id, str) or not session_id:
        raise ValueError(f"session_id: expected a text, found {session_id!r}")
    if type(revision) is not int or not 1 <= revision < 1 << 63:
        raise ValueError(f"revision: expected a whole number from 1, found {revision!r}")
    if state not in STATES:
        raise ValueError(f"state: expected one of {', '.join(STATES)}, found {state!r}")
    text = json.dumps(document, separators=(",", ":"), allow_nan=False)
    identity = {"session_id": session_id, "revision": revision, "state": state}
    return {**identity, "document": text, "checksum": zlib.crc32(text.encode())}


def _document(row: Row) -> Document | None:
    """Return the document of a row, or None if it is damaged."""
    text = row["document"]
    if not isinstance(text, str) or zlib.crc32(text.encode("utf-8", "replace")) != row["checksum"]:
        return None
    document = _object(text)
    same = all(document.get(key) == row[key] for key in ("session_id", "revision") if key in row)
    return document if same else None


def _object(text: str) -> Document:
    value: Document = json.loads(text)
    return value


def _stored(row: Row, document: Document) -> StoredSession:
    names = (name for name in StoredSession.__slots__ if name != "document")
    return StoredSession(document=document, **{name: row[name] for name in names})


def _rescue(damaged: Database, new: Database, rescue: Rescue) -> None:
    """Copy every undamaged session.

    All count as unacknowledged: the server answers `duplicate` for those that it has.
    """
    saved = 0
    for row in _readable(damaged):
        document = _document(row)
        if document is None:
            continue
        values = {"number": row["number"], "now": _now()}
        with contextlib.suppress(ValueError, sqlite3.IntegrityError):  # undamaged but invalid
            saved += new.execute(_PUT, {**_row(document), **values}).rowcount
    log.warning("%d sessions were recovered from the damaged store", saved)
    note = {"set_aside": rescue.aside.name, "why": rescue.why, "sessions_saved": saved}
    value = json.dumps({"at": rescue.at.isoformat(timespec="seconds"), **note})
    new.execute(_NOTE, {"key": "store", "value": value})


def _readable(damaged: Database) -> Iterator[Row]:
    """Yield rows up to the damage, then from the end back to it."""
    for order in ("ASC", "DESC"):
        try:
            yield from damaged.query(
                "SELECT number, document, checksum FROM sessions NOT INDEXED"
                f" ORDER BY number {order}"
            )
            return
        except sqlite3.DatabaseError as error:
            log.warning("reading the damaged store stopped early: %s", error)


# Command rows


def _command_row(command: Document) -> Row:
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


def _add_command(db: Database, row: Row) -> bool:
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


def _take_command(db: Database, now_s: float) -> str | None:
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
