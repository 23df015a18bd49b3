"""The rate below which a person blinks only one time in twenty, from their own months.

It is the fifth percentile of the blink rates of three minutes in a row. Minutes up to three minutes
after the light asked for blinks are left out: they are no usual rates.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from itertools import islice
from statistics import quantiles
from typing import Any

from django.db.models import Q
from django.utils import timezone

from server.care.models import Person
from server.reminding.models import LEAST_PER_MIN, MOST_PER_MIN, Mode, Reminding
from server.session_data.models import OVER, SessionData
from server.session_data.serializers import readable_part
from server.session_data.told import quality_of

SPAN = timedelta(days=90)
# Maximum number of sessions that are read, the newest: a document may have 1 MiB.
MOST_SESSIONS = 300
# Three hours on five days, so that one quiet evening is not taken for what is usual.
LEAST_RATES, LEAST_DAYS = 60, 5
ROW = 3  # minutes in a row
LEAST_VALID_S = 42.0  # of each minute: 70 %, as for `low_coverage`
AFTER_S = 195.0  # the light asks for 15 s, and three minutes follow
RECOMPUTED = timedelta(days=1)
# With these, blinks were probably missed, or are somebody else's; as on the device.
HIDING = {"no_face", "no_blink", "frames_dropped", "noisy", "blurred", "second_face"}


def usual_low(person: Person, now: datetime) -> float | None:
    """Return the fifth percentile in blinks a minute; `None` if too little was measured."""
    sessions = SessionData.objects.filter(
        user=person, state__in=OVER, date_uncertain=False, placed_at__gt=now - SPAN
    ).order_by("-placed_at", "-pk")
    rates: list[float] = []
    days: set[date] = set()
    newest = sessions.values_list("local_day", "document_json")[:MOST_SESSIONS]
    for day, text in newest.iterator(chunk_size=16):
        if found := list(rates_of(json.loads(text))):
            rates += found
            days.add(day)
    if len(rates) < LEAST_RATES or len(days) < LEAST_DAYS:
        return None
    low = quantiles(rates, n=20)[0]
    return round(min(max(low, LEAST_PER_MIN), MOST_PER_MIN), 1)


def rates_of(document: Mapping[str, Any]) -> Iterator[float]:
    """Yield the blink rates of each three minutes in a row of a session."""
    if HIDING.intersection(quality_of(document)):
        return
    reminders = readable_part(document, "reminders") or {"at_s": ()}
    minutes = readable_part(document, "minutes") or []
    known = {
        each["minute"]: each
        for each in minutes
        if each.get("blinks") is not None and (each.get("valid_s") or 0) >= LEAST_VALID_S
    }
    last = max(known, default=-1)
    for first in range(0, last - ROW + 2, ROW):
        begin_s, end_s = 60 * first, 60 * (first + ROW)
        if any(begin_s < at_s + AFTER_S and at_s < end_s for at_s in reminders["at_s"]):
            continue
        row = [known.get(minute) for minute in range(first, first + ROW)]
        if all(each is not None for each in row):
            blinks, valid_s = (sum(each[key] for each in row if each) for key in KEYS)
            yield 60 * blinks / valid_s


KEYS = ("blinks", "valid_s")


def compute(choice: Reminding, now: datetime) -> None:
    """Compute the person's own rate anew."""
    choice.own_per_min, choice.computed_at = usual_low(choice.person, now), now
    choice.save(update_fields=["own_per_min", "computed_at"])


def compute_all(now: datetime | None = None, most: int = 1000) -> int:
    """Compute the rates that are older than a day, up to `most`; return how many."""
    now = now or timezone.now()
    old = Q(computed_at=None) | Q(computed_at__lt=now - RECOMPUTED)
    due = Reminding.objects.filter(old, mode=Mode.OWN).select_related("person")
    count = 0
    for choice in islice(due.order_by("computed_at"), most):
        compute(choice, now)
        count += 1
    return count
