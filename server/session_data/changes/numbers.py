"""Number the changes of each person's sessions in the order in which they are committed.

    lock the sessions -- take the next number of their person -- write -- commit

The row with a person's last number stays locked until the commit, so one person's transactions
are committed in the order of their numbers, on PostgreSQL too. Who reads a last number can read
every change up to it: no clock is compared, and nothing in flight has a lower number.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import F, Max
from django.utils import timezone

from server.session_data.models import ChangeSeries, Deletion
from server.session_data.tombstones import Owned

# How long a deletion is told. A cursor from before the oldest one is refused.
DELETIONS_KEPT = timedelta(days=90)


def next_changes(people: Collection[int]) -> dict[int, int]:
    """Return each person's next number. Their other changes wait until the transaction ends.

    Call this in the transaction that writes, after locking the sessions: all who lock both do it
    in this order, and people in the order of their keys, so that nobody waits in a ring.
    """
    found = _locked(people)
    if missing := sorted(set(people) - found.keys()):
        new = (ChangeSeries(person_id=pk) for pk in missing)
        ChangeSeries.objects.bulk_create(new, ignore_conflicts=True)
        found = _locked(people)
    ChangeSeries.objects.filter(pk__in=people).update(last=F("last") + 1)
    return {pk: last + 1 for pk, last in found.items()}


def note_deletions(sessions: Collection[Owned], active: Collection[UUID] = ()) -> None:
    """Store that these sessions are deleted; those in `active` were not over yet.

    Call this in the transaction that deletes them.
    """
    numbers = next_changes({person for _, person, _ in sessions})
    Deletion.objects.bulk_create(
        Deletion(
            person_id=person,
            session_id=session_id,
            change=numbers[person],
            was_active=session_id in active,
        )
        for session_id, person, _ in sessions
    )


def forget_deletions(now: datetime | None = None) -> int:
    """Drop deletions that are too old to be told, and return how many there were."""
    old = Deletion.objects.filter(at__lt=(now or timezone.now()) - DELETIONS_KEPT)
    newest = old.order_by().values("person").annotate(newest=Max("change"))
    done = 0
    for person, last in list(newest.values_list("person", "newest")):
        with transaction.atomic():
            ChangeSeries.objects.filter(pk=person).update(forgotten=last)
            done += old.filter(person=person, change__lte=last).delete()[0]
    return done


def begin_new_series() -> None:
    """Make all cursors invalid: after a restore, numbers that were given out come again."""
    for person in list(ChangeSeries.objects.values_list("pk", flat=True)):
        ChangeSeries.objects.filter(pk=person).update(series=uuid4())


def _locked(people: Collection[int]) -> dict[int, int]:
    rows = ChangeSeries.objects.select_for_update().filter(pk__in=people).order_by("pk")
    return dict(rows.values_list("pk", "last"))


def series_of(person: int) -> tuple[UUID, int, int]:
    """Return a person's series, its last number, and the number up to which it is incomplete."""
    rows = ChangeSeries.objects.filter(pk=person)
    found = rows.values_list("series", "last", "forgotten").first()
    return found or (UUID(int=0), 0, 0)
