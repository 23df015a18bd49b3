"""`blink-server set-up-broker`."""

import argparse
import json
from pathlib import Path

from django.core.management.base import CommandError

from server.common.commands import Options, ServerCommand


class Command(ServerCommand):
    """Write the initial file of Mosquitto's dynamic-security plugin."""

    help = "Write the initial file of Mosquitto's dynamic-security plugin."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument("file", type=Path, help="for example dynamic-security.json")

    def run(self, options: Options) -> None:
        """Run the command."""
        from server.common.mqtt import admin_settings, broker_settings
        from server.devices.broker_access import first_state

        admin, server = admin_settings(), broker_settings()
        for name, who in (("BLINKLOG_MQTT_ADMIN", admin), ("BLINKLOG_MQTT", server)):
            if who is None or not who.username or not who.password:
                raise CommandError(f"expected a user in {name}_URL and {name}_PASSWORD_FILE")
        if admin is None or admin.username == server.username:
            raise CommandError("expected two users, one of them the broker's admin, found one")
        try:
            with options.file.open("x") as file:  # the umask makes it readable only by the owner
                json.dump(first_state(admin, server), file, indent=2)
        except OSError as error:
            raise CommandError(f"expected a new file to write: {error}") from error
        self.say(f"wrote {options.file}: make the broker's user its owner, then start the broker")
