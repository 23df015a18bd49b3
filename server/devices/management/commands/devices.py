"""`blink-server devices`."""

import argparse

from server.common.commands import Options, ServerCommand


class Command(ServerCommand):
    """List devices, and when each was last seen."""

    help = "List devices, and when each was last seen."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument("--json", action="store_true")

    def run(self, options: Options) -> None:
        """Run the command."""
        from server.devices.models import Device

        for device in Device.objects.select_related("person"):
            seen = (
                device.last_seen_at.isoformat(timespec="seconds") if device.last_seen_at else None
            )
            told = {
                "device": str(device.pk),
                "name": device.label,
                "user": device.person.username,
                "last_seen_at": seen,
                "revoked": device.revoked_at is not None,
            }
            state = "revoked" if device.revoked_at else f"last seen {seen or 'never'}"
            sentence = f"{device.pk}  {device.label} of {device.person.username}, {state}"
            self.tell(options, told, sentence)
