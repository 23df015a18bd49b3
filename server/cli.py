"""blink-server: everything an administrator does from a shell.

Secrets are printed once, where they are made, and never taken from the command line.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from django.db.models import Model

    from server.care.models import CareLink, Person
    from server.devices.models import Device

Options = argparse.Namespace
Made = TypeVar("Made", bound="Model")
MIGRATE_FIRST = "expected an up-to-date database, found {} missing: run `blink-server migrate`"


class CommandError(Exception):
    """What the administrator should know; the command did nothing."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. 0: done; 1: it could not be, and standard error says why."""
    options = parser().parse_args(arguments)
    os.umask(0o077)  # the database holds health data
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "server.settings")
    if options.run is migrate:  # rewriting a large table takes its time
        os.environ.setdefault("BLINKLOG_STATEMENT_TIMEOUT_S", "0")
    from django.core.exceptions import ImproperlyConfigured
    from django.db import DatabaseError

    from server.mqtt import BrokerError

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

    from server.secret_key import keep_secret_key

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
    from server.gunicorn import run

    refuse_missing_migrations()
    run(bind=options.bind, workers=options.workers, threads=options.threads)


def consume(options: Options) -> None:  # noqa: ARG001
    """Take documents from the broker until stopped."""
    from server.session_data.consumer import run

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


def create_device(options: Options) -> None:
    """Create a device for a person, with its token and its password at the broker."""
    from server.devices.credentials import issue
    from server.devices.models import Device

    device = checked(Device(person=person_named(options.person), label=options.name))
    tell(options, issue(device), f"created the device {device.label} of {options.person}")


def rotate_token(options: Options) -> None:
    """Issue a device's next token and password; the last token works until the one after it."""
    from server.devices.credentials import issue

    device = device_with(options.device)
    if device.revoked_at:
        raise CommandError(f"expected a device that may come in; {device.label} is revoked")
    tell(options, issue(device), "the token before this one still works; revoke-token ends it")


def revoke_token(options: Options) -> None:
    """Revoke tokens of a device: those that begin so, or all of them."""
    from server.devices.models import DeviceToken

    live = DeviceToken.live(device_with(options.device))
    if options.prefix:
        live = live.filter(prefix__startswith=options.prefix[:12])
    for token in live:
        token.revoke()
        print(f"revoked {token}")
    if not live:
        raise CommandError("expected a live token to revoke, found none")


def revoke_device(options: Options) -> None:
    """Shut a device out, by either door. What it has measured stays with its person."""
    from server.devices.credentials import revoke
    from server.mqtt import BrokerError

    device = device_with(options.device)
    try:
        revoke(device)
    except BrokerError as error:
        told = f"{device.label} is revoked, but the broker {error}: do it again to end its identity"
        raise CommandError(f"{told} there") from error
    print(f"revoked {device.label} ({device.pk})")


def set_up_broker(options: Options) -> None:
    """Write the file that Mosquitto's dynamic-security plugin begins with."""
    from server.devices.broker_access import first_state
    from server.mqtt import admin_settings, broker_settings

    admin, server = admin_settings(), broker_settings()
    for name, who in (("BLINKLOG_MQTT_ADMIN", admin), ("BLINKLOG_MQTT", server)):
        if who is None or not who.username or not who.password:
            raise CommandError(f"expected a user in {name}_URL and {name}_PASSWORD_FILE")
    if admin is None or admin.username == server.username:
        raise CommandError("expected two users, one that administers the broker, found one")
    try:
        with options.file.open("x") as file:  # umask: for its owner alone
            json.dump(first_state(admin, server), file, indent=2)
    except OSError as error:
        raise CommandError(f"expected a new file to write: {error}") from error
    print(f"wrote {options.file}: give it to the broker's user, and start the broker")


def link(options: Options) -> None:
    """Let a caregiver see a person."""
    from server.care.models import CareLink

    if open_link(options):
        raise CommandError(f"{options.caregiver} may see {options.person} already")
    if options.caregiver == options.person:
        raise CommandError("expected two people, found one twice")
    pair = {"caregiver": person_named(options.caregiver), "person": person_named(options.person)}
    checked(CareLink(**pair)).save()
    print(f"{options.caregiver} may see {options.person}")


def unlink(options: Options) -> None:
    """End a caregiver's sight of a person, from the next request on."""
    found = open_link(options)
    if found is None:
        raise CommandError(f"{options.caregiver} may not see {options.person} anyway")
    found.end()
    print(f"{options.caregiver} may no longer see {options.person}")


def people(options: Options) -> None:
    """List people, and whom each may see."""
    from server.care.access import visible_people
    from server.care.models import Person

    for person in Person.objects.order_by("username"):
        others = [each.username for each in visible_people(person) if each != person]
        told = {"user": person.username, "timezone": person.timezone, "may_see": others}
        tell(options, told, f"{person.username}  may see: {', '.join(others) or 'nobody else'}")


