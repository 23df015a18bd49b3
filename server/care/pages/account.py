"""Account pages: profile, password, second factor, and apps with access."""

from base64 import b32encode
from datetime import timedelta
from typing import Any

import segno
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone, translation
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from server.care import second_factor
from server.care.accounts import (
    ENDED_SHOWN,
    PasswordChangedError,
    change_password,
    end_token,
    ended_tokens,
    issue_token,
)
from server.care.forms import (
    AppForm,
    ChangePasswordForm,
    PasswordForm,
    ProfileForm,
    SecondFactorCodeForm,
)
from server.care.institutions import administered_by
from server.care.models import Person, PersonToken, TokenEnd
from server.care.pages.base import action, add_errors, form_page, viewer_of
from server.care.pages.once import show_once
from server.care.pages.passwords import knows_password
from server.care.words import date_words, moment_words
from server.common.days import validate_timezone

MOST_ENDED = 20  # shown on the account page
SOON = timedelta(days=14)  # before an expiry: time to replace the token


@form_page
def account(request: HttpRequest) -> HttpResponse:
    """Show the account; the form edits name, time zone and language."""
    person = Person.objects.get(pk=viewer_of(request).pk)
    form = ProfileForm(request.POST or None, instance=person)
    if request.method == "POST" and form.is_valid():
        form.instance.save(update_fields=list(form.fields))
        translation.activate(form.instance.language)
        messages.success(request, _("Saved."))
        return redirect("care:account")
    viewer = viewer_of(request)
    context = {
        "form": form,
        "second_factor": second_factor.is_on(viewer),
        "codes_left": second_factor.recovery_codes_left(viewer),
        "institution": administered_by(viewer),
        "apps": [_app(token, viewer) for token in PersonToken.live(viewer)],
        "ended_apps": [_app(token, viewer) for token in ended_tokens(viewer)[:MOST_ENDED]],
        "ended_days": ENDED_SHOWN.days,
    }
    return render(request, "care/account.html", context)


@action
def zone(request: HttpRequest) -> HttpResponse:
    """Save the time zone that the browser proposed, and go back."""
    viewer, name = viewer_of(request), request.POST.get("timezone", "")
    try:
        validate_timezone(name)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        Person.objects.filter(pk=viewer.pk).update(timezone=name)
        messages.success(request, _("Saved."))
    back = request.POST.get("next", "")
    own = url_has_allowed_host_and_scheme(back, {request.get_host()}, request.is_secure())
    return redirect(back if own else "care:account")


def _app(token: PersonToken, reader: Person) -> dict[str, Any]:
    zone = reader.zone
    ended_at = token.revoked_at or token.expires_at
    return {
        "token": token,
        "made": moment_words(token.created_at, zone),
        "used": token.last_used_at and moment_words(token.last_used_at, zone),
        "until": date_words(token.expires_at, zone),
        "is_ending": token.expires_at - timezone.now() < SOON,
        "ended": date_words(ended_at, zone),
        "why": token.get_ended_why_display() if token.revoked_at else _("expired"),
    }


@form_page
def password(request: HttpRequest) -> HttpResponse:
    """Change the password; log out all other browsers."""
    person = viewer_of(request)
    form = ChangePasswordForm(request.POST or None)
    if request.method == "POST" and form.is_valid() and knows_password(request, form, "old"):
        try:
            ended = change_password(person, form.cleaned_data["password"])
        except ValidationError as error:
            add_errors(form, error)
        else:
            update_session_auth_hash(request, person)
            messages.success(request, _("Password changed. Other browsers are logged out."))
            if ended:
                names = ", ".join(token.name for token in ended)
                messages.warning(
                    request, _("These apps must log in again: %(apps)s") % {"apps": names}
                )
            return redirect("care:account")
    return render(request, "care/password.html", {"form": form})


@form_page
def second_factor_page(request: HttpRequest) -> HttpResponse:
    """Set up the second factor: show the secret to scan, and confirm it with a first code."""
    person = viewer_of(request)
    if second_factor.is_on(person):
        return redirect("care:account")
    form = SecondFactorCodeForm(request.POST or None)
    device = second_factor.begin(person)
    if request.method == "POST" and form.is_valid() and knows_password(request, form, "password"):
        codes = second_factor.confirm(person, form.cleaned_data["code"])
        if codes is not None:
            return show_once(request, "recovery codes", {"codes": codes})
        form.add_error("code", _("Wrong code. Check that your phone's clock is correct."))
    context = {"form": form, "picture": _picture(device.config_url), "secret": _secret(device)}
    return render(request, "care/second_factor.html", context)


@form_page
def second_factor_off(request: HttpRequest) -> HttpResponse:
    """Turn the second factor off; asks for the password."""
    person = viewer_of(request)
    form = PasswordForm(request.POST or None)
    if request.method == "POST" and form.is_valid() and knows_password(request, form, "password"):
        second_factor.turn_off(person, person)
        messages.success(
            request, _("Two-factor authentication is off. You log in with your password only.")
        )
        return redirect("care:account")
    return render(request, "care/second_factor_off.html", {"form": form})


@form_page
def recovery_codes(request: HttpRequest) -> HttpResponse:
    """Replace the recovery codes; asks for the password."""
    person = viewer_of(request)
    if not second_factor.is_on(person):
        return redirect("care:account")
    form = PasswordForm(request.POST or None)
    if request.method == "POST" and form.is_valid() and knows_password(request, form, "password"):
        codes = second_factor.new_recovery_codes(person)
        return show_once(request, "recovery codes", {"codes": codes})
    return render(request, "care/new_recovery_codes.html", {"form": form})


@form_page
def new_app(request: HttpRequest) -> HttpResponse:
    """Issue an API token and show it once; asks for the password."""
    form = AppForm(request.POST or None)
    if request.method == "POST" and form.is_valid() and knows_password(request, form, "password"):
        asked = form.cleaned_data
        life = timedelta(days=asked["days"])
        try:
            token, text = issue_token(viewer_of(request), asked["name"], asked["scope"], life)
        except PasswordChangedError:
            return redirect("care:account")
        until = date_words(token.expires_at, viewer_of(request).zone)
        told = {"name": token.name, "get_scope_display": token.get_scope_display()}
        return show_once(request, "token", {"token": told, "text": text, "until": until})
    return render(request, "care/app_new.html", {"form": form})


@action
def revoke_app(request: HttpRequest, token_id: int) -> HttpResponse:
    """Revoke an app's API token."""
    token = get_object_or_404(PersonToken.live(viewer_of(request)), pk=token_id)
    end_token(token, TokenEnd.REVOKED)
    messages.success(request, _("App access revoked."))
    return redirect("care:account")


def _picture(text: str) -> SafeString:
    """Return the QR code as inline SVG, so that no other host sees the secret."""
    svg = segno.make(text, error="m").svg_inline(scale=5, border=4, light="#fff", omitsize=True)
    return mark_safe(svg)


def _secret(device: Any) -> str:
    """Return the secret for typing: base32 in groups of four."""
    text = b32encode(device.bin_key).decode().rstrip("=")
    return " ".join(text[start : start + 4] for start in range(0, len(text), 4))
