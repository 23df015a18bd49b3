"""The pages of alerts: open and past alerts, rules, and notification settings.

Users can only open their own rules, about people who share alerts with them; anything else is a
404.
"""

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core import signing
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from server.alerts.audience import alerts_of, note_reading, people_to_watch, rules_of
from server.alerts.delivery import mail
from server.alerts.delivery.outbox import SendError, reschedule
from server.alerts.forms import FIELDS, ReceiverForm, RuleForm
from server.alerts.judge import forget
from server.alerts.listing import alert_rows, rule_rows
from server.alerts.models import Delivery, Kind, Receiver, Rule
from server.care import guesses
from server.care.models import Person
from server.care.pages.base import viewer_of

NEWEST = 50
CONFIRM_S = 24 * 3600
SALT = "blinklog.alerts.email"
# Most confirmation links in 15 minutes: to the same e-mail address or for the same user, and from
# the same IP address, which an institution may share. The e-mail address may belong to a stranger,
# who must not be flooded.
MOST_LINKS = 5
MOST_LINKS_FROM_ONE_PLACE = 30


@never_cache
@require_safe
@login_required
def alerts(request: HttpRequest) -> HttpResponse:
    """Show open and past alerts, and the rules."""
    viewer = viewer_of(request)
    mine = alerts_of(viewer)
    open_now = list(mine.filter(resolved_at=None))
    past = list(mine.exclude(resolved_at=None)[: NEWEST + 1])
    note_reading(viewer, [*open_now, *past])
    receiver = Receiver.objects.filter(person=viewer).first()
    context = {
        "open": alert_rows(open_now, viewer),
        "past": alert_rows(past[:NEWEST], viewer),
        "more": len(past) > NEWEST,
        "rules": rule_rows(rules_of(viewer), viewer),
        "ways": [way.label for way in receiver.ways()] if receiver else [],
        "receiver": receiver,
        "failing": _failing(viewer),
    }
    return render(request, "alerts/alerts.html", context)


def _failing(viewer: Person) -> list[str]:
    """Return the channels on which unsent notifications have failed."""
    troubled = Delivery.objects.filter(alert__receiver=viewer, sent_at=None, attempts__gt=0)
    return sorted(set(troubled.values_list("way", flat=True)[:NEWEST]))


@never_cache
@require_safe
@login_required
def choose(request: HttpRequest) -> HttpResponse:
    """Choose the person and the kind of a new rule."""
    viewer = viewer_of(request)
    people = list(people_to_watch(viewer))
    username, kind = request.GET.get("person", ""), request.GET.get("kind", "")
    if username in {person.username for person in people} and kind in Kind.values:
        return redirect("alerts:add", username, kind)
    return render(
        request, "alerts/choose.html", {"people": people, "kinds": Kind.choices, "viewer": viewer}
    )


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def add(request: HttpRequest, username: str, kind: str) -> HttpResponse:
    """Add a rule."""
    viewer = viewer_of(request)
    person = people_to_watch(viewer).filter(username=username.replace("\x00", "")).first()
    if person is None or kind not in Kind.values:
        raise Http404
    rule = Rule(receiver=viewer, person=person, kind=kind)
    return _rule_form(request, rule)


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def change(request: HttpRequest, rule_id: int) -> HttpResponse:
    """Edit a rule of the viewer."""
    return _rule_form(request, _rule(request, rule_id))


def _rule(request: HttpRequest, rule_id: int) -> Rule:
    found = rules_of(viewer_of(request)).filter(pk=rule_id).first()
    if found is None:
        raise Http404
    return found


def _rule_form(request: HttpRequest, rule: Rule) -> HttpResponse:
    form = RuleForm(request.POST or None, instance=rule, kind=Kind(rule.kind))
    if request.method == "POST" and form.is_valid():
        if refusal := _refusal(form.save(commit=False)):
            form.add_error(None, refusal)
        else:
            _save(rule)
            messages.success(request, _("Rule saved. It is checked every minute."))
            return redirect("alerts:alerts")
    context = {"form": form, "rule": rule, "is_you": rule.person_id == rule.receiver_id}
    return render(request, "alerts/rule.html", context, status=400 if form.errors else 200)


