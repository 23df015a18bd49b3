"""The page on which a person shows a device in Home Assistant, or stops that."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _

from server.care.pages.base import form_page, viewer_of
from server.devices.models import Device
from server.home_assistant.models import Shown


@form_page
def home_assistant(request: HttpRequest, device_id: UUID) -> HttpResponse:
    """Show or hide a device. Only the person it measures may decide this."""
    person = viewer_of(request)
    device = get_object_or_404(Device, pk=device_id, person=person, revoked_at=None)
    shown = Shown.objects.filter(pk=device.pk, person_pk=person.pk, wanted=True).exists()
    if request.method == "POST":
        wanted = request.POST.get("wanted") == "1"
        if wanted:
            now = {"person_pk": person.pk, "wanted": True, "since": timezone.now()}
            Shown.objects.update_or_create(device_id=device.pk, defaults=now)
            messages.success(
                request, _("The device appears in Home Assistant within a few seconds.")
            )
        else:
            Shown.objects.filter(pk=device.pk).update(wanted=False)
            messages.success(
                request, _("The device disappears from Home Assistant within a few seconds.")
            )
        return redirect("home_assistant:device", device.pk)
    context = {"device": device, "shown": shown}
    return render(request, "home_assistant/device.html", context)
