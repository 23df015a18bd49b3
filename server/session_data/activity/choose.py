"""Choose the activity of a session afterwards, and take the choice back.

A session's activity is the document's, until a person chooses one, or chooses that there is none.
A newer revision of the document does not change what a person chose.
"""

from uuid import UUID

from django.db import transaction
from django.http import Http404

from server.care.audit import note
from server.care.models import AuditEvent, Person
from server.session_data.changes.numbers import next_changes
from server.session_data.history import readable_by
from server.session_data.models import Activity, SessionData, State
from server.session_data.serializers import readable_part
from server.session_data.whose.mark import may_mark


class IsCheckError(Exception):
    """The session is a check of the counting, which has no activity."""


def choose(viewer: Person, session_id: UUID, activity: Activity | None) -> None:
    """Choose the activity of a session, or that it has none.

    Raises `Http404` if the viewer may not, and `IsCheckError`.
    """
    with transaction.atomic():
        session = _session_for(viewer, session_id)
        if (session.activity, session.activity_chosen) == (activity, True):
            return
        _save(session, activity, chosen=True)
        detail = f"session {session.pk}: {activity or 'none'}"
        note(viewer, AuditEvent.ACTIVITY_CHOSEN, session.user, detail)


def take_back(viewer: Person, session_id: UUID) -> None:
    """Let the document say the activity again. Raises what `choose` raises."""
    with transaction.atomic():
        session = _session_for(viewer, session_id)
        if not session.activity_chosen:
            return
        _save(session, readable_part(session.document, "activity"), chosen=False)
        note(viewer, AuditEvent.ACTIVITY_TAKEN_BACK, session.user, f"session {session.pk}")


def _session_for(viewer: Person, session_id: UUID) -> SessionData:
    """Return the session, locked, if the viewer sees it and may mark its person's sessions."""
    seen = readable_by(viewer).select_for_update(of=("self",)).select_related("user")
    session = seen.filter(pk=session_id).first()
    if session is None or not may_mark(viewer, session.user):
        raise Http404
    if session.state == State.CHECK:
        raise IsCheckError
    return session


def _save(session: SessionData, activity: str | None, *, chosen: bool) -> None:
    session.activity, session.activity_chosen = activity, chosen
    session.change = next_changes({session.user_id})[session.user_id]
    session.save(update_fields=["activity", "activity_chosen", "change"])
