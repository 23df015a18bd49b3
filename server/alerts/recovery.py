"""A forgotten password: a link by e-mail to a confirmed address, or whom to ask.

It is in this app because the address is the one for alerts, whose owner has confirmed it. The
answer is the same for every name, and the e-mail is sent beside the request, so that neither text
nor time says who has an account. A second factor stays on.
"""

import logging
import threading
from collections.abc import Iterable

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.tokens import default_token_generator
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _

from server.alerts.delivery import mail
from server.alerts.delivery.outbox import SendError
from server.alerts.forms import ForgottenForm
from server.alerts.models import Receiver
from server.care import guesses
from server.care.accounts import save_password, set_checked_password
from server.care.forms import NewPasswordForm
from server.care.models import Person, named
from server.care.pages.base import add_errors, open_page, with_retry_after

log = logging.getLogger(__name__)

# Most links in 15 minutes for the same name or address, and from the same network.
MOST_LINKS = 3
MOST_LINKS_FROM_ONE_PLACE = 20
# Accounts of one address that get a link.
MOST_ACCOUNTS = 5


@open_page
def forgotten(request: HttpRequest) -> HttpResponse:
    """Send a link to choose a new password, where this server sends e-mail."""
    form = ForgottenForm(request.POST or None)
    context = {"form": form, "mail_configured": mail.configured()}
    if request.method != "POST" or not mail.configured() or not form.is_valid():
        return render(request, "alerts/forgotten.html", context)
    name = form.cleaned_data["name"].strip()
    try:
        guesses.begin(
            {
                f"forgotten\0{name.casefold()}": MOST_LINKS,
                **guesses.by_network("forgotten from", request, MOST_LINKS_FROM_ONE_PLACE),
            }
        )
    except guesses.TooManyError:
        response = render(request, "alerts/forgotten.html", context | {"waiting": True}, status=429)
        return with_retry_after(response)
    _send(request, _accounts(name))
    text = _("If an account with a confirmed e-mail address has this name, a link was sent to it.")
    messages.success(request, text)
    return redirect("dashboard:login")


def _accounts(name: str) -> list[tuple[Person, str]]:
    """Return the accounts of a user name or a confirmed address, with their addresses."""
    if "\x00" in name:
        return []
    told = Receiver.objects.exclude(confirmed_email="").select_related("person")
    person = named(Person.objects.all(), name)
    mine = told.filter(person=person) if person else told.filter(confirmed_email__iexact=name)
    found = [(each.person, each.confirmed_email) for each in mine[:MOST_ACCOUNTS]]
    return [each for each in found if each[0].is_active and each[0].has_usable_password()]


def _send(request: HttpRequest, accounts: Iterable[tuple[Person, str]]) -> None:
    letters = []
    for person, address in accounts:
        path = reverse("alerts:reset", args=[person.pk, default_token_generator.make_token(person)])
        own = settings.PUBLIC_URL or request.build_absolute_uri("/").rstrip("/")
        letters.append(mail.new_password(person, address, f"{own}{path}"))

    def post() -> None:
        for letter in letters:
            try:
                mail.send(letter)
            except SendError as error:
                log.warning("a link for a new password could not be sent: %s", error)

    if letters:
        threading.Thread(target=post, daemon=True).start()


@open_page
def reset(request: HttpRequest, person_id: int, token: str) -> HttpResponse:
    """Choose a new password, by the link of an e-mail. It works once, for an hour."""
    person = Person.objects.filter(pk=person_id, is_active=True).first()
    if person is None or not default_token_generator.check_token(person, token):
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
