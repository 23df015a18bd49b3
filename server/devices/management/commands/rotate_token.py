"""`blink-server rotate-token`."""

import argparse

from django.core.management.base import CommandError

from server.common.commands import Options, ServerCommand
from server.devices.management.shared import device_with


class Command(ServerCommand):
    """Issue a device's next token and password; the last token works until the one after it."""

    help = "Issue a device's next token and password; the last token works until the one after it."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument("device", help="id or name")
        parser.add_argument("--json", action="store_true")

    def run(self, options: Options) -> None:
        """Run the command."""
        from server.devices.credentials import issue

        device = device_with(options.device)
        if device.revoked_at:
            raise CommandError(f"expected a device that may come in; {device.label} is revoked")
        sentence = "the token before this one still works; revoke-token ends it"
        self.tell(options, issue(device), sentence)
