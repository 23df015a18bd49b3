"""Logging in in a browser: name and password, then a code where the person asked for one.

Before the code was right there is no session of the person's, only a note, for five minutes, that
the password was.
"""

import time
from typing import Any

from django.conf import settings
from django.contrib.auth import login
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.urls import reverse
from django.utils.crypto import constant_time_compare
from django.utils.http import url_has_allowed_host_and_scheme, urlencode

from server.care import second_factor
from server.care.accounts import sign_up_mode
from server.care.login import WINDOW, too_many_failures
from server.care.models import Person
from server.care.pages.base import open_page

HALF = "half_logged_in"
HALF_S = 300
BACKEND = settings.AUTHENTICATION_BACKENDS[0]


class LogIn(LoginView):
    """Log in by name and password; says so when there were too many wrong ones."""

    template_name = "dashboard/login.html"
    redirect_authenticated_user = True
    extra_context = {"sign_up_mode": sign_up_mode}

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        """Logged in, or on to the second factor."""
        person: Any = form.get_user()
        if not second_factor.is_on(person):
            return entered(self.request, person, self.get_success_url())
        self.request.session.cycle_key()
        self.request.session[HALF] = {
            "person": person.pk,
            "password": person.get_session_auth_hash(),
            "until": time.time() + HALF_S,
            "next": self.get_success_url(),
        }
        return redirect("care:login-code")

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        """Status 429 while guesses are not even looked at."""
        waiting = too_many_failures(self.request, form.data.get("username", ""))
        context = self.get_context_data(form=form, waiting=waiting)
        response = self.render_to_response(context, status=429 if waiting else 200)
        return _told_to_wait(response) if waiting else response


@open_page
def login_code(request: HttpRequest) -> HttpResponse:
    """The second step; back to the first where that is not done, or was too long ago."""
    half = request.session.get(HALF)
    person = half_logged_in(request)
    if half is None or person is None:
        return redirect("dashboard:login")
    wrong = False
    if request.method == "POST":
        if second_factor.check(request, person, request.POST.get("code", "")):
            del request.session[HALF]
            return entered(request, person, half["next"])
        wrong = True
    waiting = wrong and second_factor.too_many(request, person)
    context = {"wrong": wrong, "waiting": waiting}
    response = render(request, "care/login_code.html", context, status=429 if waiting else 200)
    return _told_to_wait(response) if waiting else response


def half_logged_in(request: HttpRequest) -> Person | None:
    """Whose password was right a moment ago, and still is."""
    half = request.session.get(HALF)
    if half is None or half["until"] < time.time():
        return None
    person = Person.objects.filter(pk=half["person"], is_active=True).first()
    if person and constant_time_compare(half["password"], person.get_session_auth_hash()):
        return person
    return None


def entered(request: HttpRequest, person: Person, address: str) -> HttpResponse:
    """Logged in, in the person's language unless this browser has chosen one."""
    login(request, person, backend=BACKEND)
    response: HttpResponse = redirect(address)
    chosen = settings.LANGUAGE_COOKIE_NAME in request.COOKIES
    if not chosen and person.language != settings.LANGUAGE_CODE:
        secure = settings.SESSION_COOKIE_SECURE
        name = settings.LANGUAGE_COOKIE_NAME
        response.set_cookie(name, person.language, samesite="Lax", secure=secure)
    return response


@open_page
def admin_login(request: HttpRequest) -> HttpResponse:
    """The admin site has no log-in of its own: one door, with both factors."""
    wanted = request.GET.get("next", "")
    hosts, secure = {request.get_host()}, request.is_secure()
    if not url_has_allowed_host_and_scheme(wanted, hosts, require_https=secure):
        wanted = reverse("admin:index")
    if not request.user.is_authenticated:
        return redirect(f"{resolve_url('dashboard:login')}?{urlencode({'next': wanted})}")
    if not (request.user.is_active and request.user.is_staff):
        raise PermissionDenied
    return redirect(wanted)


def _told_to_wait(response: HttpResponse) -> HttpResponse:
    response.headers["Retry-After"] = str(int(WINDOW.total_seconds()))
    return response
