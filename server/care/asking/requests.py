"""Requests for access: ask another member of one's institution by name, withdraw, agree, decline.

    asked -> agreed
          -> declined, withdrawn or expired

Whoever asks learns nothing but an agreement: the answer, the list of what they asked, and their
log are the same whether somebody has the name, has declined, or has not answered.
"""

from collections.abc import Collection, Iterable

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Value
from django.db.models.functions import Concat, Trim
from django.dispatch import Signal
from django.http import Http404
from django.utils import timezone
from django.utils.translation import gettext as _

from server.care import sharing
from server.care.asking.leaving import note_withdrawn
from server.care.audit import DAY, note
from server.care.institutions import members
from server.care.models import (
    OPEN,
    AccessRequest,
    AuditEvent,
    CareLink,
    Institution,
    Person,
    named,
)

# Sent with `request` when one was made, whether it reaches somebody or not.
asked = Signal()


def institution_of(person: Person) -> Institution | None:
    """Return the institution that the person is a member of, or `None`."""
    return Institution.objects.filter(memberships__person=person).first()


def ask(
    asker: Person,
    institution: Institution,
    name: str,
    permissions: Collection[str],
    message: str = "",
) -> AccessRequest:
    """Ask the member with this name for permissions. It replaces an open request to that name.

    Raises `ValidationError` for no name, no permission, an odd message or too many requests.
    """
    given = sharing.checked(permissions)
    name, message = _checked_text(name, message)
    with transaction.atomic():
        person = _find(institution, asker, name)
        _lock([asker, *([person] if person else [])])
        AccessRequest.sent_by(asker).filter(name=name).update(withdrawn_at=timezone.now())
        _check_bounds(asker)
        request = AccessRequest(asker=asker, institution=institution, name=name, message=message)
        request.permit(given)
        request.person = person if _reaches(asker, person) else None
        request.save()
        _note_asked(request)
    transaction.on_commit(lambda: asked.send(AccessRequest, request=request))
    return request


def _checked_text(name: str, message: str) -> tuple[str, str]:
    """Return both texts with single spaces. Raises `ValidationError`."""
    name, message = " ".join(name.split()), " ".join(message.split())
    if not name:
        raise ValidationError({"name": ValidationError(_("Enter a name."), "blank")})
    for field, text in (("name", name), ("message", message)):
        if not text.isprintable():
            told = _("Enter one line, without invisible characters.")
            raise ValidationError({field: ValidationError(told, "invalid")})
    return name, message


def _find(institution: Institution, asker: Person, name: str) -> Person | None:
    """Return the active member with this user name, else the only one who is shown by this name."""
    others = members(institution).filter(is_active=True).exclude(pk=asker.pk)
    person = named(others, name)
    shown = others.annotate(shown=Trim(Concat("first_name", Value(" "), "last_name")))
    same = list(shown.filter(shown=name)[:2])
    return person or (same[0] if len(same) == 1 else None)


def _lock(people: Iterable[Person]) -> None:
    """Lock these people, in the same order everywhere.

    Rows that refer to them can still be written. So an answer, which holds a request and writes to
    the log, does not wait for whoever holds the person and waits for the request.
    """
    keys = [person.pk for person in people]
    list(Person.objects.select_for_update(no_key=True).filter(pk__in=keys).order_by("pk"))


def _check_bounds(asker: Person) -> None:
    """Raise `ValidationError` if the asker may not make another request now."""
    today = AccessRequest.objects.filter(asker=asker, made_at__gt=timezone.now() - DAY)
    too_many = AccessRequest.sent_by(asker).count() >= AccessRequest.MOST_SENT
    if too_many or today.count() >= AccessRequest.MOST_A_DAY:
        text = _("You have asked too often. Withdraw open requests, or wait a day.")
        raise ValidationError(text, "too_many_access_requests")


def _reaches(asker: Person, person: Person | None) -> bool:
    """Return whether a request of the asker reaches the person.

    It asks the database the same for nobody as for somebody.
    """
    to = person or Person(pk=0)
    since = timezone.now() - AccessRequest.DECLINED_FOR
    sent = AccessRequest.objects.filter(asker=asker, person_id=to.pk)
    declined = sent.filter(declined_at__gt=since).exists()
    others = AccessRequest.received_by(to).exclude(asker=asker).count()
    return person is not None and not declined and others < AccessRequest.MOST_RECEIVED


def _note_asked(request: AccessRequest) -> None:
    """Record the request in both logs, without a tie between them: see `note_withdrawn`."""
    asker, event = request.asker, AuditEvent.ACCESS_ASKED
    note(asker, event, detail=sharing.detail(request.name, request.permissions))
    if request.person is not None:
        given = sharing.detail("", request.permissions)
        note(None, event, request.person, given, actor_name=asker.username)


def withdraw(asker: Person, request_id: int) -> None:
    """Withdraw one of the asker's open requests. Raises `Http404` if it is not open any more."""
    found = AccessRequest.sent_by(asker).select_related("person").filter(pk=request_id).first()
    still_open = AccessRequest.objects.filter(pk=request_id, withdrawn_at=None, granted_at=None)
    with transaction.atomic():
        if found is None or not still_open.update(withdrawn_at=timezone.now()):
            raise Http404
        note(asker, AuditEvent.ACCESS_WITHDRAWN, detail=found.name)
        if not AccessRequest.objects.filter(pk=request_id).exclude(declined_at=None).exists():
            note_withdrawn(found)


def agree(person: Person, request_id: int, permissions: Collection[str]) -> CareLink:
    """Give who asked some of the permissions they asked for, beside those they have.

    Raises `ValidationError` for none, or for one that was not asked for, and `Http404` if the
    request is not open any more.
    """
    given = sharing.checked(permissions)
    request = received(person, request_id)
    if given - request.permissions:
        raise ValidationError(_("Choose only permissions that were asked for."), "not_requested")
    with transaction.atomic():
        _lock([person])
        _answer(request, "granted_at")
        link = sharing.add(person, request.asker, given)
        note(person, AuditEvent.ACCESS_GRANTED, request.asker, sharing.detail("", given))
    return link


def decline(person: Person, request_id: int) -> None:
    """Decline a request. Raises `Http404` if it is not open any more."""
    request = received(person, request_id)
    with transaction.atomic():
        _answer(request, "declined_at")
        note(person, AuditEvent.ACCESS_DECLINED, person, request.asker.username)


def received(person: Person, request_id: int) -> AccessRequest:
    """Return a request that the person can answer. Raises `Http404` if there is none such."""
    found = AccessRequest.received_by(person).filter(pk=request_id).first()
    if found is None:
        raise Http404
    return found


def _answer(request: AccessRequest, column: str) -> None:
    """Set `column` of the request, and of older open ones of the same asker under another name.

    Raises `Http404` if the request was answered or withdrawn in the meantime.
    """
    now = timezone.now()
    same = AccessRequest.objects.filter(
        OPEN, asker=request.asker, person=request.person, expires_at__gt=now
    )
    if not same.filter(pk=request.pk).update(**{column: now}):
        raise Http404
    same.update(**{column: now})
