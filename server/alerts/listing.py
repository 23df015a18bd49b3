"""Rows of alerts and rules for the page."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from server.alerts.audience import people_told_about
from server.alerts.conditions.facts import METRIC, today_of
from server.alerts.handling.acts import in_hand, key_of
from server.alerts.handling.words import state, unattended_sentence
from server.alerts.models import Acknowledgement, Alert, Kind, Rule
from server.alerts.words import advice, ending, heading, moment, rule_sentence, sentence
from server.care.access import visible_people
from server.care.models import Person
from server.session_data.summary.usual import DAYS_NEEDED, USUAL_DAYS, usual
from server.session_data.summary.views import briefs


@dataclass(frozen=True)
class AlertRow:
    """One alert as text. `session_id` is empty if the reader may not open the session."""

    person: str
    heading: str
    text: str
    opened: str
    resolved: str
    ending: str
    session_id: str
    help_at: str  # the query of the help page that names a silent device
    id: int = 0
    # Of an open alert: who looks after it, whether anybody and whether the reader does, and the
    # other people who could (user name and label).
    state: str = ""
    is_held: bool = False
    is_mine: bool = False
    others: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class RuleRow:
    """One rule as text. `waits` says which data it still needs."""

    id: int
    person: str
    kind: str
    text: str
    waits: str


def alert_rows(alerts: Sequence[Alert], viewer: Person) -> list[AlertRow]:
    """Return the rows of alerts, in the viewer's language and time zone."""
    zone, now = viewer.zone, timezone.now()
    held = in_hand(alert for alert in alerts if alert.resolved_at is None)
    others = _others(alerts, viewer)
    open_to = set(visible_people(viewer).values_list("pk", flat=True)) if alerts else set()

    def at(when: datetime | None) -> str:
        return moment(when, zone) if when else ""

    return [
        AlertRow(
            person=_("you") if alert.person == viewer else alert.person.label,
            heading=heading(alert),
            text=sentence(alert),
            opened=at(alert.opened_at),
            resolved=at(alert.resolved_at),
            ending=ending(alert),
            session_id=str(alert.session_id or "") if alert.person_id in open_to else "",
            help_at=f"?device={alert.cause}" if advice(alert) else "",
            **_handling(alert, held.get(key_of(alert)), viewer, now),
            others=others.get(alert.person_id, ()) if alert.resolved_at is None else (),
        )
        for alert in alerts
    ]


def _handling(
    alert: Alert, held: Acknowledgement | None, viewer: Person, now: datetime
) -> dict[str, Any]:
    if alert.resolved_at is not None:
        return {}
    mine = held is not None and held.by_id == viewer.pk
    told = state(alert, held, viewer, now)
    return {"id": alert.pk, "state": told, "is_held": held is not None, "is_mine": mine}


def _others(alerts: Iterable[Alert], viewer: Person) -> dict[int, list[tuple[str, str]]]:
    """Return the other people who may get alerts, by the person that open alerts are about."""
    people = {alert.person for alert in alerts if alert.resolved_at is None}
    return {
        person.pk: [
            (other.username, other.label)
            for other in people_told_about(person).exclude(pk=viewer.pk)
        ]
        for person in people
    }


def rule_rows(rules: Iterable[Rule], viewer: Person) -> list[RuleRow]:
    """Return the rows of rules, in the viewer's language."""
    return [
        RuleRow(
            id=rule.pk,
            person=_("you") if rule.person == viewer else rule.person.label,
            kind=str(Kind(rule.kind).label),
            text=" ".join(filter(None, (rule_sentence(rule), unattended_sentence(rule)))),
            waits=_waits(rule),
        )
        for rule in rules
    ]


def _waits(rule: Rule) -> str:
    """Return which data a range rule still needs; empty if none."""
    metric = METRIC.get(Kind(rule.kind))
    if metric is None:
        return ""
    today = today_of(rule.person, timezone.now())
    sessions = briefs(rule.person, today - timedelta(days=USUAL_DAYS), today)
    days = usual(sessions, metric, today).days
    return "" if days >= DAYS_NEEDED else not_enough(days)


def not_enough(days: int) -> str:
    """Return how many days with a value there are, and how many a comparison needs."""
    text = _("Not enough data yet: %(days)d of %(needed)d days.")
    return text % {"days": days, "needed": DAYS_NEEDED}
