"""A person's usual range: the median and interquartile range of their own sessions.

It covers the trustworthy sessions of the 28 days before today. It is computed once a day for each
person with a rule that needs it, and cached, so that a pass over many rules stays cheap.
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
# Quartiles of fewer values depend on single sessions, and many sessions on one day don't show what
# is usual.
SESSIONS_NEEDED = 10
DAYS_NEEDED = 5

# Lower bounds of the interquartile range, so that similar sessions don't make it too narrow: half a
# blink per minute, half a percent of the time. Both are within the scatter of the measurement.
NARROWEST = {"blink_rate_per_min": 0.5, "perclos": 0.005}

# Quality flags, as in agent/measure/quality.py, that make rate and PERCLOS unreliable.
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
# Flags that affect one metric only. `turned` affects none: the image was rotated first.
DISTRUSTED_FOR = {"perclos": {"gaze_unknown"}}
TRUST_COLUMNS = ("valid_s", "coverage", "fps", "frames", "frames_dropped", "blink_count")

# Computing more ranges in one pass would delay notifications. The next pass, a minute later,
# continues.
MOST_IN_A_PASS = 50


def trusted(session: Mapping[str, Any]) -> bool:
    """Return whether a session's columns make its rate and PERCLOS comparable with others."""
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
    """Return those of `metrics` that the document's `quality` does not flag as unreliable."""
    said = set(quality_of(json.loads(document_json)))
    if said & DISTRUSTED:
        return set()
    return {metric for metric in metrics if not said & DISTRUSTED_FOR.get(metric, set())}


def usual_ranges(
    wanted: Iterable[tuple[Person, str]], now: datetime
) -> dict[tuple[int, str], UsualRange]:
    """Return the usual range of each (person, metric column), as of today in the person's zone.

    This takes one query if all are cached, plus a query and a write for each that is not. At most
    `MOST_IN_A_PASS` are computed; the others are left out.
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
    """Compute and cache the usual range for `today`."""
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
    """Return the day and value of each trustworthy session."""
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
