"""The buttons of an open alert, and the page of the link in a message."""

from collections.abc import Callable
from datetime import timedelta

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt

from server.alerts.audience import alerts_of, people_told_about
from server.alerts.handling import acts
from server.alerts.handling.links import delivery_of
from server.alerts.models import Alert, Delivery
from server.alerts.words import heading
from server.care.models import named
from server.care.pages.base import action, open_page, viewer_of
from server.common.words import roughly

GONE = 410


def snoozes() -> list[tuple[int, str]]:
    """Return for how long an alert can be snoozed: minutes and text."""
    return [(minutes, roughly(timedelta(minutes=minutes))) for minutes in acts.SNOOZES]


def _alert(request: HttpRequest, alert_id: int) -> Alert:
    found = alerts_of(viewer_of(request)).select_related("receiver", "origin", "device")
    alert = found.filter(pk=alert_id).first()
    if alert is None:
        raise Http404
    return alert


def _done(request: HttpRequest, act: Callable[[], object], told: str) -> HttpResponse:
    """Do it, say so or why it was not possible, and go back to the alerts."""
    try:
        act()
    except acts.NotPossibleError as error:
        messages.error(request, refusal(error.code))
    else:
        messages.success(request, told)
    return redirect("alerts:alerts")


def refusal(code: str) -> str:
    """Return why an action was not possible."""
    return {
        "over": _("This alert is resolved already."),
        "not_yours": _("Somebody else is looking after it now."),
    }.get(code) or _("This person may not get these alerts.")


@action
def acknowledge(request: HttpRequest, alert_id: int) -> HttpResponse:
    """Look after the alert. Everybody who has it sees that."""
    alert = _alert(request, alert_id)
    done = _("You are looking after it. The others see that.")
    return _done(request, lambda: acts.acknowledge(alert, timezone.now()), done)


@action
def give_back(request: HttpRequest, alert_id: int) -> HttpResponse:
    """Stop looking after the alert."""
    alert = _alert(request, alert_id)
    done = _("You are no longer looking after it. Nobody is looking after it now.")
    return _done(request, lambda: acts.give_back(alert, timezone.now()), done)


@action
def snooze(request: HttpRequest, alert_id: int) -> HttpResponse:
    """Pause the reminders for a time."""
    alert, given = _alert(request, alert_id), request.POST.get("minutes", "")
    if given not in map(str, acts.SNOOZES):
        raise Http404
    done = _("Snoozed for %(span)s.") % {"span": roughly(timedelta(minutes=int(given)))}
    return _done(request, lambda: acts.snooze(alert, int(given), timezone.now()), done)


@action
def hand_over(request: HttpRequest, alert_id: int) -> HttpResponse:
    """Ask somebody else to look after the alert."""
    alert, given = _alert(request, alert_id), request.POST.get("to", "")
    to = named(people_told_about(alert.person), given.replace("\x00", ""))
    if to is None:
        raise Http404
    done = _("%(name)s was asked. Until they take over, it is yours.") % {"name": to.label}
    return _done(request, lambda: acts.hand_over(alert, to, timezone.now()), done)


@csrf_exempt  # the token is a secret; a phone's button sends no cookie
@open_page
def by_link(request: HttpRequest, token: str) -> HttpResponse:
    """Look after the alert of a message. Opening the link only shows the button."""
    delivery = delivery_of(token)
    if delivery is None:
        raise Http404
    alert = delivery.alert
    with translation.override(alert.receiver.mail_language):
        told, status = _by_link(request, delivery)
        context = {
            "told": told or _("Press the button, and everybody who has this alert sees it."),
            "can_act": not told,
            "heading": heading(alert),
            "name": alert.person.label,
        }
        return render(request, "alerts/by_link.html", context, status=status)


def _by_link(request: HttpRequest, delivery: Delivery) -> tuple[str, int]:
    """Return a sentence and a status; no sentence while the link can be used."""
    if delivery.acted_at is not None:
        return _("This link was used already."), GONE if request.method == "POST" else 200
    if delivery.alert.resolved_at is not None:
        return refusal("over"), 200
    if request.method != "POST":
        return "", 200
    now = timezone.now()
    if not Delivery.objects.filter(pk=delivery.pk, acted_at=None).update(acted_at=now):
        return _("This link was used already."), GONE
    try:
        acts.acknowledge(delivery.alert, now)
    except acts.NotPossibleError as error:
        return refusal(error.code), GONE
    return _("You are looking after it. The others see that."), 200
