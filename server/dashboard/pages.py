"""The dashboard's pages, and its buttons that start and stop sessions.

A person whom the viewer may not see gives 404, like one who does not exist. Every view of a
person's data is recorded in their access log before the page is rendered.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import BadRequest
from django.core.paginator import Paginator
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseRedirect,
    QueryDict,
)
from django.shortcuts import redirect, render
from django.templatetags.static import static
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from server.care.access import note_look, note_looks, people_seen, permissions, person_for
from server.care.models import Permission, Person
from server.care.pages.base import action, open_page, read_page, viewer_of
from server.common.words import weekday_and_day, zone_words
from server.dashboard import formulas, history, overview, read
from server.dashboard.download import ExportForm
from server.dashboard.figures import MOST_POINTS, figures
from server.dashboard.marks import marks_of
from server.dashboard.noted.signs import notes_between, notes_part, signs_of
from server.dashboard.now import now_of
from server.dashboard.rows import SessionRow
from server.dashboard.session import session_page
from server.dashboard.today import today_of
from server.dashboard.versions import unchanged, version_of
from server.devices.models import CommandName, Device
from server.notes.models import Note
from server.notes.rows import note_rows
from server.notes.seen import notes_of_session
from server.replica.reading import from_replica
from server.session_data.activity.choose import IsCheckError, choose, take_back
from server.session_data.activity.words import NAMES
from server.session_data.amend import new_session_id
from server.session_data.checks import last_checks
from server.session_data.commands.ask import (
    AlreadyAskedError,
    BrokerAwayError,
    NotConnectedError,
    ask,
    device_measuring,
    device_to_start,
    session_to_stop,
)
from server.session_data.export.codebook import TABLES
from server.session_data.filters import NO_ACTIVITY
from server.session_data.models import OVER, Activity, SessionData, State
from server.session_data.summary.views import of_asked
from server.session_data.whose.mark import NotPossibleError, mark, may_mark

# The rest of a longer search text is ignored.
LONGEST_SEARCH = 150


@require_safe
@cache_control(public=True, max_age=24 * 3600)
def favicon(_request: HttpRequest) -> HttpResponse:
    """Redirect to the icon. Browsers request this path on pages that name no icon."""
    return HttpResponseRedirect(static("dashboard/icon.svg"))


@open_page
def help_page(request: HttpRequest) -> HttpResponse:
    """Say what to do about a device that is not connected, and define every number."""
    silent = read.silent_device(request.user, request.GET.get("device", ""))
    return render(request, "dashboard/help.html", {**formulas.everything(), "silent": silent})


@read_page
def people(request: HttpRequest) -> HttpResponse:
    """Show the overview of the people whom the viewer may see, a page at a time."""
    return _people(request, "dashboard/people.html")


@read_page
def people_live(request: HttpRequest) -> HttpResponse:
    """Return the part of the overview that refreshes itself, if it has changed."""
    return _people(request, "dashboard/parts/people.html")


def _people(request: HttpRequest, template: str) -> HttpResponse:
    viewer, now = viewer_of(request), timezone.now()
    everybody, given = people_seen(viewer)
    signs = overview.signs_of(viewer, everybody, given, now)
    version = version_of(overview.version_of(everybody, given, signs, now))
    # An unchanged page is no new look. It changes every few minutes, and is noted then.
    if same := unchanged(request, version):
        return same
    text = request.GET.get("q", "").strip()[:LONGEST_SEARCH]
    found = overview.found_by_name(everybody, text)
    standing = overview.standings(viewer, found, given, signs, now)
    page = Paginator(standing, overview.PAGE).get_page(request.GET.get("page"))
    note_looks(viewer, [each.person for each in page], "people")
    context = {
        "cards": overview.cards(viewer, list(page), given, signs, now),
        "page": page,
        "text": text,
        "has_search": bool(text) or len(everybody) > overview.SEARCH_FROM,
        "query": urlencode({"q": text}) if text else "",
        "away": sum(overview.not_connected(each, signs) for each in everybody),
        "outage": overview.OUTAGE,
        "alone": len(everybody) == 1,
        "version": version,
    }
    return render(request, template, context)


@read_page
def person(request: HttpRequest, username: str) -> HttpResponse:
    """Show one person's live status and history over a period, each if permitted."""
    viewer, now = viewer_of(request), timezone.now()
    subject, given = _person_seen(viewer, username)
    newest = read.newest([subject])
    zone = subject.zone
    panel = now_of(subject, given, newest.live.get(subject.pk, ()), now)
    context = {
        "person": subject,
        "is_you": subject == viewer,
        "zone": zone_words(zone, now),
        "sees_past": Permission.HISTORY in given,
        "sees_now": Permission.LIVE in given,
        "now": panel,
        "version": version_of(panel.version),
    }
    note_look(viewer, subject, "history" if Permission.HISTORY in given else "live")
    if Permission.HISTORY in given:
        context["today"] = today_of(subject, now.astimezone(zone).date())
        last, asked = newest.over.get(subject.pk), request.GET
        period = _period(subject, asked, now)
        notes = notes_between(viewer, subject, period)
        context["notes"] = notes_part(viewer, subject, notes)
        context |= from_replica(
            (viewer, subject), lambda: _past(subject, last, asked, period, notes, now)
        )
    return render(request, "dashboard/person.html", context)


