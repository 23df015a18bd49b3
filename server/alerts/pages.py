"""The pages of alerts: open and past alerts, and rules.

Users can only open their own rules, about people who share alerts with them; anything else is a
404.
"""

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _

from server.alerts.audience import alerts_of, note_reading, people_to_watch, rules_of
from server.alerts.delivery import mail
from server.alerts.delivery.troubles import troubles
from server.alerts.forms import FIELDS, RuleForm
from server.alerts.handling.pages import snoozes
from server.alerts.judge import forget
from server.alerts.listing import alert_rows, rule_rows
from server.alerts.models import Kind, Receiver, Rule
from server.alerts.receiving import save_told, told_form
from server.care.pages.base import action, form_page, read_page, viewer_of
from server.devices.models import Device

NEWEST = 50


@read_page
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
        "failing": troubles(viewer),
        "snoozes": snoozes(),
    }
    return render(request, "alerts/alerts.html", context)


@read_page
def choose(request: HttpRequest) -> HttpResponse:
    """Choose the person and the kind of a new rule."""
    viewer = viewer_of(request)
    people = list(people_to_watch(viewer))
    username, kind = request.GET.get("person", ""), request.GET.get("kind", "")
    if username in {person.username for person in people} and kind in FIELDS:
        return redirect("alerts:add", username, kind)
    kinds = [(each.value, each.label) for each in FIELDS]
    # Who has no device makes rules about others.
    if not Device.objects.filter(person=viewer).exists():
        people.sort(key=lambda each: each == viewer)
    context = {"people": people, "kinds": kinds, "viewer": viewer, "chosen": username}
    return render(request, "alerts/choose.html", context)


@form_page
def add(request: HttpRequest, username: str, kind: str) -> HttpResponse:
    """Add a rule."""
    viewer = viewer_of(request)
    person = people_to_watch(viewer).filter(username=username.replace("\x00", "")).first()
    if person is None or kind not in FIELDS:
        raise Http404
    rule = Rule(receiver=viewer, person=person, kind=kind)
    return _rule_form(request, rule)


@form_page
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
    told = told_form(request)
    if request.method == "POST" and form.is_valid() and (not told.is_bound or told.is_valid()):
        if refusal := _refusal(form.save(commit=False)):
            form.add_error(None, refusal)
        else:
            _save(rule)
            messages.success(request, _("Rule saved. It is checked every minute."))
            if told.is_bound and told.is_new:
                save_told(request, told)
            return redirect("alerts:alerts")
    context = {"form": form, "rule": rule, "is_you": rule.person_id == rule.receiver_id}
    context |= {"told": told, "mail_configured": mail.configured()}
    wrong = form.errors or (told.is_bound and told.errors)
    return render(request, "alerts/rule.html", context, status=400 if wrong else 200)


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


@action
def remove(request: HttpRequest, rule_id: int) -> HttpResponse:
    """Delete a rule. Its alerts stay among the past alerts."""
    rule = _rule(request, rule_id)
    with transaction.atomic():
        forget(rule)
        rule.delete()
    messages.success(request, _("Rule deleted."))
    return redirect("alerts:alerts")
