"""Sharing pages: caregivers and people cared for, invitations, the access log and the audit log."""

from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _

from server.care import audit, sharing
from server.care.asking import requests
from server.care.asking.pages import requests_shown
from server.care.forms import InvitationForm, PermissionsForm
from server.care.models import AccessLog, CareLink, Invitation, Permission, Person
from server.care.pages.base import action, form_page, read_page, viewer_of
from server.care.pages.once import show_once
from server.care.words import given_words, log_lines, look_lines
from server.common.codes import grouped
from server.common.paging import paged
from server.common.words import clock, weekday_and_day


@form_page
def sharing_page(request: HttpRequest) -> HttpResponse:
    """Show who can see the viewer and whom the viewer can see; the form creates an invitation."""
    person = viewer_of(request)
    form = InvitationForm(request.POST or None, initial={"may": ["history", "live"]})
    if request.method == "POST" and form.is_valid():
        try:
            return _invited(request, person, form)
        except ValidationError as error:
            form.add_error("may", error)
    return render(request, "care/sharing.html", _shared(person) | {"form": form})


def _invited(request: HttpRequest, person: Person, form: InvitationForm) -> HttpResponse:
    """Create an invitation and show its code, which is not shown again."""
    asked = form.cleaned_data
    life = timedelta(days=asked["days"])
    invitation, text = sharing.invite(person, asked["may"], asked["name"], life)
    code = grouped(text)
    context = {
        "invitation": {"name": invitation.name},
        "given": given_words(invitation.permissions),
        "until": _expiry(invitation, person),
        "code": code,
        "address": request.build_absolute_uri(f"/join/{code}/"),
    }
    return show_once(request, "invitation", context)


def _expiry(invitation: Invitation, person: Person) -> str:
    """`"Mon 7 Dec, 03:31"`, in the person's zone."""
    when, zone = invitation.expires_at, person.zone
    return f"{weekday_and_day(when.astimezone(zone).date())}, {clock(when, zone)}"


def _shared(person: Person) -> dict[str, Any]:
    links = CareLink.objects.filter(ended_at=None).select_related("caregiver", "person")
    seen_by = links.filter(person=person).order_by("caregiver__username")
    return {
        "may_ask": requests.institution_of(person) is not None,
        "requests": requests_shown(person),
        "seen_by": [
            {"link": link, "given": given_words(link.permissions), "form": _permissions_form(link)}
            for link in seen_by
        ],
        "seeing": [
            {"link": link, "given": given_words(link.permissions)}
            for link in links.filter(caregiver=person).order_by("person__username")
        ],
        "invitations": [
            {
                "invitation": each,
                "given": given_words(each.permissions),
                "until": _expiry(each, person),
            }
            for each in sharing.open_invitations(person)
        ],
    }


def _permissions_form(link: CareLink, data: Any = None) -> PermissionsForm:
    initial = {"may": [each for each in Permission if each in link.permissions]}
    return PermissionsForm(data, prefix=f"link-{link.pk}", initial=initial)


@action
def change(request: HttpRequest, link_id: int) -> HttpResponse:
    """Change the permissions of one of the viewer's caregivers."""
    person = viewer_of(request)
    links = CareLink.objects.select_related("caregiver", "person")
    link = get_object_or_404(links, pk=link_id, person=person, ended_at=None)
    form = _permissions_form(link, request.POST)
    try:
        sharing.change(link, form.cleaned_data["may"] if form.is_valid() else [], person)
        text = _("Permissions of %(name)s: %(given)s.") % {
            "name": link.caregiver.label,
            "given": given_words(link.permissions),
        }
        messages.success(request, text)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    return redirect("care:sharing")


@form_page
def end(request: HttpRequest, link_id: int) -> HttpResponse:
    """End a link from either side, after a confirmation page."""
    viewer = viewer_of(request)
    links = CareLink.objects.filter(Q(person=viewer) | Q(caregiver=viewer), ended_at=None)
    link = get_object_or_404(links.select_related("caregiver", "person"), pk=link_id)
    is_mine = link.person_id == viewer.pk
    if request.method == "POST":
        sharing.end(link, viewer)
        text = (
            _("%(name)s can no longer see your data.") % {"name": link.caregiver.label}
            if is_mine
            else _("You can no longer see data of %(name)s.") % {"name": link.person.label}
        )
        messages.success(request, text)
        return redirect("care:sharing")
    return render(request, "care/end.html", {"link": link, "is_mine": is_mine})


@action
def withdraw(request: HttpRequest, invitation_id: int) -> HttpResponse:
    """Withdraw an invitation."""
    mine = sharing.open_invitations(viewer_of(request)).select_related("person")
    sharing.withdraw(get_object_or_404(mine, pk=invitation_id))
    messages.success(request, _("Invitation withdrawn."))
    return redirect("care:sharing")


@read_page
def looks(request: HttpRequest) -> HttpResponse:
    """Show the access log of the viewer's data."""
    person = viewer_of(request)
    rows = AccessLog.objects.filter(person=person).select_related("viewer")
    page = paged(rows, request.GET.get("page", ""))
    return render(
        request, "care/looks.html", {"pages": page, "lines": look_lines(page.rows, person)}
    )


@read_page
def log(request: HttpRequest) -> HttpResponse:
    """Show the viewer's audit log."""
    person = viewer_of(request)
    page = paged(audit.entries_of(person), request.GET.get("page", ""))
    return render(request, "care/log.html", {"pages": page, "lines": log_lines(page.rows, person)})
