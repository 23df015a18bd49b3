"""The notes of a period: their symbols in the charts, and the list below these."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby

from server.care.models import Person
from server.common.words import clock, weekday_and_day
from server.dashboard.charts import Sign
from server.dashboard.history import Period
from server.notes.forms import NoteForm, new_form
from server.notes.models import Note
from server.notes.rows import NoteRow, note_rows, said
from server.notes.seen import notes_seen, of_days

# Notes in the list below the charts, the newest. The page of notes has all.
MOST_LISTED = 30
# Symbols in the charts come from at most so many notes, the newest.
MOST_NOTES = 500


@dataclass(frozen=True)
class NotesPart:
    """The list of a period's notes, and the form for a new one if the viewer is the person."""

    rows: Sequence[NoteRow]
    more: bool
    form: NoteForm | None


def notes_between(viewer: Person, person: Person, period: Period) -> list[Note]:
    """Return the notes of a period that the viewer sees, newest first."""
    notes = of_days(notes_seen(viewer, person), person, period.first, period.last)
    return list(notes[:MOST_NOTES])


def notes_part(viewer: Person, person: Person, notes: Sequence[Note]) -> NotesPart:
    """Return the list and the form."""
    form = new_form(viewer, person) if viewer.pk == person.pk else None
    return NotesPart(note_rows(notes[:MOST_LISTED], viewer), len(notes) > MOST_LISTED, form)


def signs_of(notes: Iterable[Note], first: date, page: str | None = "") -> list[Sign]:
    """Return a symbol for each day with notes, for an axis of days from `first`.

    It links to the newest note in the list of `page`, or to nothing if that is `None`.
    """
    days = groupby(sorted(notes, key=lambda note: note.at), key=lambda note: note.day)
    return [_sign(day, list(group), first, page) for day, group in days]


def _sign(day: date, notes: Sequence[Note], first: date, page: str | None) -> Sign:
    words = "; ".join(f"{clock(note.at, note.person.zone)} {said(note)}" for note in notes)
    return Sign(
        x=(day - first).days + 0.5,
        kinds=[note.kind for note in notes],
        text=f"{weekday_and_day(day)}: {words}",
        href="" if page is None else f"{page}#note-{notes[-1].pk}",
    )
