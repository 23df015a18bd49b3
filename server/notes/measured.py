"""Read what was measured before and after a note, as somebody may see it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from server.care.models import Person
from server.notes.before_after import (
    KEYS,
    Compared,
    Window,
    compare,
    reach,
    windows,
)
from server.notes.models import Note
from server.notes.seen import notes_seen, of_days
from server.session_data.models import OVER, SessionData
from server.session_data.summary.statistics import by_day, least_days
from server.session_data.summary.views import Brief

COLUMNS = ("local_day", "state", "date_uncertain")
NEEDED = ("valid_s", *KEYS)
MOST_SESSIONS = 5000


@dataclass(frozen=True)
class BeforeAfter:
    """A note, both sides' days, and each metric. A side needs values on `least_days` days."""

    note: Note
    day: date
    days: int
    least_days: int
    before: Window | None
    after: Window | None
    metrics: Sequence[Compared]


def before_after(viewer: Person, note: Note, days: int, now: datetime) -> BeforeAfter:
    """Compare the days before and after a note.

    Only notes that the viewer sees end a side, so that it tells nothing about the others.
    """
    person, mark = note.person, note.day
    first, last = reach(mark, days)
    same = of_days(notes_seen(viewer, person).filter(kind=note.kind), person, first, last)
    others = {each.at.astimezone(person.zone).date() for each in same}
    today = now.astimezone(person.zone).date()
    before, after = windows(mark, days, others, today)
    groups = by_day(_briefs(person, first, last), first, last)
    compared = compare(groups, mark, days, before, after)
    return BeforeAfter(note, mark, days, least_days(days), before, after, compared)


def _briefs(person: Person, first: date, last: date) -> list[Brief]:
    """Return the newest finished sessions of these days."""
    over = SessionData.objects.filter(
        user=person, local_day__gte=first, local_day__lte=last, state__in=OVER
    )
    rows = over.order_by("-local_day").values_list(*COLUMNS, *NEEDED)[:MOST_SESSIONS]
    return [
        Brief(day, state, uncertain, dict(zip(NEEDED, values, strict=True)))
        for day, state, uncertain, *values in rows
    ]
