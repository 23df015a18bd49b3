"""Sharing: invite caregivers, change their permissions, and end their access.

    invited -> accepted -> changed … -> ended
            -> withdrawn or expired

Only the person shared can change permissions; either side can end the link. Permissions are not
cached, so that changes take effect with the next request.
"""

from collections.abc import Collection
from datetime import timedelta

from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _

from server.care.audit import note
from server.care.institutions import is_authorised
from server.care.models import (
    COLUMNS,
    Activation,
    AuditEvent,
    CareLink,
    Institution,
    Invitation,
    Permission,
    Person,
)
from server.common.codes import NotACodeError


class OwnInvitationError(Exception):
    """Raised if people try to accept their own invitation."""


def invite(
    person: Person, permissions: Collection[str], name: str = "", life: timedelta | None = None
) -> tuple[Invitation, str]:
    """Create an invitation and return it with its code. Withdraw the oldest if there are too many.

    Raises `ValidationError` if no permission is given.
    """
    given = checked(permissions)
    columns = {column: permission in given for permission, column in COLUMNS.items()}
    made, text = Invitation.issue(life, person=person, name=name, **columns)
    live = open_invitations(person).values_list("pk", flat=True)
    for pk in list(live[Invitation.MOST_LIVE :]):
        Invitation(pk=pk).withdraw()
    note(person, AuditEvent.INVITED, person, detail(name, given))
    return made, text


def open_invitations(person: Person) -> models.QuerySet[Invitation]:
    """Return the person's invitations that can still be accepted, newest first."""
    return Invitation.live().filter(person=person)


def withdraw(invitation: Invitation) -> None:
    """Withdraw an invitation: it can't be accepted any more."""
    invitation.withdraw()
    note(invitation.person, AuditEvent.INVITATION_ENDED, invitation.person, invitation.name)


def find(text: str) -> Invitation | Activation | None:
    """Return the invitation or activation with this code, if it is valid."""
    found = Invitation.find(text) or Activation.find(text)
    if found is None or not found.person.is_active:
        return None
    if isinstance(found, Activation) and not is_authorised(found):
        return None
    return found


def found(text: str) -> Invitation | Activation:
    """Return the invitation or activation with this code. Raises `NotACodeError`."""
    valid = find(text)
    if valid is None:
        raise NotACodeError
    return valid


def accept(invitation: Invitation, caregiver: Person) -> CareLink:
    """Accept an invitation as `caregiver`. An existing link gets the invitation's permissions.

    Raises `OwnInvitationError`, or `NotACodeError` if the invitation has been used or withdrawn in
    the meantime.
    """
    person = invitation.person
    if person.pk == caregiver.pk:
        raise OwnInvitationError
    with transaction.atomic():
        Person.objects.select_for_update().get(pk=person.pk)  # lock: only one open link per pair
        link = _link(person, caregiver)
        if link is None:
            link = _linked(person, caregiver, invitation.permissions)
        else:
            _permit(link, invitation.permissions)
        if not Invitation.live().filter(pk=invitation.pk).exists():
            raise NotACodeError
        Invitation.objects.filter(link=link).update(link=None)
        invitation.use(link=link)
        told = detail(caregiver.username, link.permissions)
        note(caregiver, AuditEvent.LINK_ACCEPTED, person, told)
    return link


def add(person: Person, caregiver: Person, permissions: Collection[Permission]) -> CareLink:
    """Grant the caregiver these permissions beside those they have. `person` must be locked."""
    link = _link(person, caregiver)
    if link is None:
        return _linked(person, caregiver, permissions)
    _permit(link, link.permissions.union(permissions))
    return link


def _link(person: Person, caregiver: Person) -> CareLink | None:
    """Lock and return the open link, if there is one."""
    links = CareLink.objects.filter(caregiver=caregiver, person=person, ended_at=None)
    return links.select_for_update().first()


def _linked(person: Person, caregiver: Person, given: Collection[Permission]) -> CareLink:
    """Create a link with these permissions."""
    link = CareLink(caregiver=caregiver, person=person)
    link.permit(given)
    link.save()
    return link


def change(link: CareLink, permissions: Collection[str], actor: Person) -> None:
    """Grant exactly these permissions. Raises `ValidationError` if there are none.

    Raises `Http404` if the other side has ended the link in the meantime.
    """
    given = checked(permissions)
    with transaction.atomic():
        links = CareLink.objects.select_for_update()
        locked = get_object_or_404(links, pk=link.pk, ended_at=None)
        link.permit(given)
        if locked.permissions != given:
            _permit(locked, given)
            told = detail(link.caregiver.username, given)
            note(actor, AuditEvent.LINK_CHANGED, link.person, told)


def end(link: CareLink, actor: Person, institution: Institution | None = None) -> None:
    """End a link. `actor` is either side, or an admin of `institution`."""
    if link.end():
        told = link.caregiver.username
        note(actor, AuditEvent.LINK_ENDED, link.person, told, institution=institution)


def _permit(link: CareLink, given: Collection[str]) -> None:
    """Save the permissions of a locked link, and no other column."""
    link.permit(given)
    link.save(update_fields=list(COLUMNS.values()))


def checked(permissions: Collection[str]) -> frozenset[Permission]:
    """Return the permissions. Raises `ValidationError` if there are none."""
    given = frozenset(each for each in Permission if each in permissions)
    if not given:
        raise ValidationError(_("Choose at least one permission, or end sharing."), "no_permission")
    return given


def detail(name: str, given: Collection[Permission]) -> str:
    """Return a name, if any, and permissions for the audit log: `"carl: history, live"`."""
    return f"{name}: {', '.join(each for each in Permission if each in given)}".lstrip(": ")
