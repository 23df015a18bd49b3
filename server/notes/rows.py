"""Notes as text for pages, in the reader's language and the person's time zone."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.utils.translation import gettext as _

from server.care.models import Person
from server.common.words import clock, long_day, weekday_and_day
from server.notes.models import Kind, Note
from server.notes.seen import may_change, may_delete


@dataclass(frozen=True)
class NoteRow:
    """One note as text. `author` is empty for the person's own notes."""

    id: UUID
    kind: str
    label: str
    when: str
    text: str
    author: str
    shared: bool
    session_id: UUID | None
    may_change: bool
    may_delete: bool


def note_rows(notes: Iterable[Note], viewer: Person) -> list[NoteRow]:
    """Return the rows of notes that the viewer sees."""
    return [
        NoteRow(
            id=note.pk,
            kind=note.kind,
            label=str(Kind(note.kind).label),
            when=f"{long_day(note.day)}, {clock(note.at, note.person.zone)}",
            text=note.text,
            author="" if note.author_id == note.person_id else _author(note, viewer),
            shared=note.shared,
            session_id=note.session_id,
            may_change=may_change(viewer, note),
            may_delete=may_delete(viewer, note),
        )
        for note in notes
    ]


def _author(note: Note, viewer: Person) -> str:
    return _("you") if note.author_id == viewer.pk else note.author_label


def short_words(note: Note) -> str:
    """Return a note on one line: `"Sun 22 Nov, 08:00: Eye drops, left eye (Carl)"`."""
    when = f"{weekday_and_day(note.day)}, {clock(note.at, note.person.zone)}"
    return f"{when}: {said(note)}"


def said(note: Note) -> str:
    """Return what a note says and who wrote it, unless it is the person's own."""
    label = "" if note.kind == Kind.TEXT else str(Kind(note.kind).label)
    words = ", ".join(filter(None, (label, note.text)))
    return words if note.author_id == note.person_id else f"{words} ({note.author_label})"
