"""What commands about people share: how to find one, and where a password comes from."""

import argparse
import getpass
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from django.core.management.base import CommandError

from server.common.commands import Options

if TYPE_CHECKING:
    from server.care.models import CareLink, Person


def person_named(name: str) -> "Person":
    """Return the person with this user name."""
    from server.care.models import Person

    try:
        return Person.objects.get(username=name)
    except Person.DoesNotExist:
        raise CommandError(f"there is no person {name!r}") from None


def open_link(options: Options) -> "CareLink | None":
    """Return the link between the two people, if it is open."""
    from server.care.models import CareLink

    pair = {"caregiver": person_named(options.caregiver), "person": person_named(options.person)}
    return CareLink.objects.filter(ended_at=None, **pair).first()


def add_pair(parser: argparse.ArgumentParser) -> None:
    """Add the two people of a link."""
    parser.add_argument("caregiver")
    parser.add_argument("person")


def add_password_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where a password is read; it is never an argument itself."""
    secret = parser.add_mutually_exclusive_group()
    secret.add_argument("--password-file", type=Path, metavar="FILE")
    secret.add_argument(
        "--password-stdin", action="store_true", help="its first line; at a terminal, asks for it"
    )


def read_password(options: Options) -> str | None:
    """Return the first line of the file or of standard input; `None` if neither is asked for.

    At a terminal the password is asked for twice, without an echo.
    """
    if options.password_file is None and not options.password_stdin:
        return None
    if options.password_file is None and sys.stdin.isatty():
        return _typed_password()
    try:
        text = options.password_file.read_text() if options.password_file else sys.stdin.read()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"expected a password in {options.password_file}: {error}") from error
    if not text.strip():
        raise CommandError("expected a password, found nothing")
    return str(text).splitlines()[0]


def _typed_password() -> str:
    try:
        password = getpass.getpass("Password: ")
        again = getpass.getpass("Once more: ")
    except EOFError:
        raise CommandError("expected a password, found nothing") from None
    if not password.strip():
        raise CommandError("expected a password, found nothing")
    if password != again:
        raise CommandError("expected the same password twice, found two")
    return password
