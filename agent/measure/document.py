"""Session -> session document: one JSON object, complete at every revision.

Pure: the caller passes everything that is not measured (IDs, wall-clock times, the camera's name).
All rounding happens here: `DIGITS` says how many decimals a number is worth.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from agent.measure.metrics import BlinkColumns, Metrics, Minute, Session
from agent.measure.reminding import Reminder
from agent.records import Activity, Document

SCHEMA = 1

State = Literal["active", "ended", "interrupted"]
EndedBy = Literal["button", "command", "time_limit", "power_loss", "camera_fault"]

DIGITS: Mapping[str, int] = {
    "duration_s": 1,
    "valid_s": 1,
    "coverage": 3,
    "blink_rate_per_min": 1,
    "inter_blink_interval_median_s": 1,
    "blink_duration_median_ms": 0,
    "blink_duration_p90_ms": 0,
    "ear_mean": 3,
    "ear_open": 3,
    "perclos": 3,
    "longest_closure_s": 1,
    "ear_open_left": 3,
    "ear_open_right": 3,
    "blink_closure_left_median": 2,
    "blink_closure_right_median": 2,
    "looking_down": 3,
    "fps": 1,
    "at_s": 2,
    "duration_ms": 0,
    "amplitude": 2,
    "closure_left": 2,
    "closure_right": 2,
    "rate_before_per_min": 1,
    "rate_after_per_min": 1,
}
"""Decimals of each number: about a tenth of the smallest difference that can be measured."""

Number = int | float | None


def session_document(
    session: Session,
    *,
    session_id: str,
    revision: int,
    state: State,
    started_at: datetime,
    ended_at: datetime | None,
    ended_by: EndedBy | None,
    clock: Mapping[str, Any],
    camera: Mapping[str, Any],
    agent: Mapping[str, str],
    reminders: Sequence[Reminder] = (),
    activity: Activity | None = None,
) -> Document:
    """Return the document of `session`.

    It includes `blinks` once the session is finished, `reminders` if the light asked for blinks,
    and `activity` if that is given.

    `clock`: synchronized, utc_offset_minutes, timezone, boot_id, monotonic_start_s. `camera`:
    source, width, height. `agent`: version, model. Raises ValueError for a naive time, and for an
    `ended_at` or `ended_by` that contradicts `state`.
    """
    _check_end(state, ended_at, ended_by)
    document: Document = {
        "schema": SCHEMA,
        "session_id": session_id,
        "revision": revision,
        "state": state,
        "started_at": iso_utc(started_at),
        "ended_at": None if ended_at is None else iso_utc(ended_at),
        "ended_by": ended_by,
        **({} if activity is None else {"activity": activity}),
        "clock": dict(clock),
        "camera": {**camera, "fps": rounded("fps", session.fps)},
        "metrics": _rounded_fields(session.metrics),
        "quality": list(session.quality),
        "minutes": [_rounded_fields(minute) for minute in session.minutes],
    }
    if session.blinks is not None:
        document["blinks"] = _columns(session.blinks)
    if reminders:
        document["reminders"] = _reminders(reminders)
    document["agent"] = dict(agent)
    return document


def interrupted(document: Mapping[str, Any], ended_at: datetime | None = None) -> Document:
    """Return the next revision of an unfinished document whose session was interrupted.

    `ended_at` is the last time at which the session is known to have run; by default the end of its
    measurements.
    """
    if ended_at is None:
        duration = timedelta(seconds=document["metrics"]["duration_s"])
        ended_at = parse_utc(document["started_at"]) + duration
    kept = {key: value for key, value in document.items() if key != "aim"}  # how it was aimed then
    return {
        **kept,
        "revision": document["revision"] + 1,
        "state": "interrupted",
        "ended_at": iso_utc(ended_at),
        "ended_by": "power_loss",
    }


def with_true_time(
    document: Mapping[str, Any], started_at: datetime, zone: Mapping[str, Any]
) -> Document:
    """Return the next revision of a document with its dates corrected by a synchronised clock.

    `started_at` is when the session really began; its end moves by the same amount. `zone` is the
    clock's timezone and utc_offset_minutes then: in summer the offset is another than in winter.
    """
    moved = started_at - parse_utc(document["started_at"])
    ended_at = document["ended_at"]
    return {
        **document,
        "revision": document["revision"] + 1,
        "started_at": iso_utc(started_at),
        "ended_at": None if ended_at is None else iso_utc(parse_utc(ended_at) + moved),
        "clock": {**document["clock"], "synchronized": True, **zone},
    }


def iso_utc(time: datetime) -> str:
    """Format a time as ISO 8601 in UTC with milliseconds and Z. A naive time raises ValueError."""
    if time.tzinfo is None:
        raise ValueError(f"expected a time with a zone, found {time.isoformat()}")
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_utc(text: str) -> datetime:
    """Parse a time that `iso_utc` wrote."""
    return datetime.fromisoformat(text)


def rounded(name: str, value: Number) -> Number:
    """Round `value` to the decimals of a number called `name`; counts and None stay unchanged."""
    if value is None or isinstance(value, int):
        return value
    digits = DIGITS[name]
    return round(value, digits) if digits else round(value)


def _rounded_fields(record: Metrics | Minute) -> dict[str, Number]:
    return {name: rounded(name, value) for name, value in asdict(record).items()}


def _columns(blinks: BlinkColumns) -> dict[str, list[Any]]:
    names = [field.name for field in fields(blinks)]
    return {name: [rounded(name, value) for value in getattr(blinks, name)] for name in names}


def _reminders(reminders: Sequence[Reminder]) -> dict[str, list[Number]]:
    names = [field.name for field in fields(Reminder)]
    return {name: [rounded(name, getattr(each, name)) for each in reminders] for name in names}


def _check_end(state: State, ended_at: datetime | None, ended_by: EndedBy | None) -> None:
    over = state != "active"
    if over != (ended_at is not None) or over != (ended_by is not None):
        raise ValueError(
            f"expected ended_at and ended_by exactly when the session is over, found {state!r} "
            f"with ended_at {ended_at} and ended_by {ended_by!r}"
        )