def _person_seen(viewer: Person, username: str) -> tuple[Person, frozenset[Permission]]:
    """Return the person and the viewer's permissions. Raises `Http404` if not visible."""
    if "\x00" in username:  # PostgreSQL refuses it in a query
        raise Http404
    person = Person.objects.filter(username=username).first()
    given = permissions(viewer, person) if person else frozenset()
    if person is None or not given & {Permission.HISTORY, Permission.LIVE}:
        raise Http404
    return person, given


def _period(subject: Person, asked: QueryDict, now: datetime) -> history.Period:
    today = now.astimezone(subject.zone).date()
    return history.period_asked(asked, today)


def _past(
    subject: Person,
    last: SessionRow | None,
    asked: QueryDict,
    period: history.Period,
    notes: Sequence[Note],
    now: datetime,
) -> dict[str, Any]:
    """Return the template context of a person's history."""
    today = period.today
    everything = read.measured_between(subject, period.reach, period.last)
    measured = of_asked(everything, period.activity or None)
    count = sum(each.day in period for each in measured)
    shown: Sequence[SessionRow] = ()
    if count <= MOST_POINTS:
        shown = read.rows_between(subject, period.first, period.last, activity=period.activity)
    return {
        "checks": last_checks(subject, now),
        "period": period,
        "ranges": [replace(period, days=days, chosen=False) for days in history.RANGES],
        "choices": history.choices(everything, period),
        "figures": figures(measured, shown, period, signs_of(notes, period.first)),
        "last": last,
        "last_words": overview.last_words(last, period.today) if last else "",
        "marks": marks_of(last, now) if last else (),
        "yesterday": history.yesterday(history.rows_of_yesterday(subject, today), last, today),
        **_list(subject, period, asked, count, now),
    }


def _list(
    subject: Person, period: history.Period, asked: QueryDict, count: int, now: datetime
) -> dict[str, Any]:
    """Return the template context of the list of sessions: of the period, or of one of its days."""
    day = history.day_of(asked.get("day", ""), period)
    first, last = (day, day) if day else (period.first, period.last)
    if day or "all" in asked:
        rows = read.rows_between(subject, first, last, activity=period.activity)
        pages = read.Listed(rows, None, None)
    else:
        pages = read.listed(subject, first, last, asked.get("cursor", ""), period.activity)
    return {
        "day": weekday_and_day(day) if day else "",
        "groups": history.sessions_by_day(pages.rows, now, pages.printed),
        "pages": pages,
        "count": len(pages.rows) if day else count,
    }


@read_page
def person_now(request: HttpRequest, username: str) -> HttpResponse:
    """Return the part of a person's page that refreshes itself, if it has changed."""
    viewer, now = viewer_of(request), timezone.now()
    subject = person_for(viewer, username, Permission.LIVE)
    given = permissions(viewer, subject)
    panel = now_of(subject, given, read.newest([subject]).live.get(subject.pk, ()), now)
    version = version_of(panel.version)
    note_look(viewer, subject, "live")
    if same := unchanged(request, version):
        return same
    context = {"person": subject, "now": panel, "sees_now": True, "version": version}
    return render(request, "dashboard/parts/now.html", context)


