"""The page "Aim the camera" of a device. It needs the permission to see its person live."""

from uuid import UUID, uuid4

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from server.aiming.kept import view_of
from server.aiming.words import sentence
from server.care.access import note_look, note_often, visible_people
from server.care.models import Permission, Person
from server.care.pages.base import form_page, read_page, viewer_of
from server.devices.models import CommandName, Device
from server.session_data.commands.ask import BrokerAwayError, NotConnectedError, ask


@form_page
def aim(request: HttpRequest, device_id: UUID) -> HttpResponse:
    """Show the page; the button, and then its script, ask the device to aim."""
    viewer = viewer_of(request)
    device = _device(viewer, device_id)
    if request.method == "POST":
        problem = _asked(viewer, device)
        if request.headers.get("Accept") == "application/json":
            return JsonResponse({"problem": problem})
        if problem:
            messages.error(request, problem)
            return redirect("aiming:aim", device_id)
        return redirect(f"{request.path}?asked=1")
    note_look(viewer, device.person, "aim")
    is_own = device.person == viewer
    context = {"device": device, "is_own": is_own, "asked": "asked" in request.GET}
    return render(request, "aiming/aim.html", context)


@read_page
def view(request: HttpRequest, device_id: UUID) -> HttpResponse:
    """Return the newest view as JSON, with its sentence in the viewer's language; `{}` if none."""
    viewer = viewer_of(request)
    device = _device(viewer, device_id)
    told = view_of(device)
    if told is not None:
        note_often(viewer, device.person, "aim")
    return JsonResponse({} if told is None else {**told, "sentence": sentence(told)})


def _asked(viewer: Person, device: Device) -> str:
    """Ask the device to aim; return why that failed, or nothing."""
    try:
        ask(viewer, device, CommandName.AIM, uuid4())
    except NotConnectedError:
        return _("The device is not connected.")
    except BrokerAwayError:
        return _("The server can't reach the device.")
    return ""


def _device(viewer: Person, device_id: UUID) -> Device:
    seen = visible_people(viewer, Permission.LIVE).order_by()
    devices = Device.objects.filter(person__in=seen, revoked_at=None).select_related("person")
    device = devices.filter(pk=device_id).first()
    if device is None:
        raise Http404
    return device
