"""A forgotten password: a link by e-mail to a confirmed address, or whom to ask.

It is in this app because the address is the one for alerts, whose owner has confirmed it. The
answer is the same for every name, and the account is looked up beside the request, so that neither
text nor time says who has one. A second factor stays on.

A link leads to the server's public address, and not to the host that the request named: whoever
asks could choose that one. It ends if the person changes or removes the e-mail address.
"""

import contextlib
import logging
import threading
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.core.exceptions import ValidationError
from django.db import Error, connection
from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _

from server.alerts.delivery import mail
from server.alerts.delivery.outbox import SendError
from server.alerts.forms import ForgottenForm
from server.alerts.models import Receiver
from server.care import attempts
from server.care.accounts import save_password, set_checked_password
from server.care.forms import NewPasswordForm
from server.care.models import Person, named
from server.care.pages.base import add_errors, open_page, with_retry_after
from server.common.names import case_mapped

log = logging.getLogger(__name__)

# Most links in 15 minutes for the same name, for the same account, and from the same network.
MOST_LINKS = 3
MOST_LINKS_FROM_ONE_PLACE = 20
# Accounts of one address that get a link.
MOST_ACCOUNTS = 5


class _Links(PasswordResetTokenGenerator):
    """Django's tokens, which end when the password is changed, and with the e-mail address too."""

    key_salt = "blinklog.recovery"

    def _make_hash_value(self, user: Any, timestamp: int) -> str:
        told = _confirmed().filter(person=user).values_list("confirmed_email", flat=True).first()
        return f"{super()._make_hash_value(user, timestamp)}{told or ''}"


LINKS = _Links()


def is_possible() -> bool:
    """Return whether this server can send links."""
    return mail.configured() and bool(settings.PUBLIC_URL)


@open_page
def forgotten(request: HttpRequest) -> HttpResponse:
    """Send a link to choose a new password, where this server sends e-mail."""
    form = ForgottenForm(request.POST or None)
    context = {"form": form, "mail_configured": is_possible()}
    if request.method != "POST" or not is_possible() or not form.is_valid():
        return render(request, "alerts/forgotten.html", context)
    name = form.cleaned_data["name"].strip()
    try:
        attempts.begin(
            {
                f"forgotten\0{case_mapped(name).casefold()}": MOST_LINKS,
                **attempts.by_network("forgotten from", request, MOST_LINKS_FROM_ONE_PLACE),
            }
        )
    except attempts.TooManyError:
        response = render(request, "alerts/forgotten.html", context | {"waiting": True}, status=429)
        return with_retry_after(response)
    beside(lambda: _send(name))
    text = _("If an account with a confirmed e-mail address has this name, a link was sent to it.")
    messages.success(request, text)
    return redirect("dashboard:login")


def _accounts(name: str) -> list[tuple[Person, str]]:
    """Return the accounts of a user name or a confirmed address, with their addresses."""
    if "\x00" in name:
        return []
    told = _confirmed().select_related("person")
    person = named(Person.objects.all(), name)
    mine = told.filter(person=person) if person else told.filter(confirmed_email__iexact=name)
    found = [(each.person, each.confirmed_email) for each in mine[:MOST_ACCOUNTS]]
    return [each for each in found if each[0].is_active and each[0].has_usable_password()]


def _confirmed() -> QuerySet[Receiver]:
    """Return the receivers whose present e-mail address is confirmed."""
    return Receiver.objects.exclude(confirmed_email="").filter(email=F("confirmed_email"))


def beside(job: Callable[[], None]) -> None:
    """Run a job in a thread of its own."""

    def run() -> None:
        try:
            job()
        finally:
            connection.close()

    threading.Thread(target=run, daemon=True).start()


def _send(name: str) -> None:
    """Send a link to each account of this name. Errors are logged: nobody waits for an answer."""
    try:
        for person, address in _accounts(name):
            with contextlib.suppress(attempts.TooManyError):  # whatever the name was written like
                attempts.begin({f"forgotten by\0{person.pk}": MOST_LINKS})
                path = reverse("alerts:reset", args=[person.pk, LINKS.make_token(person)])
                mail.send(mail.new_password(person, address, f"{settings.PUBLIC_URL}{path}"))
    except (SendError, Error) as error:
        log.warning("a link for a new password could not be sent: %s", error)


@open_page
def reset(request: HttpRequest, person_id: int, token: str) -> HttpResponse:
    """Choose a new password, by the link of an e-mail. It works once, for an hour."""
    person = Person.objects.filter(pk=person_id, is_active=True).first()
    if person is None or not LINKS.check_token(person, token):
        messages.error(request, _("This link is invalid or has expired. Request a new one below."))
        return redirect("alerts:forgotten")
    form = NewPasswordForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            set_checked_password(person, form.cleaned_data["password"])
        except ValidationError as error:
            add_errors(form, error)
        else:
            save_password(person, person, "by e-mail")
            messages.success(request, _("Password changed. Log in with the new one."))
            return redirect("dashboard:login")
    context = {"form": form, "person": person}
    return render(request, "alerts/reset.html", context, status=400 if form.errors else 200)
