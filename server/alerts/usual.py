"""What is usual for a person: the median of their own sessions and the quartiles' distance.

Of the 28 days before today, and of sessions whose numbers can be trusted alone. Computed once a
day for each person with such a rule and kept, so that a pass over many rules stays cheap.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from statistics import median, quantiles
from typing import Any

from server.alerts.models import UsualRange
from server.care.models import Person
from server.session_data.models import SessionData, State
from server.session_data.told import quality_of

DAYS = 28
# Quartiles of fewer numbers are those numbers; and one long day of many sessions is not a habit.
SESSIONS_NEEDED = 10
DAYS_NEEDED = 5

# The narrowest interquartile range there is: sessions that happen to be alike make no tighter one.
# Half a blink a minute, half a per cent of the time: both within the measurement's own scatter.
NARROWEST = {"blink_rate_per_min": 0.5, "perclos": 0.005}

# As agent/measure/quality.py calls them: what speaks against rate and PERCLOS.
SHORT_S = 180
COVERAGE_NEEDED = 0.7
FPS_NEEDED = 15
DROPPED = 0.1
DISTRUSTED = {
    "no_face",
    "short",
    "low_coverage",
    "low_frame_rate",
    "no_blink",
    "frames_dropped",
    "noisy",
    "blurred",
    "second_face",
}
# What speaks against one metric alone. `turned` speaks against none: it was measured turned.
DISTRUSTED_FOR = {"perclos": {"gaze_unknown"}}
TRUST_COLUMNS = ("valid_s", "coverage", "fps", "frames", "frames_dropped", "blink_count")

# More in one pass would hold up the notices; the rest comes with the next one, a minute later.
MOST_IN_A_PASS = 50


def trusted(session: Mapping[str, Any]) -> bool:
    """Whether a session's columns let its rate and PERCLOS be compared with others."""
    frames, dropped = session["frames"] or 0, session["frames_dropped"] or 0
    return bool(
        not session["date_uncertain"]
        and (session["valid_s"] or 0) >= SHORT_S
        and (session["coverage"] or 0) >= COVERAGE_NEEDED
        and (session["fps"] or 0) >= FPS_NEEDED
        and session["blink_count"]
        and dropped <= DROPPED * (frames + dropped)
    )


def metrics_to_trust(document_json: str, metrics: Iterable[str]) -> set[str]:
    """Return those of `metrics` against which the document's `quality` says nothing."""
    said = set(quality_of(json.loads(document_json)))
    if said & DISTRUSTED:
        return set()
    return {metric for metric in metrics if not said & DISTRUSTED_FOR.get(metric, set())}


def usual_ranges(
    wanted: Iterable[tuple[Person, str]], now: datetime
) -> dict[tuple[int, str], UsualRange]:
    """Of each (person, metric column), as of today in the person's zone.

    One query where all are known already; one more, and one write, for each that is not. What
    there is no time for is left out.
    """
    by_key = {(person.pk, metric): person for person, metric in wanted}
    people = {person for person, _ in by_key}
    kept = {
        (each.person_id, each.metric): each for each in UsualRange.objects.filter(person__in=people)
    }
    computed = 0
    for (pk, metric), person in by_key.items():
        today = now.astimezone(person.zone).date()
        known = kept.get((pk, metric))
        if known is not None and known.day == today:
            continue
        kept.pop((pk, metric), None)
        if computed < MOST_IN_A_PASS:
            kept[(pk, metric)] = usual_range(person, metric, today)
            computed += 1
    return {key: each for key, each in kept.items() if key in by_key}


def usual_range(person: Person, metric: str, today: date) -> UsualRange:
    """Compute it for `today`, and keep it."""
    found = _sessions(person, metric, today)
    values = [value for _, value in found]
    days = len({day for day, _ in found})
    enough = len(values) >= SESSIONS_NEEDED and days >= DAYS_NEEDED
    middle, spread = _middle_and_spread(values, metric) if enough else (None, None)
    kept, _ = UsualRange.objects.update_or_create(
        person=person,
        metric=metric,
        defaults={
            "day": today,
            "sessions": len(values),
            "days": days,
            "median": middle,
            "spread": spread,
        },
    )
    return kept


def _sessions(person: Person, metric: str, today: date) -> list[tuple[date, float]]:
    """Day and value of each session to be trusted."""
    first, last = today - timedelta(days=DAYS), today - timedelta(days=1)
    rows = SessionData.objects.filter(
        user=person,
        local_day__range=(first, last),
        state__in=(State.ENDED, State.INTERRUPTED),
        valid_s__gte=SHORT_S,
        **{f"{metric}__isnull": False},
    ).values("local_day", "date_uncertain", metric, "document_json", *TRUST_COLUMNS)
    return [
        (row["local_day"], row[metric])
        for row in rows.iterator(chunk_size=50)
        if trusted(row) and metrics_to_trust(row["document_json"], [metric])
    ]


def _middle_and_spread(values: Sequence[float], metric: str) -> tuple[float, float]:
    low, _, high = quantiles(values, n=4)
    return median(values), max(high - low, NARROWEST[metric])
