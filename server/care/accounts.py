"""Accounts: signing up, activating an account, and changing passwords."""

from typing import Literal, cast

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from server.care.audit import note
from server.care.models import Activation, AuditEvent, Invitation, Person
from server.common.codes import NotACodeError

SignUp = Literal["open", "invited", "closed"]


def sign_up_mode() -> SignUp:
    """Return who may create an account: anyone, only people with an invitation, or nobody."""
    return cast(SignUp, settings.SIGN_UP)


def may_sign_up(invitation: Invitation | None) -> bool:
    """Return whether a visitor with this invitation, or without one, may create an account."""
    return sign_up_mode() == "open" or (sign_up_mode() == "invited" and invitation is not None)


def sign_up(
    username: str, password: str, *, name: str = "", timezone: str = "UTC", language: str = "en"
) -> Person:
    """Create an account. Raises `ValidationError` with the errors by field."""
    person = Person(username=username, timezone=timezone, language=language, first_name=name)
    set_checked_password(person, password)
    person.full_clean()
    try:
        with transaction.atomic():
            person.save()
    except IntegrityError:  # taken since `full_clean`
        raise ValidationError({"username": _("This user name is already taken.")}) from None
    note(person, AuditEvent.SIGN_UP, person)
    return person


def activate(activation: Activation, password: str) -> Person:
    """Set the first password of the person's account.

    Raises `ValidationError`, or `NotACodeError` if the activation has been used in the meantime.
    """
    person = activation.person
    set_checked_password(person, password)
    with transaction.atomic():
        if not Activation.live().filter(pk=activation.pk).exists():
            raise NotACodeError
        activation.use()
        unset = Person.objects.filter(pk=person.pk, password__startswith="!")
        if not unset.update(password=person.password):
            raise NotACodeError  # the account has a password; an activation must not replace it
        note(person, AuditEvent.SIGN_UP, person, "activated")
    return person


def change_password(person: Person, password: str) -> None:
    """Change the password, which logs out all browsers. Raises `ValidationError`.

    The caller keeps its own session with `update_session_auth_hash`.
    """
    set_checked_password(person, password)
    person.save(update_fields=["password"])
    note(person, AuditEvent.PASSWORD_CHANGED, person)


def set_checked_password(person: Person, password: str) -> None:
    """Validate and set the password without saving. Raises `ValidationError` if it is too weak."""
    try:
        validate_password(password, person)
    except ValidationError as error:
        raise ValidationError({"password": error.messages}) from None
    person.set_password(password)
