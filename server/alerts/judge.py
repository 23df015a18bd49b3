"""One pass over the rules: compare their findings with the open alerts.

Passes may run concurrently and at any rate. A pass locks the single `Pass` row while it writes,
compares with the alerts open at that moment, and writes nothing if a later pass has already run.
"""

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import Error, IntegrityError, transaction
from django.utils import timezone

from server.alerts.audience import ended_rules, live_rules
from server.alerts.conditions.facts import METRIC, gather, today_of
from server.alerts.conditions.findings import Finding, findings
from server.alerts.delivery.outbox import put, put_resolved
from server.alerts.handling.acts import end_without_alerts
from server.alerts.handling.follow_ups import follow_up
from server.alerts.models import Alert, Kind, Notice, Pass, Rule, Why
from server.common.logs import place_of
from server.monitoring.models import Sign
from server.monitoring.signs import ALIVE, CONSUMER

log = logging.getLogger(__name__)

# A timer runs a pass every minute. A longer pause than this means that the server was off.
OFF_AFTER = timedelta(minutes=5)
# A range alert is closed after this long without another comparable session.
OLD = timedelta(days=7)
ONLY = 1  # primary key of the single `Pass` row

Key = tuple[int, str]  # rule's primary key, cause


@dataclass(frozen=True)
class Judged:
    """The result of a pass."""

    rules: int
    opened: int
    resolved: int


def judge(now: datetime | None = None) -> Judged:
    """Run a pass: open and resolve alerts, and queue their notifications in the outbox."""
    now = now or timezone.now()
    last = _last_pass(now)
    withdrawn = _end_rules(now)
    rules = list(live_rules())
    found, failed = _found(rules, now, last)
    with transaction.atomic():
        held = Pass.objects.select_for_update().get(pk=ONLY)
        if held.at > now:
            return Judged(len(rules), 0, withdrawn)
        opened, resolved = _apply(rules, found, failed, now)
        follow_up(now)
        Pass.objects.filter(pk=ONLY).update(
            at=now, since=last.since, consuming_since=last.consuming_since
        )
    return Judged(len(rules), opened, resolved + withdrawn)


def _last_pass(now: datetime) -> Pass:
    """Return the last pass, updated at `now`: a long pause restarts `since`."""
    last, made = Pass.objects.get_or_create(pk=ONLY, defaults={"at": now, "since": now})
    if made:  # first pass ever: the server may have been running for a long time
        last.at = last.since = now - timedelta(days=1)
    elif now - last.at > OFF_AFTER:
        last.since = now
    heard = Sign.objects.filter(pk=CONSUMER).values_list("at", flat=True).first()
    if heard is not None and now - heard > ALIVE:
        last.consuming_since = now
    return last


def _found(rules: Sequence[Rule], now: datetime, last: Pass) -> tuple[list[Finding], set[int]]:
    """Return the findings, and the primary keys of rules that failed.

    A bug, an unexpected document or a deleted person only affects the rules that it concerns. If a
    set of rules fails, each half is tried separately, so that finding one bad rule among many takes
    few queries.
    """
    try:
        return list(findings(rules, gather(rules, now, last))), set()
    except Exception as error:
        if isinstance(error, Error) and not isinstance(error, IntegrityError):
            raise  # the database is down, which affects all rules
        if len(rules) == 1:
            log.error("rule %d failed: %s", rules[0].pk, place_of(error))
            return [], {rules[0].pk}
    half = len(rules) // 2
    parts = [_found(part, now, last) for part in (rules[:half], rules[half:])]
    return parts[0][0] + parts[1][0], parts[0][1] | parts[1][1]


def _apply(
    rules: Iterable[Rule], found: Iterable[Finding], failed: Collection[int], now: datetime
) -> tuple[int, int]:
    """Open and resolve alerts, and return how many of each. Those of `failed` rules stay as is."""
    open_now = {
        (alert.rule_id or -alert.pk, alert.cause): alert
        for alert in Alert.objects.filter(resolved_at=None, origin=None).select_related(
            "person", "device"
        )
    }
    by_key = _of_unchanged_rules(found)
    live = {rule.pk for rule in rules}
    fresh = [
        _alert(finding, now)
        for key, finding in by_key.items()
        if finding.opens and key not in open_now
    ]
    over = {
        alert: why
        for key, alert in open_now.items()
        if alert.rule_id not in failed
        if (why := _why_over(alert, by_key.get(key), live, now))
    }
    put(Alert.objects.bulk_create(fresh), Notice.OPENED, now)
    _resolve(over, now)
    return len(fresh), len(over)


