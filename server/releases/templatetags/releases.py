"""Template tags: the software of a device, and whether there is a newer release for it."""

from typing import Any

from django import template

from server.devices.models import Device
from server.releases import updates
from server.releases.pages import part_of

register = template.Library()


@register.inclusion_tag("releases/parts/software.html", takes_context=True)
def device_software(context: dict[str, Any], device: Device) -> dict[str, Any]:
    """Show the device's version, the release that it is offered, and its update."""
    return {"csrf_token": context.get("csrf_token"), **part_of(device)}


@register.inclusion_tag("releases/parts/mark.html")
def device_update(device: Device) -> dict[str, Any]:
    """Mark a device for which there is a release."""
    found = None if device.revoked_at else updates.software_of(device)
    return {"offered": found is not None and found.offered is not None}
