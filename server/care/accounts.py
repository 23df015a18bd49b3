"""Accounts: signing up, activating an account, changing passwords, and API tokens."""

from datetime import timedelta
from typing import Literal, cast

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone as clock
from django.utils.translation import gettext as _

from server.care.audit import note
from server.care.institutions import is_authorised
from server.care.models import (
    LONGEST_TOKEN_LIFE,
    Activation,
    AuditEvent,
    Invitation,
    Person,
    PersonToken,
    TokenEnd,
    TokenScope,
)
from server.common.codes import NotACodeError

SignUp = Literal["open", "invited", "closed"]

# How long a token that has ended stays on the account page, with the reason.
ENDED_SHOWN = timedelta(days=90)


class PasswordChangedError(Exception):
    """Raised if the password was changed since it was checked."""


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
        if not Activation.live().filter(pk=activation.pk).exists() or not is_authorised(activation):
            raise NotACodeError
        activation.use()
        unset = Person.objects.filter(pk=person.pk, password__startswith="!")
        if not unset.update(password=person.password):
            raise NotACodeError  # the account has a password; an activation must not replace it
        note(person, AuditEvent.SIGN_UP, person, "activated")
    return person


def change_password(person: Person, password: str) -> list[PersonToken]:
    """Change the password, which logs out all browsers and apps. Raises `ValidationError`.

    Returns the API tokens of the apps. The caller keeps its own session with
    `update_session_auth_hash`.
    """
    set_checked_password(person, password)
    return save_password(person, person)


def save_password(person: Person, actor: Person | None, detail: str = "") -> list[PersonToken]:
    """Save the person's new password, and return the API tokens that this ended.

    The audit log names each of them. An `actor` of `None` is the server's operator.
    """
    ended = list(PersonToken.live(person))
    person.save(update_fields=["password"])
    note(actor, AuditEvent.PASSWORD_CHANGED, person, detail)
    for token in ended:
        note(actor, AuditEvent.TOKEN_REVOKED, person, f"{token.label}: password changed")
    return ended


def set_checked_password(person: Person, password: str) -> None:
    """Validate and set the password without saving. Raises `ValidationError` if it is too weak."""
    try:
        validate_password(password, person)
    except ValidationError as error:
        raise ValidationError({"password": error.messages}) from None
    person.set_password(password)


def issue_token(
    person: Person,
    name: str,
    scope: str = TokenScope.WRITE,
    life: timedelta = LONGEST_TOKEN_LIFE,
) -> tuple[PersonToken, str]:
    """Issue an API token to a person whose password was just checked; return it with its text.

    Raises `PasswordChangedError` if the password was changed in the meantime: that ended all tokens
    and must end this one.
    """
    with transaction.atomic():
        locked = Person.objects.select_for_update().get(pk=person.pk)
        if locked.password != person.password or not locked.is_active:
            raise PasswordChangedError
        before = list(PersonToken.live(person))
        expires_at = clock.now() + life
        text = PersonToken.issue(person, name=plain_name(name), scope=scope, expires_at=expires_at)
        issued = PersonToken.live(person)[0]
        note(person, AuditEvent.TOKEN_ISSUED, person, issued.label)
        live = set(PersonToken.live(person).values_list("pk", flat=True))
        for token in before:
            if token.pk not in live:
                detail = f"{token.label}: replaced by {issued.prefix}…"
                note(person, AuditEvent.TOKEN_REVOKED, person, detail)
    return issued, text


def plain_name(text: str) -> str:
    """Return the name of an app on one line, without invisible characters; `App` if none is left.

    Callers also pass what an HTTP client calls itself.
    """
    shown = "".join(each for each in text if each.isprintable()).strip()
    return shown[: PersonToken.LONGEST_NAME] or "App"


def end_token(token: PersonToken, why: TokenEnd) -> None:
    """Revoke a token on behalf of its person, and record it in the audit log."""
    token.revoke(why)
    detail = token.label if why == TokenEnd.REVOKED else f"{token.label}: {why.value}"
    note(token.person, AuditEvent.TOKEN_REVOKED, token.person, detail)


def ended_tokens(person: Person) -> QuerySet[PersonToken]:
    """Return the person's tokens that were revoked or expired recently, newest first."""
    since, moment = clock.now() - ENDED_SHOWN, clock.now()
    revoked = Q(revoked_at__gt=since)
    expired = Q(revoked_at=None, expires_at__gt=since, expires_at__lte=moment)
    return PersonToken.objects.filter(revoked | expired, person=person)
