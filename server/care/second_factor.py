"""The second factor: a code from an authenticator app (TOTP, RFC 6238), or a recovery code.

Each code works once. django-otp stores the secret shared with the app.
"""

from django.db import transaction
from django.http import HttpRequest
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from server.care import attempts
from server.care.audit import note
from server.care.known_browsers import known
from server.care.models import AuditEvent, Person

RECOVERY_CODES = 10
LONGEST_TYPED = 32
NAME = "authenticator"
RECOVERY = "recovery"
# Three of a million codes are valid at any time: an attacker who has the password and tries for a
# month finds one with a probability of 4 %.
MOST_BY_PERSON = 5
# Limits an attacker who has the passwords of many accounts.
MOST_BY_NETWORK = 50


def is_on(person: Person) -> bool:
    """Return whether the person has a second factor."""
    return bool(TOTPDevice.objects.filter(user=person, confirmed=True).exists())


def begin(person: Person) -> TOTPDevice:
    """Return a new secret for an authenticator app. It has no effect until `confirm`."""
    found = TOTPDevice.objects.filter(user=person, confirmed=False).first()
    return found or TOTPDevice.objects.create(user=person, name=NAME, confirmed=False)


def confirm(person: Person, code: str) -> list[str] | None:
    """Turn the second factor on and return recovery codes; `None` if `code` is wrong."""
    with transaction.atomic():
        waiting = TOTPDevice.objects.select_for_update().filter(user=person, confirmed=False)
        device = waiting.first()
        if device is None or not device.verify_token(_digits(code)):
            return None
        TOTPDevice.objects.filter(user=person, confirmed=True).delete()
        device.confirmed = True
        device.save()
        codes = new_recovery_codes(person)
    note(person, AuditEvent.SECOND_FACTOR_ON, person)
    return codes


def new_recovery_codes(person: Person) -> list[str]:
    """Replace the recovery codes by ten new ones and return them. They are shown only once."""
    with transaction.atomic():
        StaticDevice.objects.filter(user=person).delete()
        device = StaticDevice.objects.create(user=person, name=RECOVERY, confirmed=True)
        codes = [StaticToken.random_token() for _ in range(RECOVERY_CODES)]
        StaticToken.objects.bulk_create(StaticToken(device=device, token=code) for code in codes)
    return codes


def recovery_codes_left(person: Person) -> int:
    """Return the number of unused recovery codes."""
    return int(StaticToken.objects.filter(device__user=person).count())


def turn_off(person: Person, actor: Person | None) -> None:
    """Turn the second factor off and delete its secrets."""
    TOTPDevice.objects.filter(user=person).delete()
    StaticDevice.objects.filter(user=person).delete()
    note(actor, AuditEvent.SECOND_FACTOR_OFF, person)


def too_many(request: HttpRequest | None, person: Person) -> bool:
    """Return whether the rate limit on wrong codes is reached."""
    return attempts.too_many(_limits(request, person))


def check(request: HttpRequest | None, person: Person, code: str) -> bool:
    """Return whether the code is right, and use it up; count it if it is wrong."""
    try:
        attempt = attempts.begin(_limits(request, person))
    except attempts.TooManyError:
        return False
    if _matches(person, _digits(code)):
        attempt.forget()
        return True
    network = attempts.logged_network(request)
    note(None, AuditEvent.LOGIN_FAILED, person, f"second factor, from {network}")
    return False


def _matches(person: Person, code: str) -> bool:
    """Check the code with each row locked, so that concurrent requests can't use it twice."""
    with transaction.atomic():
        for kind in (TOTPDevice, StaticDevice):
            for device in kind.objects.select_for_update().filter(user=person, confirmed=True):
                if device.verify_token(code):
                    return True
    return False


def _digits(code: str) -> str:
    """Return the code without the spaces that authenticator apps show."""
    return "".join(each for each in code[:LONGEST_TYPED].lower() if each.isalnum())


def _limits(request: HttpRequest | None, person: Person) -> attempts.Limits:
    if browser := known(request, person.username):
        return {f"second known\0{person.pk}\0{browser}": MOST_BY_PERSON}
    return {
        f"second\0{person.pk}": MOST_BY_PERSON,
        **attempts.by_network("second address", request, MOST_BY_NETWORK),
    }
