"""`blink-server remove-second-factor`."""

import argparse

from django.core.management.base import CommandError

from server.care.management.shared import person_named
from server.common.commands import Options, ServerCommand


class Command(ServerCommand):
    """Turn off the second factor of a person who lost phone and recovery codes."""

    help = "Turn off the second factor of a person who lost phone and recovery codes."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument("name", help="user name")

    def run(self, options: Options) -> None:
        """Run the command."""
        from server.care import second_factor

        person = person_named(options.name)
        if not second_factor.is_on(person):
            raise CommandError(f"{person.username} has no second factor")
        second_factor.turn_off(person, None)
        self.say(f"{person.username} can log in with the password alone")
