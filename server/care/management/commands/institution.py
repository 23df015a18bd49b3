"""`blink-server institution`."""

import argparse

from django.core.management.base import CommandError

from server.care.management.shared import person_named
from server.common.commands import Options, ServerCommand


class Command(ServerCommand):
    """Create an institution, or change its members and administrators."""

    help = "Create an institution, or change its members and administrators."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument("name", help='for example "Haus am See"')
        for option, text in {
            "--admin": "people to make administrators",
            "--member": "people to make ordinary members",
            "--remove": "people to remove",
        }.items():
            parser.add_argument(option, nargs="+", default=[], metavar="NAME", help=text)
        parser.add_argument("--json", action="store_true")

    def run(self, options: Options) -> None:
        """Run the command."""
        from django.core.exceptions import ValidationError
        from django.db import transaction

        from server.care.institutions import add_member, remove_member, set_role
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
                        add_member(found, person)
                        set_role(found, person, role)
                for person in leaving:
                    remove_member(found, person)
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from error
        members = [(each.person.username, each.role) for each in found.memberships.all()]
        told = {"institution": found.name, "members": dict(members)}
        words = ", ".join(f"{name} ({role})" for name, role in members) or "nobody"
        self.tell(options, told, f"{found.name}: {words}")
