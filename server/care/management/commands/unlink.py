"""`blink-server unlink`."""

import argparse

from django.core.management.base import CommandError

from server.care.management.shared import add_pair, open_link
from server.common.commands import Options, ServerCommand


class Command(ServerCommand):
    """End a caregiver's access to a person's data immediately."""

    help = "End a caregiver's access to a person's data immediately."
    aliases = ("end-link",)

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the options."""
        add_pair(parser)

    def run(self, options: Options) -> None:
        """Run the command."""
        from server.care.audit import note
        from server.care.models import AuditEvent

        found = open_link(options)
        if found is None:
            raise CommandError(f"{options.caregiver} has no access to {options.person}")
        found.end()
        note(None, AuditEvent.LINK_ENDED, found.person, f"{found.caregiver} by the operator")
        self.say(f"{options.caregiver} can no longer see {options.person}")
