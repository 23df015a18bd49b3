"""`blink-server claim-code`."""

import argparse
from datetime import timedelta

from django.core.management.base import CommandError

from server.care.management.shared import person_named
from server.common.commands import Options, ServerCommand

LONGEST_MINUTES = 24 * 60  # of a claim code


class Command(ServerCommand):
    """Create a single-use code to register a device for a person with `blink-agent enrol`."""

    help = "Create a single-use code to register a device for a person with `blink-agent enrol`."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument(
            "--person", required=True, metavar="NAME", help="user name of the device's owner"
        )
        parser.add_argument("--label", required=True, help="the device's name, such as Kitchen")
        parser.add_argument(
            "--minutes", type=_minutes, default=60, help="how long the code is valid (default: 60)"
        )
        parser.add_argument("--json", action="store_true")

    def run(self, options: Options) -> None:
        """Run the command."""
        from django.core.exceptions import ValidationError

        from server.common.codes import grouped
        from server.devices.claim import make_code

        life = timedelta(minutes=options.minutes)
        try:
            made, text = make_code(person_named(options.person), options.label, None, life)
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from error
        expires = made.expires_at.isoformat(timespec="seconds")
        told = {"code": text, "label": made.label, "person": options.person, "expires_at": expires}
        sentence = f"{grouped(text)}  valid until {expires}, for {made.label} of {options.person}"
        self.tell(options, told, sentence)


def _minutes(text: str) -> int:
    number = int(text)
    if not 1 <= number <= LONGEST_MINUTES:
        raise argparse.ArgumentTypeError(f"expected 1 to {LONGEST_MINUTES}, found {number}")
    return number
