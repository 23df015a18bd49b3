"""`blink-server revoke-token`."""

import argparse

from django.core.management.base import CommandError

from server.common.commands import Options, ServerCommand
from server.devices.management.shared import device_with


class Command(ServerCommand):
    """Revoke all tokens of a device, or those with a given prefix."""

    help = "Revoke all tokens of a device, or those with a given prefix."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument("device", help="id or name")
        parser.add_argument("--prefix", help="only tokens that start with this")

    def run(self, options: Options) -> None:
        """Run the command."""
        from server.devices.models import DeviceToken

        live = DeviceToken.live(device_with(options.device))
        if options.prefix:
            live = live.filter(prefix__startswith=options.prefix[:12])
        for token in live:
            token.revoke()
            self.say(f"revoked {token}")
        if not live:
            raise CommandError("expected a valid token to revoke, found none")
