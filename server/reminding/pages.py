"""The page on which a person sets when their device's light asks for blinks."""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from server.care.pages.base import form_page, viewer_of
from server.devices import manage
from server.reminding.choose import choice_of, choose
from server.reminding.models import LEAST_PER_MIN, MOST_PER_MIN, Mode, Reminding


class RemindingForm(forms.Form):
    """When the light asks for blinks."""

    mode = forms.ChoiceField(
        label=gettext_lazy("When should the light remind?"),
        choices=[
            (Mode.OFF.value, gettext_lazy("Never")),
            (Mode.FIXED.value, gettext_lazy("Below a fixed limit")),
            (
                Mode.OWN.value,
                gettext_lazy("Below the person's own limit, computed from their sessions"),
            ),
        ],
        widget=forms.RadioSelect,
    )
    below_per_min = forms.FloatField(
        label=gettext_lazy("Fixed limit, in blinks a minute"),
        required=False,
        localize=True,
        min_value=LEAST_PER_MIN,
        max_value=MOST_PER_MIN,
        help_text=gettext_lazy(
            "From 1 to 30. Most people blink 1 to 14 times a minute when they read, and 11 to 32 "
            "times in conversation."
        ),
    )

    def clean(self) -> dict[str, Any]:
        """Check that the number is there if it is needed."""
        data = super().clean() or {}
        missing = data.get("below_per_min") is None and "below_per_min" not in self.errors
        if data.get("mode") == Mode.FIXED and missing:
            raise ValidationError({"below_per_min": _("Enter a number.")})
        return data


@form_page
def reminding(request: HttpRequest, device_id: UUID) -> HttpResponse:
    """Show and change it, for whoever manages the device. It holds for the device's person."""
    viewer = viewer_of(request)
    device = manage.managed_device(viewer, device_id)
    if device.revoked_at:
        raise Http404
    choice = choice_of(device.person)
    given = request.POST if request.method == "POST" else None
    form = RemindingForm(given, initial=_initial(choice))
    if request.method == "POST" and form.is_valid():
        mode, below = Mode(form.cleaned_data["mode"]), form.cleaned_data["below_per_min"]
        choose(viewer, device.person, mode, below and round(below, 1))
        messages.success(request, _("Saved. The device learns of it within ten minutes."))
        return redirect("reminding:device", device.pk)
    is_own = viewer.pk == device.person_id
    context = {"device": device, "choice": choice, "form": form, "is_own": is_own}
    context |= _readers(choice) if is_own else {}
    return render(request, "reminding/device.html", context)


def _readers(choice: Reminding) -> dict[str, Any]:
    """Name the devices with which somebody else could read the person's own rate."""
    devices = choice.person.devices.filter(revoked_at=None)
    others = list(devices.exclude(others_credentials_at=None))
    labels = ", ".join(each.label for each in others)
    return {"others": labels, "is_told": all(choice.may_read(each) for each in others)}


def _initial(choice: Reminding) -> dict[str, Any]:
    return {"mode": choice.mode, "below_per_min": choice.below_per_min}
