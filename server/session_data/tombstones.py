"""Sessions that were deleted: known by their ids alone, so that nothing brings them back."""

from collections.abc import Collection
from uuid import UUID

from server.session_data.models import Tombstone

DELETED = "it was deleted"


def buried_among(sessions: Collection[UUID]) -> set[UUID]:
    """Which of these were deleted: one query, none for none."""
    if not sessions:
        return set()
    return set(Tombstone.objects.filter(pk__in=sessions).values_list("pk", flat=True))


def bury(sessions: Collection[UUID]) -> None:
    """From now on these are not stored again; in the transaction that deletes them."""
    Tombstone.objects.bulk_create((Tombstone(pk=pk) for pk in sessions), ignore_conflicts=True)
