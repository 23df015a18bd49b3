"""`blink-server revoke-device`."""

import argparse

from django.core.management.base import CommandError

from server.common.commands import Options, ServerCommand
from server.devices.management.shared import device_with


class Command(ServerCommand):
    """Revoke a device's access to the server and the broker. Its sessions are kept."""

    help = "Revoke a device's access to the server and the broker. Its sessions are kept."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument("device", help="id or name")

    def run(self, options: Options) -> None:
        """Run the command."""
        from server.common.mqtt import BrokerError
        from server.devices.credentials import revoke

        device = device_with(options.device)
        try:
            revoke(device)
        except BrokerError as error:
            text = f"{device.label} is revoked, but the broker {error}"
            raise CommandError(f"{text}: try again to delete its account there") from error
        self.say(f"revoked {device.label} ({device.pk})")
