"""Write, change and delete notes. Each is in the person's log, without the note's text.

Notes of one's own are private unless the writer shares them: a medicine says more about a person
than a blink rate does. A caregiver writes on a session that they may see, and always openly.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import Http404
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from server.care import audit
from server.care.access import permissions
from server.care.models import AuditEvent, Permission, Person
from server.notes.deletion import bury
from server.notes.models import Kind, Note
from server.session_data.history import readable_by
from server.session_data.models import SessionData

CHANGEABLE = ("kind", "at", "text", "shared")
# How far a writer's clock may be ahead of the server's.
AHEAD = timedelta(minutes=5)
FIRST = datetime(2000, 1, 1, tzinfo=UTC)


class TooManyError(Exception):
    """The author has written as many notes about the person as are kept."""


def session_to_note(author: Person, session_id: UUID) -> SessionData:
    """Return a session on which the author may write. Raises `Http404`."""
    sessions = readable_by(author).defer("document_json").select_related("user")
    session = sessions.filter(pk=session_id).first()
    if session is None or Permission.HISTORY not in permissions(author, session.user):
        raise Http404
    return session


def add(author: Person, person: Person, session_id: UUID | None, given: Mapping[str, Any]) -> Note:
    """Write a note about `person` with these values of `CHANGEABLE`, and return it.

    Raises `Http404` if the author may not see the session, `ValidationError`, or `TooManyError`.
    """
    with transaction.atomic():
        Person.objects.select_for_update().get(pk=person.pk)  # lock: the limit, and deletions
        session = session_to_note(author, session_id) if session_id else None
        if session is not None and session.user_id != person.pk:
            raise Http404
        note = Note(
            person=person,
            author=author,
            author_name=author.username,
            session_id=session_id,
            at=session.placed_at if session else timezone.now(),
            shared=author.pk != person.pk,
        )
        _take(note, given)
        if Note.objects.filter(person=person, author=author).count() >= Note.MOST:
            raise TooManyError
        note.save(force_insert=True)
        _told(author, AuditEvent.NOTE_ADDED, note)
    return note


def change(author: Person, note: Note, given: Mapping[str, Any]) -> None:
    """Change values of a note. Raises `Http404` if it was deleted, or `ValidationError`."""
    with transaction.atomic():
        locked = Note.objects.select_for_update(of=("self",)).filter(pk=note.pk).first()
        if locked is None:
            raise Http404
        note.refresh_from_db(fields=CHANGEABLE)
        _take(note, given)
        note.changed_at = timezone.now()
        note.save(update_fields=[*CHANGEABLE, "changed_at"])
        _told(author, AuditEvent.NOTE_CHANGED, note)


def delete(actor: Person, note: Note) -> None:
    """Delete a note for good. A restored backup does not bring it back."""
    with transaction.atomic():
        if bury(Note.objects.filter(pk=note.pk)):
            _told(actor, AuditEvent.NOTE_DELETED, note)


def _take(note: Note, given: Mapping[str, Any]) -> None:
    """Set the given values and check the note."""
    for name in CHANGEABLE:
        if given.get(name) is not None:
            setattr(note, name, given[name])
    note.text = note.text.strip()
    errors = {}
    try:
        note.clean_fields(exclude=["person", "author"])
    except ValidationError as error:
        errors = error.update_error_dict({})
    if not FIRST <= note.at <= timezone.now() + AHEAD:
        told = _("Enter a time that has passed, since the year 2000.")
        errors["at"] = [ValidationError(told, "not_in_the_past")]
    if note.kind == Kind.TEXT and not note.text:
        errors["text"] = [ValidationError(_("Enter a text."), "required")]
    if not note.shared and note.author_id != note.person_id:
        told = _("A note about somebody else is always shared with them.")
        errors["shared"] = [ValidationError(told, "always_shared")]
    if errors:
        raise ValidationError(errors)


def _told(actor: Person, event: AuditEvent, note: Note) -> None:
    on = f"on session {note.session_id}" if note.session_id else ""
    audit.note(actor, event, note.person, on)
