"""What somebody typed into a form after their log-in expired: kept until they have logged in again.

It is kept in the browser's session, and shown once, only to the person who was logged in there
before: a signed cookie says who that was. Logging out deletes the cookie. Passwords and codes are
not kept.
"""

from collections.abc import Callable
from typing import cast
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme

from server.care.models import Person
from server.care.pages.typed import in_words

KEPT = "kept_form"
WHO = "blinklog_who"
WHO_S = 30 * 24 * 3600
SALT = "blinklog.who"
# Larger forms are not kept.
MOST_FIELDS = 50
MOST_CHARACTERS = 20_000
SECRET = ("password", "again", "old", "code", "csrfmiddlewaretoken")

Fields = list[tuple[str, str]]


def remember_who(response: HttpResponse, person: Person) -> None:
    """Note in the browser who logged in."""
    response.set_cookie(
        WHO,
        signing.dumps(person.pk, salt=SALT),
        max_age=WHO_S,
        httponly=True,
        samesite="Lax",
        secure=settings.SESSION_COOKIE_SECURE,
    )


def logged_out(request: HttpRequest, has_page: bool) -> HttpResponse:
    """Redirect a form to the log-in, and keep its text. Without a page, go back to the former."""
    if not has_page:
        return redirect_to_login(_former_page(request))
    who, fields = _who(request), _fields(request)
    if who is not None and fields:
        request.session[KEPT] = {"who": who, "path": request.get_full_path(), "fields": fields}
    return redirect_to_login(request.get_full_path())


def kept_form(request: HttpRequest, page: Callable[[], HttpResponse]) -> HttpResponse | None:
    """Return the page that offers to submit the kept form again, once; `None` if there is none.

    `page` makes the form's own page: its labels and words are shown.
    """
    kept = request.session.get(KEPT)
    if kept is None or kept["path"] != request.get_full_path():
        return None
    del request.session[KEPT]
    if kept["who"] != request.user.pk:
        return None
    heading, rows = in_words(page().content.decode(), kept["fields"])
    context = {**kept, "heading": heading, "rows": rows}
    return render(request, "care/kept.html", context)


def _former_page(request: HttpRequest) -> str:
    referer = request.headers.get("Referer", "")
    if not url_has_allowed_host_and_scheme(referer, {request.get_host()}, request.is_secure()):
        return str(settings.LOGIN_REDIRECT_URL)
    url = urlsplit(referer)
    return f"{url.path}?{url.query}" if url.query else url.path


def _who(request: HttpRequest) -> int | None:
    try:
        return cast(int, signing.loads(request.COOKIES.get(WHO, ""), salt=SALT, max_age=WHO_S))
    except signing.BadSignature:
        return None


def _fields(request: HttpRequest) -> Fields:
    """Return the form's fields, in order; none if it is too large or has only secrets."""
    names = [name for name in request.POST if name not in SECRET]
    found = [(name, value) for name in names for value in request.POST.getlist(name)]
    size = sum(len(name) + len(value) for name, value in found)
    return found if len(found) <= MOST_FIELDS and size <= MOST_CHARACTERS else []
