"""The page for the doctor, its links, and what a link shows to somebody without an account."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from server.care.access import note_link_look, note_look, person_for
from server.care.audit import note
from server.care.models import AuditEvent, Permission, Person
from server.care.pages.base import action, form_page, open_page, viewer_of
from server.care.pages.once import show_once
from server.care.words import moment_words
from server.dashboard.history import RANGES, Period, period_asked
from server.visit.models import SheetLink
from server.visit.sheet import sheet_of


class LinkForm(forms.Form):
    """Whom a link is for, and how long it is valid."""

    name = forms.CharField(
        label=gettext_lazy("Who is it for?"),
        max_length=SheetLink.LONGEST_NAME,
        required=False,
        help_text=gettext_lazy("Only you see this."),
    )
    days = forms.TypedChoiceField(
        label=gettext_lazy("Link valid for"),
        coerce=int,
        initial=7,
        choices=[
            (1, gettext_lazy("1 day")),
            (7, gettext_lazy("7 days")),
            (30, gettext_lazy("30 days")),
        ],
    )


@form_page
def sheet(request: HttpRequest, username: str) -> HttpResponse:
    """Show the sheet of a span of days. The person can make a link to it."""
    viewer, now = viewer_of(request), timezone.now()
    person = person_for(viewer, username, Permission.HISTORY)
    period = _period(request, person)
    is_you = person.pk == viewer.pk
    form = LinkForm(request.POST or None)
    if request.method == "POST":
        if not is_you:
            raise Http404
        if form.is_valid():
            return _made(request, person, period, form)
    note_look(viewer, person, "sheet")
    context = {
        "sheet": sheet_of(person, period, now),
        "is_you": is_you,
        "form": form,
        "ranges": [Period(days, period.last, period.today) for days in RANGES],
        "made_links": _links(person) if is_you else [],
    }
    return render(request, "visit/sheet.html", context, status=400 if form.errors else 200)


def _period(request: HttpRequest, person: Person) -> Period:
    today = timezone.now().astimezone(person.zone).date()
    return replace(period_asked(request.GET, today), activity="")  # the sheet is of all sessions


def _made(request: HttpRequest, person: Person, period: Period, form: LinkForm) -> HttpResponse:
    """Make a link, and show it once, on a page that can be reloaded."""
    days = form.cleaned_data["days"]
    token = SheetLink.issue(
        person,
        name=form.cleaned_data["name"],
        first=period.first,
        last=period.last,
        expires_at=timezone.now() + timedelta(days=days),
    )
    detail = f"{period.first} to {period.last}, valid for {days} days"
    note(person, AuditEvent.SHEET_SHARED, person, detail)
    address = request.build_absolute_uri(reverse("visit:shared", args=[token]))
    return show_once(request, "sheet link", {"address": address, "query": period.query})


def _links(person: Person) -> list[dict[str, Any]]:
    """Return the person's valid links with their span and their end."""
    return [
        {
            "link": each,
            "span": _span(each).words,
            "until": moment_words(each.expires_at, person.zone),
        }
        for each in SheetLink.live(person)
    ]


def _span(link: SheetLink) -> Period:
    return Period((link.last - link.first).days + 1, link.last, link.last)


@action
def withdraw(request: HttpRequest, link_id: int) -> HttpResponse:
    """End a link of the viewer."""
    person = viewer_of(request)
    link = SheetLink.live(person).filter(pk=link_id).first()
    if link is None:
        raise Http404
    link.revoke()
    note(person, AuditEvent.SHEET_WITHDRAWN, person, f"{link.first} to {link.last}")
    messages.success(request, _("The link no longer works."))
    return redirect("visit:sheet", person.username)


@open_page
def shared(request: HttpRequest, token: str) -> HttpResponse:
    """Show the sheet of a link, and nothing else."""
    link = SheetLink.find(token)
    if link is None:
        return render(request, "visit/over.html", status=404)
    link.touch()
    note_link_look(link.person, "sheet", link.name)
    sheet = sheet_of(link.person, _span(link), timezone.now())
    return render(request, "visit/shared.html", {"sheet": sheet})
