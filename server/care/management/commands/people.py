"""`blink-server people`."""

import argparse

from server.common.commands import Options, ServerCommand


class Command(ServerCommand):
    """List all people, and whose history each can see."""

    help = "List all people, and whose history each can see."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument("--json", action="store_true")

    def run(self, options: Options) -> None:
        """Run the command."""
        from server.care.access import visible_people
        from server.care.models import Person

        for person in Person.objects.order_by("username"):
            others = [each.username for each in visible_people(person) if each != person]
            told = {"user": person.username, "timezone": person.timezone, "may_see": others}
            names = ", ".join(others) or "nobody else"
            self.tell(options, told, f"{person.username}  can see: {names}")
