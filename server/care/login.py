"""Logging in by name and password, at every door alike, with a limit on guesses.

Failures are counted by name and address together, by address, and by name, over `WINDOW`. They are
kept in the database, so that all server processes count together, and as keyed hashes: what was
typed as a name may have been a password.
"""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.backends import ModelBackend
from django.core.exceptions import PermissionDenied
from django.db.models import Count
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import salted_hmac

from server.care.models import LoginFailure, Person

WINDOW = timedelta(minutes=15)
# A person who mistypes needs a few; an institution shares one address; nobody needs a hundred.
MOST_BY_NAME_AND_ADDRESS = 10
MOST_BY_ADDRESS = 50
MOST_BY_NAME = 100


def client_address(request: HttpRequest | None) -> str:
    """Of the client, as the outermost trusted proxy saw it."""
    if request is None:
        return ""
    forwarded = request.headers.get("X-Forwarded-For", "").split(",")
    proxies = settings.TRUSTED_PROXIES
    if proxies and forwarded[0].strip():
        return str(forwarded[-min(proxies, len(forwarded))]).strip()
    return str(request.META.get("REMOTE_ADDR", ""))


def _limits(request: HttpRequest | None, username: str) -> dict[str, int]:
    address, name = client_address(request), username.casefold()
    pairs = {
        f"both\0{name}\0{address}": MOST_BY_NAME_AND_ADDRESS,
        f"address\0{address}": MOST_BY_ADDRESS,
        f"name\0{name}": MOST_BY_NAME,
    }
    return {
        salted_hmac("blinklog.login", key, algorithm="sha256").hexdigest(): most
        for key, most in pairs.items()
    }


def too_many_failures(request: HttpRequest | None, username: str) -> bool:
    """Whether this name at this address must wait before its next guess is looked at."""
    limits = _limits(request, username)
    recent = LoginFailure.objects.filter(key__in=limits, at__gt=timezone.now() - WINDOW)
    counts = recent.values("key").annotate(n=Count("id")).values_list("key", "n")
    return any(n >= limits[key] for key, n in counts)


def note_failure(request: HttpRequest | None, username: str) -> None:
    """Count one failure, and forget those that no longer matter."""
    now = timezone.now()
    LoginFailure.objects.filter(at__lt=now - 2 * WINDOW).delete()
    LoginFailure.objects.bulk_create(
        LoginFailure(key=key, at=now) for key in _limits(request, username)
    )


class RateLimitedBackend(ModelBackend):
    """Django's own check of a password, after the limit and with failures counted."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> Person | None:
        """The person, `None` for a wrong password; `PermissionDenied` while there were too many."""
        if username is None or password is None or "\x00" in username:
            return None
        if too_many_failures(request, username):
            raise PermissionDenied
        user = super().authenticate(request, username, password, **kwargs)
        if user is None:
            note_failure(request, username)
        return user
