"""Log-in by user name and password with a rate limit, for pages and API alike.

Failures within `WINDOW` are counted by name and network together, by network, and by name. Browsers
in which the person has logged in before are counted separately: see known_browsers.py.
"""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from server.care import attempts
from server.care.attempts import WINDOW, TooManyError, client_address
from server.care.audit import note
from server.care.known_browsers import known
from server.care.models import AuditEvent, Person, named
from server.common.names import case_mapped

__all__ = ["WINDOW", "RateLimitedBackend", "TooManyError", "client_address", "too_many_failures"]

# A person who mistypes needs a few attempts, and an institution's people share one address.
MOST_BY_NAME_AND_NETWORK = 10
MOST_BY_NETWORK = 50
MOST_BY_NAME = 100
MOST_BY_KNOWN_BROWSER = 10


def _limits(request: HttpRequest | None, username: str) -> attempts.Limits:
    name = case_mapped(username).casefold()
    if browser := known(request, username):
        return {f"known\0{name}\0{browser}": MOST_BY_KNOWN_BROWSER}
    return {
        f"both\0{name}\0{attempts.network_of(request)}": MOST_BY_NAME_AND_NETWORK,
        f"name\0{name}": MOST_BY_NAME,
        **attempts.by_network("address", request, MOST_BY_NETWORK),
    }


def too_many_failures(request: HttpRequest | None, username: str) -> bool:
    """Return whether the rate limit for this name and client is reached."""
    return attempts.too_many(_limits(request, username))


class RateLimitedBackend(ModelBackend):
    """Django's password check with a rate limit."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,  # noqa: ARG002
    ) -> Person | None:
        """Return the person, or `None` for a wrong name or password.

        Raises `PermissionDenied` while the rate limit is reached.
        """
        if username is None or password is None:
            return None
        try:
            return self.check(request, username, password)
        except TooManyError:
            raise PermissionDenied from None

    def check(self, request: HttpRequest | None, username: str, password: str) -> Person | None:
        """Return the person, or `None` for a wrong name or password. Raises `TooManyError`."""
        if "\x00" in username:
            return None
        attempt = attempts.begin(_limits(request, username))
        user = super().authenticate(request, username, password)
        if user is None:
            whose = named(Person.objects.all(), username)
            network = attempts.logged_network(request)
            note(None, AuditEvent.LOGIN_FAILED, whose, f"from {network}")
        else:
            attempt.forget()
        return user
