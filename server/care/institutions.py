"""An institution's admins: accounts, devices and links of its members, and nobody's measurements.

Nothing here gives a permission to see: `access.py` knows no institution. An admin never learns or
sets a password that is in use: a new account is opened by its person, with a code.
"""

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.http import Http404
from django.utils.translation import gettext as _

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
)


def administered_by(person: Person) -> Institution | None:
    """The institution that the person administers, if one."""
    found = Membership.objects.filter(person=person, role=Role.ADMIN).select_related("institution")
    membership = found.first()
    return membership.institution if membership else None


def institution_of(admin: Person) -> Institution:
    """The same; `Http404` for who administers none."""
    found = administered_by(admin)
    if found is None:
        raise Http404
    return found


def members(institution: Institution) -> QuerySet[Person]:
    """Its people, by name."""
    return (
        Person.objects.filter(membership__institution=institution)
        .select_related("membership")
        .order_by("username")
    )


def member(institution: Institution, username: str) -> Person:
    """One of its people; `Http404` for anybody else."""
    if "\x00" in username:
        raise Http404
    found = members(institution).filter(username=username).first()
    if found is None:
        raise Http404
    return found


def links_of(person: Person) -> QuerySet[CareLink]:
    """Who sees the person, and whom the person sees, now."""
    open_links = CareLink.objects.filter(ended_at=None).select_related("caregiver", "person")
    return open_links.filter(person=person) | open_links.filter(caregiver=person)


def create_member(
    admin: Person, institution: Institution, username: str, name: str, timezone: str, language: str
) -> tuple[Person, str]:
    """A new account without a password, and the code that sets its first one, shown this once.

    Raises `ValidationError`, by field.
    """
    person = Person(username=username, first_name=name, timezone=timezone, language=language)
    person.set_unusable_password()
    person.full_clean()
    try:
        with transaction.atomic():
            person.save()
            Membership.objects.create(institution=institution, person=person)
    except IntegrityError:
        raise ValidationError({"username": _("This name is taken.")}) from None
    note(admin, AuditEvent.SIGN_UP, person, "made by an admin", institution=institution)
    return person, activation_code(admin, institution, person)


def activation_code(admin: Person, institution: Institution, person: Person) -> str:
    """The next code for an account that nobody has opened yet, in place of any before.

    Raises `ValidationError` for one that has a password: it is its person's own.
    """
    if person.has_usable_password():
        raise ValidationError(_("This account is in use: its password is its person's own."))
    for old in Activation.live().filter(person=person):
        old.withdraw()
    _made, text = Activation.issue(person=person)
    note(admin, AuditEvent.CODE_MADE, person, "activation", institution=institution)
    return text


def take_in(institution: Institution, person: Person) -> None:
    """By the operator alone. Raises `ValidationError` for who belongs to another one."""
    mine, _is_new = Membership.objects.get_or_create(
        person=person, defaults={"institution": institution}
    )
    if mine.institution_id != institution.pk:
        raise ValidationError(f"{person.username} belongs to {mine.institution}")


def take_out(institution: Institution, person: Person) -> None:
    """By the operator alone; the account stays."""
    if Membership.objects.filter(institution=institution, person=person).delete()[0]:
        note(None, AuditEvent.ROLE_CHANGED, person, "left", institution=institution)


def set_role(institution: Institution, person: Person, role: str) -> None:
    """By the operator alone: no admin makes another."""
    Membership.objects.filter(institution=institution, person=person).update(role=Role(role))
    note(None, AuditEvent.ROLE_CHANGED, person, str(role), institution=institution)


def log_of(institution: Institution) -> QuerySet[AuditEntry]:
    """What was done in its administration, newest first."""
    return AuditEntry.objects.filter(institution=institution)
