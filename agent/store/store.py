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
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from agent.clock import Clock
from agent.errors import StoreError
from agent.records import COMMAND_S, REASON_CHARACTERS, Document, StoredSession
from agent.store import commands
from agent.store.database import DamageError, Database
from agent.store.file import StoreFile
from agent.store.rescue import rescue_sessions
from agent.store.rows import (
    NOTE,
    PUT,
    Row,
    checked,
    document_of,
    row_of,
    stored_of,
    timestamp,
)
from agent.store.schema import APPLICATION_ID, MIGRATIONS
from agent.store.spool import Spool

log = logging.getLogger(__name__)

PAGE = 16  # sessions in memory at a time: a thousand of two hours each would take 300 MB

_PENDING = "acked_revision < revision AND parked_reason IS NULL"
_ACKNOWLEDGE = """
    UPDATE sessions SET acked_revision = :revision,
        parked_reason = iif(:revision = revision, NULL, parked_reason),
        parked_at = iif(:revision = revision, NULL, parked_at)
    WHERE session_id = :session_id AND acked_revision < :revision AND :revision <= revision
"""
_ACKNOWLEDGED = "SELECT acked_revision FROM sessions WHERE session_id = :session_id"
_PARK = """
    UPDATE sessions SET parked_reason = :reason, parked_at = :now
    WHERE session_id = :session_id AND revision = :revision AND acked_revision < revision
"""
_PARK_DAMAGED = """
    UPDATE sessions SET parked_reason = 'damaged in the device''s store', parked_at = :now
    WHERE number = :number AND parked_reason IS NULL
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


class Store:
    """Opens or creates the file at `path`. Every method raises StoreError if the disk fails.

    All stores of one file need the same kind of `clock`: it counts how long commands are valid.
    `alive` is called at each step of long work, to ping a watchdog. `wait_s` is how long to wait
    for another process, 10 s by default; then StoreBusyError is raised.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock = Clock(),  # noqa: B008 - immutable
        *,
        alive: Callable[[], None] = lambda: None,
        wait_s: float | None = None,
    ) -> None:
        self._clock = clock
        self._file = StoreFile(
            path,
            application_id=APPLICATION_ID,
            migrations=MIGRATIONS,
            rescue=rescue_sessions,
            alive=alive,
            wait_s=wait_s,
        )
        self._spool = Spool(path)

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
        row = {**row_of(document), "number": None, "now": timestamp()}
        return self._file.run(partial(_put, row=row), write=True)

    def spool(self, document: Document) -> bool:
        """Set a document down beside the store, where `put` failed; return whether it was newer.

        Raises ValueError if it is invalid.
        """
        with contextlib.suppress(StoreError):  # a store that is only locked can still be read
            known = self.document(document["session_id"])
            if known is not None and known["revision"] >= document["revision"]:
                return False
        self._spool.add(document)
        return True

    def take_in(self) -> int:
        """Save the documents that were set down beside the store; return how many there were."""
        count = 0
        for file, document in self._spool.documents():
            row = {**row_of(document), "number": None, "now": timestamp()}
            self._file.run(partial(_put, row=row), write=True)
            file.unlink(missing_ok=True)  # only now: a kill in between costs nothing
            log.info("session %s was taken into the store", document["session_id"])
            count += 1
        return count

    def document(self, session_id: str) -> Document | None:
        """Return the newest document of a session."""
        rows = self._rows("SELECT * FROM sessions WHERE session_id = :id", {"id": session_id})
        return next(iter(self._undamaged(rows)), None)

    def pending(self, limit: int, skip: Iterable[tuple[str, int]] = ()) -> list[Document]:
        """Return up to `limit` documents that the server has not acknowledged.

        Active sessions come first, then the oldest. `skip`: (session_id, revision) to leave out.
        """
        skipped = json.dumps([f"{session_id} {revision}" for session_id, revision in skip])
        values = {"skip": skipped, "limit": limit}
        while rows := self._rows(_NEXT_PENDING, values):
            if documents := self._undamaged(rows):  # otherwise all were damaged and are parked now
                return documents
        return []

    def acknowledge(self, session_id: str, revision: int) -> bool:
        """Record that the server has committed `revision`; return whether that is new."""
        return self._change_session(_ACKNOWLEDGE, session_id, {"revision": revision})

    def acknowledged(self, session_id: str) -> int:
        """Return the highest revision that the server has acknowledged, or 0."""
        rows = self._read(_ACKNOWLEDGED, {"session_id": session_id})
        return rows[0]["acked_revision"] if rows else 0

    def park(self, session_id: str, revision: int, reason: str) -> bool:
        """Stop sending `revision`; return whether it was parked.

        A call of `retry`, or a higher revision, makes the session pending again.
        """
        values = {"revision": revision, "now": timestamp(), "reason": reason[:REASON_CHARACTERS]}
        return self._change_session(_PARK, session_id, values)

    def retry(self, session_id: str) -> bool:
        """Make a parked session pending again; return whether it was parked."""
        return self._change_session(_RETRY, session_id, {})

    def unfinished(self) -> list[Document]:
        """Return the active sessions. At start-up these are the interrupted ones."""
        rows = self._rows("SELECT * FROM sessions WHERE state = 'active' ORDER BY number", {})
        return self._undamaged(rows)

    def sessions(self, limit: int) -> list[StoredSession]:
        """Return the newest `limit` sessions, newest first."""
        return list(itertools.islice(self.newest(), limit))

    def newest(self) -> Iterator[StoredSession]:
        """Yield all sessions, newest first, with few in memory at a time."""
        before = 1 << 62
        while rows := self._rows(_NEWEST, {"before": before, "limit": PAGE}):
            before = rows[-1]["number"]
            for row in rows:
                if (document := document_of(row)) is not None:
                    yield stored_of(row, document)

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

    def add_command(self, command: Document, left_s: float = COMMAND_S) -> bool:
        """Save a command for `take_command`; return False if its ID is already known.

        It is valid for `left_s` seconds from now, whatever the wall clock says, and for at most
        `COMMAND_S`. Raises ValueError for an invalid command.
        """
        row = commands.row_of(command, left_s, self._moment())
        is_new = self._file.run(lambda db: commands.add(db, row), write=True)
        if is_new and commands.unknown_activity(command):
            activity = command["activity"]
            log.warning("unknown activity %.40r: the session starts without one", activity)
        return is_new

    def take_command(self) -> Document | None:
        """Return the oldest command that is neither taken nor expired. Each is returned once."""
        if not self._read("SELECT 1 FROM commands WHERE taken = 0 LIMIT 1", {}):
            return None  # the usual case, several times a second: avoid a write
        now = self._moment()
        return self._file.run(lambda db: commands.take(db, now), write=True)

    def next_command(self) -> Document | None:
        """Return what `take_command` would return, without taking it."""
        now = self._moment()
        return self._file.run(lambda db: commands.first(db, now))

    def drop_command(self, command_id: str) -> None:
        """Mark the command with this ID as taken: it has been obeyed, or needs no action."""
        self._file.run(lambda db: commands.drop(db, command_id), write=True)

    def _moment(self) -> commands.Moment:
        return commands.Moment(self._clock.boot_id(), self._clock.monotonic_s())

    # Notes

    def note(self, key: str, value: Any) -> None:
        """Save a small value under `key`. An unchanged value costs no write."""
        if self.noted(key) != value:
            self._change(NOTE, {"key": key, "value": json.dumps(value)})

    def noted(self, key: str) -> Any:
        """Return the last value saved under `key`, or None."""
        rows = self._read("SELECT value FROM notes WHERE key = :key", {"key": key})
        return json.loads(rows[0]["value"]) if rows else None

    def _read(self, sql: str, values: dict[str, Any]) -> list[Row]:
        return self._file.run(lambda db: list(db.query(sql, values)))

    def _rows(self, sql: str, values: dict[str, Any]) -> list[Row]:
        """Read session rows. A file whose rows contradict their documents is replaced."""
        return self._file.run(lambda db: [checked(row) for row in db.query(sql, values)])

    def _change_session(self, sql: str, session_id: str, values: dict[str, Any]) -> bool:
        """Run one statement on a session; return whether it changed."""
        values = {"session_id": session_id, **values}
        return self._file.run(lambda db: _change_session(db, sql, values), write=True)

    def _change(self, sql: str, values: dict[str, Any]) -> int:
        """Run one statement; return how many rows it changed."""
        return self._file.run(lambda db: db.execute(sql, values).rowcount, write=True)

    def _undamaged(self, rows: list[Row]) -> list[Document]:
        """Return the undamaged documents of `rows`; park the damaged ones."""
        documents = []
        for row in rows:
            document = document_of(row)
            if document is not None:
                documents.append(document)
            elif row["parked_reason"] is None:
                log.error("session %s is damaged in the store", row["session_id"])
                # By its number: nothing else that a damaged row says can be relied on.
                self._change(_PARK_DAMAGED, {"number": row["number"], "now": timestamp()})
        return documents


def _put(db: Database, row: Row) -> bool:
    if row["revision"] > 1:
        _check_index(db, row["session_id"])  # else it would become a second session
    return db.execute(PUT, row).rowcount > 0


def _change_session(db: Database, sql: str, values: dict[str, Any]) -> bool:
    changed = db.execute(sql, values).rowcount > 0
    if not changed:
        _check_index(db, values["session_id"])
    return changed


def _check_index(db: Database, session_id: str) -> None:
    """Raise DamageError if the table has a session that its index does not have."""
    session = "FROM sessions {} WHERE session_id = ?"
    if db.execute("SELECT 1 " + session.format(""), [session_id]).fetchone():
        return
    if db.execute("SELECT 1 " + session.format("NOT INDEXED"), [session_id]).fetchone():
        raise DamageError("a session is missing from the index of session ids")
