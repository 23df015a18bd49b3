"""Copy the undamaged sessions of a damaged store to a new one."""

import contextlib
import json
import logging
import sqlite3
from collections.abc import Iterator

from agent.store.database import Database
from agent.store.file import Rescue
from agent.store.rows import Row, document_of, row_of, timestamp

log = logging.getLogger(__name__)

PUT = """
    INSERT INTO sessions
        (number, session_id, revision, state, document, checksum, created_at, updated_at)
    VALUES (:number, :session_id, :revision, :state, :document, :checksum, :now, :now)
    ON CONFLICT (session_id) DO UPDATE SET
        revision = excluded.revision, state = excluded.state, document = excluded.document,
        checksum = excluded.checksum, updated_at = excluded.updated_at,
        parked_reason = NULL, parked_at = NULL  -- another revision may be accepted
    WHERE excluded.revision > sessions.revision
"""
NOTE = "INSERT OR REPLACE INTO notes (key, value) VALUES (:key, :value)"


def rescue_sessions(damaged: Database, new: Database, rescue: Rescue) -> None:
    """Copy every undamaged session.

    All count as unacknowledged: the server answers `duplicate` for those that it has.
    """
    saved = 0
    for row in _readable(damaged):
        document = document_of(row)
        if document is None:
            continue
        values = {"number": row["number"], "now": timestamp()}
        with contextlib.suppress(ValueError, sqlite3.IntegrityError):  # undamaged but invalid
            saved += new.execute(PUT, {**row_of(document), **values}).rowcount
    log.warning("%d sessions were recovered from the damaged store", saved)
    note = {"set_aside": rescue.aside.name, "why": rescue.why, "sessions_saved": saved}
    value = json.dumps({"at": rescue.at.isoformat(timespec="seconds"), **note})
    new.execute(NOTE, {"key": "store", "value": value})


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
