"""Texts about who looks after an alert, in the reader's language."""

from datetime import datetime, timedelta

from django.utils.translation import gettext as _

from server.alerts.models import Acknowledgement, Alert, Delivery, Kind, Notice, Rule
from server.alerts.words import moment
from server.care.models import Person
from server.common.words import roughly


def title(delivery: Delivery) -> str:
    """Return the title of a message. It has names, but no measurement."""
    name, notice = delivery.alert.person.label, delivery.notice
    if delivery.alert.kind == Kind.RULES_ENDED:
        return _("Blinklog: your rules about %(name)s have ended") % {"name": name}
    match notice:
        case Notice.RESOLVED:
            text = _("Blinklog: alert resolved for %(name)s")
        case Notice.REMINDER:
            text = _("Blinklog: reminder of an alert for %(name)s")
        case Notice.ESCALATED:
            text = _("Blinklog: nobody is looking after an alert for %(name)s")
        case Notice.ASKED:
            text = _("Blinklog: please look after an alert for %(name)s")
        case Notice.TAKEN:
            text = _("Blinklog: somebody is looking after an alert for %(name)s")
        case _:
            text = _("Blinklog: alert for %(name)s")
    return text % {"name": name}


def reason_told(delivery: Delivery) -> str:
    """Return a sentence that says why the message was sent; empty for a new or resolved alert."""
    match delivery.notice:
        case Notice.REMINDER:
            return _("The alert is still open, and nobody is looking after it.")
        case Notice.ESCALATED:
            first = _receiver_of(delivery)
            return _("%(name)s was notified first, and nobody is looking after it.") % first
        case Notice.ASKED:
            return _("%(name)s asks you to look after it.") % _holder(delivery)
        case Notice.TAKEN:
            return _("%(name)s is looking after it.") % _holder(delivery)
    return ""


def _receiver_of(delivery: Delivery) -> dict[str, str]:
    """Return the name of the receiver whose alert was escalated."""
    first = Alert.objects.filter(pk=delivery.number).select_related("receiver").first()
    return {"name": first.receiver.label if first else _("Somebody")}


def _holder(delivery: Delivery) -> dict[str, str]:
    held = Acknowledgement.objects.filter(pk=delivery.number).select_related("by").first()
    return {"name": held.by.label if held else _("Somebody")}


def state(alert: Alert, held: Acknowledgement | None, reader: Person, now: datetime) -> str:
    """Return a sentence that says who looks after an open alert, or until when it is snoozed."""
    zone = reader.zone
    if held is not None:
        return _held(held, reader) % {
            "name": held.by.label,
            "since": moment(held.at, zone),
            "asked": held.asked.label if held.asked else "",
        }
    if alert.snoozed_until and alert.snoozed_until > now:
        return _("Snoozed until %(until)s.") % {"until": moment(alert.snoozed_until, zone)}
    return _("Nobody is looking after it yet.")


def _held(held: Acknowledgement, reader: Person) -> str:
    if held.asked_id == reader.pk:
        return _("%(name)s asks you to look after it.")
    if held.by_id != reader.pk:
        return _("%(name)s has been looking after it since %(since)s.")
    if held.asked is not None:
        return _("You asked %(asked)s to look after it. Until they do, it is yours.")
    return _("You have been looking after it since %(since)s.")


def unattended_sentence(rule: Rule) -> str:
    """Return what a rule does while nobody looks after its alert; empty for nothing."""
    parts = []
    if rule.remind_minutes:
        text = _("Reminds you every %(span)s until somebody looks after it.")
        parts.append(text % {"span": roughly(timedelta(minutes=rule.remind_minutes))})
    if rule.escalate_minutes and rule.escalate_to:
        text = _("Notifies %(name)s after %(span)s.")
        told = {
            "name": rule.escalate_to.label,
            "span": roughly(timedelta(minutes=rule.escalate_minutes)),
        }
        parts.append(text % told)
    return " ".join(parts)
