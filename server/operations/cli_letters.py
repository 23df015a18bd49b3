"""blink-server dead-letters: what could not be accepted, to look at, try again or drop."""

import json
from typing import TYPE_CHECKING, Any

from server.operations.cli_shared import Adder, CommandError, Options

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from server.devices.models import DeadLetter


def list_letters(options: Options) -> None:
    """List documents that could not be accepted, newest first."""
    from server.devices.models import DeadLetter

    for letter in DeadLetter.objects.select_related("person").iterator():
        told = _told(letter)
        sentence = "{id}  {received_at}  {sender}  {size} bytes by {door}: {reason}"
        print(json.dumps(told) if options.json else sentence.format(**told))


def show(options: Options) -> None:
    """Print one as it came: it holds somebody's data."""
    print(_chosen(options).get().payload)


def retry(options: Options) -> None:
    """Try to accept them again; what is accepted, or is there already, is kept here no longer."""
    from server.session_data.dead_letters import retry as retry_letter

    refused = 0
    for letter in _chosen(options).order_by("id"):
        acceptance = retry_letter(letter)
        refused += acceptance.outcome == "rejected"
        print(f"{letter.pk}  {acceptance.outcome}  {acceptance.reason or ''}".rstrip())
    if refused:
        raise CommandError(f"{refused} could not be accepted")


def drop(options: Options) -> None:
    """Forget them."""
    print(f"dropped {_chosen(options).delete()[0]}")


def _chosen(options: Options) -> "QuerySet[DeadLetter]":
    """The one with the id, or all."""
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


def add_letter_commands(command: Adder) -> None:
    """`dead-letters` and what can be done with them."""
    letters = command(list_letters, "dead-letters")
    letters.set_defaults(json=False)
    actions = letters.add_subparsers(metavar="ACTION", help="without any, the list")
    for name, run in {"list": list_letters, "show": show, "retry": retry, "drop": drop}.items():
        text = (run.__doc__ or "").partition("\n")[0]
        action: Any = actions.add_parser(name, help=text, description=text)
        action.set_defaults(run=run)
        if run is list_letters:
            action.add_argument("--json", action="store_true", help="an object on each line")
        elif run is show:
            action.add_argument("id", type=int)
        else:
            which = action.add_mutually_exclusive_group(required=True)
            which.add_argument("id", type=int, nargs="?")
            which.add_argument("--all", action="store_true")
