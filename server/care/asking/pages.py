"""Pages of requests for access: asking on a page of its own, answering on the page of sharing."""

from datetime import datetime
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from server.care.asking import requests
from server.care.asking.forms import AnswerForm, AskForm
from server.care.models import AccessRequest, Institution, Person
from server.care.pages.base import action, add_errors, form_page, viewer_of
from server.care.words import given_words
from server.common.words import clock, weekday_and_day


@form_page
def ask_page(request: HttpRequest) -> HttpResponse:
    """Ask a member of the viewer's institution for access, and list the open requests."""
    viewer = viewer_of(request)
    institution = requests.institution_of(viewer)
    if institution is None:
        raise Http404
    form = AskForm(request.POST or None, initial={"may": ["history", "live"]})
    if request.method == "POST" and form.is_valid():
        try:
            return _asked(request, viewer, institution, form)
        except ValidationError as error:
            add_errors(form, error)
    context = {"institution": institution, "form": form, "sent": _sent(viewer)}
    return render(request, "care/ask.html", context, status=400 if form.errors else 200)


def _asked(
    request: HttpRequest, viewer: Person, institution: Institution, form: AskForm
) -> HttpResponse:
    """Create the request. The page then says the same whether or not somebody has the name."""
    told = form.cleaned_data
    requests.ask(viewer, institution, told["name"], told["may"], told["message"])
    text = _("If a member of %(institution)s has this name, they can now see your request.")
    messages.success(request, text % {"institution": institution.name})
    return redirect("care:ask")


def _sent(viewer: Person) -> list[dict[str, Any]]:
    return [
        {
            "request": each,
            "given": given_words(each.permissions),
            "until": _until(each.expires_at, viewer),
        }
        for each in AccessRequest.sent_by(viewer)
    ]


def requests_shown(person: Person) -> list[dict[str, Any]]:
    """Return the requests that the person can answer, each with its form."""
    return [
        {"request": each, "form": AnswerForm(each), "until": _until(each.expires_at, person)}
        for each in AccessRequest.received_by(person)
    ]


def _until(when: datetime, reader: Person) -> str:
    """`"Mon 7 Dec, 03:31"`, in the reader's zone."""
    return f"{weekday_and_day(when.astimezone(reader.zone).date())}, {clock(when, reader.zone)}"


@action
def withdraw(request: HttpRequest, request_id: int) -> HttpResponse:
    """Withdraw one of the viewer's requests."""
    requests.withdraw(viewer_of(request), request_id)
    messages.success(request, _("Request withdrawn."))
    return redirect("care:ask")


@action
def agree(request: HttpRequest, request_id: int) -> HttpResponse:
    """Agree to what is chosen in the form."""
    try:
        _agreed(request, viewer_of(request), request_id)
    except Http404:
        _over(request)
    return redirect("care:sharing")


def _agreed(request: HttpRequest, person: Person, request_id: int) -> None:
    form = AnswerForm(requests.received(person, request_id), request.POST)
    may = form.cleaned_data["may"] if form.is_valid() else []
    if not may:
        messages.error(request, _("Choose at least one permission, or decline."))
        return
    link = requests.agree(person, request_id, may)
    given = {"name": link.caregiver.label, "given": given_words(link.permissions)}
    messages.success(request, _("You now share with %(name)s: %(given)s.") % given)


@action
def decline(request: HttpRequest, request_id: int) -> HttpResponse:
    """Decline a request."""
    try:
        requests.decline(viewer_of(request), request_id)
        messages.success(request, _("Request declined."))
    except Http404:
        _over(request)
    return redirect("care:sharing")


def _over(request: HttpRequest) -> None:
    messages.error(request, _("This request was withdrawn, answered, or has expired."))
