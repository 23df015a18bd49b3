"""Browser log-in: user name and password, then a code if the person has a second factor.

Until the code is entered, the person is not logged in: the session only records, for five minutes,
that the password was right.
"""

import time
from typing import Any

from django.conf import settings
from django.contrib.auth import login
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, LogoutView
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.urls import reverse
from django.utils.crypto import constant_time_compare
from django.utils.http import url_has_allowed_host_and_scheme, urlencode

from server.care import second_factor
from server.care.accounts import sign_up_mode
from server.care.known_browsers import remember
from server.care.login import too_many_failures
from server.care.models import Person
from server.care.pages.base import open_page, with_retry_after
from server.care.pages.kept import WHO, remember_who
from server.care.pages.language import settle

PENDING = "half_logged_in"
PENDING_S = 300
BACKEND = settings.AUTHENTICATION_BACKENDS[0]


class LogIn(LoginView):
    """Log in by user name and password, with a message when the rate limit is reached."""

    template_name = "dashboard/login.html"
    redirect_authenticated_user = True
    extra_context = {"sign_up_mode": sign_up_mode}

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        """Log the person in, or redirect to the second factor."""
        person: Any = form.get_user()
        if not second_factor.is_on(person):
            return finish_login(self.request, person, self.get_success_url())
        self.request.session.cycle_key()
        self.request.session[PENDING] = {
            "person": person.pk,
            "password": person.get_session_auth_hash(),
            "until": time.time() + PENDING_S,
            "next": self.get_success_url(),
        }
        return redirect("care:login-code")

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        """Show the form again; with status 429 if the rate limit is reached."""
        waiting = too_many_failures(self.request, form.data.get("username", ""))
        context = self.get_context_data(form=form, waiting=waiting)
        response = self.render_to_response(context, status=429 if waiting else 200)
        return with_retry_after(response) if waiting else response


class LogOut(LogoutView):
    """Log out, and forget who it was."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Log the person out."""
        response = super().post(request, *args, **kwargs)
        response.delete_cookie(WHO, samesite="Lax")
        return response


@open_page
def login_code(request: HttpRequest) -> HttpResponse:
    """Ask for the second factor; redirect to the log-in if the password is missing or too old."""
    pending = request.session.get(PENDING)
    person = pending_login(request)
    if pending is None or person is None:
        return redirect("dashboard:login")
    wrong = False
    if request.method == "POST":
        if second_factor.check(request, person, request.POST.get("code", "")):
            del request.session[PENDING]
            return finish_login(request, person, pending["next"])
        wrong = True
    waiting = wrong and second_factor.too_many(request, person)
    context = {"wrong": wrong, "waiting": waiting}
    response = render(request, "care/login_code.html", context, status=429 if waiting else 200)
    return with_retry_after(response) if waiting else response


def pending_login(request: HttpRequest) -> Person | None:
    """Return the person whose password was right within the last five minutes and is unchanged."""
    pending = request.session.get(PENDING)
    if pending is None or pending["until"] < time.time():
        return None
    person = Person.objects.filter(pk=pending["person"], is_active=True).first()
    if person and constant_time_compare(pending["password"], person.get_session_auth_hash()):
        return person
    return None


def finish_login(request: HttpRequest, person: Person, address: str) -> HttpResponse:
    """Log the person in and redirect to `address`.

    The browser's cookie keeps the person's language for the log-in page.
    """
    settle(person)
    login(request, person, backend=BACKEND)
    response: HttpResponse = redirect(address)
    remember(response, person.username)
    remember_who(response, person)
    if person.language:
        secure = settings.SESSION_COOKIE_SECURE
        name = settings.LANGUAGE_COOKIE_NAME
        response.set_cookie(name, person.language, samesite="Lax", secure=secure)
    return response


@open_page
def admin_login(request: HttpRequest) -> HttpResponse:
    """Redirect the admin site's log-in to the normal one, which asks for the second factor."""
    wanted = request.GET.get("next", "")
    hosts, secure = {request.get_host()}, request.is_secure()
    if not url_has_allowed_host_and_scheme(wanted, hosts, require_https=secure):
        wanted = reverse("admin:index")
    if not request.user.is_authenticated:
        return redirect(f"{resolve_url('dashboard:login')}?{urlencode({'next': wanted})}")
    if not (request.user.is_active and request.user.is_staff):
        raise PermissionDenied
    return redirect(wanted)
