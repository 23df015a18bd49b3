"""What the commands of `blink-server` share: each is a Django management command.

A command imports its models where it runs: `blink-server --help` works without any settings.
"""

import argparse
import json
from typing import TYPE_CHECKING, Any, TypeVar

from django.core.management.base import BaseCommand, CommandError

if TYPE_CHECKING:
    from django.db.models import Model

Options = argparse.Namespace
Made = TypeVar("Made", bound="Model")


class ServerCommand(BaseCommand):
    """A command. A subclass says what it does in `help`, and does it in `run`."""

    aliases: tuple[str, ...] = ()

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the options, where the command has some."""

    def handle(self, *_: Any, **options: Any) -> None:
        """Run the command."""
        self.run(argparse.Namespace(**options))

    def run(self, options: Options) -> None:
        """Do what `help` says; `CommandError` if that is not possible."""
        raise NotImplementedError

    def say(self, sentence: str) -> None:
        """Print a line."""
        self.stdout.write(sentence)

    def tell(self, options: Options, told: dict[str, Any], sentence: str) -> None:
        """Print one JSON object on a line, or a sentence and the secrets below it."""
        if options.json:
            self.say(json.dumps(told))
            return
        self.say(sentence)
        if "token" in told:
            for name in ("device", "token", "mqtt_password"):
                if name in told:
                    self.say(f"  {name}: {told[name]}")


def checked(made: Made) -> Made:
    """Return the object if its model accepts it, else raise `CommandError`."""
    from django.core.exceptions import ValidationError

    try:
        made.full_clean()
    except ValidationError as error:
        fields = error.message_dict.items()
        texts = [f"{name}: {' '.join(messages)}" for name, messages in fields]
        raise CommandError("; ".join(texts).replace("__all__: ", "")) from error
    return made


def positive(text: str) -> int:
    """Read a whole number from 1."""
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1, found {text}")
    return number
