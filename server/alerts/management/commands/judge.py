"""`blink-server judge`."""

import argparse

from server.common.commands import Options, ServerCommand


class Command(ServerCommand):
    """Look at every alert rule once, and send what is to be told."""

    help = "Look at every alert rule once, and send what is to be told."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument(
            "--quiet", action="store_true", help="say nothing unless a notice could not be sent"
        )

    def run(self, options: Options) -> None:
        """Run the command."""
        from server.alerts.judge import judge
        from server.alerts.sending import deliver_all
        from server.monitoring.signs import note_sign

        try:
            judged = judge()
        finally:  # what was found before waits for it
            sent, failed = deliver_all()
        note_sign("judge")
        if not options.quiet or failed:
            told = (
                f"{judged.rules} rules: {judged.opened} alerts opened, {judged.resolved} resolved"
            )
            self.say(f"{told}; {sent} notices sent, {failed} failed")
