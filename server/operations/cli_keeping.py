"""The commands of `blink-server` that keep it: those that timers run, and backups."""

import argparse
import json
from pathlib import Path

from server.operations.cli_shared import Adder, CommandError, Options, person_named, tell


def judge(options: Options) -> None:
    """Look at every alert rule once, and send what is to be told."""
    from server.alerts.judge import judge as pass_over_rules
    from server.alerts.sending import deliver_all
    from server.monitoring.signs import note_sign

    try:
        judged = pass_over_rules()
    finally:  # what was found before waits for it
        sent, failed = deliver_all()
    note_sign("judge")
    if not options.quiet or failed:
        told = f"{judged.rules} rules: {judged.opened} alerts opened, {judged.resolved} resolved"
        print(f"{told}; {sent} notices sent, {failed} failed")


def tidy(options: Options) -> None:
    """Delete what nobody wants kept any longer: by each person's retention, and used codes."""
    from server.retention.tidying import tidy as tidy_up

    done = tidy_up()
    others = {name: n for name, n in done.others.items() if n}
    if options.quiet and not done.sessions and not others:
        return
    parts = [f"{done.sessions} sessions", *(f"{n} {name}" for name, n in others.items())]
    more = "; there is more, for the next run" if done.more else ""
    tell(
        options,
        {"sessions": done.sessions, **done.others, "more": done.more},
        f"deleted {', '.join(parts)}{more}",
    )


def delete_account(options: Options) -> None:
    """Delete a person's account with everything about them, for good."""
    from django.core.exceptions import ImproperlyConfigured

    from server.common.mqtt import BrokerError
    from server.retention.deletion import amounts
    from server.retention.deletion import delete_account as delete

    person = person_named(options.name)
    there = amounts(person)
    found = f"{there.sessions} sessions, {there.devices} devices, {there.links} links"
    if not options.for_good:
        raise CommandError(f"{options.name} has {found}: expected --for-good to delete them")
    try:
        delete(person, by=None)
    except (BrokerError, ImproperlyConfigured) as error:
        raise CommandError(f"the broker could not be told; nothing was deleted: {error}") from error
    print(f"deleted {options.name}: {found}")


def admit_home_assistant(options: Options) -> None:
    """Give Home Assistant an identity at the broker, with a new password."""
    from server.devices.broker_access import admit_home_assistant as admit

    password = admit()
    if password is None:
        raise CommandError(
            "expected BLINKLOG_MQTT_ADMIN_URL: without it the broker's users are made by hand"
        )
    if options.json:
        print(json.dumps({"user": "home-assistant", "password": password}))
    else:
        print(f"Home Assistant's user at the broker is home-assistant\n  password: {password}")


def backup(options: Options) -> None:
    """Write a backup of the database, while the server runs."""
    from server.backup.archive import BackupError
    from server.backup.backup import make

    try:
        file = make(options.to, options.keep)
    except BackupError as error:
        raise CommandError(str(error)) from error
    size = file.stat().st_size
    tell(options, {"file": str(file), "bytes": size}, f"wrote {file}, {size / 1e6:.1f} MB")


def restore(options: Options) -> None:
    """Put a backup in the place of the database."""
    from server.backup.archive import BackupError
    from server.backup.backup import restore as restored

    try:
        manifest = restored(options.file, replace=options.replace)
    except BackupError as error:
        raise CommandError(str(error)) from error
    counts = ", ".join(f"{n} {name}" for name, n in manifest.counts.items())
    told = {"made_at": manifest.made_at, "version": manifest.version, **manifest.counts}
    tell(options, told, f"restored what was there on {manifest.made_at}: {counts}")


def add_keeping_commands(command: Adder) -> None:
    """Those that keep the server and tell of what it sees."""
    command(judge, "judge").add_argument(
        "--quiet", action="store_true", help="say nothing unless a notice could not be sent"
    )
    home = command(admit_home_assistant, "admit-home-assistant")
    home.add_argument("--json", action="store_true")
    tidying = command(tidy, "tidy")
    tidying.add_argument("--quiet", action="store_true", help="say nothing if nothing was deleted")
    tidying.add_argument("--json", action="store_true")
    leaving = command(delete_account, "delete-account")
    leaving.add_argument("name", metavar="NAME")
    leaving.add_argument("--for-good", action="store_true", help="without it nothing is deleted")
    writing = command(backup, "backup")
    writing.add_argument("to", type=Path, metavar="FILE|DIR", help="a new file, or a folder")
    writing.add_argument("--keep", type=at_least_one, help="in a folder: only the newest so many")
    writing.add_argument("--json", action="store_true")
    reading = command(restore, "restore")
    reading.add_argument("file", type=Path)
    reading.add_argument(
        "--replace", action="store_true", help="also where there is something already: it is lost"
    )
    reading.add_argument("--json", action="store_true")


def at_least_one(text: str) -> int:
    """A whole number from 1."""
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1, found {text}")
    return number
