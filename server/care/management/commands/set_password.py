"""`blink-server set-password`."""

import argparse

from django.core.management.base import CommandError

from server.care.management.shared import add_password_options, person_named, read_password
from server.common.commands import Options, ServerCommand


class Command(ServerCommand):
    """Set a new password for a person and log out all their browsers and apps."""

    help = "Set a new password for a person and log out all their browsers and apps."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument("name", help="user name")
        add_password_options(parser)

    def run(self, options: Options) -> None:
        """Run the command."""
        from django.core.exceptions import ValidationError

        from server.care.accounts import save_password, set_checked_password

        person, password = person_named(options.name), read_password(options)
        if password is None:
            raise CommandError("expected --password-file or --password-stdin")
        try:
            set_checked_password(person, password)
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from error
        save_password(person, None, "by the operator")
        self.say(f"changed the password of {person.username}")