@read_page
def session(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """Show one session."""
    viewer, now = viewer_of(request), timezone.now()
    found, row = _session_seen(viewer, session_id)
    context = _session(viewer, found, row, now)
    context["neighbours"] = read.neighbours(viewer, row, found.user)
    if Permission.HISTORY in permissions(viewer, found.user):
        context |= {"may_note": True, "notes": note_rows(notes_of_session(viewer, found), viewer)}
    return render(request, "dashboard/session.html", context)


@read_page
def session_live(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """Return the part of a session's page that refreshes itself, if it has changed."""
    viewer, now = viewer_of(request), timezone.now()
    found, row = _session_seen(viewer, session_id)
    if same := unchanged(request, _session_version(row, found, now)):
        return same
    return render(request, "dashboard/parts/session.html", _session(viewer, found, row, now))


@action
def whose(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """Mark a session as somebody else's, or take that back."""
    somebody_else = request.POST.get("somebody_else") == "1"
    try:
        mark(viewer_of(request), session_id, somebody_else=somebody_else)
    except NotPossibleError:
        messages.error(request, _("Only a session that is over can be marked."))
    else:
        told = _("Marked. The session is not part of any statistic or alert.")
        messages.success(request, told if somebody_else else _("The session counts again."))
    return redirect("dashboard:session", session_id)


@action
def activity(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """Choose the activity of a session, or take the choice back."""
    viewer, word = viewer_of(request), request.POST.get("activity", "")
    try:
        if "take_back" in request.POST:
            take_back(viewer, session_id)
        elif word in (*NAMES, NO_ACTIVITY):
            choose(viewer, session_id, Activity(word) if word in NAMES else None)
        else:
            raise BadRequest
    except IsCheckError:
        messages.error(request, _("A check of the counting has no activity."))
    else:
        messages.success(request, _("Saved."))
    return redirect("dashboard:session", session_id)


def _session_seen(viewer: Person, session_id: UUID) -> tuple[SessionData, SessionRow]:
    """Return a session and note the look. Raises `Http404` if the viewer may not see it."""
    found = read.session_for(viewer, session_id)
    if found is None:
        raise Http404
    note_look(viewer, found.user, "session", found.pk)
    return found, read.row_of(found)


def _session_version(row: SessionRow, found: SessionData, now: datetime) -> str:
    """Return the version of a session's page: of its revision, and of what depends on the time."""
    silent = (row.silent_for(now) or timedelta()) // timedelta(minutes=1)
    said = f"{found.revision}-{found.state}-{found.activity}"
    return version_of(f"{said}{f'-silent-{silent}' if silent else ''}")


def _session(viewer: Person, found: SessionData, row: SessionRow, now: datetime) -> dict[str, Any]:
    """Return the template context of a session."""
    return {
        "person": found.user,
        "is_you": found.user == viewer,
        "may_mark": row.state in (*OVER, State.SOMEBODY_ELSE) and may_mark(viewer, found.user),
        "may_choose": row.state != State.CHECK and may_mark(viewer, found.user),
        "activities": NAMES.items(),
        "session": session_page(row, read.document_of(found), now),
        "zone": zone_words(row.zone, row.started_at),
        "version": _session_version(row, found, now),
        "may_stop": row.active
        and not row.silent_for(now)
        and found.device is not None
        and (found.device.person_id, found.device.revoked_at) == (found.user_id, None)
        and Permission.CONTROL in permissions(viewer, found.user),
    }


@action
def start(request: HttpRequest, username: str, device_id: UUID) -> HttpResponse:
    """Ask one of the person's devices to start a session."""
    viewer = viewer_of(request)
    device = device_to_start(viewer, device_id)
    if device is None or device.person.username != username:
        raise Http404
    word = request.POST.get("activity", "")
    chosen = word if word in NAMES else ""
    return _asked(viewer, device, CommandName.START, new_session_id(), chosen)


@action
def stop(request: HttpRequest, username: str, session_id: UUID) -> HttpResponse:
    """Ask the device that measures the person's session to stop it.

    Sessions that are over, or that no device measures any more, stay as they are.
    """
    viewer = viewer_of(request)
    session = session_to_stop(viewer, session_id)
    if session is None or session.user.username != username:
        raise Http404
    device = device_measuring(session)
    if device is None or session.state != State.ACTIVE:
        return _back(session.user)
    return _asked(viewer, device, CommandName.STOP, session_id)


def _asked(
    viewer: Person, device: Device, name: CommandName, session_id: UUID, activity: str = ""
) -> HttpResponse:
    # Failures are stored with the command, and the panel shows them.
    with contextlib.suppress(AlreadyAskedError, BrokerAwayError, NotConnectedError):
        ask(viewer, device, name, session_id, activity)
    return _back(device.person)


def _back(person: Person) -> HttpResponse:
    return redirect(reverse("dashboard:person", args=[person.username]) + "#now")


@read_page
def export(request: HttpRequest) -> HttpResponse:
    """Show the form of an export; with a complete form, redirect to the file."""
    asked = request.GET
    if "form" not in asked:
        days = {"first": asked.get("from"), "last": asked.get("to")}
        form = ExportForm(viewer_of(request), initial={**days, "user": asked.get("user")})
        return render(request, "dashboard/export.html", {"form": form})
    form = ExportForm(viewer_of(request), asked)
    if form.is_valid():
        return redirect(f"{reverse('session-export')}?{form.query()}")
    return render(request, "dashboard/export.html", {"form": form}, status=400)


@read_page
def definitions(request: HttpRequest) -> HttpResponse:
    """Explain the columns of the exports."""
    return render(request, "dashboard/definitions.html", {"tables": TABLES.values()})
