"""`blink-server rotate-token`."""

import argparse

from django.core.management.base import CommandError

from server.common.commands import Options, ServerCommand
from server.devices.management.shared import device_with


class Command(ServerCommand):
    """Issue a new token and broker password. The previous token stays valid."""

    help = "Issue a new token and broker password. The previous token stays valid."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument("device", help="id or name")
        parser.add_argument("--json", action="store_true")

    def run(self, options: Options) -> None:
        """Run the command."""
        from server.common.mqtt import BrokerError
        from server.devices.credentials import issue

        device = device_with(options.device)
        if device.revoked_at:
            raise CommandError(f"{device.label} is revoked")
        sentence = "the previous token is still valid; revoke-token revokes it"
        try:
            told = issue(device)
        except BrokerError as error:
            raise CommandError(
                f"the broker {error}; it may have deleted the device's identity: try again; the"
                " token still works"
            ) from error
        self.tell(options, told, sentence)
