"""Which page shows whose data to whom. A person one may not see is a person who does not exist.

Every page with somebody's data says so in that person's access log before it is rendered.
"""

from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any, Concatenate, ParamSpec, cast
from uuid import UUID

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.templatetags.static import static
from django.utils import timezone
from django.views.decorators.cache import cache_control, never_cache
from django.views.decorators.http import require_safe

from server.care.access import note_look, people_seen, permissions, person_for
from server.care.login import WINDOW, too_many_failures
from server.care.models import Person
from server.dashboard import history, overview, read
from server.dashboard.days import USUAL_DAYS
from server.dashboard.marks import marks_of
from server.dashboard.session import session_page
from server.dashboard.words import zone_words

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
    with transaction.atomic():  # one commit for all of them
        for each in seen:
            note_look(viewer, each, "people")
    cards = overview.cards(viewer, seen, now, given)
    return {"cards": cards, "alone": len(seen) == 1, "version": f"{now:%H%M%S}"}


@page
def person(request: HttpRequest, username: str) -> HttpResponse:
    """One person's history over a period."""
    viewer, now = viewer_of(request), timezone.now()
    shown = person_for(viewer, username)
    given = permissions(viewer, shown)
    note_look(viewer, shown, "history")
    zone = read.zone_of_person(shown)
    asked = request.GET
    period = history.period_of(
        asked.get("days", ""), asked.get("until", ""), now.astimezone(zone).date()
    )
    back = timedelta(days=max(period.days, USUAL_DAYS))
    rows = read.rows_between(shown, period.first - back, period.last, given)
    listed = read.listed(shown, period.first, period.last, asked.get("cursor", ""), given)
    last = read.last_rows([shown], {shown.pk: given}).get(shown.pk)
    context = {
        "person": shown,
        "is_you": shown == viewer,
        "zone": zone_words(zone, now),
        "period": period,
        "ranges": [history.Period(days, period.last, period.today) for days in history.RANGES],
        "figures": history.figures(rows, period),
        "groups": history.sessions_by_day(listed.rows, now),
        "pages": listed,
        "last": last,
        "last_words": overview.last_words(last, period.today) if last else "",
        "marks": marks_of(last, now) if last else (),
    }
    return render(request, "dashboard/person.html", context)


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
        "device": found.device.label if found.device else "",
    }


class LogIn(LoginView):
    """Log in by name and password; says so when there were too many wrong ones."""

    template_name = "dashboard/login.html"
    redirect_authenticated_user = True

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        """In the language that was set for the person, unless this browser has chosen one."""
        response = super().form_valid(form)
        language = viewer_of(self.request).language
        chosen = settings.LANGUAGE_COOKIE_NAME in self.request.COOKIES
        if not chosen and language != settings.LANGUAGE_CODE:
            secure = settings.SESSION_COOKIE_SECURE
            name = settings.LANGUAGE_COOKIE_NAME
            response.set_cookie(name, language, samesite="Lax", secure=secure)
        return response

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        """Status 429 while guesses are not even looked at."""
        waiting = too_many_failures(self.request, form.data.get("username", ""))
        context = self.get_context_data(form=form, waiting=waiting)
        response = self.render_to_response(context, status=429 if waiting else 200)
        if waiting:
            response.headers["Retry-After"] = str(int(WINDOW.total_seconds()))
        return response
