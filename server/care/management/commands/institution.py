"""`blink-server institution`."""

import argparse

from django.core.management.base import CommandError

from server.care.management.shared import person_named
from server.common.commands import Options, ServerCommand


class Command(ServerCommand):
    """Make an institution, or change who belongs to it and who administers it."""

    help = "Make an institution, or change who belongs to it and who administers it."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument("name", help='such as "Haus am See"')
        for option, text in {
            "--admin": "who administers it",
            "--member": "who belongs to it",
            "--remove": "who leaves it",
        }.items():
            parser.add_argument(option, nargs="+", default=[], metavar="NAME", help=text)
        parser.add_argument("--json", action="store_true")

    def run(self, options: Options) -> None:
        """Run the command."""
        from django.core.exceptions import ValidationError
        from django.db import transaction

        from server.care.institutions import set_role, take_in, take_out
        from server.care.models import Institution, Role

        people = {
            role: [person_named(name) for name in names]
            for role, names in ((Role.ADMIN, options.admin), (Role.MEMBER, options.member))
        }
        leaving = [person_named(name) for name in options.remove]
        try:
            with transaction.atomic():
                found, _is_new = Institution.objects.get_or_create(name=options.name)
                found.full_clean()
                for role, persons in people.items():
                    for person in persons:
                        take_in(found, person)
                        set_role(found, person, role)
                for person in leaving:
                    take_out(found, person)
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from error
        members = [(each.person.username, each.role) for each in found.memberships.all()]
        told = {"institution": found.name, "members": dict(members)}
        words = ", ".join(f"{name} ({role})" for name, role in members) or "nobody"
        self.tell(options, told, f"{found.name}: {words}")
