"""`blink-server delete-account`."""

import argparse

from django.core.management.base import CommandError

from server.care.management.shared import person_named
from server.common.commands import Options, ServerCommand


class Command(ServerCommand):
    """Permanently delete a person's account and everything about them."""

    help = "Permanently delete a person's account and everything about them."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument("name", metavar="NAME")
        parser.add_argument(
            "--for-good", action="store_true", help="required: without it nothing is deleted"
        )

    def run(self, options: Options) -> None:
        """Run the command."""
        from django.core.exceptions import ImproperlyConfigured

        from server.common.mqtt import BrokerError
        from server.retention.deletion import amounts, delete_account

        person = person_named(options.name)
        there = amounts(person)
        found = f"sessions: {there.sessions}, devices: {there.devices}, sharing: {there.links}"
        if not options.for_good:
            raise CommandError(f"add --for-good to delete the account {options.name} with {found}")
        try:
            delete_account(person, by=None)
        except (BrokerError, ImproperlyConfigured) as error:
            raise CommandError(
                "nothing was deleted, because the broker could not be reached; devices may already"
                f" be blocked: {error}"
            ) from error
        self.say(f"deleted {options.name} ({found})")
