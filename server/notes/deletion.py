"""Delete notes: one, those on sessions that are deleted, and those past their retention time.

A note that somebody deletes leaves a tombstone, as a session does, so that a restored backup
doesn't bring it back. Notes past their time need none: they are deleted again.
"""

from collections.abc import Collection, Iterable
from datetime import datetime
from uuid import UUID

from django.db.models import QuerySet

from server.care.models import Person
from server.common.batches import batched
from server.notes.models import Note
from server.session_data.models import Tombstone

BATCH = 200
# Per run, so that a first cleanup is spread over several runs.
MOST = 10_000


def bury(notes: QuerySet[Note]) -> int:
    """Delete notes, leave tombstones, and return how many there were."""
    gone = list(notes.select_for_update(of=("self",)).values_list("pk", flat=True))
    Tombstone.objects.bulk_create((Tombstone(pk=pk) for pk in gone), ignore_conflicts=True)
    return Note.objects.filter(pk__in=gone).delete()[0]


def delete_with_sessions(sessions: Collection[UUID]) -> int:
    """Delete the notes on these sessions; their own tombstones stop them. Returns how many."""
    return Note.objects.filter(session_id__in=sessions).delete()[0]


def delete_older(people: Iterable[Person], before: datetime) -> int:
    """Delete the notes about these people from before a moment, and return how many."""
    old = Note.objects.filter(person__in=people, at__lt=before).order_by("at")
    found = list(old.values_list("pk", flat=True)[:MOST])
    return sum(Note.objects.filter(pk__in=some).delete()[0] for some in batched(found, BATCH))


def delete_restored(buried: Collection[UUID], sessions: Collection[UUID]) -> None:
    """Delete restored notes that have a tombstone, or whose session has one."""
    for some in batched(buried, 500):
        Note.objects.filter(pk__in=some).delete()
    for some in batched(sessions, 500):
        delete_with_sessions(list(some))
