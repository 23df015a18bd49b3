"""What a pass does about open alerts that nobody looks after: remind, then tell the next person."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db.models import Q

from server.alerts.audience import people_told_about
from server.alerts.delivery.outbox import put
from server.alerts.handling.acts import in_hand, key_of, pass_on
from server.alerts.models import Alert, Notice, Rule
from server.care.audit import note
from server.care.models import AuditEvent

# A condition can last for weeks. After this many, the alert only stays on the page.
MOST_REMINDERS = 100


def follow_up(now: datetime) -> int:
    """Queue the reminders and escalations that are due, in the caller's transaction.

    Returns how many notices were queued for.
    """
    awake = Q(snoozed_until=None) | Q(snoozed_until__lte=now)
    alerts = list(
        Alert.objects.filter(awake, resolved_at=None).select_related(
            "person", "device", "receiver", "rule__escalate_to", "origin__rule"
        )
    )
    held = in_hand(alerts)
    waiting = [alert for alert in alerts if key_of(alert) not in held]
    _forget_snoozes(alert for alert in alerts if key_of(alert) in held)
    return sum(_remind(alert, now) + _escalate(alert, now) for alert in waiting)


def _rule(alert: Alert) -> Rule | None:
    """Return the rule of the alert, or of the one it was passed on from."""
    return alert.rule or (alert.origin.rule if alert.origin else None)


def _forget_snoozes(alerts: Iterable[Alert]) -> None:
    over = [alert.pk for alert in alerts if alert.snoozed_until]
    if over:
        Alert.objects.filter(pk__in=over).update(snoozed_until=None)


def _remind(alert: Alert, now: datetime) -> bool:
    """Queue a reminder if a snooze has ended, or the rule's time has passed."""
    rule = _rule(alert)
    pause = timedelta(minutes=rule.remind_minutes) if rule and rule.remind_minutes else None
    due = alert.snoozed_until is not None or bool(
        pause and now - max(alert.waiting_since, alert.reminded_at or alert.opened_at) >= pause
    )
    if not due or alert.reminders >= MOST_REMINDERS:
        return False
    alert.reminders += 1
    put([alert], Notice.REMINDER, now, alert.reminders)
    Alert.objects.filter(pk=alert.pk).update(
        reminders=alert.reminders, reminded_at=now, snoozed_until=None
    )
    return True


def _escalate(alert: Alert, now: datetime) -> bool:
    """Tell the rule's next person if nobody has looked after it for the rule's time."""
    rule = alert.rule
    if not rule or not rule.escalate_minutes or not rule.escalate_to or alert.escalated_at:
        return False
    if now - alert.waiting_since < timedelta(minutes=rule.escalate_minutes):
        return False
    if not people_told_about(alert.person).filter(pk=rule.escalate_to.pk).exists():
        return False
    put([pass_on(alert, rule.escalate_to, now)], Notice.ESCALATED, now, alert.pk)
    Alert.objects.filter(pk=alert.pk).update(escalated_at=now)
    note(alert.receiver, AuditEvent.ALERT_ESCALATED, alert.person, _detail(alert, rule))
    return True


def _detail(alert: Alert, rule: Rule) -> str:
    return f"{alert.kind}: {rule.escalate_to.username if rule.escalate_to else ''}"
