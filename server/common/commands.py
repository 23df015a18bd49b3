"""Base class and helpers for the commands of `blink-server`, which are Django management commands.

A command imports its models in `run`, so that `blink-server --help` works without any settings.
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
    """Base class of all commands. A subclass sets `help` and implements `run`."""

    aliases: tuple[str, ...] = ()

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's options, if any."""

    def handle(self, *_: Any, **options: Any) -> None:
        """Run the command."""
        self.run(argparse.Namespace(**options))

    def run(self, options: Options) -> None:
        """Run the command. Raises `CommandError` if it fails."""
        raise NotImplementedError

    def say(self, sentence: str) -> None:
        """Print a line."""
        self.stdout.write(sentence)

    def tell(self, options: Options, told: dict[str, Any], sentence: str) -> None:
        """Print the result: one line of JSON with `--json`, else a sentence and any secrets."""
        if options.json:
            self.say(json.dumps(told))
            return
        self.say(sentence)
        if "token" in told:
            for name in ("device", "token", "mqtt_password"):
                if name in told:
                    self.say(f"  {name}: {told[name]}")


def checked(made: Made) -> Made:
    """Validate a model instance and return it. Raises `CommandError` if it is invalid."""
    from django.core.exceptions import ValidationError

    try:
        made.full_clean()
    except ValidationError as error:
        fields = error.message_dict.items()
        texts = [f"{name}: {' '.join(messages)}" for name, messages in fields]
        raise CommandError("; ".join(texts).replace("__all__: ", "")) from error
    return made


def positive(text: str) -> int:
    """Parse an integer of at least 1."""
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1, found {text}")
    return number
