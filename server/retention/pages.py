"""The pages of a person's own data: retention, export and deletion.

Users can only export and delete their own data here. Before a deletion, the page shows the amounts,
offers the export and asks for the password again.
"""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ImproperlyConfigured
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from server.care.audit import note
from server.care.forms import PasswordForm
from server.care.models import AuditEvent, Person
from server.care.pages.base import action, form_page, viewer_of
from server.care.pages.passwords import knows_password
from server.common.mqtt import BrokerError
from server.common.words import long_day
from server.retention import choosing
from server.retention.deletion import Scope, amounts, delete_account, delete_sessions, moment_of
from server.retention.everything import everything
from server.retention.forms import RangeForm, RetentionForm
from server.retention.tidying import days_kept


@form_page
def data(request: HttpRequest) -> HttpResponse:
    """Show the stored amounts and the retention time, and save the latter."""
    person = viewer_of(request)
    kept = days_kept(person)
    form = RetentionForm(request.POST or None, initial={"days": kept})
    if request.method == "POST" and form.is_valid():
        days = form.cleaned_data["days"]
        if choosing.is_shorter(days, kept):
            return redirect(f"{reverse('retention:shorten')}?days={days}")
        choosing.choose(person, days)
        messages.success(request, _("Saved."))
        return redirect("retention:data")
    context = {
        "form": form,
        "ranges": RangeForm(),
        "there": amounts(person),
        "kept": kept,
        "coming": choosing.coming(person),
    }
    return render(request, "retention/data.html", context, status=400 if form.errors else 200)


@form_page
def shorten(request: HttpRequest) -> HttpResponse:
    """Confirm a shorter retention time, after saying what will be deleted and when."""
    person = viewer_of(request)
    asked = RetentionForm(request.GET)
    days = asked.cleaned_data["days"] if asked.is_valid() else None
    if days is None or not choosing.is_shorter(days, days_kept(person)):
        return redirect("retention:data")
    form = PasswordForm(request.POST or None)
    if request.method == "POST" and form.is_valid() and knows_password(request, form, "password"):
        choosing.choose(person, days)
        messages.success(request, _("Saved. The shorter time applies from tomorrow."))
        return redirect("retention:data")
    context = {"form": form, "coming": choosing.preview(person, days)}
    return render(request, "retention/shorten.html", context, status=_status(form))


@action
def keep(request: HttpRequest) -> HttpResponse:
    """Cancel a shorter retention time before it applies."""
    if choosing.take_back(viewer_of(request)):
        messages.success(
            request, _("The change was cancelled. The retention time stays as it was.")
        )
    else:
        messages.error(request, _("There was no change to cancel."))
    return redirect("retention:data")


@action  # type: ignore[arg-type] # a streaming response is a response too
def export(request: HttpRequest) -> StreamingHttpResponse:
    """Return everything as a zip file."""
    person = viewer_of(request)
    note(person, AuditEvent.EXPORTED, person, "everything")
    response = StreamingHttpResponse(everything(person), content_type="application/zip")
    name = f"blinklog-{timezone.now():%Y-%m-%d}.zip"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@form_page
def delete_range(request: HttpRequest) -> HttpResponse:
    """Delete the sessions of some days; without valid days, show the form to choose them."""
    form = RangeForm(request.GET)
    if not form.is_valid():
        context = {"ranges": form, "there": amounts(viewer_of(request))}
        return render(request, "retention/range.html", context)
    return _delete(request, Scope(first=form.cleaned_data["first"], last=form.cleaned_data["last"]))


@form_page
def delete_session(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """Delete one of the user's own sessions."""
    scope = Scope(session_id=session_id)
    if not scope.sessions(viewer_of(request)).exists():
        raise Http404
    return _delete(request, scope)


def _delete(request: HttpRequest, scope: Scope) -> HttpResponse:
    person = viewer_of(request)
    form = PasswordForm(request.POST or None)
    if request.method == "POST" and form.is_valid() and knows_password(request, form, "password"):
        when = _when(person, scope)
        done = delete_sessions(person, scope, by=person)
        messages.success(request, _deleted_words(done.sessions, when))
        return redirect("retention:data")
    context = {
        "form": form,
        "scope": scope,
        "n": scope.sessions(person).count(),
        "when": _when(person, scope),
    }
    return render(request, "retention/delete.html", context, status=_status(form))


def _when(person: Person, scope: Scope) -> str:
    """Return day and time of the scope's one session, or its first and last day."""
    if scope.first and scope.last:
        words = {"first": long_day(scope.first), "last": long_day(scope.last)}
        return _("%(first)s to %(last)s") % words
    session = scope.sessions(person).first()
    if session is None:  # deleted meanwhile
        return ""
    begun = moment_of(session)
    return f"{long_day(begun.date())}, {begun:%H:%M}"


def _deleted_words(n: int, when: str) -> str:
    text = ngettext(
        "%(n)d session was deleted: %(when)s.", "%(n)d sessions were deleted: %(when)s.", n
    )
    return text % {"n": n, "when": when}


@form_page
def delete_everything(request: HttpRequest) -> HttpResponse:
    """Delete the account and everything about its owner."""
    person = viewer_of(request)
    form = PasswordForm(request.POST or None)
    if request.method == "POST" and form.is_valid() and knows_password(request, form, "password"):
        try:
            account = Person.objects.get(
                pk=person.pk
            )  # the real instance, not the request's lazy object
            done = delete_account(account, by=account)
        except (BrokerError, ImproperlyConfigured):
            form.add_error(
                None,
                _(
                    "Nothing was deleted, because the broker could not be reached. Your devices "
                    "may already be blocked. Try again later."
                ),
            )
        else:
            request.session.flush()  # not `logout`, because the user no longer exists
            request.user = AnonymousUser()
            return render(request, "retention/gone.html", {"done": done})
    context = {"form": form, "there": amounts(person)}
    return render(request, "retention/delete_account.html", context, status=_status(form))


def _status(form: PasswordForm) -> int:
    return 400 if form.errors else 200
