"""`blink-server create-person`."""

import argparse

from django.core.management.base import CommandError

from server.care.management.shared import add_password_options, read_password
from server.common.commands import Options, ServerCommand, checked


class Command(ServerCommand):
    """Create a user account."""

    help = "Create a user account."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument("name", help="user name")
        add_password_options(parser)
        parser.add_argument("--timezone", default="UTC", help="for example Europe/Berlin")
        parser.add_argument(
            "--language", default="", help="default: the browser's, at the first log-in"
        )
        parser.add_argument("--admin", action="store_true", help="allow access to the admin site")
        parser.add_argument("--token", action="store_true", help="also issue an API token")
        parser.add_argument("--json", action="store_true")

    def run(self, options: Options) -> None:
        """Run the command."""
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
            told["token"] = PersonToken.issue(person, name="blink-server")
        self.tell(options, told, f"created {person.username}")
