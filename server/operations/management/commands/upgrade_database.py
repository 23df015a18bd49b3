"""`blink-server migrate`."""

import argparse

from server.common.commands import Options, ServerCommand


class Command(ServerCommand):
    """Create the database, or apply missing migrations; finish an interrupted restore."""

    help = "Create the database, or apply missing migrations."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument("--quiet", action="store_true")

    def run(self, options: Options) -> None:
        """Run the command."""
        from server.backup.migrating import migrate

        migrate(verbosity=0 if options.quiet else 1)
