"""`blink-server restore`."""

import argparse
from pathlib import Path

from django.core.management.base import CommandError

from server.common.commands import Options, ServerCommand


class Command(ServerCommand):
    """Replace the database with a backup."""

    help = "Replace the database with a backup."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument("file", type=Path)
        parser.add_argument(
            "--replace",
            action="store_true",
            help="also replace a database with data, which is lost",
        )
        parser.add_argument("--json", action="store_true")

    def run(self, options: Options) -> None:
        """Run the command."""
        from server.backup.archive import BackupError
        from server.backup.backup import restore

        try:
            manifest = restore(options.file, replace=options.replace)
        except BackupError as error:
            raise CommandError(str(error)) from error
        counts = ", ".join(f"{n} {name}" for name, n in manifest.counts.items())
        told = {"made_at": manifest.made_at, "version": manifest.version, **manifest.counts}
        self.tell(options, told, f"restored the backup of {manifest.made_at}: {counts}")
