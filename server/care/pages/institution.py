"""Pages for institution admins: members, their devices and links. They show no measurements."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _

from server.care import institutions, sharing
from server.care.forms import MemberForm
from server.care.models import Institution, Person
from server.care.pages.base import action, add_errors, form_page, read_page, viewer_of
from server.care.pages.once import show_once
from server.care.words import given_words, log_lines
from server.common.codes import grouped
from server.common.paging import paged


@form_page
def institution_page(request: HttpRequest) -> HttpResponse:
    """List the members; the form creates an account."""
    viewer = viewer_of(request)
    institution = institutions.institution_of(viewer)
    form = MemberForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        asked = form.cleaned_data
        try:
            person, code = institutions.create_member(
                viewer,
                institution,
                asked["username"],
                asked["name"],
                viewer.timezone,
                viewer.language if viewer.language in dict(settings.LANGUAGES) else "en",
            )
        except ValidationError as error:
            add_errors(form, error)
        else:
            return _code_shown(request, institution, person, code)
    page = paged(institutions.members(institution), request.GET.get("page", ""))
    context = {"institution": institution, "form": form, "pages": page}
    return render(request, "care/institution.html", context)


def _code_shown(
    request: HttpRequest, institution: Institution, person: Person, text: str
) -> HttpResponse:
    """Show the activation code, which is not shown again."""
    code = grouped(text)
    context = {
        "institution": {"name": institution.name},
        "person": {"label": person.label, "username": person.username},
        "code": code,
        "address": request.build_absolute_uri(f"/join/{code}/"),
    }
    return show_once(request, "activation", context)


@read_page
def member_page(request: HttpRequest, username: str) -> HttpResponse:
    """Show a member's devices and links."""
    institution = institutions.institution_of(viewer_of(request))
    person = institutions.member(institution, username)
    links = institutions.links_of(person).order_by("caregiver__username", "person__username")
    context: dict[str, Any] = {
        "institution": institution,
        "person": person,
        "is_open": person.has_usable_password(),
        "devices": person.devices.all(),
        "shared": [{"link": each, "given": given_words(each.permissions)} for each in links],
    }
    return render(request, "care/member.html", context)


@action
def member_code(request: HttpRequest, username: str) -> HttpResponse:
    """Issue a new activation code for an account without a password."""
    viewer = viewer_of(request)
    institution = institutions.institution_of(viewer)
    person = institutions.member(institution, username)
    try:
        code = institutions.activation_code(viewer, institution, person)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect("care:member", username)
    return _code_shown(request, institution, person, code)


@action
def end_link(request: HttpRequest, username: str, link_id: int) -> HttpResponse:
    """End a member's link."""
    viewer = viewer_of(request)
    institution = institutions.institution_of(viewer)
    person = institutions.member(institution, username)
    link = get_object_or_404(institutions.links_of(person), pk=link_id)
    sharing.end(link, viewer, institution)
    messages.success(request, _("Sharing ended."))
    return redirect("care:member", username)


@read_page
def institution_log(request: HttpRequest) -> HttpResponse:
    """Show the audit log of the institution's administration."""
    viewer = viewer_of(request)
    institution = institutions.institution_of(viewer)
    page = paged(institutions.log_of(institution), request.GET.get("page", ""))
    lines = log_lines(page.rows, viewer)
    context = {"institution": institution, "pages": page, "lines": lines}
    return render(request, "care/institution_log.html", context)
