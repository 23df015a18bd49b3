"""Which page shows whose data to whom. A person one may not see is a person who does not exist.

Every page with somebody's data says so in that person's access log before it is rendered.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import wraps
from typing import Any, Concatenate, ParamSpec, cast
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.templatetags.static import static
from django.utils import timezone
from django.views.decorators.cache import cache_control, never_cache
from django.views.decorators.http import require_safe

from server.care.access import note_look, note_looks, people_seen, permissions, person_for
from server.care.models import Permission, Person
from server.common.words import zone_words
from server.dashboard import history, overview, read
from server.dashboard.days import USUAL_DAYS
from server.dashboard.marks import marks_of
from server.dashboard.now import now_of
from server.dashboard.rows import SessionRow
from server.dashboard.session import session_page

P = ParamSpec("P")
Page = Callable[Concatenate[HttpRequest, P], HttpResponse]


def page(view: Page[P]) -> Page[P]:
    """For people who are logged in, read-only, kept by no cache: what it shows is about health."""

    @never_cache
    @require_safe
    @login_required
    @wraps(view)
    def wrapped(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        return view(request, *args, **kwargs)

    return cast(Page[P], wrapped)


@require_safe
@cache_control(public=True, max_age=24 * 3600)
def favicon(_request: HttpRequest) -> HttpResponse:
    """What browsers ask for of their own accord, on pages that name no icon."""
    return HttpResponseRedirect(static("dashboard/icon.svg"))


def viewer_of(request: HttpRequest) -> Person:
    """Who is logged in."""
    return cast(Person, request.user)


@page
def people(request: HttpRequest) -> HttpResponse:
    """Everybody the viewer may see, today at a glance."""
    return render(request, "dashboard/people.html", _people(request))


@page
def people_live(request: HttpRequest) -> HttpResponse:
    """The part of that page which keeps itself fresh."""
    return render(request, "dashboard/parts/people.html", _people(request))


def _people(request: HttpRequest) -> dict[str, Any]:
    viewer, now = viewer_of(request), timezone.now()
    seen, given = people_seen(viewer)
    note_looks(viewer, seen, "people")
    cards = overview.cards(viewer, seen, given, now)
    return {"cards": cards, "alone": len(seen) == 1, "version": f"{now:%H%M%S}"}


@page
def person(request: HttpRequest, username: str) -> HttpResponse:
    """One person: what is going on now, and their history over a period; each where permitted."""
    viewer, now = viewer_of(request), timezone.now()
    shown, given = _person_seen(viewer, username)
    newest = read.newest([shown])
    zone = read.zone_of_person(shown)
    context = {
        "person": shown,
        "is_you": shown == viewer,
        "zone": zone_words(zone, now),
        "sees_past": Permission.HISTORY in given,
        "sees_now": Permission.LIVE in given,
        "now": now_of(shown, given, newest.live.get(shown.pk, ()), now),
    }
    note_look(viewer, shown, "history" if Permission.HISTORY in given else "live")
    if Permission.HISTORY in given:
        period = history.period_of(
            request.GET.get("days", ""),
            request.GET.get("until", ""),
            now.astimezone(zone).date(),
        )
        last = newest.over.get(shown.pk)
        context |= _past(shown, period, last, request.GET.get("cursor", ""), now)
    return render(request, "dashboard/person.html", context)


def _person_seen(viewer: Person, username: str) -> tuple[Person, frozenset[Permission]]:
    """The person and what is given of them; `Http404` where it is nothing that can be looked at."""
    people, given = people_seen(viewer)
    for person in people:
        if person.username == username:
            return person, given[person.pk]
    raise Http404


def _past(
    shown: Person, period: history.Period, last: SessionRow | None, cursor: str, now: datetime
) -> dict[str, Any]:
    """What the page shows of the person's history."""
    back = timedelta(days=max(period.days, USUAL_DAYS))
    rows = read.rows_between(shown, period.first - back, period.last)
    listed = read.listed(shown, period.first, period.last, cursor)
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


@page
def person_now(request: HttpRequest, username: str) -> HttpResponse:
    """The part of that page which keeps itself fresh."""
    viewer, now = viewer_of(request), timezone.now()
    shown = person_for(viewer, username, Permission.LIVE)
    newest = read.newest([shown])
    given = permissions(viewer, shown)
    panel = now_of(shown, given, newest.live.get(shown.pk, ()), now)
    note_look(viewer, shown, "live")
    context = {"person": shown, "now": panel, "sees_now": True}
    return render(request, "dashboard/parts/now.html", context)


@page
def session(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """One session."""
    return render(request, "dashboard/session.html", _session(request, session_id))


@page
def session_live(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """The part of that page which keeps itself fresh while the session goes on."""
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
        # What is shown changes with the revision, and when a device falls silent.
        "version": f"{found.revision}{'-silent' if row.silent_for(now) else ''}",
        "may_stop": row.active
        and not row.silent_for(now)
        and found.device is not None
        and (found.device.person_id, found.device.revoked_at) == (found.user_id, None)
        and Permission.CONTROL in permissions(viewer, found.user),
    }
