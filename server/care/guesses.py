"""Rate limits on wrong passwords and codes.

Failures are stored in the database, so that all server processes share the counts. Names are stored
as keyed hashes, because people sometimes type a password into the name field.
"""

from collections.abc import Mapping
from datetime import timedelta

from django.conf import settings
from django.db.models import Count
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import salted_hmac

from server.care.models import LoginFailure

WINDOW = timedelta(minutes=15)
WAIT_S = int(WINDOW.total_seconds())  # how long a client is told to wait, as Retry-After

# Key to count failures by -> maximum number of failures within `WINDOW`.
Limits = Mapping[str, int]


def client_address(request: HttpRequest | None) -> str:
    """Return the client's address as the outermost trusted proxy saw it."""
    if request is None:
        return ""
    forwarded = request.headers.get("X-Forwarded-For", "").split(",")
    proxies = settings.TRUSTED_PROXIES
    if proxies and forwarded[0].strip():
        return str(forwarded[-min(proxies, len(forwarded))]).strip()
    return str(request.META.get("REMOTE_ADDR", ""))


def too_many(limits: Limits) -> bool:
    """Return whether a limit is reached; the next attempt must then be refused unchecked."""
    most = _hashed(limits)
    recent = LoginFailure.objects.filter(key__in=most, at__gt=timezone.now() - WINDOW)
    counts = recent.values("key").annotate(n=Count("id")).values_list("key", "n")
    return any(n >= most[key] for key, n in counts)


def note(limits: Limits) -> None:
    """Count one failure, and delete old ones."""
    now = timezone.now()
    LoginFailure.objects.filter(at__lt=now - 2 * WINDOW).delete()
    LoginFailure.objects.bulk_create(LoginFailure(key=key, at=now) for key in _hashed(limits))


def _hashed(limits: Limits) -> dict[str, int]:
    return {
        salted_hmac("blinklog.login", key, algorithm="sha256").hexdigest(): most
        for key, most in limits.items()
    }
