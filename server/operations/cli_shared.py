"""What the commands of `blink-server` share."""

import argparse
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from django.db.models import Model

    from server.care.models import Person
    from server.devices.models import Device

Options = argparse.Namespace
Adder = Callable[..., argparse.ArgumentParser]
Made = TypeVar("Made", bound="Model")


class CommandError(Exception):
    """What the administrator should know; the command did nothing."""


def checked(made: Made) -> Made:
    """The same, if it is what its model says it may be."""
    from django.core.exceptions import ValidationError

    try:
        made.full_clean()
    except ValidationError as error:
        fields = error.message_dict.items()
        texts = [f"{name}: {' '.join(messages)}" for name, messages in fields]
        raise CommandError("; ".join(texts).replace("__all__: ", "")) from error
    return made


def person_named(name: str) -> "Person":
    """The person with this user name."""
    from server.care.models import Person

    try:
        return Person.objects.get(username=name)
    except Person.DoesNotExist:
        raise CommandError(f"there is no person {name!r}") from None


def device_with(text: str) -> "Device":
    """The device with this id, or the only one with this name."""
    from django.core.exceptions import ValidationError

    from server.devices.models import Device

    try:
        found = list(Device.objects.filter(pk=text))
    except ValidationError:  # not a UUID, so a name
        found = list(Device.objects.filter(label=text))
    if len(found) != 1:
        raise CommandError(f"expected one device called {text!r}, found {len(found)}")
    return found[0]


def tell(options: Options, told: dict[str, Any], sentence: str) -> None:
    """One JSON object on a line, or a sentence and the secrets below it."""
    if options.json:
        print(json.dumps(told))
        return
    print(sentence)
    if "token" in told:
        for name in ("device", "token", "mqtt_password"):
            if name in told:
                print(f"  {name}: {told[name]}")
