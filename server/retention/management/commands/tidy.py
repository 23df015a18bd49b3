"""`blink-server tidy`."""

import argparse

from server.common.commands import Options, ServerCommand


class Command(ServerCommand):
    """Delete expired data: sessions past their retention time, old alerts, logs, used codes."""

    help = "Delete expired data: sessions past their retention time, old alerts, logs, used codes."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument(
            "--quiet", action="store_true", help="print nothing if nothing was deleted"
        )
        parser.add_argument("--json", action="store_true")

    def run(self, options: Options) -> None:
        """Run the command."""
        from server.retention.tidying import tidy

        done = tidy()
        others = {name: n for name, n in done.others.items() if n}
        if options.quiet and not done.sessions and not others:
            return
        parts = [f"{done.sessions} sessions", *(f"{n} {name}" for name, n in others.items())]
        more = "; the next run has more to delete" if done.more else ""
        told = {"sessions": done.sessions, **done.others, "more": done.more}
        self.tell(options, told, f"deleted {', '.join(parts)}{more}")
