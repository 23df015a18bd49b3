"""Manage devices. Allowed for a device's person, and for the admins of that person's institution.

Caregivers with the live permission can only see the person's devices. Nobody else can see them.
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
from server.care.models import AuditEvent, Institution, Person, named
from server.common.codes import NotACodeError
from server.devices import credentials
from server.devices.claim import checked_label, valid_code
from server.devices.models import ClaimCode, Device, FormerPerson

# What changes with the owner of a device.
OF_OWNER = (
    "person",
    "reassigned_at",
    "activity",
    "credentials_ended",
    "others_credentials_at",
    "online",
    "pending_sessions",
)


def managed_by(viewer: Person) -> QuerySet[Device]:
    """Return the viewer's own devices, and for an institution admin those of its members."""
    mine = Q(person=viewer)
    if institution := administered_by(viewer):
        mine |= Q(person__membership__institution=institution)
    return Device.objects.filter(mine).select_related("person")


def managed_device(viewer: Person, device_id: UUID) -> Device:
    """Return the device. Raises `Http404` if the viewer doesn't manage it."""
    device = managed_by(viewer).filter(pk=device_id).first()
    if device is None:
        raise Http404
    return device


def person_to_manage(viewer: Person, username: str | None) -> Person:
    """Return the person for whom the viewer creates a code: themselves, or a member.

    Raises `Http404` for anyone else.
    """
    if not username or username == viewer.username:
        return viewer
    institution = administered_by(viewer)
    if institution is None or "\x00" in username:
        raise Http404
    person = named(Person.objects.filter(membership__institution=institution), username)
    if person is None:
        raise Http404
    return person


def acting_for(viewer: Person, person: Person) -> Institution | None:
    """Return the institution for which the viewer acts as admin; `None` if for themselves."""
    return None if viewer.pk == person.pk else administered_by(viewer)


def rename(viewer: Person, device: Device, label: str) -> None:
    """Rename the device. Raises `ValidationError`."""
    before, device.label = device.label, checked_label(label)
    device.save(update_fields=["label"])
    _note(viewer, AuditEvent.DEVICE_RENAMED, device, f"{before} → {device.label}")


def rotate(viewer: Person, device: Device) -> dict[str, str]:
    """Issue a new token and broker password. The previous token stays valid.

    Raises `ValidationError` if the device is revoked or changes its owner, or `BrokerError`; its
    identity at the broker may then be deleted already.
    """
    if device.revoked_at:
        raise ValidationError(_("This device is blocked."), "device_blocked")
    told = credentials.issue(device, by=viewer)
    _note(viewer, AuditEvent.DEVICE_ROTATED, device, device.label)
    return told


def revoke(viewer: Person, device: Device) -> None:
    """Revoke the device. Raises `BrokerError`; it is then revoked on the server only."""
    is_new = device.revoked_at is None
    try:
        credentials.revoke(device)
    finally:
        if is_new:
            _note(viewer, AuditEvent.DEVICE_REVOKED, device, device.label)


def reassign(viewer: Person, device: Device, person: Person, code: ClaimCode | None = None) -> None:
    """Reassign the device to `person`, and end all its credentials.

    Earlier sessions still belong to the former person, and can't be changed any more.

    `code` is the claim code by which `person` agreed; it is used up. Raises `ValidationError`, or
    `NotACodeError` if the code has been used or the device reassigned in the meantime.
    """
    check_reassignable(viewer, device, person)
    now, before = timezone.now(), device.person
    with transaction.atomic():
        locked = Device.objects.select_for_update().get(pk=device.pk)
        if locked.person_id != before.pk:
            raise NotACodeError
        credentials.expect_room(person)
        if code:
            code.use(device=device)
        FormerPerson.objects.create(device=device, person=before, until=now)
        device.person, device.reassigned_at = person, now
        device.online = device.pending_sessions = device.others_credentials_at = None
        device.activity = ""
        credentials.end_tokens(device)
        device.save(update_fields=[*OF_OWNER])
        _note(viewer, AuditEvent.DEVICE_REASSIGNED, device, f"{device.label}: {before.username}")
        event, detail = AuditEvent.DEVICE_REASSIGNED, f"{device.label} → {person.username}"
        note(viewer, event, before, detail, institution=acting_for(viewer, before))
    credentials.end_broker_account(device)


def check_reassignable(viewer: Person, device: Device, person: Person) -> None:
    """Raise `ValidationError` unless the viewer may reassign the device to `person`.

    Nobody can take over somebody else's device: what it measures next would be theirs to read.
    """
    if device.revoked_at:
        raise ValidationError(_("This device is blocked."), "device_blocked")
    if person.pk == device.person_id:
        raise ValidationError(_("The device already belongs to this person."), "already_theirs")
    if person.pk == viewer.pk:
        text = _("You can't assign another person's device to yourself.")
        raise ValidationError(text, "not_to_yourself")


def reassign_within(
    viewer: Person, institution: Institution, device: Device, username: str
) -> Person:
    """Reassign the device from one member of the institution to another.

    Raises `Http404` if either is not a member, or `ValidationError`.
    """
    member(institution, device.person.username)
    person = member(institution, username)
    reassign(viewer, device, person)
    return person


def give_away(viewer: Person, device: Device, text: str) -> Person:
    """Reassign the device to the person who created this claim code, and so agreed.

    Raises `NotACodeError`, or `ValidationError`.
    """
    code = valid_code(text)
    with code.held():
        reassign(viewer, device, code.person, code)
    return code.person


def _note(viewer: Person, event: AuditEvent, device: Device, detail: str) -> None:
    institution = acting_for(viewer, device.person)
    note(viewer, event, device.person, detail, institution=institution)
