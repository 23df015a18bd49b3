"""Read a person's sessions page by page.

The order is newest first, by `placed_at` (the start or, if the date is uncertain, the arrival) and
`id`; an index has both. Pagination is by keyset: a page starts where the previous one ended. So
each session appears exactly once, even if sessions are added in the meantime. If a device corrects
a session's date in the meantime, the session moves, like a new one.

The time for a page doesn't depend on the number of sessions: each query reads its rows in order
from an index, and stops.
"""

import base64
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from server.care.access import visible_people
from server.care.models import Permission, Person
from server.session_data.models import METRICS, SessionData, State

Row = dict[str, Any]

# The columns shown in a list of sessions.
COLUMNS = (
    "id",
    "state",
    "revision",
    "placed_at",
    "started_at",
    "ended_at",
    "ended_by",
    "local_day",
    "timezone",
    "utc_offset_minutes",
    "date_uncertain",
    "received_at",
    "updated_at",
    "device_id",
    "device__label",
    *METRICS,
    "fps",
    "agent_version",
    "activity",
    "activity_chosen",
)


@dataclass(frozen=True, slots=True)
class Cursor:
    """A position in the history: just after (older than) a session, or just before if `newer`."""

    placed_at: datetime
    id: UUID
    newer: bool = False

    def text(self) -> str:
        """Return the cursor as text for a URL."""
        fields = [int(self.newer), self.placed_at.astimezone(UTC).isoformat(), str(self.id)]
        return base64.urlsafe_b64encode(json.dumps(fields).encode()).decode().rstrip("=")

    @classmethod
    def read(cls, text: str) -> "Cursor":
        """Parse a cursor written by `text`. Raises `ValueError` for anything else."""
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
            newer, placed_at, session_id = json.loads(raw)
            moment = datetime.fromisoformat(placed_at).astimezone(UTC)
            if not 1970 <= moment.year < 2200:
                raise ValueError(moment.year)
            return cls(moment, UUID(session_id), bool(newer))
        except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise ValueError("expected a cursor from an earlier response") from error


@dataclass(frozen=True, slots=True)
class Page:
    """A page of sessions, newest first, and cursors to the next pages in both directions."""

    rows: list[Row]
    older: Cursor | None
    newer: Cursor | None


def sessions_of(person: Person) -> QuerySet[SessionData]:
    """Return the person's sessions, newest first, without their documents."""
    return SessionData.objects.filter(user=person).defer("document_json")


def readable_by(viewer: Person) -> QuerySet[SessionData]:
    """Return all sessions that the viewer may see: past and current ones, each by permission."""
    past = visible_people(viewer, Permission.HISTORY).order_by().values("pk")
    live = visible_people(viewer, Permission.LIVE).order_by().values("pk")
    is_live = Q(state=State.ACTIVE)
    return SessionData.objects.filter((~is_live & Q(user__in=past)) | (is_live & Q(user__in=live)))


def readable_states(
    permissions: Collection[Permission], states: Sequence[State] = ()
) -> tuple[State, ...] | None:
    """Return those of `states` that these permissions allow to see; empty `states` means all.

    The result is for `page_of`: empty means all, `None` means none.
    """
    needed = {
        state: Permission.LIVE if state == State.ACTIVE else Permission.HISTORY for state in State
    }
    shown = tuple(state for state in states or State if needed[state] in permissions)
    if not shown:
        return None
    return () if len(shown) == len(State) else shown


def page_of(
    sessions: QuerySet[SessionData],
    states: Sequence[State] | None,
    cursor: Cursor | None,
    limit: int,
) -> Page:
    """Return at most `limit` of `sessions` in one of `states` (empty: all; `None`: none)."""
    if states is None:
        return Page([], None, None)
    newer = cursor is not None and cursor.newer
    if cursor is not None:
        sessions = sessions.filter(_beyond(cursor))
    rows = _first(sessions, states, newer, limit + 1)
    more, rows = len(rows) > limit, rows[:limit]
    if newer:
        rows.reverse()
    # A reader who comes from an older page knows that there are older sessions, and vice versa.
    has_older = rows and (more if not newer else True)
    has_newer = rows and (more if newer else cursor is not None)
    return Page(
        rows,
        _cursor(rows[-1], newer=False) if has_older else None,
        _cursor(rows[0], newer=True) if has_newer else None,
    )


def _first(
    sessions: QuerySet[SessionData], states: Sequence[State], newer: bool, count: int
) -> list[Row]:
    """Return the first `count` rows in the direction of reading.

    Each state is queried separately, to use the index, and the rows are merged here. For several
    states in one query, the database would read and sort all rows.
    """
    order = ("placed_at", "id") if newer else ("-placed_at", "-id")
    wanted = [sessions.filter(state=state) for state in states] or [sessions]
    rows = [row for some in wanted for row in some.order_by(*order).values(*COLUMNS)[:count]]
    rows.sort(key=lambda row: (row["placed_at"], row["id"]), reverse=not newer)
    return rows[:count]


def _beyond(cursor: Cursor) -> Q:
    """Return the filter for sessions beyond the cursor. The first condition is for the index."""
    if cursor.newer:
        behind = Q(placed_at__gt=cursor.placed_at) | Q(id__gt=cursor.id)
        return Q(placed_at__gte=cursor.placed_at) & behind
    behind = Q(placed_at__lt=cursor.placed_at) | Q(id__lt=cursor.id)
    return Q(placed_at__lte=cursor.placed_at) & behind


def _cursor(row: Row, *, newer: bool) -> Cursor:
    return Cursor(row["placed_at"], row["id"], newer)
