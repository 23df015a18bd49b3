"""The second factor: a code of an authenticator (TOTP, RFC 6238), or one of the recovery codes.

Each code works once. What the authenticator and we share is kept by django-otp.
"""

from django.db import transaction
from django.http import HttpRequest
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from server.care import guesses
from server.care.audit import note
from server.care.models import AuditEvent, Person

RECOVERY_CODES = 10
LONGEST_TYPED = 32
NAME = "authenticator"
RECOVERY = "recovery"
# Of a million codes three are right at any time: who has the password and tries for a month
# without a break finds one with a chance of 4 %.
MOST_BY_PERSON = 5
# So that who has many names' passwords has no more tries by that.
MOST_BY_ADDRESS = 50


def is_on(person: Person) -> bool:
    """Whether a code is asked for after the password."""
    return bool(TOTPDevice.objects.filter(user=person, confirmed=True).exists())


def begin(person: Person) -> TOTPDevice:
    """A secret to put into an authenticator; nothing asks for it before `confirm`."""
    found = TOTPDevice.objects.filter(user=person, confirmed=False).first()
    return found or TOTPDevice.objects.create(user=person, name=NAME, confirmed=False)


def confirm(person: Person, code: str) -> list[str] | None:
    """Turn it on, if the authenticator shows the right code: recovery codes, or `None`."""
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
    """Ten, in place of those there were; to be shown this once."""
    with transaction.atomic():
        StaticDevice.objects.filter(user=person).delete()
        device = StaticDevice.objects.create(user=person, name=RECOVERY, confirmed=True)
        codes = [StaticToken.random_token() for _ in range(RECOVERY_CODES)]
        StaticToken.objects.bulk_create(StaticToken(device=device, token=code) for code in codes)
    return codes


def recovery_codes_left(person: Person) -> int:
    """How many were not used yet."""
    return int(StaticToken.objects.filter(device__user=person).count())


def turn_off(person: Person, actor: Person | None) -> None:
    """The password alone is enough again."""
    TOTPDevice.objects.filter(user=person).delete()
    StaticDevice.objects.filter(user=person).delete()
    note(actor, AuditEvent.SECOND_FACTOR_OFF, person)


def too_many(request: HttpRequest | None, person: Person) -> bool:
    """Whether the next code is not even looked at."""
    return guesses.too_many(_limits(request, person))


def check(request: HttpRequest | None, person: Person, code: str) -> bool:
    """Whether it is a right code, which is then used up; a wrong one is counted."""
    if too_many(request, person):
        return False
    if _matches(person, _digits(code)):
        return True
    guesses.note(_limits(request, person))
    note(None, AuditEvent.LOGIN_FAILED, person, "second factor")
    return False


def _matches(person: Person, code: str) -> bool:
    """Each row is locked while it is asked, so that a code that comes twice at once counts once."""
    with transaction.atomic():
        for kind in (TOTPDevice, StaticDevice):
            for device in kind.objects.select_for_update().filter(user=person, confirmed=True):
                if device.verify_token(code):
                    return True
    return False


def _digits(code: str) -> str:
    """Without the spaces that authenticators show."""
    return "".join(each for each in code[:LONGEST_TYPED].lower() if each.isalnum())


def _limits(request: HttpRequest | None, person: Person) -> guesses.Limits:
    address = guesses.client_address(request)
    return {
        f"second\0{person.pk}": MOST_BY_PERSON,
        f"second address\0{address}": MOST_BY_ADDRESS,
    }
