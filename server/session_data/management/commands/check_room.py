"""`blink-server check`."""

import argparse

from django.core.management.base import CommandError

from server.common.commands import Options, ServerCommand

LARGEST = 5  # how many people to list


class Command(ServerCommand):
    """Check the disk and the people's quotas; fail if something needs attention."""

    help = "Check the disk and the people's quotas; fail if something needs attention."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument("--json", action="store_true")

    def run(self, options: Options) -> None:
        """Run the command. Raises `CommandError` if the disk or somebody's quota is nearly full."""
        from django.conf import settings

        from server.common.disk import MB, free_bytes, state_of
        from server.session_data.quotas import used_by_people

        free = free_bytes()
        state, largest = state_of(free), used_by_people()[:LARGEST]
        told = {
            "disk": state,
            "disk_free_mb": free // MB,
            "largest": [{"user": name, "mb": used // MB} for name, used in largest],
        }
        people = ", ".join(f"{name} {used // MB} MB" for name, used in largest)
        self.tell(options, told, f"disk {state}: {free // MB} MB free; sessions: {people or '-'}")
        quota = settings.PERSON_MB * MB
        near = [name for name, used in largest if quota and used > 0.9 * quota]
        if state != "ok":
            raise CommandError(f"expected {settings.DISK_ALARM_MB} MB of free disk space")
        if near:
            raise CommandError(f"expected less than 90 % of the quota, found more: {near[0]}")
