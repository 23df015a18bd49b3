"""What an institution's admins can manage: members' accounts, devices and links.

Admins see no measurements: `access.py` ignores institutions. They never learn or set the password
of an account in use: the owner of a new account sets the first password with an activation code.
"""

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.http import Http404
from django.utils.translation import gettext as _

from server.care.asking.leaving import end_requests
from server.care.audit import note
from server.care.models import (
    Activation,
    AuditEntry,
    AuditEvent,
    CareLink,
    Institution,
    Membership,
    Person,
    Role,
    named,
)


def administered_by(person: Person) -> Institution | None:
    """Return the institution that the person administers, or `None`."""
    found = Membership.objects.filter(person=person, role=Role.ADMIN).select_related("institution")
    membership = found.first()
    return membership.institution if membership else None


def institution_of(admin: Person) -> Institution:
    """Return the institution that the person administers. Raises `Http404` if there is none."""
    found = administered_by(admin)
    if found is None:
        raise Http404
    return found


def may_manage(maker: Person, person: Person) -> bool:
    """Return whether `maker` may now make codes for `person`: for themselves, or for a member."""
    if not maker.is_active:
        return False
    if maker.pk == person.pk:
        return True
    institution = administered_by(maker)
    return institution is not None and members(institution).filter(pk=person.pk).exists()


def members(institution: Institution) -> QuerySet[Person]:
    """Return the institution's members by user name."""
    return (
        Person.objects.filter(membership__institution=institution)
        .select_related("membership")
        .order_by("username")
    )


def member(institution: Institution, username: str) -> Person:
    """Return the member with this user name. Raises `Http404` for anyone else."""
    if "\x00" in username:
        raise Http404
    found = named(members(institution), username)
    if found is None:
        raise Http404
    return found


def links_of(person: Person) -> QuerySet[CareLink]:
    """Return the person's open links, as the person shared and as caregiver."""
    open_links = CareLink.objects.filter(ended_at=None).select_related("caregiver", "person")
    return open_links.filter(person=person) | open_links.filter(caregiver=person)


def create_member(
    admin: Person, institution: Institution, username: str, name: str, timezone: str, language: str
) -> tuple[Person, str]:
    """Create an account without a password; return it with its activation code.

    Raises `ValidationError` with the errors by field.
    """
    person = Person(username=username, first_name=name, timezone=timezone, language=language)
    person.set_unusable_password()
    person.full_clean()
    try:
        with transaction.atomic():
            person.save()
            Membership.objects.create(institution=institution, person=person)
    except IntegrityError:
        raise ValidationError({"username": _("This user name is already taken.")}) from None
    note(admin, AuditEvent.SIGN_UP, person, "created by an admin", institution=institution)
    return person, activation_code(admin, institution, person)


def activation_code(admin: Person, institution: Institution, person: Person) -> str:
    """Issue a new activation code for an account without a password; revoke earlier codes.

    Raises `ValidationError` if the account has a password.
    """
    if person.has_usable_password():
        raise ValidationError(
            _("This account is already in use. Only its owner can change the password.")
        )
    for old in Activation.live().filter(person=person):
        old.withdraw()
    _made, text = Activation.issue(person=person, made_by=admin)
    note(admin, AuditEvent.CODE_MADE, person, "activation", institution=institution)
    return text


def is_authorised(activation: Activation) -> bool:
    """Return whether the admin who made the code still administers the person's institution.

    Older codes don't say who made them: the person must still be a member.
    """
    person, maker = activation.person, activation.made_by
    if maker is None:
        return Membership.objects.filter(person=person).exists()
    return may_manage(maker, person)


def add_member(institution: Institution, person: Person) -> None:
    """Add a member. Only the operator may do this.

    Raises `ValidationError` if the person belongs to another institution.
    """
    mine, _is_new = Membership.objects.get_or_create(
        person=person, defaults={"institution": institution}
    )
    if mine.institution_id != institution.pk:
        raise ValidationError(f"{person.username} already belongs to {mine.institution}")


def remove_member(institution: Institution, person: Person) -> None:
    """Remove a member but keep the account. Only the operator may do this."""
    if Membership.objects.filter(institution=institution, person=person).delete()[0]:
        end_requests(person)
        note(None, AuditEvent.ROLE_CHANGED, person, f"left {institution}", institution=institution)


def set_role(institution: Institution, person: Person, role: str) -> None:
    """Change a member's role. Only the operator may do this: admins can't appoint admins."""
    Membership.objects.filter(institution=institution, person=person).update(role=Role(role))
    detail = f"{Role(role).value} of {institution}"
    note(None, AuditEvent.ROLE_CHANGED, person, detail, institution=institution)


def roles(institution: Institution) -> dict[int, str]:
    """Return the members' roles by the primary keys of the people."""
    return dict(Membership.objects.filter(institution=institution).values_list("person", "role"))


def note_changes(actor: Person, institution: Institution, before: dict[int, str]) -> None:
    """Record in the members' audit logs how their roles differ from `before`.

    Requests for access of those who left end.
    """
    after = roles(institution)
    changed = [pk for pk in {**before, **after} if before.get(pk) != after.get(pk)]
    for person in Person.objects.filter(pk__in=changed).order_by("username"):
        if person.pk not in after:
            end_requests(person)
        detail = f"{after[person.pk]} of" if person.pk in after else "left"
        event = AuditEvent.ROLE_CHANGED
        note(actor, event, person, f"{detail} {institution}", institution=institution)


def log_of(institution: Institution) -> QuerySet[AuditEntry]:
    """Return the audit entries of the institution's administration, newest first."""
    return AuditEntry.objects.filter(institution=institution)
