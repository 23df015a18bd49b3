"""Count a consumer's documents by outcome, in memory, and save the counts with its heartbeat.

A consumer serves no HTTP, so /metrics reads its counts from the database. If it crashes, the counts
since its last heartbeat are lost: a few seconds' worth of a statistic.
"""

from collections import Counter
from collections.abc import Iterable

from django.db import transaction
from django.db.models import F

from server.monitoring.models import Tally
from server.session_data.accept import Acceptance


class Tallies:
    """Counts that are not saved yet."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def count(self, acceptances: Iterable[Acceptance | None]) -> None:
        """Count the outcomes of messages. A status message has none."""
        self._counts.update(each.outcome for each in acceptances if each is not None)

    def keep(self) -> None:
        """Add the counts to those in the database. A `django.db.Error` leaves both unchanged."""
        if not self._counts:
            return
        with transaction.atomic():
            for outcome, n in sorted(self._counts.items()):  # a fixed order prevents deadlocks
                Tally.objects.get_or_create(outcome=outcome)
                Tally.objects.filter(pk=outcome).update(count=F("count") + n)
        self._counts.clear()
