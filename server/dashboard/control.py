"""The buttons: start a session on a device, end the one under way. The panel shows what became."""

import contextlib
from typing import cast
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from server.care.access import person_for
from server.care.models import Permission, Person
from server.devices.models import CommandName, Device
from server.session_data.amend import new_session_id
from server.session_data.commands import BrokerAwayError, NotConnectedError, ask
from server.session_data.models import SessionData, State


@never_cache
@require_POST
@login_required
def start(request: HttpRequest, username: str, device_id: UUID) -> HttpResponse:
    """Ask one of the person's devices to start a session."""
    viewer = cast(Person, request.user)
    person = person_for(viewer, username, Permission.CONTROL)
    device = Device.objects.filter(person=person, pk=device_id, revoked_at=None).first()
    if device is None:
        raise Http404
    return _asked(viewer, device, CommandName.START, new_session_id(), person)


@never_cache
@require_POST
@login_required
def stop(request: HttpRequest, username: str, session_id: UUID) -> HttpResponse:
    """Ask the device that measures the person's session to end it.

    One that is over, or that no device measures any more, is left as it is: the page says so.
    """
    viewer = cast(Person, request.user)
    person = person_for(viewer, username, Permission.CONTROL)
    sessions = SessionData.objects.filter(user=person).select_related("device__person")
    session = sessions.filter(pk=session_id).first()
    if session is None:
        raise Http404
    device = session.device
    if device is None or device.revoked_at or device.person_id != person.pk:
        return _back(person)
    if session.state != State.ACTIVE:
        return _back(person)
    return _asked(viewer, device, CommandName.STOP, session_id, person)


def _asked(
    viewer: Person, device: Device, name: CommandName, session_id: UUID, person: Person
) -> HttpResponse:
    # What fails is on record, and the panel shows the record.
    with contextlib.suppress(BrokerAwayError, NotConnectedError):
        ask(viewer, device, name, session_id)
    return _back(person)


def _back(person: Person) -> HttpResponse:
    return redirect(reverse("dashboard:person", args=[person.username]) + "#now")
