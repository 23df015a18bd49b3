"""Check whether a rule's condition holds. Pure: facts in, findings out; no clock, no database."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from server.alerts.conditions.facts import METRIC, Facts, Row, today_of
from server.alerts.conditions.timely import CHECKPOINT_SLACK, END_SLACK, is_timely
from server.alerts.models import Kind, Measured, Rule
from server.common.fields import instant_text
from server.devices.models import HEARD_WITHIN, Device

# After a server outage, documents from that time take a while to arrive.
ARRIVING = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of a rule for one cause.

    `opens` means that the condition holds and an alert should open. If false, an open alert stays
    open: the condition holds but the data came late, or there is no new data. No finding means
    the condition has cleared; `inside` is when.
    """

    rule: Rule
    cause: str
    opens: bool
    measured: Measured = field(default_factory=dict)
    device: Device | None = None
    session_id: UUID | None = None
    inside: datetime | None = None


def findings(rules: Iterable[Rule], facts: Facts) -> Iterator[Finding]:
    """Yield the findings of all rules."""
    for rule in rules:
        yield from JUDGES[Kind(rule.kind)](rule, facts)


def silent_devices(rule: Rule, facts: Facts) -> Iterator[Finding]:
    """Find devices that have been offline for longer than `minutes`."""
    for device in facts.devices.get(rule.person_id, ()):
        heard = device.last_seen_at
        if heard is None:
            continue
        span = timedelta(minutes=rule.minutes or 0)
        # Time in which the server itself was off says nothing about a device.
        listening = [facts.since]
        if device.online:  # no last will received: not offline until its next status is overdue
            span = max(span, HEARD_WITHIN)
            listening.append(facts.consuming_since)
        if facts.now - heard > span:
            measured = {
                "device": device.label,
                "since": instant_text(heard),
                "minutes": rule.minutes,
            }
            opens = all(facts.now - since > span for since in listening if since)
            yield Finding(rule, str(device.pk), opens, measured, device)


def missing_session(rule: Rule, facts: Facts) -> Iterator[Finding]:
    """Find a day without a session by the rule's time, in the person's time zone."""
    today = today_of(rule.person, facts.now)
    if rule.by is None or str(today.isoweekday()) not in rule.weekdays:
        return
    zone = rule.person.zone
    deadline = datetime.combine(today, rule.by, zone)
    if facts.now < deadline or rule.changed_at > deadline:
        return
    if (rule.person_id, today) in facts.measured_days:
        return
    listening = facts.since is None or facts.now - facts.since >= ARRIVING
    measured = {"by": f"{rule.by:%H:%M}", "day": today.isoformat()}
    yield Finding(rule, today.isoformat(), listening, measured)


def long_closures(rule: Rule, facts: Facts) -> Iterator[Finding]:
    """Find running sessions that reach the rule's number or duration of long closures."""
    for session in facts.under_way.get(rule.person_id, ()):
        count, longest = session["long_closure_count"], session["longest_closure_s"]
        many = rule.closures is not None and count is not None and count >= rule.closures
        long = rule.closure_s is not None and longest is not None and longest >= rule.closure_s
        if many or long:
            measured = {
                "started_at": instant_text(session["started_at"]),
                "count": count,
                "longest_s": longest,
                "closures": rule.closures,
                "closure_s": rule.closure_s,
            }
            fresh = facts.now - session["updated_at"] <= CHECKPOINT_SLACK
            opens = fresh and is_timely(session, CHECKPOINT_SLACK)
            session_id = session["id"]
            yield Finding(rule, str(session_id), opens, measured, session_id=session_id)


def outside_usual(rule: Rule, facts: Facts) -> Iterator[Finding]:
    """Find the day of the newest trustworthy session, if its value is outside the usual range."""
    metric = METRIC[Kind(rule.kind)]
    key = (rule.person_id, metric)
    session, usual, value = facts.newest.get(key), facts.usual.get(key), facts.values.get(key)
    span = usual.range(rule.spread or 1) if usual else None
    if session is None or usual is None or value is None or span is None:
        yield Finding(rule, metric, False)  # no new session, or no usual range
        return
    if span.low <= value <= span.high:
        yield Finding(rule, metric, False, inside=session["ended_at"])
        return
    measured = {
        "value": value,
        "low": span.low,
        "high": span.high,
        "days": usual.days,
        "activity": facts.activities.get(key),
        "ended_at": instant_text(session["ended_at"]),
    }
    opens = _just_ended(session, facts.now) and is_timely(session, END_SLACK)
    yield Finding(rule, metric, opens, measured, session_id=session["id"])


def _just_ended(session: Row, now: datetime) -> bool:
    """Return whether the server received the end recently; `is_timely` checks when it happened."""
    return bool(now - session["updated_at"] <= timedelta(hours=2))


JUDGES: dict[Kind, Callable[[Rule, Facts], Iterator[Finding]]] = {
    Kind.DEVICE_SILENT: silent_devices,
    Kind.NO_SESSION: missing_session,
    Kind.LONG_CLOSURES: long_closures,
    Kind.BLINK_RATE: outside_usual,
    Kind.PERCLOS: outside_usual,
}
