"""The page "Check the counting" of a device. It needs the permission to start sessions.

The result is a session in the state `check`, which arrives like every other session.
"""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from server.care.access import note_look, permissions
from server.care.models import Permission, Person
from server.care.pages.base import form_page, read_page, viewer_of
from server.common.fields import CANONICAL_UUID
from server.devices.models import Command, CommandName, Device
from server.session_data.checks import last_checks
from server.session_data.commands.ask import (
    AlreadyAskedError,
    BrokerAwayError,
    NotConnectedError,
    ask,
    device_to_start,
)
from server.session_data.models import SessionData, State

# A check takes a minute. A device without a network sends it later.
LONGEST = timedelta(minutes=3)
# A running session sends a checkpoint every ten seconds.
RUNNING = timedelta(minutes=1)
REFRESH_S = 5


@form_page
def check(request: HttpRequest, device_id: UUID) -> HttpResponse:
    """Show the page; the button asks the device to check."""
    device = _device(viewer_of(request), device_id)
    if request.method == "POST":
        return _ask(request, viewer_of(request), device)
    return render(request, "aiming/check.html", _context(request, device))


@read_page
def check_live(request: HttpRequest, device_id: UUID) -> HttpResponse:
    """Return the part of that page that refreshes itself while a result is awaited."""
    device = _device(viewer_of(request), device_id)
    return render(request, "aiming/parts/check.html", _context(request, device))


def _device(viewer: Person, device_id: UUID) -> Device:
    device = device_to_start(viewer, device_id)
    if device is None:
        raise Http404
    return device


def _context(request: HttpRequest, device: Device) -> dict[str, Any]:
    viewer = viewer_of(request)
    sees_past = Permission.HISTORY in permissions(viewer, device.person)
    if sees_past:
        note_look(viewer, device.person, "check")
    shown = last_checks(device.person, timezone.now()) if sees_past else []
    asked = request.GET.get("asked", "")
    state = _state(device, asked)
    return {
        "device": device,
        "is_own": device.person == viewer,
        "asked": asked if state else "",
        "state": state,
        "last": next((each for each in shown if each.device.pk == device.pk), None),
        "every": REFRESH_S,
        "version": f"{state}-{get_language()}",
    }


def _ask(request: HttpRequest, viewer: Person, device: Device) -> HttpResponse:
    here = reverse("aiming:check", args=[device.pk])
    since = timezone.now() - RUNNING
    active = SessionData.objects.filter(device=device, state=State.ACTIVE, updated_at__gt=since)
    if active.exists():
        messages.error(request, _("A session is running on this device. Stop it first."))
        return redirect(here)
    try:
        command = ask(viewer, device, CommandName.CHECK, uuid4())
    except AlreadyAskedError:
        messages.error(request, _("Somebody else has just asked for a check. Wait a minute."))
    except NotConnectedError:
        messages.error(request, _("The device is not connected."))
    except BrokerAwayError:
        messages.error(request, _("The server can't reach the device."))
    else:
        return redirect(f"{here}?asked={command.session_id}")
    return redirect(here)


def _state(device: Device, asked: str) -> str:
    """Return the state of the check that was asked for: asked, done, late, or nothing."""
    if not CANONICAL_UUID.fullmatch(asked):
        return ""
    commands = Command.objects.filter(device=device, person=device.person_id, session_id=asked)
    command = commands.filter(command=CommandName.CHECK).first()
    if command is None:
        return ""
    if SessionData.objects.filter(pk=asked, device=device, state=State.CHECK).exists():
        return "done"
    return "late" if timezone.now() - command.asked_at > LONGEST else "asked"
