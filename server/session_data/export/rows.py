"""Make the rows of the tables in codebook.py.

Values are typed (ids are text); `None` means "not measured". A row has a key for each column, and
`zone`, the time zone in which its times are local.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from statistics import median
from typing import Any

from server.care.models import Person
from server.replica.reading import from_replica
from server.session_data.export.reading import Found
from server.session_data.models import METRICS
from server.session_data.serializers import readable_part
from server.session_data.summary.statistics import WAYS, DaySummary, by_day, day_summary, each_day
from server.session_data.summary.views import Brief, briefs
from server.session_data.told import quality_of

TableRow = dict[str, Any]

SAME = (
    "local_day", "started_at", "ended_at", "utc_offset_minutes", "date_uncertain", "state",
    *METRICS, "fps", "revision", "received_at", "activity", "activity_chosen",
)  # fmt: skip
# These are empty texts in the database if they are not known.
TEXTS = ("timezone", "ended_by", "agent_version")
# Days per query: a person's sessions of a year.
DAYS_AT_ONCE = 366
BLINK_VALUES = (
    "at_s", "duration_ms", "amplitude", "complete", "closure_left", "closure_right",
)  # fmt: skip


def session_rows(sessions: Iterable[Found]) -> Iterator[TableRow]:
    """Yield a row for each session. `sessions` have their documents."""
    for each in sessions:
        row = each.row
        yield {
            **{name: row[name] for name in SAME},
            **{name: row[name] or None for name in TEXTS},
            "id": str(row["id"]),
            "device_id": row["device_id"] and str(row["device_id"]),
            "short": each.short,
            "device": row["device__label"] or None,
            "quality": quality_of(each.document),
            "user": each.user,
            **_reminders(each),
            "zone": each.zone,
        }


def _reminders(each: Found) -> TableRow:
    """Return how often the light asked for blinks, and the median of the rates after."""
    reminders: Mapping[str, Any] = readable_part(each.document, "reminders") or {}
    after = [rate for rate in reminders.get("rate_after_per_min", ()) if rate is not None]
    return {
        "reminders": len(reminders.get("at_s", ())),
        "reminder_rate_after_per_min": median(after) if after else None,
    }


def minute_rows(sessions: Iterable[Found]) -> Iterator[TableRow]:
    """Yield a row for each minute. `sessions` have their documents."""
    for each in sessions:
        common = _common(each)
        for minute in readable_part(each.document, "minutes") or ():
            began = _moment(each, 60 * minute["minute"])
            yield {**common, **_all_of(minute, MINUTE_VALUES), "started_at": began}


MINUTE_VALUES = ("minute", "valid_s", "blinks", "ear_mean", "perclos")


def blink_rows(sessions: Iterable[Found]) -> Iterator[TableRow]:
    """Yield a row for each blink. `sessions` have their documents."""
    for each in sessions:
        common = _common(each)
        blinks: Mapping[str, Any] = readable_part(each.document, "blinks") or {"at_s": ()}
        absent = [None] * len(blinks["at_s"])
        columns = [blinks.get(name) or absent for name in BLINK_VALUES]
        for number, values in enumerate(zip(*columns, strict=True)):
            told = dict(zip(BLINK_VALUES, values, strict=True))
            yield {**common, "blink": number, **told, "at": _moment(each, told["at_s"])}


def check_rows(sessions: Iterable[Found]) -> Iterator[TableRow]:
    """Yield a row for each check of the counting. `sessions` have their documents."""
    for each in sessions:
        row = each.row
        yield {
            **_common(each),
            **(readable_part(each.document, "check") or {}),
            **{name: row[name] for name in ("local_day", "started_at", "date_uncertain")},
            "agent_version": row["agent_version"] or None,
            "model": (readable_part(each.document, "agent") or {}).get("model"),
            "device": row["device__label"] or None,
            "device_id": row["device_id"] and str(row["device_id"]),
        }


def _common(each: Found) -> TableRow:
    return {
        "session_id": str(each.row["id"]),
        "user": each.user,
        "utc_offset_minutes": each.row["utc_offset_minutes"],
        "zone": each.zone,
    }


def _moment(each: Found, seconds: float) -> datetime | None:
    """Return the time so long after the start of the session; `None` if its date is uncertain."""
    if each.row["date_uncertain"]:
        return None
    moment: datetime = each.row["started_at"] + timedelta(seconds=seconds)
    return moment


def _all_of(values: Mapping[str, Any], names: Iterable[str]) -> TableRow:
    return {name: values.get(name) for name in names}


def days(person: Person, first: date, last: date) -> Iterator[DaySummary]:
    """Yield each local day from `first` to `last`."""
    while first <= last:
        end = min(last, first + timedelta(days=DAYS_AT_ONCE - 1))
        groups = by_day(_briefs(person, first, end), first, end)
        for day in each_day(first, end):
            yield day_summary(day, groups[day])
        first = end + timedelta(days=1)


def _briefs(person: Person, first: date, last: date) -> list[Brief]:
    return from_replica([person], lambda: briefs(person, first, last))


def day_row(day: DaySummary, user: str) -> TableRow:
    """Return the row of a day."""
    counts = day.counts
    return {
        "day": day.day,
        "sessions": counts.sessions,
        "short": counts.short,
        "uncertain": counts.uncertain,
        "interrupted": counts.interrupted,
        "duration_s": day.duration_s,
        **{key: day.metrics[key].middle for key in WAYS},
        "user": user,
        "zone": None,
    }
