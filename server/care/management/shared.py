"""Helpers for the commands about people: look up people and links, and read passwords."""

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
    """Return the person with this user name. Raises `CommandError` if there is none."""
    from server.care.models import Person

    try:
        return Person.objects.get_by_natural_key(name)
    except Person.DoesNotExist:
        raise CommandError(f"there is no person {name!r}") from None


def open_link(options: Options) -> "CareLink | None":
    """Return the open link between the two people, or `None`."""
    from server.care.models import CareLink

    pair = {"caregiver": person_named(options.caregiver), "person": person_named(options.person)}
    return CareLink.objects.filter(ended_at=None, **pair).first()


def add_pair(parser: argparse.ArgumentParser) -> None:
    """Add the arguments for the two people of a link."""
    parser.add_argument("caregiver")
    parser.add_argument("person")


def add_password_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for where to read a password from; the password is never an argument."""
    secret = parser.add_mutually_exclusive_group()
    secret.add_argument("--password-file", type=Path, metavar="FILE")
    secret.add_argument(
        "--password-stdin", action="store_true", help="read one line; prompt if it is a terminal"
    )


def read_password(options: Options) -> str | None:
    """Return the first line of the file or of standard input; `None` without either option.

    At a terminal, prompt for the password twice, without echo.
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
        again = getpass.getpass("Repeat password: ")
    except EOFError:
        raise CommandError("expected a password, found nothing") from None
    if not password.strip():
        raise CommandError("expected a password, found nothing")
    if password != again:
        raise CommandError("the two passwords don't match")
    return password
