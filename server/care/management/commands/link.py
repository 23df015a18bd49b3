"""`blink-server link`."""

import argparse

from django.core.management.base import CommandError

from server.care.management.shared import add_pair, open_link, person_named
from server.common.commands import Options, ServerCommand, checked

PERMISSIONS = ("history", "live", "control", "alerts")  # `Permission`, before Django is set up


class Command(ServerCommand):
    """Let a caregiver see a person."""

    help = "Let a caregiver see a person."
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
            help=f"some of {', '.join(PERMISSIONS)} (all but alerts)",
        )

    def run(self, options: Options) -> None:
        """Run the command."""
        from server.care.audit import note
        from server.care.models import AuditEvent, CareLink

        if open_link(options):
            raise CommandError(f"{options.caregiver} may see {options.person} already")
        if options.caregiver == options.person:
            raise CommandError("expected two people, found one twice")
        pair = {
            "caregiver": person_named(options.caregiver),
            "person": person_named(options.person),
        }
        made = CareLink(**pair)
        made.permit(options.may)
        checked(made).save()
        note(None, AuditEvent.LINK_ACCEPTED, made.person, f"{made.caregiver} by the operator")
        self.say(f"{options.caregiver} may see {options.person}")
