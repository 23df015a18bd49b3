"""Tombstones: ids of deleted sessions, so that the sessions can't be stored again."""

from collections.abc import Collection
from uuid import UUID

from server.session_data.models import Tombstone

DELETED = "the session was deleted"


def buried_among(sessions: Collection[UUID]) -> set[UUID]:
    """Return those of the sessions that were deleted, with at most one query."""
    if not sessions:
        return set()
    return set(Tombstone.objects.filter(pk__in=sessions).values_list("pk", flat=True))


def bury(sessions: Collection[UUID]) -> None:
    """Store tombstones. Call this in the transaction that deletes the sessions."""
    Tombstone.objects.bulk_create((Tombstone(pk=pk) for pk in sessions), ignore_conflicts=True)
