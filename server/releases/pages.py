"""The part of a device's page that offers a newer release."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _

from server.care.pages.base import action, read_page, viewer_of
from server.devices import manage
from server.devices.models import Device
from server.releases import updates
from server.releases.words import problem, sentence

EVERY_S, OFTEN_S = 30, 5  # seconds between two refreshes; the latter while an update is under way


@action
def install(request: HttpRequest, device_id: UUID) -> HttpResponse:
    """Ask the device to install the release that the page offered."""
    viewer = viewer_of(request)
    device = manage.managed_device(viewer, device_id)
    try:
        updates.ask(viewer, device, request.POST.get("sha256", ""))
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    return redirect(_back(device_id))


@action
def withdraw(request: HttpRequest, device_id: UUID) -> HttpResponse:
    """Withdraw the update."""
    viewer = viewer_of(request)
    if updates.withdraw(viewer, manage.managed_device(viewer, device_id)):
        messages.success(request, _("The update was cancelled."))
    else:
        messages.error(request, _("The update can't be cancelled any more."))
    return redirect(_back(device_id))


@read_page
def live(request: HttpRequest, device_id: UUID) -> HttpResponse:
    """Return the part of the device's page that refreshes itself."""
    device = manage.managed_device(viewer_of(request), device_id)
    return render(request, "releases/parts/software.html", part_of(device))


def part_of(device: Device) -> dict[str, Any]:
    """Return the context of that part."""
    found = updates.software_of(device)
    update = found.update
    offered = found.offered.manifest if found.offered else None
    said = [
        sentence(update) if update else "",
        problem(update) if update else "",
        offered.sha256 if offered else "",
        device.agent_version,
        str(found.trusts),
    ]
    return {
        "device": device,
        "found": found,
        "offered": offered,
        "fingerprint": found.key,
        "sentence": said[0],
        "problem": said[1],
        "every": OFTEN_S if found.is_under_way else EVERY_S,
        "live_version": "-".join(said).replace('"', ""),
    }


def _back(device_id: UUID) -> str:
    return reverse("devices:device", args=[device_id]) + "#software"
