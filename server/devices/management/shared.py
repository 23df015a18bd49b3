"""Helpers for the commands about devices."""

from typing import TYPE_CHECKING

from django.core.management.base import CommandError

if TYPE_CHECKING:
    from server.devices.models import Device


def device_with(text: str) -> "Device":
    """Return the device with this id, or the only one with this name. Raises `CommandError`."""
    from django.core.exceptions import ValidationError

    from server.devices.models import Device

    try:
        found = list(Device.objects.filter(pk=text))
    except ValidationError:  # not a UUID, so a name
        found = list(Device.objects.filter(label=text))
    if len(found) != 1:
        raise CommandError(f"expected one device called {text!r}, found {len(found)}")
    return found[0]
