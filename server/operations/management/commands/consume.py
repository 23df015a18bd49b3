"""`blink-server consume`."""

from server.common.commands import Options, ServerCommand
from server.operations.management.shared import refuse_missing_migrations


class Command(ServerCommand):
    """Receive documents from the MQTT broker until stopped."""

    help = "Receive documents from the MQTT broker until stopped."

    def run(self, options: Options) -> None:  # noqa: ARG002
        """Run the command."""
        from server.ingest.consumer import run

        refuse_missing_migrations()
        run()
