"""Session rows: a document as a row with a checksum, and back; how rows and notes are written."""

import json
import zlib
from datetime import UTC, datetime
from typing import Any

from agent.records import Document, StoredSession
from agent.store.database import DamageError

Row = dict[str, Any]

STATES = ("active", "ended", "interrupted")

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


def timestamp() -> str:
    """Return the wall clock's time as ISO 8601 in UTC, in milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def row_of(document: Document) -> Row:
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


def document_of(row: Row) -> Document | None:
    """Return the document of a row, or None if it is damaged."""
    return parsed(row["document"]) if _is_whole(row) else None


def checked(row: Row) -> Row:
    """Return the row if it agrees with its document.

    A damaged document can't be compared, so its row is returned. Raises DamageError if the document
    is undamaged but contradicts the row: then the file is damaged, but the document can be rescued.
    """
    if _is_whole(row):
        for key in ("session_id", "revision", "state"):
            member = f'"{key}":{json.dumps(row[key])}'  # not parsed: a long one takes milliseconds
            if not any(member + end in row["document"] for end in ",}"):
                raise DamageError(f"row {row['number']} is not that of its document: {key}")
    return row


def _is_whole(row: Row) -> bool:
    text = row["document"]
    return isinstance(text, str) and zlib.crc32(text.encode("utf-8", "replace")) == row["checksum"]


def parsed(text: str) -> Document:
    """Parse a JSON object."""
    value: Document = json.loads(text)
    return value


def stored_of(row: Row, document: Document) -> StoredSession:
    """Return a row with its parsed document."""
    names = (name for name in StoredSession.__slots__ if name != "document")
    return StoredSession(document=document, **{name: row[name] for name in names})
