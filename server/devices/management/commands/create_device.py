"""`blink-server create-device`."""

import argparse

from server.care.management.shared import person_named
from server.common.commands import Options, ServerCommand, checked


class Command(ServerCommand):
    """Create a device for a person, and print its token and broker password."""

    help = "Create a device for a person, and print its token and broker password."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument("--person", required=True, metavar="NAME", help="owner's user name")
        parser.add_argument(
            "--name", required=True, metavar="LABEL", help="the device's name, such as Kitchen"
        )
        parser.add_argument("--json", action="store_true")

    def run(self, options: Options) -> None:
        """Run the command."""
        from server.devices.credentials import issue
        from server.devices.models import Device

        device = checked(Device(person=person_named(options.person), label=options.name))
        self.tell(options, issue(device), f"created the device {device.label} of {options.person}")
