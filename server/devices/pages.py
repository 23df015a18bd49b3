"""Device pages: the viewer's own devices, and those of the members they administer."""

import logging
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from server.care.access import note_looks, people_seen
from server.care.attempts import TooManyError
from server.care.forms import CodeForm
from server.care.institutions import administered_by
from server.care.models import Permission, Person
from server.care.pages.base import action, add_errors, form_page, read_page, viewer_of
from server.care.pages.once import show_once
from server.care.words import moment_words
from server.care.wrong_codes import attempt
from server.common.codes import NotACodeError
from server.common.mqtt import BrokerError
from server.devices import manage, representation
from server.devices.adding import code_made
from server.devices.models import ClaimCode, Device
from server.devices.reasons import reason_words

log = logging.getLogger(__name__)
UNAVAILABLE = (BrokerError, ImproperlyConfigured)


class LabelForm(forms.Form):
    """A device's name."""

    label = forms.CharField(
        label=gettext_lazy("Device name"),
        max_length=64,
        help_text=gettext_lazy("For example Kitchen."),
    )


@form_page
def devices(request: HttpRequest) -> HttpResponse:
    """List the viewer's devices, and those of people they can see live.

    The form creates a claim code.
    """
    viewer = viewer_of(request)
    form = LabelForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            return code_made(request, viewer, form.cleaned_data["label"])
        except ValidationError as error:
            add_errors(form, error)
    people, given = people_seen(viewer)
    live = [p for p in people if Permission.LIVE in given[p.pk]]
    found = Device.objects.filter(person__in=live).select_related("person")
    note_looks(viewer, live, "devices")
    zone = viewer.zone
    lines = [_line(each, zone) for each in found]
    context = {
        "form": form,
        "mine": [each for each in lines if each["device"].person == viewer],
        "others": [each for each in lines if each["device"].person != viewer],
        "codes": _codes(viewer, zone),
    }
    return render(request, "devices/devices.html", context)


def _line(device: Device, zone: Any) -> dict[str, Any]:
    seen = device.last_seen_at
    return {"device": device, "seen": moment_words(seen, zone) if seen else None}


def _codes(person: Person, zone: Any) -> list[dict[str, Any]]:
    live = ClaimCode.live().filter(person=person)
    return [{"code": each, "until": moment_words(each.expires_at, zone)} for each in live]


@form_page
def member_code(request: HttpRequest, username: str) -> HttpResponse:
    """Create a claim code for a member's device, as the institution's admin."""
    viewer = viewer_of(request)
    person = manage.person_to_manage(viewer, username)
    form = LabelForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            return code_made(request, person, form.cleaned_data["label"])
        except ValidationError as error:
            add_errors(form, error)
    return render(request, "devices/member_code.html", {"form": form, "person": person})


@action
def withdraw_code(request: HttpRequest, code_id: int) -> HttpResponse:
    """Withdraw one of the viewer's claim codes."""
    for code in ClaimCode.live().filter(person=viewer_of(request), pk=code_id):
        code.withdraw()
    messages.success(request, _("Code withdrawn."))
    return redirect("devices:devices")


@read_page
def device(request: HttpRequest, device_id: UUID) -> HttpResponse:
    """Show one device: its status, its rejected documents, and what can be done."""
    viewer = viewer_of(request)
    found = manage.managed_device(viewer, device_id)
    return render(request, "devices/device.html", _device(viewer, found))


def _device(viewer: Person, found: Device, **more: Any) -> dict[str, Any]:
    zone = viewer.zone
    institution = administered_by(viewer)
    refused = representation.refused_documents(found)[: representation.MOST_REASONS]
    return {
        "device": found,
        "is_own": found.person == viewer,
        "seen": found.last_seen_at and moment_words(found.last_seen_at, zone),
        "said": found.status_at and moment_words(found.status_at, zone),
        "tokens": found.tokens.filter(revoked_at=None).count(),
        "refused": [
            {"when": moment_words(each.received_at, zone), "reason": reason_words(each.reason)}
            for each in representation.refused(viewer, found, refused)
        ],
        "rename_form": LabelForm(initial={"label": found.label}),
        "give_form": CodeForm(),
        "within": institution is not None and found.person != viewer,
        **more,
    }


@action
def rename(request: HttpRequest, device_id: UUID) -> HttpResponse:
    """Rename the device."""
    viewer = viewer_of(request)
    found = manage.managed_device(viewer, device_id)
    form = LabelForm(request.POST)
    if form.is_valid():
        try:
            manage.rename(viewer, found, form.cleaned_data["label"])
            return redirect("devices:device", device_id)
        except ValidationError as error:
            add_errors(form, error)
    found.refresh_from_db()
    return render(request, "devices/device.html", _device(viewer, found, rename_form=form))


@form_page
def rotate(request: HttpRequest, device_id: UUID) -> HttpResponse:
    """Issue new credentials after a confirmation page, and show them once."""
    viewer = viewer_of(request)
    found = manage.managed_device(viewer, device_id)
    if request.method == "POST":
        try:
            told = manage.rotate(viewer, found)
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
        except UNAVAILABLE as error:
            text = _(
                "The MQTT broker did not confirm the change. The device may no longer be able to "
                "use MQTT: please try again. Its token still works."
            )
            _broker_unavailable(request, error, text)
        else:
            shown = {"pk": str(found.pk), "label": found.label}
            return show_once(request, "credentials", {"device": shown, "told": told})
        return redirect("devices:device", device_id)
    return render(request, "devices/rotate.html", {"device": found})


@form_page
def revoke(request: HttpRequest, device_id: UUID) -> HttpResponse:
    """Revoke the device after a confirmation page."""
    viewer = viewer_of(request)
    found = manage.managed_device(viewer, device_id)
    if request.method == "POST":
        try:
            manage.revoke(viewer, found)
            messages.success(request, _("Device blocked. Its measurements are kept."))
        except UNAVAILABLE as error:
            text = _(
                "The server has blocked the device, but can't reach the MQTT broker. Please try "
                "again."
            )
            _broker_unavailable(request, error, text)
        return redirect("devices:device", device_id)
    return render(request, "devices/revoke.html", {"device": found})


@action
def give(request: HttpRequest, device_id: UUID) -> HttpResponse:
    """Reassign the device: to the owner of a claim code or, by an admin, to another member."""
    viewer = viewer_of(request)
    found = manage.managed_device(viewer, device_id)
    is_own = found.person == viewer
    form = CodeForm(request.POST)
    try:
        if form.is_valid():
            _give(request, viewer, found, form.cleaned_data["code"], is_own=is_own)
            messages.success(
                request, _("The device now measures %(name)s.") % {"name": found.person.label}
            )
            return redirect("devices:devices")
    except NotACodeError:
        form.add_error("code", _("This code is wrong, expired or already used."))
    except ValidationError as error:
        add_errors(form, error)
    found.refresh_from_db()
    return render(request, "devices/device.html", _device(viewer, found, give_form=form))


def _give(request: HttpRequest, viewer: Person, found: Device, text: str, *, is_own: bool) -> None:
    institution = administered_by(viewer)
    names_a_member = institution is not None and not is_own
    if names_a_member and institution is not None:
        manage.reassign_within(viewer, institution, found, text.strip())
        return
    try:
        with attempt(request, text):
            manage.give_away(viewer, found, text)
    except TooManyError:
        wait = _("Too many failed attempts. Please wait 15 minutes, then try again.")
        raise ValidationError({"code": wait}) from None


def _broker_unavailable(request: HttpRequest, error: Exception, text: str) -> None:
    log.error("could not update a device's account: the broker %s", error)
    messages.error(request, text)
