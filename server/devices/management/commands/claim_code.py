"""`blink-server claim-code`."""

import argparse
from datetime import timedelta

from django.core.management.base import CommandError

from server.care.management.shared import person_named
from server.common.commands import Options, ServerCommand


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
            "--minutes", type=int, help="how long the code is valid; at most a day (default: 60)"
        )
        parser.add_argument("--json", action="store_true")

    def run(self, options: Options) -> None:
        """Run the command."""
        from django.core.exceptions import ValidationError

        from server.common.codes import grouped
        from server.devices.claim import make_code

        try:
            life = _life(options.minutes)
            made, text = make_code(person_named(options.person), options.label, None, life)
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from error
        expires = made.expires_at.isoformat(timespec="seconds")
        told = {"code": text, "label": made.label, "person": options.person, "expires_at": expires}
        sentence = f"{grouped(text)}  valid until {expires}, for {made.label} of {options.person}"
        self.tell(options, told, sentence)


def _life(minutes: int | None) -> timedelta | None:
    from django.core.exceptions import ValidationError

    from server.devices.models import ClaimCode

    if minutes is None:
        return None
    longest = ClaimCode.LONGEST_LIFE // timedelta(minutes=1)
    if not 1 <= minutes <= longest:
        raise ValidationError(f"--minutes: expected 1 to {longest}, found {minutes}")
    return timedelta(minutes=minutes)
