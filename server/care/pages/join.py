"""Pages for people with a code: accept an invitation, or activate an account.

The browser's session keeps the code from the first page to the last, so that people can log in or
sign up in between. Wrong codes count towards the same limit as everywhere else. A link
with a code only fills in the form: opening it, as an image on any page would, tries nothing.
"""

from typing import TypeVar

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from server.care import attempts, sharing
from server.care.accounts import activate, may_sign_up, sign_up, sign_up_mode
from server.care.forms import CodeForm, NewPasswordForm, SignUpForm
from server.care.models import Activation, Invitation, Person
from server.care.pages.base import action, add_errors, open_page, viewer_of, with_retry_after
from server.care.pages.login import finish_login
from server.care.words import given_words
from server.care.wrong_codes import attempt
from server.common.codes import NotACodeError, normalised

Kind = TypeVar("Kind", Invitation, Activation)

CODE = "code"
# Maximum number of accounts from one address within `attempts.WINDOW`: enough for a home or clinic.
MOST_ACCOUNTS = 10


@open_page
def join(request: HttpRequest, code: str = "") -> HttpResponse:
    """Take a code that was typed, or filled in from the URL."""
    is_sent = request.method == "POST"
    form = CodeForm(request.POST if is_sent else None, initial={"code": code})
    if not is_sent or not form.is_valid():
        return render(request, "care/join.html", {"form": form})
    typed = normalised(form.cleaned_data["code"])
    try:
        with attempt(request, typed):
            found = sharing.found(typed)
    except attempts.TooManyError:
        context = {"form": form, "waiting": True}
        return with_retry_after(render(request, "care/join.html", context, status=429))
    except NotACodeError:
        form.add_error("code", _("This code is wrong, expired or already used."))
        return render(request, "care/join.html", {"form": form})
    request.session[CODE] = typed
    return redirect("care:activate" if isinstance(found, Activation) else "care:accept")


@open_page
def accept(request: HttpRequest) -> HttpResponse:
    """Show what the invitation grants; accept it on POST."""
    invitation = _pending(request, Invitation)
    if invitation is None:
        return redirect("care:join")
    if request.method == "POST" and request.user.is_authenticated:
        return _accepted(request, invitation, viewer_of(request))
    context = {
        "invitation": invitation,
        "given": given_words(invitation.permissions),
        "is_mine": request.user == invitation.person,
        "may_sign_up": may_sign_up(invitation),
    }
    return render(request, "care/accept.html", context)


def _accepted(request: HttpRequest, invitation: Invitation, viewer: Person) -> HttpResponse:
    try:
        link = sharing.accept(invitation, viewer)
    except sharing.OwnInvitationError:
        messages.error(request, _("This is your own invitation. Someone else has to accept it."))
        return redirect("care:sharing")
    except NotACodeError:
        messages.error(request, _("This invitation has already been used or withdrawn."))
        return redirect("care:sharing")
    finally:
        request.session.pop(CODE, None)
    given, name = given_words(link.permissions), link.person.label
    text = _("%(name)s now shares with you: %(given)s.") % {"name": name, "given": given}
    messages.success(request, text)
    return redirect("dashboard:people")


@action
def refuse(request: HttpRequest) -> HttpResponse:
    """Decline: forget the code in this browser. The code itself stays valid."""
    request.session.pop(CODE, None)
    return redirect("dashboard:people")


@open_page
def activate_page(request: HttpRequest) -> HttpResponse:
    """Set the first password of an account that an institution admin created."""
    activation = _pending(request, Activation)
    if activation is None:
        return redirect("care:join")
    form = NewPasswordForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            person = activate(activation, form.cleaned_data["password"])
        except ValidationError as error:
            add_errors(form, error)
        except NotACodeError:
            return redirect("care:join")
        else:
            return _entered(request, person)
    return render(request, "care/activate.html", {"form": form, "person": activation.person})


@open_page
def sign_up_page(request: HttpRequest) -> HttpResponse:
    """Create an account, if the settings and the invitation allow it."""
    invitation = _pending(request, Invitation)
    if request.user.is_authenticated:
        return redirect(settings.LOGIN_REDIRECT_URL)
    if not may_sign_up(invitation):
        if sign_up_mode() == "closed":
            raise Http404
        return redirect("care:join")
    form = SignUpForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            attempts.begin(attempts.by_network("sign up", request, MOST_ACCOUNTS))
            person = _signed_up(form, invitation)
        except attempts.TooManyError:
            context = {"form": form, "waiting": True}
            return with_retry_after(render(request, "care/sign_up.html", context, status=429))
        except ValidationError as error:
            add_errors(form, error)
        except NotACodeError:
            messages.error(request, _("This invitation has already been used or withdrawn."))
            return redirect("care:join")
        else:
            return _entered(request, person)
    given = given_words(invitation.permissions) if invitation else ""
    context = {"form": form, "invitation": invitation, "given": given}
    return render(request, "care/sign_up.html", context)


def _entered(request: HttpRequest, person: Person) -> HttpResponse:
    """Log the person in; their code is used up."""
    request.session.pop(CODE, None)
    return finish_login(request, person, settings.LOGIN_REDIRECT_URL)


def _signed_up(form: SignUpForm, invitation: Invitation | None) -> Person:
    """Create the account and accept the invitation in one transaction.

    So one invitation allows one account. Raises `ValidationError`, or `NotACodeError` if the
    invitation has been used in the meantime.
    """
    asked = form.cleaned_data
    language = get_language()
    with transaction.atomic():
        person = sign_up(
            asked["username"],
            asked["password"],
            name=asked["name"],
            timezone=asked["timezone"] or "UTC",
            language=language if language in dict(settings.LANGUAGES) else settings.LANGUAGE_CODE,
        )
        if invitation:
            sharing.accept(invitation, person)
    return person


def _pending(request: HttpRequest, kind: type[Kind]) -> Kind | None:
    """Return the invitation or activation of the code in this browser's session, if still valid."""
    found = sharing.find(request.session.get(CODE, ""))
    return found if isinstance(found, kind) else None