def devices(options: Options) -> None:
    """List devices, and when each was last heard of."""
    from server.devices.models import Device

    for device in Device.objects.select_related("person"):
        seen = device.last_seen_at.isoformat(timespec="seconds") if device.last_seen_at else None
        told = {
            "device": str(device.pk),
            "name": device.label,
            "user": device.person.username,
            "last_seen_at": seen,
            "revoked": device.revoked_at is not None,
        }
        state = "revoked" if device.revoked_at else f"last seen {seen or 'never'}"
        tell(options, told, f"{device.pk}  {device.label} of {device.person.username}, {state}")


# What they share


def refuse_missing_migrations() -> None:
    """A database that is away may come back; one that lacks tables will not get them by waiting."""
    from server.health import missing_migrations

    if missing := missing_migrations():
        raise CommandError(MIGRATE_FIRST.format(missing))


def read_password(options: Options) -> str | None:
    """The first line of the file or of standard input; `None` where neither is asked for."""
    if options.password_file is None and not options.password_stdin:
        return None
    try:
        text = options.password_file.read_text() if options.password_file else sys.stdin.read()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"expected a password in {options.password_file}: {error}") from error
    if not text.strip():
        raise CommandError("expected a password, found nothing")
    return str(text).splitlines()[0]


def checked(made: Made) -> Made:
    """The same, if it is what its model says it may be."""
    from django.core.exceptions import ValidationError

    try:
        made.full_clean()
    except ValidationError as error:
        fields = error.message_dict.items()
        texts = [f"{name}: {' '.join(messages)}" for name, messages in fields]
        raise CommandError("; ".join(texts).replace("__all__: ", "")) from error
    return made


def person_named(name: str) -> "Person":
    """The person with this user name."""
    from server.care.models import Person

    try:
        return Person.objects.get(username=name)
    except Person.DoesNotExist:
        raise CommandError(f"there is no person {name!r}") from None


def device_with(text: str) -> "Device":
    """The device with this id, or the only one with this name."""
    from django.core.exceptions import ValidationError

    from server.devices.models import Device

    try:
        found = list(Device.objects.filter(pk=text))
    except ValidationError:  # not a UUID, so a name
        found = list(Device.objects.filter(label=text))
    if len(found) != 1:
        raise CommandError(f"expected one device called {text!r}, found {len(found)}")
    return found[0]


def open_link(options: Options) -> "CareLink | None":
    """The link between the two people, if it is open."""
    from server.care.models import CareLink

    pair = {"caregiver": person_named(options.caregiver), "person": person_named(options.person)}
    return CareLink.objects.filter(ended_at=None, **pair).first()


def tell(options: Options, told: dict[str, Any], sentence: str) -> None:
    """One JSON object on a line, or a sentence and the secrets below it."""
    if options.json:
        print(json.dumps(told))
        return
    print(sentence)
    if "token" in told:
        for name in ("device", "token", "mqtt_password"):
            if name in told:
                print(f"  {name}: {told[name]}")


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
    add_device_commands(command)
    return whole


Adder = Callable[..., argparse.ArgumentParser]


def add_people_commands(command: Adder) -> None:
    """Those about people and who may see whom."""
    person = command(create_person, "create-person")
    person.add_argument("name", help="user name")
    secret = person.add_mutually_exclusive_group()
    secret.add_argument("--password-file", type=Path, metavar="FILE")
    secret.add_argument("--password-stdin", action="store_true")
    person.add_argument("--timezone", default="UTC", help="such as Europe/Berlin")
    person.add_argument("--language", default="en")
    person.add_argument("--admin", action="store_true", help="may use the admin site")
    person.add_argument("--token", action="store_true", help="issue an API token too")
    person.add_argument("--json", action="store_true")
    for run, *names in ((link, "link", "create-link"), (unlink, "unlink", "end-link")):
        pair = command(run, *names)
        pair.add_argument("caregiver")
        pair.add_argument("person")
    command(people, "people").add_argument("--json", action="store_true")


def add_device_commands(command: Adder) -> None:
    """Those about devices and their tokens."""
    device = command(create_device, "create-device")
    device.add_argument("--person", required=True, metavar="NAME", help="whose it is")
    device.add_argument("--name", required=True, metavar="LABEL", help="such as Kitchen")
    device.add_argument("--json", action="store_true")
    rotate = command(rotate_token, "rotate-token")
    rotate.add_argument("device", help="id or name")
    rotate.add_argument("--json", action="store_true")
    revoke = command(revoke_token, "revoke-token")
    revoke.add_argument("device", help="id or name")
    revoke.add_argument("--prefix", help="only those that begin so")
    command(revoke_device, "revoke-device").add_argument("device", help="id or name")
    broker = command(set_up_broker, "set-up-broker")
    broker.add_argument("file", type=Path, help="the plugin's, such as dynamic-security.json")
    command(devices, "devices").add_argument("--json", action="store_true")


def positive(text: str) -> int:
    """A whole number from 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1, found {number}")
    return number


if __name__ == "__main__":
    sys.exit(main())
