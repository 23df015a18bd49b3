"""`blink-server dead-letters`: list, show, retry or delete rejected documents."""

import argparse
import json
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError

from server.common.commands import Options, ServerCommand

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from server.devices.models import DeadLetter

LIST = "List rejected documents, newest first."
SHOW = "Print a document as it was received. It contains personal data."
RETRY = "Try to accept documents again. Those that are stored now are no longer dead letters."
DROP = "Delete rejected documents."


class Command(ServerCommand):
    """List, show, retry or delete dead letters."""

    help = LIST

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the actions and their options."""
        parser.set_defaults(act=self.list_all, json=False)
        actions = parser.add_subparsers(metavar="ACTION", help="default: list")
        for name, act, text in (
            ("list", self.list_all, LIST),
            ("show", self.show, SHOW),
            ("retry", self.retry, RETRY),
            ("drop", self.drop, DROP),
        ):
            action: Any = actions.add_parser(name, help=text, description=text)
            action.set_defaults(act=act)
            if name == "list":
                action.add_argument("--json", action="store_true", help="one object per line")
            elif name == "show":
                action.add_argument("id", type=int)
            else:
                which = action.add_mutually_exclusive_group(required=True)
                which.add_argument("id", type=int, nargs="?")
                which.add_argument("--all", action="store_true")

    def run(self, options: Options) -> None:
        """Run the chosen action."""
        options.act(options)

    def list_all(self, options: Options) -> None:
        """Print a line for each letter."""
        from server.devices.models import DeadLetter

        for letter in DeadLetter.objects.select_related("person").iterator():
            told = _told(letter)
            sentence = "{id}  {received_at}  {sender}  {size} bytes by {door}: {reason}"
            self.say(json.dumps(told) if options.json else sentence.format(**told))

    def show(self, options: Options) -> None:
        """Print the payload."""
        self.stdout.write(_chosen(options).get().payload + "\n", ending="")

    def retry(self, options: Options) -> None:
        """Try again, oldest first."""
        from server.session_data.dead_letters import retry

        rejected = 0
        for letter in _chosen(options).order_by("id"):
            acceptance = retry(letter)
            rejected += acceptance.outcome == "rejected"
            self.say(f"{letter.pk}  {acceptance.outcome}  {acceptance.reason or ''}".rstrip())
        if rejected:
            raise CommandError(f"{rejected} rejected again")

    def drop(self, options: Options) -> None:
        """Delete the letters."""
        self.say(f"deleted {_chosen(options).delete()[0]}")


def _chosen(options: Options) -> "QuerySet[DeadLetter]":
    """Return the letter with the given id, or all letters with `--all`."""
    from server.devices.models import DeadLetter

    if getattr(options, "all", False):
        return DeadLetter.objects.all()
    chosen = DeadLetter.objects.filter(pk=options.id)
    if options.id is None or not chosen:
        raise CommandError(f"expected a dead letter's id, found {options.id}")
    return chosen


def _told(letter: "DeadLetter") -> dict[str, Any]:
    return {
        "id": letter.pk,
        "received_at": letter.received_at.isoformat(timespec="seconds"),
        "sender": letter.sender,
        "user": letter.person.username if letter.person else None,
        "door": letter.door,
        "size": letter.size,
        "reason": letter.reason,
    }
