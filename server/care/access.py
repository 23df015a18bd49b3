"""Decide who may see whom, in this one place, and write the access log."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import F, Min, Q, QuerySet
from django.http import Http404
from django.utils import timezone

from server.care.models import COLUMNS, AccessLog, CareLink, Permission, Person, named

# A page that refreshes itself is logged as one look, not as hundreds.
ONE_LOOK = timedelta(minutes=10)
# Maximum number of entries in a day about one viewer's looks at single sessions of one person.
# Further ones are counted in one entry of each kind, so that nobody buries what else they saw.
MOST_SESSIONS_A_DAY = 100
DAY = timedelta(days=1)
ALL = frozenset(Permission)


def visible_people(viewer: Person, permission: Permission = Permission.HISTORY) -> QuerySet[Person]:
    """Return the viewer and all people who grant the viewer this permission now, by user name.

    Roles grant no access: staff, superusers and institution admins need a link like everyone else.
    """
    given = open_links(viewer).filter(**{COLUMNS[permission]: True})
    return Person.objects.filter(Q(pk=viewer.pk) | Q(pk__in=given.values("person"))).order_by(
        "username"
    )


def person_for(
    viewer: Person, username: str | None, permission: Permission = Permission.HISTORY
) -> Person:
    """Return the person with this user name; the viewer if it is `None`.

    Raises `Http404` if the viewer lacks the permission.
    """
    if username is None or username == viewer.username:
        return viewer
    if "\x00" in username:  # PostgreSQL refuses it in a query
        raise Http404
    person = named(visible_people(viewer, permission), username)
    if person is None:
        raise Http404
    return person


def permissions(viewer: Person, person: Person) -> frozenset[Permission]:
    """Return the viewer's permissions for the person: all for themselves, none for a stranger."""
    if viewer.pk == person.pk:
        return ALL
    link = open_links(viewer).filter(person=person).first()
    return link.permissions if link else frozenset()


def permissions_by_person(viewer: Person) -> dict[int, frozenset[Permission]]:
    """Return the viewer's permissions for all people who grant any, by primary key."""
    links = {link.person_id: link.permissions for link in open_links(viewer)}
    return {viewer.pk: ALL} | {pk: given for pk, given in links.items() if given}


def people_seen(viewer: Person) -> tuple[list[Person], dict[int, frozenset[Permission]]]:
    """Return the people whose past or current sessions the viewer may see, and all permissions.

    The people are ordered by user name; the permissions are those of `permissions_by_person`.
    """
    looks = {Permission.HISTORY, Permission.LIVE}
    given = {pk: each for pk, each in permissions_by_person(viewer).items() if each & looks}
    return list(Person.objects.filter(pk__in=given).order_by("username")), given


def open_links(caregiver: Person) -> QuerySet[CareLink]:
    """Return the caregiver's links that have not ended."""
    return CareLink.objects.filter(caregiver=caregiver, ended_at=None)


def shared_since(viewer: Person, person: Person) -> datetime | None:
    """Return when the person first shared with the viewer, though sharing may have paused since.

    Returns `None` for oneself.
    """
    if viewer.pk == person.pk:
        return None
    links = CareLink.objects.filter(caregiver=viewer, person=person)
    first: datetime | None = links.aggregate(first=Min("created_at"))["first"]
    return first


def note_looks(viewer: Person, people: Iterable[Person], what: str) -> None:
    """Call `note_look` for several people at once, with a fixed number of queries."""
    others = [person for person in people if person.pk != viewer.pk]
    now = timezone.now()
    with transaction.atomic():
        same = AccessLog.objects.filter(
            person__in=others,
            viewer=viewer,
            what=what,
            session_id=None,
            last_at__gt=now - ONE_LOOK,
        )
        noted = dict(same.values_list("person_id", "pk"))
        AccessLog.objects.filter(pk__in=noted.values()).update(last_at=now, views=F("views") + 1)
        AccessLog.objects.bulk_create(
            AccessLog(
                person=person,
                viewer=viewer,
                viewer_name=viewer.username,
                what=what,
                first_at=now,
                last_at=now,
            )
            for person in others
            if person.pk not in noted
        )


def note_link_look(person: Person, what: str, name: str) -> None:
    """Record in `person`'s access log that somebody looked by a link, made for `name`."""
    now = timezone.now()
    told = f"link for {name}"[:150] if name else "link"
    looks = AccessLog.objects.filter(person=person, viewer=None, viewer_name=told, what=what)
    if not looks.filter(last_at__gt=now - ONE_LOOK).update(last_at=now, views=F("views") + 1):
        AccessLog.objects.create(
            person=person, viewer_name=told, what=what, first_at=now, last_at=now
        )


def note_often(viewer: Person, person: Person, what: str) -> None:
    """Call `note_look` at most once a minute. For pages that ask several times a second."""
    lately = timezone.now() - timedelta(minutes=1)
    looks = AccessLog.objects.filter(person=person, viewer=viewer, what=what, session_id=None)
    if not looks.filter(last_at__gt=lately).exists():
        note_look(viewer, person, what)


def note_look(viewer: Person, person: Person, what: str, session_id: UUID | None = None) -> None:
    """Record in `person`'s access log that `viewer` looked.

    The same look within ten minutes counts up the existing entry.
    """
    if viewer.pk == person.pk:
        return
    now = timezone.now()
    looks = AccessLog.objects.filter(person=person, viewer=viewer)
    same = looks.filter(what=what, session_id=session_id, last_at__gt=now - ONE_LOOK)
    if same.update(last_at=now, views=F("views") + 1):
        return
    today = looks.filter(first_at__gt=now - DAY)
    if session_id and today.exclude(session_id=None).count() >= MOST_SESSIONS_A_DAY:
        session_id = None
        rest = today.filter(what=what, session_id=None).values_list("pk", flat=True)[:1]
        if AccessLog.objects.filter(pk__in=list(rest)).update(last_at=now, views=F("views") + 1):
            return
    AccessLog.objects.create(
        person=person,
        viewer=viewer,
        viewer_name=viewer.username,
        what=what,
        session_id=session_id,
        first_at=now,
        last_at=now,
    )
