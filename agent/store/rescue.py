"""Copy the undamaged sessions of a damaged store to a new one."""

import contextlib
import json
import logging
import sqlite3
from collections.abc import Iterator

from agent.records import Document
from agent.store.database import Database
from agent.store.file import Rescue
from agent.store.rows import NOTE, PUT, Row, document_of, row_of, timestamp

log = logging.getLogger(__name__)

BATCH_BYTES = 1 << 20  # of documents in one commit

_ACKED = """
    UPDATE sessions SET acked_revision = max(acked_revision, :acked) WHERE session_id = :session_id
"""


def rescue_sessions(damaged: Database, new: Database, rescue: Rescue) -> Iterator[None]:
    """Copy every undamaged session, with the revision that the server has acknowledged.

    Parked sessions are sent once more. Without `rescue.delivered`, sessions that the server has are
    left out. Yields where what was copied may be committed: a single commit of many sessions would
    take a slow card longer than the watchdog waits.
    """
    saved = size = 0
    pending = _pending(damaged)
    for row in _readable(damaged):
        if (document := document_of(row)) is None:
            continue
        acked = 0 if row["number"] in pending else _acked(row, document)
        if rescue.delivered or acked < document["revision"] or document["state"] == "active":
            saved += _copy(new, row["number"], document, acked)
        size += len(row["document"])
        if size > BATCH_BYTES:
            size = 0
            yield
    log.warning("%d sessions were recovered from the damaged store", saved)
    note = {"set_aside": rescue.aside.name, "why": rescue.why, "sessions_saved": saved}
    value = json.dumps({"at": rescue.at.isoformat(timespec="seconds"), **note})
    new.execute(NOTE, {"key": "store", "value": value})


def _copy(new: Database, number: int, document: Document, acked: int) -> int:
    """Return how many sessions were copied: 1 or 0."""
    values = {"number": number, "now": timestamp()}
    with contextlib.suppress(ValueError, sqlite3.IntegrityError):  # undamaged but invalid
        copied = new.execute(PUT, {**row_of(document), **values}).rowcount
        new.execute(_ACKED, {"session_id": document["session_id"], "acked": acked})
        return copied
    return 0


def _acked(row: Row, document: Document) -> int:
    """Return the acknowledged revision of a row, or 0 if it is impossible."""
    acked = row["acked_revision"]
    return acked if isinstance(acked, int) and 0 < acked <= document["revision"] else 0


def _pending(damaged: Database) -> set[int]:
    """Return the numbers of the pending sessions by their index, as far as it can be read.

    A session counts as acknowledged only if its row and this index agree: it is better to send a
    session twice than never.
    """
    with contextlib.suppress(sqlite3.DatabaseError):
        return {
            row["number"]
            for row in damaged.query(
                "SELECT number FROM sessions INDEXED BY sessions_pending"
                " WHERE acked_revision < revision AND parked_reason IS NULL"
            )
        }
    return set()


def _readable(damaged: Database) -> Iterator[Row]:
    """Yield rows up to the damage, then from the end back to it."""
    for order in ("ASC", "DESC"):
        try:
            yield from damaged.query(
                "SELECT number, document, checksum, acked_revision FROM sessions NOT INDEXED"
                f" ORDER BY number {order}"
            )
            return
        except sqlite3.DatabaseError as error:
            log.warning("reading the damaged store stopped early: %s", error)
