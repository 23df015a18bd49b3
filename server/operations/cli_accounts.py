"""blink-server's commands about accounts and institutions: what its admins can't do by themselves.

Whoever runs them is noted in the audit log as the operator: an entry without an actor.
"""

import argparse
import getpass
import sys
from pathlib import Path

from server.operations.cli_shared import Adder, CommandError, Options, person_named, tell


def read_password(options: Options) -> str | None:
    """The first line of the file or of standard input; `None` where neither is asked for.

    Who sits at a terminal is asked twice, without an echo.
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


def set_password(options: Options) -> None:
    """Give somebody who forgot theirs another password; their browsers are logged out."""
    from django.core.exceptions import ValidationError

    from server.care.accounts import set_checked_password
    from server.care.audit import note
    from server.care.models import AuditEvent

    person, password = person_named(options.name), read_password(options)
    if password is None:
        raise CommandError("expected --password-file or --password-stdin")
    try:
        set_checked_password(person, password)
    except ValidationError as error:
        raise CommandError("; ".join(error.messages)) from error
    person.save(update_fields=["password"])
    note(None, AuditEvent.PASSWORD_CHANGED, person, "by the operator")
    print(f"changed the password of {person.username}")


def remove_second_factor(options: Options) -> None:
    """Let somebody who lost phone and recovery codes in by the password alone again."""
    from server.care import second_factor

    person = person_named(options.name)
    if not second_factor.is_on(person):
        raise CommandError(f"{person.username} has no second factor")
    second_factor.turn_off(person, None)
    print(f"{person.username} logs in by the password alone")


def institution(options: Options) -> None:
    """Make an institution, or change who belongs to it and who administers it."""
    from django.core.exceptions import ValidationError
    from django.db import transaction

    from server.care.institutions import set_role, take_in, take_out
    from server.care.models import Institution, Role

    people = {
        role: [person_named(name) for name in names]
        for role, names in ((Role.ADMIN, options.admin), (Role.MEMBER, options.member))
    }
    leaving = [person_named(name) for name in options.remove]
    try:
        with transaction.atomic():
            found, _is_new = Institution.objects.get_or_create(name=options.name)
            found.full_clean()
            for role, persons in people.items():
                for person in persons:
                    take_in(found, person)
                    set_role(found, person, role)
            for person in leaving:
                take_out(found, person)
    except ValidationError as error:
        raise CommandError("; ".join(error.messages)) from error
    members = [(each.person.username, each.role) for each in found.memberships.all()]
    told = {"institution": found.name, "members": dict(members)}
    words = ", ".join(f"{name} ({role})" for name, role in members) or "nobody"
    tell(options, told, f"{found.name}: {words}")


def add_account_commands(command: Adder) -> None:
    """Those about accounts and institutions."""
    person = command(set_password, "set-password")
    person.add_argument("name", help="user name")
    add_password_options(person)
    command(remove_second_factor, "remove-second-factor").add_argument("name", help="user name")
    home = command(institution, "institution")
    home.add_argument("name", help='such as "Haus am See"')
    for option, text in {
        "--admin": "who administers it",
        "--member": "who belongs to it",
        "--remove": "who leaves it",
    }.items():
        home.add_argument(option, nargs="+", default=[], metavar="NAME", help=text)
    home.add_argument("--json", action="store_true")


def add_password_options(command: argparse.ArgumentParser) -> None:
    """Where a password comes from, which is never the command line."""
    secret = command.add_mutually_exclusive_group()
    secret.add_argument("--password-file", type=Path, metavar="FILE")
    secret.add_argument(
        "--password-stdin", action="store_true", help="its first line; at a terminal, asks for it"
    )
