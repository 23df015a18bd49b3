"""Read settings from environment variables. Blank flags, numbers and choices count as unset.

Errors are `ImproperlyConfigured`: `NAME: expected …, found …`. Only values that can't be secret are
quoted, and errors have no cause: a traceback would print it.
"""

from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, TypeVar
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured
from environs import Env, EnvValidationError, ValidationError
from environs import validate as checks

from server.common.secret_files import read_secret

T = TypeVar("T")

env = Env()
LOWER = [str.strip, str.lower]
FLAG = "expected 1 or 0, found {input!r}"
WHOLE_NUMBER = "expected a whole number, found {input!r}"


def text(name: str, default: str = "") -> str:
    """Return the variable unchanged."""
    return env.str(name, default)


def flag(name: str) -> bool:
    """Return whether the variable is 1, yes, true or on."""
    return _read(env.bool, name, False, error_messages={"invalid": FLAG}, pre_load=LOWER)


def number(name: str, default: int) -> int:
    """Return a whole number that is not negative."""
    least = checks.Range(min=0, error=WHOLE_NUMBER)
    return _read(env.int, name, default, validate=least, error_messages={"invalid": WHOLE_NUMBER})


def one_of(name: str, *choices: str) -> str:
    """Return one of the choices, in lower case; the first is the default."""
    known = checks.OneOf(choices, error="expected one of {choices}, found {input!r}")
    return _read(env.str, name, choices[0], validate=known, pre_load=LOWER)


def words(name: str, default: str = "") -> list[str]:
    """Return the words between commas, without blank ones."""
    return [word for word in env.list(name, default.split(","), subcast=str.strip) if word]


def networks(name: str) -> list[IPv4Network | IPv6Network]:
    """Return addresses and networks."""
    try:
        return [ip_network(word) for word in words(name)]
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}: expected addresses or networks; {error}") from None


def secret_file(name: str, least: int = 16) -> str:
    """Return the secret in the file that the variable names; an empty string without a file."""
    file = text(name)
    secret = read_secret(name, file)
    if file and len(secret) < least:
        raise ImproperlyConfigured(f"{name}: expected {least} characters or more")
    return secret


def broker_address(name: str) -> str:
    """Return a broker's URL without credentials; it may be shown."""
    return _read(env.str, name, "", validate=_without_credentials)


def _without_credentials(address: str) -> None:
    try:
        url = urlsplit(address)
        if url.scheme in ("mqtt", "mqtts") and url.hostname and "@" not in url.netloc:
            return
    except ValueError:
        pass
    raise ValidationError("expected mqtts://host[:port], without name and password")


def _read(parse: Callable[..., T], name: str, default: T, **options: Any) -> T:
    """Return the parsed variable, or the default if it is blank."""
    if not text(name).strip():
        return default
    try:
        return parse(name, **({"pre_load": str.strip} | options))
    except EnvValidationError as error:
        raise ImproperlyConfigured(f"{name}: {'; '.join(error.error_messages)}") from None
