"""Mark a session as somebody else's, and take that back.

The person measured is not always who the device belongs to: a visitor presses the button, too. A
marked session has the state `somebody_else`: it stays in the history, but counts in no figure,
usual range or alert. A newer revision of its document does not change that.
"""

from uuid import UUID

from django.db import transaction
from django.http import Http404

from server.care.access import permissions, visible_people
from server.care.audit import note
from server.care.models import AuditEvent, Permission, Person
from server.session_data.changes.numbers import next_changes
from server.session_data.models import OVER, SessionData, State


class NotPossibleError(Exception):
    """The session is still active, or a check."""


def may_mark(viewer: Person, person: Person) -> bool:
    """Return whether the viewer may say whose sessions these are.

    The person may, and caregivers who see the history and may start and stop sessions.
    """
    return {Permission.HISTORY, Permission.CONTROL} <= permissions(viewer, person)


def mark(viewer: Person, session_id: UUID, *, somebody_else: bool) -> SessionData:
    """Mark a session that is over as somebody else's, or take that back. Returns it.

    Raises `Http404` if the viewer may not, `NotPossibleError` for a session that is not over.
    """
    with transaction.atomic():
        mine = SessionData.objects.filter(user__in=visible_people(viewer))
        session = mine.select_for_update(of=("self",)).filter(pk=session_id).first()
        if session is None or not may_mark(viewer, session.user):
            raise Http404
        state = State.SOMEBODY_ELSE if somebody_else else State(session.document["state"])
        if session.state == state:
            return session
        if session.state not in (*OVER, State.SOMEBODY_ELSE):
            raise NotPossibleError
        session.state, session.change = state, next_changes({session.user_id})[session.user_id]
        session.save(update_fields=["state", "change"])
        event = AuditEvent.NOT_THEIRS if somebody_else else AuditEvent.THEIRS_AGAIN
        note(viewer, event, session.user, f"session {session.pk}")
    return session
