"""`blink-server serve`."""

import argparse

from server.common.commands import Options, ServerCommand, positive
from server.operations.management.shared import refuse_missing_migrations


class Command(ServerCommand):
    """Serve HTTP until stopped."""

    help = "Serve HTTP until stopped."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument("--bind", default="127.0.0.1:8000", metavar="HOST:PORT")
        parser.add_argument("--workers", type=positive, default=2, help="processes (default: 2)")
        parser.add_argument(
            "--threads", type=positive, default=4, help="threads per process (default: 4)"
        )

    def run(self, options: Options) -> None:
        """Run the command."""
        from server.operations.gunicorn import run

        refuse_missing_migrations()
        run(bind=options.bind, workers=options.workers, threads=options.threads)
