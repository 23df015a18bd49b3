"""`blink-server`: the management commands for administrators, in one program.

Secrets are printed once, when they are created, and never taken from the command line.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from django.core.management.base import CommandError

from server.common.commands import ServerCommand

# Command -> its room. The file there has the command's name, with underscores. `migrate` and
# `check` are exceptions, because Django has commands of these names.
COMMANDS = {
    "migrate": "operations",
    "serve": "operations",
    "check": "session_data",
    "consume": "operations",
    "create-person": "care",
    "link": "care",
    "unlink": "care",
    "people": "care",
    "set-password": "care",
    "remove-second-factor": "care",
    "institution": "care",
    "create-device": "devices",
    "claim-code": "devices",
    "rotate-token": "devices",
    "revoke-token": "devices",
    "revoke-device": "devices",
    "set-up-broker": "devices",
    "devices": "devices",
    "release": "releases",
    "dead-letters": "session_data",
    "judge": "alerts",
    "admit-home-assistant": "home_assistant",
    "tidy": "retention",
    "delete-account": "retention",
    "backup": "backup",
    "restore": "backup",
}
FILES = {"migrate": "upgrade_database", "check": "check_room"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. Return 0 on success, or 1 after printing the error to standard error."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = vars(parser().parse_args(given))
    command: ServerCommand = options.pop("command")
    os.umask(0o077)  # the database holds health data
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "server.config.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.db import DatabaseError

    from server.common.mqtt import BrokerError

    try:
        set_up()
        command.execute(**options, force_color=False, no_color=True, skip_checks=True)
    except (CommandError, ImproperlyConfigured) as error:
        print(f"blink-server: {error}", file=sys.stderr)
        return 1
    except BrokerError as error:
        print(f"blink-server: the broker {error}", file=sys.stderr)
        return 1
    except DatabaseError as error:
        print(f"blink-server: database error: {error}", file=sys.stderr)
        return 1
    return 0


def set_up() -> None:
    """Set up Django, with a persistent secret key. Raises `CommandError`."""
    import django
    from django.conf import settings

    from server.operations.secret_key import keep_secret_key

    try:
        if not os.environ.get("BLINKLOG_SECRET_KEY"):
            key = keep_secret_key(settings.SECRET_KEY_FILE)
            if not os.environ.get("BLINKLOG_SECRET_KEY_FILE"):
                settings.SECRET_KEY = key  # the settings were loaded before the file existed
    except OSError as error:
        raise CommandError(f"can't set up the secret key: {error}") from error
    django.setup()


def parser() -> argparse.ArgumentParser:
    """Return the parser for all commands and their options. It needs no settings."""
    whole = argparse.ArgumentParser(prog="blink-server", description="The Blinklog server.")
    commands = whole.add_subparsers(required=True, metavar="COMMAND")
    for name in COMMANDS:
        command = command_named(name)
        text = command.help
        made = commands.add_parser(name, aliases=command.aliases, help=text, description=text)
        command.add_arguments(made)
        made.set_defaults(command=command)
    return whole


def command_named(name: str) -> ServerCommand:
    """Return the management command with this name."""
    file = FILES.get(name, name.replace("-", "_"))
    module = import_module(f"server.{COMMANDS[name]}.management.commands.{file}")
    command: ServerCommand = module.Command()
    return command


if __name__ == "__main__":
    sys.exit(main())
