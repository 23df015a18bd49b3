"""Rows of alerts and rules for the page."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _

from server.alerts.conditions.facts import METRIC
from server.alerts.conditions.usual import DAYS_NEEDED, SESSIONS_NEEDED
from server.alerts.models import Alert, Kind, Rule, UsualRange
from server.alerts.words import ending, heading, moment, rule_sentence, sentence
from server.care.access import visible_people
from server.care.models import Person


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
    zone = viewer.zone
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
        )
        for alert in alerts
    ]


def rule_rows(rules: Iterable[Rule], viewer: Person) -> list[RuleRow]:
    """Return the rows of rules, in the viewer's language."""
    rules = list(rules)
    usual = _usual_ranges(rules)
    return [
        RuleRow(
            id=rule.pk,
            person=_("you") if rule.person == viewer else rule.person.label,
            kind=str(Kind(rule.kind).label),
            text=rule_sentence(rule),
            waits=_waits(rule, usual.get((rule.person_id, METRIC.get(Kind(rule.kind), "")))),
        )
        for rule in rules
    ]


def _usual_ranges(rules: Sequence[Rule]) -> dict[tuple[int, str], UsualRange]:
    """Return the usual ranges that the rules compare with, by person and metric."""
    people = {rule.person_id for rule in rules if rule.kind in METRIC}
    found = UsualRange.objects.filter(person__in=people)
    return {(each.person_id, each.metric): each for each in found}


def _waits(rule: Rule, usual: UsualRange | None) -> str:
    """Return which data a range rule still needs; empty if none."""
    if rule.kind not in METRIC:
        return ""
    if usual is None:
        return _("This rule starts with the next session that is long enough and of good quality.")
    return _not_enough(usual) if usual.median is None else ""


def _not_enough(usual: UsualRange) -> str:
    text = _(
        "Not enough data yet: %(sessions)d of %(sessions_needed)d sessions, on %(days)d of "
        "%(days_needed)d days."
    )
    return text % {
        "sessions": usual.sessions,
        "sessions_needed": SESSIONS_NEEDED,
        "days": usual.days,
        "days_needed": DAYS_NEEDED,
    }
