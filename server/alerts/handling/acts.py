"""Acknowledge, give back, snooze and hand over an open alert.

An acknowledgement belongs to the condition (person, kind and cause), not to one receiver's alert:
everybody who has an alert about it sees who looks after it. The measured person reads each action
in their log.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet

from server.alerts.audience import may_be_told, people_told_about
from server.alerts.delivery.outbox import put
from server.alerts.models import Acknowledgement, Alert, Kind, Notice
from server.care.audit import note
from server.care.models import AuditEvent, Person

# How long an alert can be snoozed, in minutes.
SNOOZES = (15, 60, 4 * 60, 12 * 60)

Key = tuple[int, str, str]  # person's primary key, kind, cause


class NotPossibleError(Exception):
    """The action is not possible now. `code` says why: `over`, `not_yours` or `not_allowed`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def key_of(alert: Alert) -> Key:
    """Return what the alerts about the same condition have in common."""
    return alert.person_id, alert.kind, alert.cause


def alerts_about(key: Key) -> QuerySet[Alert]:
    """Return the open alerts about a condition, of all receivers."""
    person, kind, cause = key
    return Alert.objects.filter(person=person, kind=kind, cause=cause, resolved_at=None)


def in_hand(alerts: Iterable[Alert]) -> dict[Key, Acknowledgement]:
    """Return the acknowledgements that hold now, by condition."""
    people = {alert.person_id for alert in alerts}
    held = Acknowledgement.objects.filter(person__in=people, ended_at=None)
    return {
        (each.person_id, each.kind, each.cause): each for each in held.select_related("by", "asked")
    }


def acknowledge(alert: Alert, now: datetime) -> Acknowledgement:
    """Let the alert's receiver look after its condition, and tell the other receivers.

    They take over from whoever looked after it before. Raises `NotPossibleError`.
    """
    by = alert.receiver
    with transaction.atomic():
        others = _lock(alert)
        held = _held(alert)
        if held is not None and held.by_id == by.pk:
            return held
        if held is not None:
            _end(held, now)
        person, kind, cause = key_of(alert)
        made = Acknowledgement.objects.create(
            person_id=person, kind=kind, cause=cause, by=by, at=now
        )
        put([each for each in others if each.receiver_id != by.pk], Notice.TAKEN, now, made.pk)
        _log(alert, AuditEvent.ALERT_TAKEN)
    return made


def give_back(alert: Alert, now: datetime) -> None:
    """End the receiver's acknowledgement. Reminders and escalation begin anew.

    Raises `NotPossibleError`.
    """
    with transaction.atomic():
        _lock(alert)
        held = _own(alert)
        _end(held, now)
        alerts_about(key_of(alert)).update(waiting_since=now, escalated_at=None)
        _log(alert, AuditEvent.ALERT_GIVEN_BACK)


def snooze(alert: Alert, minutes: int, now: datetime) -> datetime:
    """Pause the receiver's reminders, and the escalation, for some minutes. Returns the end.

    The receiver is reminded once when it ends. Raises `NotPossibleError`.
    """
    until = now + timedelta(minutes=minutes)
    with transaction.atomic():
        _lock(alert)
        Alert.objects.filter(pk=alert.pk).update(snoozed_until=until, waiting_since=until)
        _log(alert, AuditEvent.ALERT_SNOOZED, f"{minutes} min")
    return until


def hand_over(alert: Alert, to: Person, now: datetime) -> None:
    """Ask somebody else to look after the condition. The receiver does until they acknowledge.

    Raises `NotPossibleError`, with `not_allowed` if they may not get alerts about the person.
    """
    if to.pk == alert.receiver_id or not people_told_about(alert.person).filter(pk=to.pk).exists():
        raise NotPossibleError("not_allowed")
    held = acknowledge(alert, now)
    with transaction.atomic():
        _lock(alert)
        if not Acknowledgement.objects.filter(pk=held.pk, ended_at=None).update(asked=to):
            raise NotPossibleError("not_yours")
        put([pass_on(alert, to, now)], Notice.ASKED, now, held.pk)
        _log(alert, AuditEvent.ALERT_HANDED_OVER, to.username)


def pass_on(alert: Alert, to: Person, now: datetime) -> Alert:
    """Return somebody's open alert about the same condition; make one if they have none."""
    theirs = alerts_about(key_of(alert)).filter(receiver=to).first()
    return theirs or Alert.objects.create(
        receiver=to,
        person=alert.person,
        kind=alert.kind,
        cause=alert.cause,
        device=alert.device,
        session_id=alert.session_id,
        measured=alert.measured,
        opened_at=now,
        waiting_since=now,
        origin=alert.origin or alert,
    )


def end_without_alerts(alerts: Iterable[Alert], now: datetime) -> None:
    """End the acknowledgements of resolved alerts' conditions that have no open alert left."""
    for key in {key_of(alert) for alert in alerts}:
        if not alerts_about(key).exists():
            person, kind, cause = key
            held = Acknowledgement.objects.filter(person=person, kind=kind, cause=cause)
            held.filter(ended_at=None).update(ended_at=now)


def _lock(alert: Alert) -> list[Alert]:
    """Lock and return the open alerts about the condition. Raises `NotPossibleError` if over."""
    locked = alerts_about(key_of(alert)).select_for_update(of=("self",)).order_by("pk")
    found = list(locked.select_related("receiver", "person"))
    if alert.kind == Kind.RULES_ENDED or alert.pk not in {each.pk for each in found}:
        raise NotPossibleError("over")
    if not may_be_told(alert):
        raise NotPossibleError("not_allowed")
    return found


def _held(alert: Alert) -> Acknowledgement | None:
    person, kind, cause = key_of(alert)
    same = Acknowledgement.objects.filter(person=person, kind=kind, cause=cause, ended_at=None)
    return same.first()


def _own(alert: Alert) -> Acknowledgement:
    held = _held(alert)
    if held is None or held.by_id != alert.receiver_id:
        raise NotPossibleError("not_yours")
    return held


def _end(held: Acknowledgement, now: datetime) -> None:
    Acknowledgement.objects.filter(pk=held.pk).update(ended_at=now)


def _log(alert: Alert, event: AuditEvent, more: str = "") -> None:
    detail = f"{alert.kind}: {more}" if more else str(alert.kind)
    note(alert.receiver, event, alert.person, detail)
