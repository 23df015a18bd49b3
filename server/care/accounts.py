"""Accounts: who may make one, first passwords, and changing them."""

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
    """`open`: anybody may make an account. `invited`: with an invitation. `closed`: nobody."""
    return cast(SignUp, settings.SIGN_UP)


def may_sign_up(invitation: Invitation | None) -> bool:
    """Whether whoever holds that invitation, or none, may make an account now."""
    return sign_up_mode() == "open" or (sign_up_mode() == "invited" and invitation is not None)


def sign_up(
    username: str, password: str, *, name: str = "", timezone: str = "UTC", language: str = "en"
) -> Person:
    """A new account. Raises `ValidationError`, by field."""
    person = Person(username=username, timezone=timezone, language=language, first_name=name)
    set_checked_password(person, password)
    person.full_clean()
    try:
        with transaction.atomic():
            person.save()
    except IntegrityError:  # somebody was quicker
        raise ValidationError({"username": _("This name is taken.")}) from None
    note(person, AuditEvent.SIGN_UP, person)
    return person


def activate(activation: Activation, password: str) -> Person:
    """The person's first password. Raises `ValidationError`, or `NotACodeError`: used meanwhile."""
    person = activation.person
    set_checked_password(person, password)
    with transaction.atomic():
        if not Activation.live().filter(pk=activation.pk).exists():
            raise NotACodeError
        activation.use()
        unset = Person.objects.filter(pk=person.pk, password__startswith="!")
        if not unset.update(password=person.password):
            raise NotACodeError  # it has a password: this is no way to another
        note(person, AuditEvent.SIGN_UP, person, "activated")
    return person


def change_password(person: Person, password: str) -> None:
    """Every browser's session but the one that asks ends. Raises `ValidationError`."""
    set_checked_password(person, password)
    person.save(update_fields=["password"])
    note(person, AuditEvent.PASSWORD_CHANGED, person)


def set_checked_password(person: Person, password: str) -> None:
    """Not saved. Raises `ValidationError` for one that Django's validators refuse."""
    try:
        validate_password(password, person)
    except ValidationError as error:
        raise ValidationError({"password": error.messages}) from None
    person.set_password(password)
