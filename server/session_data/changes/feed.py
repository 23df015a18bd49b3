"""Read a person's changed and deleted sessions from a position on.

Each session is told once, at its newest revision; one that changes meanwhile moves to the end. A
page only has changes up to the last number that was committed when the page was begun.

Neither entries nor the numbers in cursors tell a viewer of what they may not see.
"""

import base64
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import F, Min, Q, QuerySet
from rest_framework.exceptions import APIException

from server.care.models import Person
from server.session_data.changes.numbers import series_of
from server.session_data.history import COLUMNS, Row
from server.session_data.models import Deletion, SessionData, State

FIRST, LAST = UUID(int=0), UUID(int=2**128 - 1)
MAX_CHANGE = 2**63 - 1  # of the column


class CursorExpired(APIException):
    """The cursor's series has ended, or deletions after it are no longer kept: status 410."""

    status_code = 410
    default_code = "cursor_expired"
    default_detail = "the cursor is too old: read everything again, from a time on"


@dataclass(frozen=True, slots=True)
class Position:
    """A position in a person's series: after the session `id` of the change with that number."""

    series: UUID
    change: int
    id: UUID

    def text(self) -> str:
        """Return the position as text for a URL."""
        fields = [str(self.series), self.change, str(self.id)]
        return base64.urlsafe_b64encode(json.dumps(fields).encode()).decode().rstrip("=")

    @classmethod
    def read(cls, text: str) -> "Position":
        """Parse a position written by `text`. Raises `ValueError` for anything else."""
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
            series, change, session_id = json.loads(raw)
            if type(change) is not int or not 0 <= change <= MAX_CHANGE:
                raise ValueError(change)
            return cls(UUID(series), change, UUID(session_id))
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError("expected a cursor from an earlier response") from error


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes in their order, sessions and deletions; where they end, and whether there are more.

    A session is a row of `history.COLUMNS`, and a deletion has `session_id` and `at`.
    """

    rows: list[Row]
    after: Position
    more: bool


@dataclass(frozen=True, slots=True)
class Sight:
    """What a viewer may see of a person's changes.

    Without `live`, active sessions are left out; they are told once they are over. Deletions from
    before `since` are left out: the viewer had no copy then.
    """

    person: Person
    live: bool = True
    since: datetime | None = None

    @property
    def sessions(self) -> QuerySet[SessionData]:
        """The sessions."""
        rows = SessionData.objects.filter(user=self.person)
        return rows if self.live else rows.exclude(state=State.ACTIVE)

    @property
    def deletions(self) -> QuerySet[Deletion]:
        """The deletions."""
        rows = Deletion.objects.filter(person=self.person)
        if self.since is not None:
            rows = rows.filter(at__gte=self.since)
        return rows if self.live else rows.filter(was_active=False)

    def series(self) -> tuple[UUID, int, int]:
        """Return `series_of` the person, as if there were only the changes that may be seen."""
        series, last, forgotten = series_of(self.person.pk)
        if self.live or not last:
            return series, last, forgotten
        newest = [
            rows.filter(change__lte=last).order_by("-change").values_list("change", flat=True)[:1]
            for rows in (self.sessions, self.deletions)
        ]
        seen = max((n for rows in newest for n in rows), default=0)
        known = max(seen, forgotten)
        return (series if known else FIRST), known, forgotten


def changes_since(sight: Sight, since: Position | datetime, limit: int) -> Changes:
    """Return at most `limit` changes after a position, or since a time by the server's clock.

    Raises `CursorExpired`.
    """
    series, last, forgotten = sight.series()  # first: what is read later has it all
    if isinstance(since, datetime):
        since = Position(series, _first_change(sight, since, last), FIRST)
    elif _is_expired(since, series, last, forgotten):
        raise CursorExpired
    end = Position(series, last, LAST)
    if since == end:
        return Changes([], end, more=False)
    deleted = _between(sight.deletions, "session_id", since, last, limit)
    rows = [
        *_between(sight.sessions, "id", since, last, limit).values("change", *COLUMNS),
        *deleted.values("change", "session_id", "at"),
    ]
    rows.sort(key=_place)
    if len(rows) <= limit:
        return Changes(rows, end, more=False)
    return Changes(rows[:limit], Position(series, *_place(rows[limit - 1])), more=True)


def _is_expired(since: Position, series: UUID, last: int, forgotten: int) -> bool:
    if since.series not in (series, FIRST):  # FIRST: from before the person's first change
        return True
    incomplete = forgotten > 0 and (since.change, since.id) < (forgotten, LAST)
    return incomplete or since.change > last


def _first_change(sight: Sight, since: datetime, last: int) -> int:
    """Return the lowest number since a time; a clock that was set back costs no change."""
    sessions = sight.sessions.filter(updated_at__gte=since).order_by()
    deleted = sight.deletions.filter(at__gte=since).order_by()
    # Adding 0 keeps the databases from walking all numbers in order to find the lowest.
    lowest = Min(F("change") + 0)
    found = [rows.aggregate(n=lowest)["n"] for rows in (sessions, deleted)]
    return min((n for n in found if n is not None), default=last + 1)


def _between(rows: QuerySet[Any], key: str, since: Position, last: int, n: int) -> QuerySet[Any]:
    """Return the first `n` + 1 rows after the position. The first condition is for the index."""
    after = Q(change__gt=since.change) | Q(**{f"{key}__gt": since.id})
    wanted = Q(change__gte=since.change, change__lte=last) & after
    return rows.filter(wanted).order_by("change", key)[: n + 1]


def _place(row: Row) -> tuple[int, UUID]:
    return row["change"], row.get("session_id") or row["id"]
