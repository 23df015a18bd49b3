"""What may be done with a device, and by whom: its person, and the admin of that one's institution.

A caregiver who may see a person live sees that person's devices; nobody else knows of them.
"""

from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import Http404
from django.utils import timezone
from django.utils.translation import gettext as _

from server.care.audit import note
from server.care.institutions import administered_by, member
from server.care.models import AuditEvent, Institution, Person
from server.common.codes import NotACodeError
from server.devices import credentials
from server.devices.claim import checked_label
from server.devices.models import ClaimCode, Device, FormerPerson


def managed_by(viewer: Person) -> QuerySet[Device]:
    """The devices that the viewer manages: their own, and those of their institution's members."""
    mine = Q(person=viewer)
    if institution := administered_by(viewer):
        mine |= Q(person__membership__institution=institution)
    return Device.objects.filter(mine).select_related("person")


def managed_device(viewer: Person, device_id: UUID) -> Device:
    """One of them; `Http404` for any other."""
    device = managed_by(viewer).filter(pk=device_id).first()
    if device is None:
        raise Http404
    return device


def person_to_manage(viewer: Person, username: str | None) -> Person:
    """For whom the viewer may make codes: themselves, or a member; `Http404` for anybody else."""
    if not username or username == viewer.username:
        return viewer
    institution = administered_by(viewer)
    if institution is None or "\x00" in username:
        raise Http404
    person = Person.objects.filter(membership__institution=institution, username=username).first()
    if person is None:
        raise Http404
    return person


def acting_for(viewer: Person, person: Person) -> Institution | None:
    """In whose administration the viewer acts, where it is not for themselves."""
    return None if viewer.pk == person.pk else administered_by(viewer)


def rename(viewer: Person, device: Device, label: str) -> None:
    """Raises `ValidationError`."""
    before, device.label = device.label, checked_label(label)
    device.save(update_fields=["label"])
    _note(viewer, AuditEvent.DEVICE_RENAMED, device, f"{before} → {device.label}")


def rotate(viewer: Person, device: Device) -> dict[str, str]:
    """The next token, and password at the broker; the token before goes on working.

    Raises `ValidationError` for a device that is revoked, and `BrokerError`.
    """
    if device.revoked_at:
        raise ValidationError(_("This device is revoked."))
    told = credentials.issue(device)
    _note(viewer, AuditEvent.DEVICE_ROTATED, device, device.label)
    return told


def revoke(viewer: Person, device: Device) -> None:
    """Shut it out by either door. Raises `BrokerError`: the server takes nothing of it even so."""
    is_new = device.revoked_at is None
    try:
        credentials.revoke(device)
    finally:
        if is_new:
            _note(viewer, AuditEvent.DEVICE_REVOKED, device, device.label)


def reassign(viewer: Person, device: Device, person: Person, code: ClaimCode | None = None) -> None:
    """From now on it measures `person`; what it measured before stays with whom it was measured.

    `code`: by which `person` agreed, and which is used up. Raises `ValidationError`, or
    `NotACodeError` where it was used meanwhile.
    """
    if device.revoked_at:
        raise ValidationError(_("This device is revoked."))
    if person.pk == device.person_id:
        raise ValidationError(_("It is this person's device already."))
    now, before = timezone.now(), device.person
    with transaction.atomic():
        locked = Device.objects.select_for_update().get(pk=device.pk)
        if locked.person_id != before.pk:
            raise NotACodeError
        if code:
            code.use(device=device)
        FormerPerson.objects.create(device=device, person=before, until=now)
        device.person, device.reassigned_at = person, now
        device.save(update_fields=["person", "reassigned_at"])
        _note(viewer, AuditEvent.DEVICE_REASSIGNED, device, f"{device.label}: {before.username}")
        event, detail = AuditEvent.DEVICE_REASSIGNED, f"{device.label} → {person.username}"
        note(viewer, event, before, detail, institution=acting_for(viewer, before))


def reassign_within(
    viewer: Person, institution: Institution, device: Device, username: str
) -> Person:
    """An admin's way: from one member to another; `Http404` for who is none.

    Raises `ValidationError`.
    """
    member(institution, device.person.username)
    person = member(institution, username)
    reassign(viewer, device, person)
    return person


def give_away(viewer: Person, device: Device, text: str) -> Person:
    """To whoever made this claim code, who agrees by having made it.

    Raises `NotACodeError`, or `ValidationError`.
    """
    code = ClaimCode.find(text)
    if code is None or not code.person.is_active:
        raise NotACodeError
    with code.held():
        reassign(viewer, device, code.person, code)
    return code.person


def _note(viewer: Person, event: AuditEvent, device: Device, detail: str) -> None:
    institution = acting_for(viewer, device.person)
    note(viewer, event, device.person, detail, institution=institution)
