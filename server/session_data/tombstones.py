"""Tombstones: marks of deleted sessions, so that the sessions can't be stored again.

A mark is a hash of a session's id and of its person or its device. So a tombstone only stops
those two: a session of somebody else that has the same id is stored all the same. It names neither.
Older tombstones are the bare id, and stop everybody.
"""

import hashlib
from collections.abc import Collection, Iterable
from uuid import UUID

from server.session_data.bulk.looking import stored_among
from server.session_data.models import Tombstone

DELETED = "the session was deleted"

# A session's id, and the primary keys of the person measured and of the device.
Owned = tuple[UUID, int, UUID | None]


def buried_among(sessions: Collection[Owned]) -> set[Owned]:
    """Return those of the sessions that were deleted, with at most one query."""
    if not sessions:
        return set()
    marks = {each: {each[0], *_marks(each)} for each in sessions}
    wanted: set[UUID] = set().union(*marks.values())
    found = stored_among(Tombstone, wanted)
    return {each for each, its in marks.items() if its & found}


def bury(sessions: Iterable[Owned]) -> None:
    """Store tombstones. Call this in the transaction that deletes the sessions."""
    marks = {mark for each in sessions for mark in _marks(each)}
    Tombstone.objects.bulk_create((Tombstone(pk=mark) for mark in marks), ignore_conflicts=True)


def mark_of(session_id: UUID, whose: int | UUID) -> UUID:
    """Return the mark for a person's primary key or a device's."""
    return _mark(str(session_id), whose)


def _marks(session: Owned) -> list[UUID]:
    session_id, person, device = session
    name = str(session_id)
    return [_mark(name, whose) for whose in (person, device) if whose is not None]


def _mark(session_id: str, whose: int | UUID) -> UUID:
    text = f"{session_id} {whose}".encode()
    return UUID(bytes=hashlib.sha256(text).digest()[:16])
