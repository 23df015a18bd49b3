"""Which notes somebody sees. The caller has checked that they may see the person's history."""

from datetime import date, datetime, timedelta
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet

from server.care.access import permissions
from server.care.models import Permission, Person
from server.notes.models import Note
from server.session_data.history import readable_by
from server.session_data.models import SessionData, State


def notes_seen(viewer: Person, person: Person) -> QuerySet[Note]:
    """Return the notes about a person that the viewer sees, newest first.

    The person sees all of them. Others see shared ones, and those on a session only if they see
    the session.
    """
    notes = Note.objects.filter(person=person).select_related("person", "author")
    if viewer.pk == person.pk:
        return notes
    session = readable_by(viewer).filter(pk=OuterRef("session_id"))
    return notes.filter(Q(session_id=None) | Exists(session), shared=True)


def shared_notes(person: Person) -> QuerySet[Note]:
    """Return the notes that anybody may see who may see the person's history, newest first."""
    active = SessionData.objects.filter(pk=OuterRef("session_id"), state=State.ACTIVE)
    notes = Note.objects.filter(person=person, shared=True).filter(~Exists(active))
    return notes.select_related("person", "author")


def note_for(viewer: Person, note_id: UUID) -> Note | None:
    """Return a note, or `None` if the viewer may not see it."""
    note = Note.objects.select_related("person").filter(pk=note_id).first()
    if note is None or Permission.HISTORY not in permissions(viewer, note.person):
        return None
    return notes_seen(viewer, note.person).filter(pk=note_id).first()


def notes_of_session(viewer: Person, session: SessionData) -> list[Note]:
    """Return the notes on a session that the viewer sees, oldest first."""
    found = notes_seen(viewer, session.user).filter(session_id=session.pk)
    return list(found.order_by("at", "pk"))


def of_days(notes: QuerySet[Note], person: Person, first: date, last: date) -> QuerySet[Note]:
    """Return the notes of these days in the person's time zone."""
    begin = datetime.combine(first, datetime.min.time(), person.zone)
    end = datetime.combine(last + timedelta(days=1), datetime.min.time(), person.zone)
    return notes.filter(at__gte=begin, at__lt=end)


def may_change(viewer: Person, note: Note) -> bool:
    """Return whether the viewer, who sees the note, may change it: its author may."""
    return note.author_id == viewer.pk


def may_delete(viewer: Person, note: Note) -> bool:
    """Return whether the viewer, who sees the note, may delete it: author and person may."""
    return viewer.pk in (note.author_id, note.person_id)
