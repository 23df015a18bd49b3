"""Rate limits on wrong passwords and codes.

How many are allowed stands where they are tried (`MOST_…` in `login`, `second_factor` and
`wrong_codes`); in how long, here.

An attempt is counted before it is checked, and forgotten if it was right. So concurrent attempts
can't all pass the limit before the first of them is counted.

Attempts are stored in the database, so that all server processes share the counts. Names are stored
as keyed hashes, because people sometimes type a password into the name field.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from django.conf import settings
from django.db.models import Count
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import salted_hmac

from server.care.models import LoginFailure

WINDOW = timedelta(minutes=15)
WAIT_S = int(WINDOW.total_seconds())  # how long a client is told to wait, as Retry-After
# A provider gives a household or company one network of 48 to 64 bits: an attacker with 65,536
# networks of 64 bits may try this many times as often as one with an address.
SITE_SHARE = 5

# Key to count attempts by -> maximum number of failures within `WINDOW`, or `None` to count only.
Limits = Mapping[str, int | None]


class TooManyError(Exception):
    """A rate limit is reached: the attempt was not checked."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that was counted."""

    rows: list[int]

    def forget(self) -> None:
        """Don't count the attempt: it was right."""
        LoginFailure.objects.filter(pk__in=self.rows).delete()


def client_address(request: HttpRequest | None) -> str:
    """Return the client's address as the outermost trusted proxy saw it."""
    if request is None:
        return ""
    forwarded = request.headers.get("X-Forwarded-For", "").split(",")
    proxies = settings.TRUSTED_PROXIES
    if proxies and forwarded[0].strip():
        return str(forwarded[-min(proxies, len(forwarded))]).strip()
    return str(request.META.get("REMOTE_ADDR", ""))


def by_network(kind: str, request: HttpRequest | None, most: int) -> dict[str, int | None]:
    """Return limits for the client's network: an IPv4 address, or 64 bits of an IPv6 address.

    Of IPv6, the 48 bits of a site have a limit too.
    """
    address = _parsed(client_address(request))
    if not isinstance(address, IPv6Address):
        return {f"{kind}\0{address}": most}
    network, site = _network(address, 64), _network(address, 48)
    return {f"{kind}\0{network}": most, f"{kind}\0{site}": most * SITE_SHARE}


def network_of(request: HttpRequest | None) -> str:
    """Return the client's network as `by_network` counts it."""
    return next(iter(by_network("", request, 0)))


def logged_network(request: HttpRequest | None) -> str:
    """Return the client's network for a log: `"192.0.2.0/24"`, `"2001:db8::/64"`.

    It is coarse, so that a stranger with many addresses does not make as many entries. Returns
    `"an unknown network"` if there is no IP address.
    """
    address = _parsed(client_address(request))
    if address is None:
        return "an unknown network"
    return _network(address, 24 if isinstance(address, IPv4Address) else 64)


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    """Return an IP address; None for a Unix socket or an invalid one."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _network(address: IPv4Address | IPv6Address, bits: int) -> str:
    network = ip_network(f"{str(address).partition('%')[0]}/{bits}", strict=False)
    return str(network)


def too_many(limits: Limits) -> bool:
    """Return whether a limit is reached: the next attempt will be refused."""
    return any(n >= most for n, most in _counts(limits))


def begin(limits: Limits) -> Attempt:
    """Count an attempt before it is checked. Raises `TooManyError`; then it is not counted.

    Don't call this in a transaction. Each process sees the committed attempts of the others, so of
    any number of concurrent attempts, no more pass than the limit allows.
    """
    now = timezone.now()
    LoginFailure.objects.filter(at__lt=now - 2 * WINDOW).delete()
    made = LoginFailure.objects.bulk_create(
        LoginFailure(key=key, at=now) for key in map(_hashed, limits)
    )
    attempt = Attempt([row.pk for row in made])
    if any(n > most for n, most in _counts(limits)):
        attempt.forget()
        raise TooManyError
    return attempt


def _counts(limits: Limits) -> list[tuple[int, int]]:
    """Return each key's number of recent attempts and its limit."""
    most = {_hashed(key): limit for key, limit in limits.items() if limit is not None}
    recent = LoginFailure.objects.filter(key__in=most, at__gt=timezone.now() - WINDOW)
    counts = recent.values("key").annotate(n=Count("id")).values_list("key", "n")
    return [(n, most[key]) for key, n in counts]


def _hashed(key: str) -> str:
    return salted_hmac("blinklog.login", key, algorithm="sha256").hexdigest()
