"""The dashboard's pages, and its buttons that start and stop sessions.

A person whom the viewer may not see gives 404, like one who does not exist. Every view of a
person's data is recorded in their access log before the page is rendered.
"""

import contextlib
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.templatetags.static import static
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from server.care.access import note_look, note_looks, people_seen, permissions, person_for
from server.care.models import Permission, Person
from server.care.pages.base import action, read_page, viewer_of
from server.common.words import zone_words
from server.dashboard import history, overview, read
from server.dashboard.days import USUAL_DAYS
from server.dashboard.download import ExportForm
from server.dashboard.marks import marks_of
from server.dashboard.now import now_of
from server.dashboard.rows import SessionRow
from server.dashboard.session import session_page
from server.devices.models import CommandName, Device
from server.replica.reading import from_replica
from server.session_data.amend import new_session_id
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
from server.session_data.models import State


@require_safe
@cache_control(public=True, max_age=24 * 3600)
def favicon(_request: HttpRequest) -> HttpResponse:
    """Redirect to the icon. Browsers request this path on pages that name no icon."""
    return HttpResponseRedirect(static("dashboard/icon.svg"))


@read_page
def people(request: HttpRequest) -> HttpResponse:
    """Show the overview of all people whom the viewer may see."""
    return render(request, "dashboard/people.html", _people(request))


@read_page
def people_live(request: HttpRequest) -> HttpResponse:
    """Return the part of the overview that refreshes itself."""
    return render(request, "dashboard/parts/people.html", _people(request))


def _people(request: HttpRequest) -> dict[str, Any]:
    viewer, now = viewer_of(request), timezone.now()
    seen, given = people_seen(viewer)
    note_looks(viewer, seen, "people")
    cards = overview.cards(viewer, seen, given, now)
    return {"cards": cards, "alone": len(seen) == 1, "version": f"{now:%H%M%S}"}


@read_page
def person(request: HttpRequest, username: str) -> HttpResponse:
    """Show one person's live status and history over a period, each if permitted."""
    viewer, now = viewer_of(request), timezone.now()
    subject, given = _person_seen(viewer, username)
    newest = read.newest([subject])
    zone = subject.zone
    context = {
        "person": subject,
        "is_you": subject == viewer,
        "zone": zone_words(zone, now),
        "sees_past": Permission.HISTORY in given,
        "sees_now": Permission.LIVE in given,
        "now": now_of(subject, given, newest.live.get(subject.pk, ()), now),
    }
    note_look(viewer, subject, "history" if Permission.HISTORY in given else "live")
    if Permission.HISTORY in given:
        period = history.period_of(
            request.GET.get("days", ""),
            request.GET.get("until", ""),
            now.astimezone(zone).date(),
        )
        last = newest.over.get(subject.pk)
        context |= _past(viewer, subject, period, last, request.GET.get("cursor", ""), now)
    return render(request, "dashboard/person.html", context)


def _person_seen(viewer: Person, username: str) -> tuple[Person, frozenset[Permission]]:
    """Return the person and the viewer's permissions. Raises `Http404` if not visible."""
    people, given = people_seen(viewer)
    for person in people:
        if person.username == username:
            return person, given[person.pk]
    raise Http404


def _past(
    viewer: Person,
    subject: Person,
    period: history.Period,
    last: SessionRow | None,
    cursor: str,
    now: datetime,
) -> dict[str, Any]:
    """Return the template context of a person's history."""
    back = timedelta(days=max(period.days, USUAL_DAYS))
    rows, listed = from_replica(
        (viewer, subject),
        lambda: (
            read.rows_between(subject, period.first - back, period.last),
            read.listed(subject, period.first, period.last, cursor),
        ),
    )
    return {
        "period": period,
        "ranges": [history.Period(days, period.last, period.today) for days in history.RANGES],
        "figures": history.figures(rows, period),
        "groups": history.sessions_by_day(listed.rows, now),
        "pages": listed,
        "last": last,
        "last_words": overview.last_words(last, period.today) if last else "",
        "marks": marks_of(last, now) if last else (),
    }


@read_page
def person_now(request: HttpRequest, username: str) -> HttpResponse:
    """Return the part of a person's page that refreshes itself."""
    viewer, now = viewer_of(request), timezone.now()
    subject = person_for(viewer, username, Permission.LIVE)
    newest = read.newest([subject])
    given = permissions(viewer, subject)
    panel = now_of(subject, given, newest.live.get(subject.pk, ()), now)
    note_look(viewer, subject, "live")
    context = {"person": subject, "now": panel, "sees_now": True}
    return render(request, "dashboard/parts/now.html", context)


@read_page
def session(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """Show one session."""
    return render(request, "dashboard/session.html", _session(request, session_id))


@read_page
def session_live(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """Return the part of a session's page that refreshes itself while the session runs."""
    return render(request, "dashboard/parts/session.html", _session(request, session_id))


def _session(request: HttpRequest, session_id: UUID) -> dict[str, Any]:
    viewer, now = viewer_of(request), timezone.now()
    found = read.session_for(viewer, session_id)
    if found is None:
        raise Http404
    note_look(viewer, found.user, "session", found.pk)
    row = read.row_of(found)
    return {
        "person": found.user,
        "is_you": found.user == viewer,
        "session": session_page(row, read.document_of(found), now),
        "zone": zone_words(row.zone, row.started_at),
        # The content changes with the revision and when a device goes offline.
        "version": f"{found.revision}{'-silent' if row.silent_for(now) else ''}",
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
    return _asked(viewer, device, CommandName.START, new_session_id())


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


def _asked(viewer: Person, device: Device, name: CommandName, session_id: UUID) -> HttpResponse:
    # Failures are stored with the command, and the panel shows them.
    with contextlib.suppress(AlreadyAskedError, BrokerAwayError, NotConnectedError):
        ask(viewer, device, name, session_id)
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
