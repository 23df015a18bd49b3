"""Who may see whom: the one place that decides, and the log that people can read."""

from datetime import timedelta
from uuid import UUID

from django.db.models import F, Q, QuerySet
from django.http import Http404
from django.utils import timezone

from server.care.models import AccessLog, Person

# A page that refreshes itself is one look, not hundreds.
ONE_LOOK = timedelta(minutes=10)


def visible_people(viewer: Person) -> QuerySet[Person]:
    """The viewer and everybody who lets the viewer in now, by name.

    Rank opens nothing: staff and superusers see whom they are linked to, like everybody else.
    """
    links = Q(cared_for_by__caregiver=viewer, cared_for_by__ended_at=None)
    return Person.objects.filter(Q(pk=viewer.pk) | links).distinct().order_by("username")


def person_for(viewer: Person, username: str | None) -> Person:
    """The person asked for, or the viewer; `Http404` for anybody the viewer may not see."""
    if username is None or username == viewer.username:
        return viewer
    if "\x00" in username:  # PostgreSQL refuses it in a query
        raise Http404
    person = visible_people(viewer).filter(username=username).first()
    if person is None:
        raise Http404
    return person


def note_look(viewer: Person, person: Person, what: str, session_id: UUID | None = None) -> None:
    """Tell `person` that `viewer` looked; the same look within ten minutes is one entry."""
    if viewer.pk == person.pk:
        return
    now = timezone.now()
    same = AccessLog.objects.filter(
        person=person, viewer=viewer, what=what, session_id=session_id, last_at__gt=now - ONE_LOOK
    )
    if not same.update(last_at=now, views=F("views") + 1):
        AccessLog.objects.create(
            person=person,
            viewer=viewer,
            viewer_name=viewer.username,
            what=what,
            session_id=session_id,
            first_at=now,
            last_at=now,
        )
