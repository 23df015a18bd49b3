"""How many documents a consumer took, by what became of them: counted in memory, kept with a beat.

A consumer answers no HTTP, so its counts are read from the database. What it counted since its
last beat is lost with it: a few seconds of a number that is for looking at.
"""

from collections import Counter
from collections.abc import Iterable

from django.db import transaction
from django.db.models import F

from server.monitoring.models import Tally
from server.session_data.accept import Acceptance


class Tallies:
    """What was counted and is not kept yet."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def count(self, acceptances: Iterable[Acceptance | None]) -> None:
        """Count what became of some messages; a status has no outcome."""
        self._counts.update(each.outcome for each in acceptances if each is not None)

    def keep(self) -> None:
        """Add them to what is kept. Raises `django.db.Error`: then nothing was."""
        if not self._counts:
            return
        with transaction.atomic():
            for outcome, n in sorted(self._counts.items()):  # in one order: no waiting in a ring
                Tally.objects.get_or_create(outcome=outcome)
                Tally.objects.filter(pk=outcome).update(count=F("count") + n)
        self._counts.clear()
