"""`blink-server backup`."""

import argparse
from pathlib import Path

from django.core.management.base import CommandError

from server.common.commands import Options, ServerCommand, positive


class Command(ServerCommand):
    """Back up the database while the server runs."""

    help = "Back up the database while the server runs."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument("to", type=Path, metavar="FILE|DIR", help="a new file, or a folder")
        parser.add_argument(
            "--keep", type=positive, help="in a folder: keep only this many of the newest backups"
        )
        parser.add_argument("--json", action="store_true")

    def run(self, options: Options) -> None:
        """Run the command."""
        from server.backup.archive import BackupError
        from server.backup.backup import make

        try:
            file = make(options.to, options.keep)
        except BackupError as error:
            raise CommandError(str(error)) from error
        size = file.stat().st_size
        told = {"file": str(file), "bytes": size}
        self.tell(options, told, f"wrote {file}, {size / 1e6:.1f} MB")
