"""How a person is notified: the form, on its own page and on a rule's, and a test message."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _

from server.alerts.delivery import apprise, mail, ntfy, webhook
from server.alerts.delivery.outbox import SendError, reschedule
from server.alerts.forms import ReceiverForm
from server.alerts.models import Receiver, Way
from server.care import attempts
from server.care.audit import note
from server.care.forms import PasswordForm
from server.care.models import AuditEvent, Person
from server.care.pages.base import action, form_page, viewer_of
from server.care.pages.passwords import knows_password

CONFIRM_S = 24 * 3600
SALT = "blinklog.alerts.email"
# Most confirmation links in 15 minutes: to the same e-mail address or for the same user, and from
# the same IP address, which an institution may share. The e-mail address may belong to a stranger,
# who must not be flooded. The same limits hold for test messages.
MOST_LINKS = 5
MOST_LINKS_FROM_ONE_PLACE = 30


@form_page
def ways(request: HttpRequest) -> HttpResponse:
    """Edit e-mail, webhook and quiet hours."""
    form = told_form(request)
    if request.method == "POST" and form.is_bound and form.is_valid():
        save_told(request, form)
        return redirect("alerts:ways")
    receiver = Receiver.objects.filter(person=viewer_of(request)).first()
    context = {
        "form": form,
        "receiver": receiver,
        "ways": [(way.value, way.label) for way in receiver.ways()] if receiver else [],
        "mail_configured": mail.configured(),
    }
    return render(request, "alerts/ways.html", context, status=400 if form.errors else 200)


def told_form(request: HttpRequest) -> ReceiverForm:
    """Return the viewer's form. It is bound if the request has its fields."""
    viewer = viewer_of(request)
    receiver = Receiver.objects.filter(person=viewer).first()
    if receiver is None:
        email = viewer.email if mail.configured() else ""
        receiver = Receiver(person=viewer, email=email, by_email=True)
    mine = set(ReceiverForm.base_fields) & set(request.POST)
    return ReceiverForm(request.POST if mine else None, instance=receiver)


def save_told(request: HttpRequest, form: ReceiverForm) -> None:
    """Save a valid form, and send a link to an unconfirmed address."""
    receiver = form.save()
    reschedule(receiver)
    _ask_to_confirm(request, receiver)


def _ask_to_confirm(request: HttpRequest, receiver: Receiver) -> None:
    """Report that the settings are saved; send a link to an unconfirmed address."""
    if not receiver.by_email or receiver.email == receiver.confirmed_email:
        messages.success(request, _("Notifications saved."))
        return
    try:
        attempts.begin(_limits(request, receiver))
    except attempts.TooManyError:
        messages.error(
            request,
            _(
                "Saved, but too many links were requested. Please wait 15 minutes, then save "
                "this form again to get a new one."
            ),
        )
        return
    _send_link(request, receiver)


def _limits(request: HttpRequest, receiver: Receiver) -> attempts.Limits:
    return {
        f"confirm\0{receiver.person_id}": MOST_LINKS,
        f"confirm to\0{receiver.email.casefold()}": MOST_LINKS,
        **attempts.by_network("confirm from", request, MOST_LINKS_FROM_ONE_PLACE),
    }


def _send_link(request: HttpRequest, receiver: Receiver) -> None:
    token = signing.dumps({"person": receiver.person_id, "email": receiver.email}, salt=SALT)
    # Not the host that the request names, where there is another: it is in somebody's e-mail.
    site = settings.PUBLIC_URL or request.build_absolute_uri("/").rstrip("/")
    link = f"{site}{reverse('alerts:confirm')}?{urlencode({'t': token})}"
    try:
        mail.send_confirmation(receiver.email, link)
    except SendError:
        messages.error(request, _("Saved, but the confirmation link could not be sent."))
    else:
        told = _("A confirmation link was sent to %(email)s. Open it to receive alerts there.")
        messages.success(request, told % {"email": receiver.email})


@form_page
def confirm(request: HttpRequest) -> HttpResponse:
    """Confirm an address: opening the link that was sent there, logged in, proves ownership.

    It asks for the password, because the address can replace a forgotten one: who finds a browser
    logged in must not be able to take over the account.
    """
    viewer = viewer_of(request)
    mine = Receiver.objects.filter(person=viewer, email=_proven(request, viewer))
    receiver = mine.first()
    if receiver is None:
        messages.error(request, _("This link is invalid or has expired. Request a new one below."))
        return redirect("alerts:ways")
    form = PasswordForm(request.POST or None)
    if request.method == "POST" and form.is_valid() and knows_password(request, form, "password"):
        mine.update(confirmed_email=receiver.email)
        note(viewer, AuditEvent.ADDRESS_CONFIRMED, viewer, receiver.email)
        messages.success(request, _("E-mail address confirmed."))
        return redirect("alerts:ways")
    context = {"form": form, "email": receiver.email}
    return render(request, "alerts/confirm.html", context, status=400 if form.errors else 200)


def _proven(request: HttpRequest, viewer: Person) -> str | None:
    """Return the viewer's address that the link was sent to; `None` without a valid link."""
    try:
        told: dict[str, Any] = signing.loads(request.GET.get("t", ""), salt=SALT, max_age=CONFIRM_S)
    except signing.BadSignature:
        return None
    return told["email"] if told["person"] == viewer.pk else None


@action
def send_test(request: HttpRequest) -> HttpResponse:
    """Send a test message now, whatever the quiet hours: on the channel `way`, or on each."""
    receiver = Receiver.objects.filter(person=viewer_of(request)).first()
    chosen = request.POST.get("way")
    ways = [way for way in receiver.ways() if chosen in (None, way)] if receiver else []
    if receiver is None or not ways:
        messages.error(request, _("There is no channel to test yet."))
        return redirect("alerts:ways")
    try:
        attempts.begin(_limits(request, receiver))
    except attempts.TooManyError:
        messages.error(request, _("Too many test messages. Please wait 15 minutes."))
        return redirect("alerts:ways")
    for way in ways:
        _test(request, receiver, way)
    return redirect("alerts:ways")


TESTS: dict[Way, Callable[[Receiver], None]] = {
    Way.EMAIL: mail.send_test,
    Way.WEBHOOK: webhook.post_test,
    Way.NTFY: ntfy.push_test,
    Way.APPRISE: apprise.send_test,
}


def _test(request: HttpRequest, receiver: Receiver, way: Way) -> None:
    try:
        TESTS[way](receiver)
    except SendError as error:
        text = _("%(way)s: the test message failed: %(reason)s")
        messages.error(request, text % {"way": way.label, "reason": error})
    else:
        messages.success(request, _("%(way)s: a test message was sent.") % {"way": way.label})
