"""Read finished sessions for an export, person by person, in short queries.

No query reads more than a page, so a slow client keeps no transaction open and meets no statement
timeout, and memory doesn't grow with the length of the history.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from functools import partial
from typing import Any

from django.db.models import Q, QuerySet

from server.care.access import visible_people
from server.care.models import Permission, Person
from server.common.batches import batched
from server.common.days import zone_of
from server.replica.reading import from_replica
from server.session_data.history import Row, page_of, sessions_of
from server.session_data.models import OVER, SessionData, State
from server.session_data.summary.statistics import is_short
from server.session_data.summary.views import Brief

# Rows per query: a few hundred kilobytes.
CHUNK = 500
# Documents per query: a document has at most 1 MiB.
DOCUMENTS = 16


@dataclass(frozen=True, slots=True)
class Found:
    """A session: whose it is, its row (`history.COLUMNS`) and, if it was read, its document.

    `timezone` is the person's, for sessions without one.
    """

    user: str
    timezone: str
    row: Row
    document: Mapping[str, Any] = field(default_factory=dict)

    @property
    def zone(self) -> tzinfo:
        """The time zone of the session."""
        return zone_of(self.row["timezone"], self.row["utc_offset_minutes"], self.timezone)

    @property
    def short(self) -> bool:
        """Whether the session is too short for a rate."""
        row = self.row
        values = {"valid_s": row["valid_s"]}
        return is_short(Brief(row["local_day"], row["state"], row["date_uncertain"], values))


def over(
    person: Person, sessions: QuerySet[SessionData], states: Sequence[State] = OVER
) -> Iterator[Row]:
    """Yield the rows of the person's `sessions` in these states, newest first.

    Reads `CHUNK` at a time.
    """
    cursor = None
    while True:
        page = from_replica([person], partial(page_of, sessions, states, cursor, CHUNK))
        yield from page.rows
        if page.older is None:
            return
        cursor = page.older


def found(
    person: Person, wanted: Q | None = None, states: Sequence[State] = OVER
) -> Iterator[Found]:
    """Yield the person's finished sessions within `wanted`, without documents, newest first."""
    for row in over(person, sessions_of(person).filter(wanted or Q()), states):
        yield Found(person.username, person.timezone, row)


def still_visible(viewer: Person, people: Iterable[Person]) -> Iterator[Person]:
    """Yield those whose history the viewer may see when their turn comes.

    An export of many people takes long enough for access to end in the meantime.
    """
    for person in people:
        if visible_people(viewer, Permission.HISTORY).filter(pk=person.pk).exists():
            yield person


def with_documents(sessions: Iterable[Found]) -> Iterator[Found]:
    """Read the documents of the sessions. Leaves out those that were deleted in the meantime."""
    for some in batched(sessions, DOCUMENTS):
        rows = SessionData.objects.filter(pk__in=[each.row["id"] for each in some])
        texts = dict(rows.values_list("pk", "document_json"))
        for each in some:
            text = texts.pop(each.row["id"], None)
            if text is not None:
                yield replace(each, document=json.loads(text))
