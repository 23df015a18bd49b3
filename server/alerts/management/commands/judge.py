"""`blink-server judge`."""

import argparse

from server.common.commands import Options, ServerCommand


class Command(ServerCommand):
    """Check every alert rule once and send due notifications."""

    help = "Check every alert rule once and send due notifications."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument(
            "--quiet", action="store_true", help="print nothing unless a notification failed"
        )

    def run(self, options: Options) -> None:
        """Run the command."""
        from server.alerts.delivery.sending import deliver_all
        from server.alerts.judge import judge
        from server.monitoring.signs import note_sign

        try:
            judged = judge()
        finally:  # send what earlier passes queued even if this one fails
            sent, failed = deliver_all()
        note_sign("judge")
        if not options.quiet or failed:
            told = (
                f"{judged.rules} rules: {judged.opened} alerts opened, {judged.resolved} resolved"
            )
            self.say(f"{told}; {sent} notifications sent, {failed} failed")
