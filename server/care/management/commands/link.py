"""`blink-server link`."""

import argparse

from django.core.management.base import CommandError

from server.care.management.shared import add_pair, open_link, person_named
from server.common.commands import Options, ServerCommand, checked

PERMISSIONS = ("history", "live", "control", "alerts")  # `Permission`: --help can't import models


class Command(ServerCommand):
    """Give a caregiver access to a person's data."""

    help = "Give a caregiver access to a person's data."
    aliases = ("create-link",)

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the options."""
        add_pair(parser)
        parser.add_argument(
            "--may",
            nargs="+",
            choices=PERMISSIONS,
            default=["history", "live", "control"],
            metavar="PERMISSION",
            help=f"any of {', '.join(PERMISSIONS)} (default: all but alerts)",
        )

    def run(self, options: Options) -> None:
        """Run the command."""
        from server.care.audit import note
        from server.care.models import AuditEvent, CareLink

        if open_link(options):
            raise CommandError(f"{options.caregiver} already has access to {options.person}")
        if options.caregiver == options.person:
            raise CommandError("expected two different people")
        pair = {
            "caregiver": person_named(options.caregiver),
            "person": person_named(options.person),
        }
        made = CareLink(**pair)
        made.permit(options.may)
        checked(made).save()
        note(None, AuditEvent.LINK_ACCEPTED, made.person, f"{made.caregiver} by the operator")
        self.say(f"{options.caregiver} can now see {options.person}")