def _refusal(rule: Rule) -> str | None:
    """Return why a valid rule can't be saved, or `None`."""
    mine = Rule.objects.filter(receiver=rule.receiver)
    if rule.pk is None and mine.count() >= Rule.MOST:
        return _("You already have %(n)d rules, the maximum. Delete one first.") % {"n": Rule.MOST}
    limits = {name: getattr(rule, name) for name in FIELDS[Kind(rule.kind)]}
    same = mine.filter(person=rule.person, kind=rule.kind, **limits).exclude(pk=rule.pk)
    return _("You already have this rule.") if same.exists() else None


def _save(rule: Rule) -> None:
    with transaction.atomic():
        if rule.pk is not None:
            forget(rule)
        rule.changed_at = timezone.now()
        rule.save()


@never_cache
@login_required
@require_POST
def remove(request: HttpRequest, rule_id: int) -> HttpResponse:
    """Delete a rule. Its alerts stay among the past alerts."""
    rule = _rule(request, rule_id)
    with transaction.atomic():
        forget(rule)
        rule.delete()
    messages.success(request, _("Rule deleted."))
    return redirect("alerts:alerts")


# Notification settings


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def ways(request: HttpRequest) -> HttpResponse:
    """Edit e-mail, webhook and quiet hours."""
    viewer = viewer_of(request)
    receiver, _made = Receiver.objects.get_or_create(
        person=viewer, defaults={"email": viewer.email}
    )
    form = ReceiverForm(request.POST or None, instance=receiver)
    if request.method == "POST" and form.is_valid():
        receiver = form.save()
        reschedule(receiver)
        _ask_to_confirm(request, receiver)
        return redirect("alerts:ways")
    shown = Receiver.objects.get(pk=receiver.pk)
    context = {"form": form, "receiver": shown, "mail_configured": mail.configured()}
    return render(request, "alerts/ways.html", context, status=400 if form.errors else 200)


def _ask_to_confirm(request: HttpRequest, receiver: Receiver) -> None:
    """Report that the settings are saved; send a link to an unconfirmed address."""
    if not receiver.by_email or receiver.email == receiver.confirmed_email:
        messages.success(request, _("Saved."))
        return
    try:
        guesses.begin(_limits(request, receiver))
    except guesses.TooManyError:
        messages.error(
            request,
            _(
                "Saved, but too many links were requested. Please wait 15 minutes, then save "
                "this form again to get a new one."
            ),
        )
        return
    _send_link(request, receiver)


def _limits(request: HttpRequest, receiver: Receiver) -> guesses.Limits:
    return {
        f"confirm\0{receiver.person_id}": MOST_LINKS,
        f"confirm to\0{receiver.email.casefold()}": MOST_LINKS,
        **guesses.by_network("confirm from", request, MOST_LINKS_FROM_ONE_PLACE),
    }


def _send_link(request: HttpRequest, receiver: Receiver) -> None:
    token = signing.dumps({"person": receiver.person_id, "email": receiver.email}, salt=SALT)
    link = request.build_absolute_uri(f"{reverse('alerts:confirm')}?{urlencode({'t': token})}")
    try:
        mail.send_confirmation(receiver.email, link)
    except SendError:
        messages.error(request, _("Saved, but the confirmation link could not be sent."))
    else:
        told = _("A confirmation link was sent to %(email)s. Open it to receive alerts there.")
        messages.success(request, told % {"email": receiver.email})


@never_cache
@require_safe
@login_required
def confirm(request: HttpRequest) -> HttpResponse:
    """Confirm an address: opening the link that was sent there, logged in, proves ownership."""
    viewer = viewer_of(request)
    try:
        told: dict[str, Any] = signing.loads(request.GET.get("t", ""), salt=SALT, max_age=CONFIRM_S)
    except signing.BadSignature:
        told = {}
    mine = Receiver.objects.filter(person=viewer, email=told.get("email", ""))
    good = bool(told) and told.get("person") == viewer.pk
    if good and mine.update(confirmed_email=told["email"]):
        messages.success(request, _("E-mail address confirmed."))
    else:
        messages.error(request, _("This link is invalid or has expired. Request a new one below."))
    return redirect("alerts:ways")