def _of_unchanged_rules(found: Iterable[Finding]) -> dict[Key, Finding]:
    """Return the findings by rule and cause.

    Rules changed or deleted since they were read are left to the next pass.
    """
    unchanged = dict(Rule.objects.values_list("pk", "changed_at"))
    return {
        (each.rule.pk, each.cause): each
        for each in found
        if unchanged.get(each.rule.pk) == each.rule.changed_at
    }


def _alert(finding: Finding, now: datetime) -> Alert:
    rule = finding.rule
    return Alert(
        rule=rule,
        receiver=rule.receiver,
        person=rule.person,
        kind=rule.kind,
        cause=finding.cause,
        device=finding.device,
        session_id=finding.session_id,
        measured=finding.measured,
        opened_at=now,
        waiting_since=now,
    )


def _why_over(
    alert: Alert, finding: Finding | None, live: Collection[int], now: datetime
) -> Why | None:
    """Return why an open alert is over, or `None` if it is not."""
    if alert.rule_id is None or alert.rule_id not in live:
        return Why.WITHDRAWN
    if finding is None:
        return _why_cleared(alert, now)
    if finding.inside is None:
        return Why.OLD if alert.kind in METRIC and now - alert.opened_at > OLD else None
    newer = finding.inside > datetime.fromisoformat(alert.measured["ended_at"])
    return Why.CLEARED if newer else None


def _why_cleared(alert: Alert, now: datetime) -> Why:
    """Return why an alert without a finding is over."""
    if alert.kind == Kind.NO_SESSION and today_of(alert.person, now).isoformat() != alert.cause:
        return Why.DAY_OVER
    if alert.kind == Kind.LONG_CLOSURES:
        return Why.SESSION_OVER
    if alert.kind == Kind.DEVICE_SILENT and not _still_theirs(alert):
        return Why.WITHDRAWN
    return Why.CLEARED


def _still_theirs(alert: Alert) -> bool:
    device = alert.device
    return bool(device and device.revoked_at is None and device.person_id == alert.person_id)


def _resolve(over: Mapping[Alert, Why], now: datetime) -> None:
    """Resolve alerts, and those that were passed on from them to other receivers."""
    whys = {alert.pk: why for alert, why in over.items()}
    passed_on = Alert.objects.filter(origin__in=whys, resolved_at=None).select_related("person")
    alerts = [*over, *passed_on]
    for alert in alerts:
        alert.resolved_at, alert.why = now, whys[alert.origin_id or alert.pk]
    Alert.objects.bulk_update(alerts, ["resolved_at", "why"], batch_size=500)
    put_resolved(alerts, now)
    end_without_alerts(alerts, now)


def _end_rules(now: datetime) -> int:
    """Delete rules whose receivers may no longer get alerts, and tell the receivers.

    Returns how many open alerts this resolved.
    """
    resolved = 0
    with transaction.atomic():
        ended: dict[tuple[int, int], list[Rule]] = defaultdict(list)
        for rule in ended_rules().select_for_update(of=("self",)):
            ended[rule.receiver_id, rule.person_id].append(rule)
        told = []
        for rules in ended.values():
            alerts = list(Alert.objects.filter(rule__in=rules, resolved_at=None))
            resolved += len(alerts)
            _resolve(dict.fromkeys(alerts, Why.WITHDRAWN), now)
            told.append(_told_of_end(rules, now))
        put(Alert.objects.bulk_create(told), Notice.OPENED, now)
        Rule.objects.filter(pk__in=[rule.pk for each in ended.values() for rule in each]).delete()
    return resolved


def _told_of_end(rules: Sequence[Rule], now: datetime) -> Alert:
    return Alert(
        receiver=rules[0].receiver,
        person=rules[0].person,
        kind=Kind.RULES_ENDED,
        cause=Kind.RULES_ENDED,
        measured={"kinds": [rule.kind for rule in rules]},
        opened_at=now,
        resolved_at=now,
        why=Why.WITHDRAWN,
    )


def forget(rule: Rule, now: datetime | None = None) -> None:
    """Close the open alerts of a rule that is changed or deleted, without notifications."""
    now = now or timezone.now()
    with transaction.atomic():
        alerts = list(Alert.objects.select_for_update().filter(rule=rule, resolved_at=None))
        _resolve(dict.fromkeys(alerts, Why.CHANGED), now)
