"""`blink-server migrate`."""

import argparse

from django.core.management.base import CommandError

from server.common.commands import Options, ServerCommand


class Command(ServerCommand):
    """Create the database, or apply missing migrations; finish an interrupted restore."""

    help = "Create the database, or apply missing migrations."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument("--quiet", action="store_true")

    def run(self, options: Options) -> None:
        """Run the command."""
        from server.backup.archive import BackupError
        from server.backup.migrating import migrate

        try:
            migrate(verbosity=0 if options.quiet else 1)
        except BackupError as error:
            raise CommandError(str(error)) from error
