"""Log-in by user name and password with a rate limit, for pages and API alike.

Failures within `WINDOW` are counted by name and address together, by address, and by name.
"""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from server.care import guesses
from server.care.audit import note
from server.care.guesses import WINDOW, client_address
from server.care.models import AuditEvent, Person
from server.common.networks import network_of

__all__ = ["WINDOW", "RateLimitedBackend", "client_address", "note_failure", "too_many_failures"]

# A person who mistypes needs a few attempts, and an institution's people share one address.
MOST_BY_NAME_AND_ADDRESS = 10
MOST_BY_ADDRESS = 50
MOST_BY_NAME = 100


def _limits(request: HttpRequest | None, username: str) -> guesses.Limits:
    address, name = client_address(request), username.casefold()
    return {
        f"both\0{name}\0{address}": MOST_BY_NAME_AND_ADDRESS,
        f"address\0{address}": MOST_BY_ADDRESS,
        f"name\0{name}": MOST_BY_NAME,
    }


def too_many_failures(request: HttpRequest | None, username: str) -> bool:
    """Return whether the rate limit for this name and address is reached."""
    return guesses.too_many(_limits(request, username))


def note_failure(request: HttpRequest | None, username: str) -> None:
    """Count one failed log-in."""
    guesses.note(_limits(request, username))


class RateLimitedBackend(ModelBackend):
    """Django's password check with a rate limit."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> Person | None:
        """Return the person, or `None` for a wrong name or password.

        Raises `PermissionDenied` while the rate limit is reached.
        """
        if username is None or password is None or "\x00" in username:
            return None
        if too_many_failures(request, username):
            raise PermissionDenied
        user = super().authenticate(request, username, password, **kwargs)
        if user is None:
            note_failure(request, username)
            known = Person.objects.filter(username=username).first()
            note(
                None, AuditEvent.LOGIN_FAILED, known, f"from {network_of(client_address(request))}"
            )
        return user
