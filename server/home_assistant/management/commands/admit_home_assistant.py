"""`blink-server admit-home-assistant`."""

import argparse
import json

from django.core.management.base import CommandError

from server.common.commands import Options, ServerCommand


class Command(ServerCommand):
    """Create or renew Home Assistant's user and password at the broker."""

    help = "Create or renew Home Assistant's user and password at the broker."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument("--json", action="store_true")

    def run(self, options: Options) -> None:
        """Run the command."""
        from server.devices.broker_access import admit_home_assistant

        password = admit_home_assistant()
        if password is None:
            raise CommandError(
                "expected BLINKLOG_MQTT_ADMIN_URL: broker users are managed by hand without it"
            )
        if options.json:
            self.say(json.dumps({"user": "home-assistant", "password": password}))
        else:
            self.say("Home Assistant's user at the broker is home-assistant")
            self.say(f"  password: {password}")
