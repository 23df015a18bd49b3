"""The data that a pass reads. The number of queries does not grow with the number of people."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from server.alerts.conditions.timely import COLUMNS
from server.alerts.conditions.trust import TRUST_COLUMNS, metrics_to_trust, trusted
from server.alerts.models import Kind, Pass, Rule
from server.care.models import Person
from server.common.days import LONGEST_SESSION
from server.devices.models import Device
from server.session_data.models import OVER, SET_ASIDE, SessionData, State
from server.session_data.summary.alike import like_with_like
from server.session_data.summary.usual import USUAL_DAYS, Usual
from server.session_data.summary.views import Brief

Row = Mapping[str, Any]

# Columns compared by the two range rules.
METRIC = {Kind.BLINK_RATE: "blink_rate_per_min", Kind.PERCLOS: "perclos"}

# An active session without updates for this long no longer counts as running.
STILL_UNDER_WAY = timedelta(minutes=10)
# Range rules look at sessions finished since the last pass, plus this overlap. Earlier passes have
# handled the older ones.
OVERLAP = timedelta(minutes=5)
LONGEST_LOOK_BACK = timedelta(hours=2)


@dataclass
class Facts:
    """The data known at `now`.

    `since` is when the server began to receive data without a pause, `consuming_since` the same
    for its MQTT consumer; `None` if unknown. `newest` has the newest trustworthy session finished
    since the last pass, by person and metric. `usual` is what is usual before that session's day,
    and `values` has the day's value so far; both are of the sessions of `activities`, or of all.
    """

    now: datetime
    since: datetime | None = None
    consuming_since: datetime | None = None
    devices: dict[int, list[Device]] = field(default_factory=dict)
    measured_days: set[tuple[int, date]] = field(default_factory=set)
    under_way: dict[int, list[Row]] = field(default_factory=dict)
    newest: dict[tuple[int, str], Row] = field(default_factory=dict)
    usual: dict[tuple[int, str], Usual] = field(default_factory=dict)
    values: dict[tuple[int, str], float] = field(default_factory=dict)
    activities: dict[tuple[int, str], str | None] = field(default_factory=dict)


def gather(rules: Iterable[Rule], now: datetime, last: Pass) -> Facts:
    """Read all data needed to check `rules`. `last` is the last pass."""
    people: dict[str, dict[int, Person]] = {kind: {} for kind in Kind.values}
    for rule in rules:
        people[rule.kind][rule.person_id] = rule.person
    facts = Facts(now, last.since, last.consuming_since)
    if silent := people[Kind.DEVICE_SILENT]:
        for device in Device.objects.filter(person__in=silent, revoked_at=None):
            facts.devices.setdefault(device.person_id, []).append(device)
    if expected := people[Kind.NO_SESSION]:
        facts.measured_days = _measured_days(expected, now)
    if watched := people[Kind.LONG_CLOSURES]:
        facts.under_way = _under_way(watched, now)
    ranged = {kind: people[kind] for kind in METRIC if people[kind]}
    if ranged:
        _gather_ranges(facts, ranged, max(last.at, now - LONGEST_LOOK_BACK) - OVERLAP)
    return facts


def today_of(person: Person, now: datetime) -> date:
    """Return the current day in the person's time zone."""
    return now.astimezone(person.zone).date()


def _measured_days(people: Mapping[int, Person], now: datetime) -> set[tuple[int, date]]:
    """Return (person, day) pairs with a session; one with an uncertain date counts on arrival."""
    since = now.date() - timedelta(days=1)  # in some time zones it is still yesterday
    recent = SessionData.objects.filter(user__in=people, local_day__gte=since)
    recent = recent.exclude(state__in=SET_ASIDE)
    return set(recent.values_list("user_id", "local_day").distinct())


def _under_way(people: Collection[int], now: datetime) -> dict[int, list[Row]]:
    rows = SessionData.objects.filter(
        user__in=people, state=State.ACTIVE, updated_at__gte=now - STILL_UNDER_WAY
    )
    found: dict[int, list[Row]] = {}
    for row in rows.values(*COLUMNS, "long_closure_count", "longest_closure_s"):
        found.setdefault(row["user_id"], []).append(row)
    return found


def _gather_ranges(
    facts: Facts, people: Mapping[Kind, Mapping[int, Person]], since: datetime
) -> None:
    wanted = {(pk, METRIC[kind]) for kind, watched in people.items() for pk in watched}
    facts.newest = _newest(wanted, since)
    sessions = _of_four_weeks({pk: row["local_day"] for (pk, _), row in facts.newest.items()})
    for (pk, metric), row in facts.newest.items():
        day, mine = row["local_day"], sessions[pk]
        found = like_with_like(mine, metric, day)
        facts.usual[pk, metric], facts.activities[pk, metric] = found.usual, found.activity
        if found.value is not None:
            facts.values[pk, metric] = found.value


def _of_four_weeks(days: Mapping[int, date]) -> defaultdict[int, list[Brief]]:
    """Return people's finished sessions of these days and the four weeks before, in one query."""
    found: defaultdict[int, list[Brief]] = defaultdict(list)
    if not days:
        return found
    first, last = min(days.values()) - timedelta(days=USUAL_DAYS), max(days.values())
    names = ("valid_s", *METRIC.values())
    rows = SessionData.objects.filter(
        user__in=days, local_day__range=(first, last), state__in=OVER
    ).order_by()
    for pk, activity, day, state, uncertain, *values in rows.values_list(
        "user_id", "activity", "local_day", "state", "date_uncertain", *names
    ):
        told = dict(zip(names, values, strict=True))
        found[pk].append(Brief(day, state, uncertain, told, activity))
    return found


def _newest(wanted: Collection[tuple[int, str]], since: datetime) -> dict[tuple[int, str], Row]:
    """Return the newest trustworthy session with a value, for each (person, metric)."""
    rows = SessionData.objects.filter(
        user__in={person for person, _ in wanted},
        state__in=OVER,
        placed_at__gte=since - LONGEST_SESSION,
        updated_at__gte=since,
        ended_at__isnull=False,
    ).order_by("-ended_at", "-id")
    found = [
        row
        for row in rows.values(*COLUMNS, "local_day", *TRUST_COLUMNS, *METRIC.values())
        if trusted(row)
    ]
    good = _to_trust([row["id"] for row in found])
    newest: dict[tuple[int, str], Row] = {}
    for row in found:
        for metric in METRIC.values():
            key = (row["user_id"], metric)
            if key in wanted and metric in good[row["id"]] and row[metric] is not None:
                newest.setdefault(key, row)
    return newest


def _to_trust(sessions: Collection[UUID]) -> defaultdict[UUID, set[str]]:
    """Return, for each session, the metrics that its document does not flag as unreliable."""
    rows = SessionData.objects.filter(pk__in=sessions).values_list("pk", "document_json")
    found: defaultdict[UUID, set[str]] = defaultdict(set)
    for pk, document in rows.iterator(chunk_size=50):
        found[pk] = metrics_to_trust(document, METRIC.values())
    return found
