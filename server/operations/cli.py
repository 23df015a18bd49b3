"""blink-server: everything an administrator does from a shell.

Secrets are printed once, where they are made, and never taken from the command line.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from server.operations.cli_accounts import add_account_commands, add_password_options, read_password
from server.operations.cli_devices import add_device_commands
from server.operations.cli_keeping import add_keeping_commands
from server.operations.cli_letters import add_letter_commands
from server.operations.cli_shared import Adder, CommandError, Options, checked, person_named, tell

if TYPE_CHECKING:
    from server.care.models import CareLink

PERMISSIONS = ("history", "live", "control", "alerts")  # `Permission`, before Django is set up
MIGRATE_FIRST = "expected an up-to-date database, found {} missing: run `blink-server migrate`"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. 0: done; 1: it could not be, and standard error says why."""
    options = parser().parse_args(arguments)
    os.umask(0o077)  # the database holds health data
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "server.config.settings")
    if options.run is migrate:  # rewriting a large table takes its time
        os.environ.setdefault("BLINKLOG_STATEMENT_TIMEOUT_S", "0")
    from django.core.exceptions import ImproperlyConfigured
    from django.db import DatabaseError

    from server.common.mqtt import BrokerError

    try:
        set_up()
        options.run(options)
    except (CommandError, ImproperlyConfigured) as error:
        print(f"blink-server: {error}", file=sys.stderr)
        return 1
    except BrokerError as error:
        print(f"blink-server: the broker {error}", file=sys.stderr)
        return 1
    except DatabaseError as error:
        print(f"blink-server: the database refused: {error}", file=sys.stderr)
        return 1
    return 0


def set_up() -> None:
    """Django, and a secret key that stays."""
    import django
    from django.conf import settings

    from server.operations.secret_key import keep_secret_key

    try:
        if not os.environ.get("BLINKLOG_SECRET_KEY"):
            keep_secret_key(settings.SECRET_KEY_FILE)
    except OSError as error:
        raise CommandError(f"expected a folder to write to, found {error}") from error
    django.setup()


# Commands


def migrate(options: Options) -> None:
    """Make the database, or bring it up to date."""
    from django.core.management import call_command

    call_command("migrate", interactive=False, verbosity=0 if options.quiet else 1)


def serve(options: Options) -> None:
    """Answer HTTP until stopped."""
    from server.operations.gunicorn import run

    refuse_missing_migrations()
    run(bind=options.bind, workers=options.workers, threads=options.threads)


def consume(options: Options) -> None:  # noqa: ARG001
    """Take documents from the broker until stopped."""
    from server.ingest.consumer import run

    refuse_missing_migrations()
    run()


def create_person(options: Options) -> None:
    """Create somebody who can log in."""
    from django.contrib.auth.password_validation import validate_password
    from django.core.exceptions import ValidationError

    from server.care.models import Person, PersonToken

    password = read_password(options)
    person = Person(
        username=options.name,
        timezone=options.timezone,
        language=options.language,
        is_staff=options.admin,
        is_superuser=options.admin,
    )
    person.set_password(password)
    try:
        if password is not None:
            validate_password(password, person)
    except ValidationError as error:
        raise CommandError("; ".join(error.messages)) from error
    checked(person).save()
    told = {"user": person.username}
    if options.token:
        told["token"] = PersonToken.issue(person)
    tell(options, told, f"created {person.username}")


def link(options: Options) -> None:
    """Let a caregiver see a person."""
    from server.care.audit import note
    from server.care.models import AuditEvent, CareLink

    if open_link(options):
        raise CommandError(f"{options.caregiver} may see {options.person} already")
    if options.caregiver == options.person:
        raise CommandError("expected two people, found one twice")
    pair = {"caregiver": person_named(options.caregiver), "person": person_named(options.person)}
    made = CareLink(**pair)
    made.permit(options.may)
    checked(made).save()
    note(None, AuditEvent.LINK_ACCEPTED, made.person, f"{made.caregiver} by the operator")
    print(f"{options.caregiver} may see {options.person}")


def unlink(options: Options) -> None:
    """End a caregiver's sight of a person, from the next request on."""
    from server.care.audit import note
    from server.care.models import AuditEvent

    found = open_link(options)
    if found is None:
        raise CommandError(f"{options.caregiver} may not see {options.person} anyway")
    found.end()
    note(None, AuditEvent.LINK_ENDED, found.person, f"{found.caregiver} by the operator")
    print(f"{options.caregiver} may no longer see {options.person}")


def people(options: Options) -> None:
    """List people, and whom each may see."""
    from server.care.access import visible_people
    from server.care.models import Person

    for person in Person.objects.order_by("username"):
        others = [each.username for each in visible_people(person) if each != person]
        told = {"user": person.username, "timezone": person.timezone, "may_see": others}
        tell(options, told, f"{person.username}  may see: {', '.join(others) or 'nobody else'}")


# What they share


def refuse_missing_migrations() -> None:
    """A database that is away may come back; one that lacks tables will not get them by waiting."""
    from server.operations.health import missing_migrations

    if missing := missing_migrations():
        raise CommandError(MIGRATE_FIRST.format(missing))


def open_link(options: Options) -> "CareLink | None":
    """The link between the two people, if it is open."""
    from server.care.models import CareLink

    pair = {"caregiver": person_named(options.caregiver), "person": person_named(options.person)}
    return CareLink.objects.filter(ended_at=None, **pair).first()


# The command line


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    whole = argparse.ArgumentParser(prog="blink-server", description="The Blinklog server.")
    commands = whole.add_subparsers(required=True, metavar="COMMAND")

    def command(run: Callable[[Options], None], *names: str) -> argparse.ArgumentParser:
        text = (run.__doc__ or "").partition("\n")[0]
        aliases = list(names[1:])
        made = commands.add_parser(names[0], aliases=aliases, help=text, description=text)
        made.set_defaults(run=run)
        return made

    command(migrate, "migrate").add_argument("--quiet", action="store_true")
    serving = command(serve, "serve")
    serving.add_argument("--bind", default="127.0.0.1:8000", metavar="HOST:PORT")
    serving.add_argument("--workers", type=positive, default=2, help="processes (2)")
    serving.add_argument("--threads", type=positive, default=4, help="of each process (4)")
    command(consume, "consume")
    add_people_commands(command)
    add_account_commands(command)
    add_device_commands(command)
    add_letter_commands(command)
    add_keeping_commands(command)
    return whole


def add_people_commands(command: Adder) -> None:
    """Those about people and who may see whom."""
    person = command(create_person, "create-person")
    person.add_argument("name", help="user name")
    add_password_options(person)
    person.add_argument("--timezone", default="UTC", help="such as Europe/Berlin")
    person.add_argument("--language", default="en")
    person.add_argument("--admin", action="store_true", help="may use the admin site")
    person.add_argument("--token", action="store_true", help="issue an API token too")
    person.add_argument("--json", action="store_true")
    for run, *names in ((link, "link", "create-link"), (unlink, "unlink", "end-link")):
        pair = command(run, *names)
        pair.add_argument("caregiver")
        pair.add_argument("person")
        if run is link:
            pair.add_argument(
                "--may",
                nargs="+",
                choices=PERMISSIONS,
                default=["history", "live", "control"],
                metavar="PERMISSION",
                help=f"some of {', '.join(PERMISSIONS)} (all but alerts)",
            )
    command(people, "people").add_argument("--json", action="store_true")


def positive(text: str) -> int:
    """A whole number from 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1, found {number}")
    return number


if __name__ == "__main__":
    sys.exit(main())
