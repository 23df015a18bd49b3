"""One session's page: its values, minutes and blinks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from server.common.words import clock, in_words, long_day, number, since_start
from server.dashboard.charts import (
    Bar,
    Dot,
    Frame,
    axis_minutes,
    bars,
    dots_and_line,
    gaps_between,
    minute_ticks,
)
from server.dashboard.figures import ear_axis
from server.dashboard.history import time_span
from server.dashboard.in_a_session.blinks import Blinks, blinks_of
from server.dashboard.in_a_session.eyes import BothEyes, both_eyes, eye_lines
from server.dashboard.in_a_session.reminders import reminder_lines
from server.dashboard.marks import Mark, ended_by, marks_of
from server.dashboard.metrics import (
    BLINK_RATE,
    EAR,
    FPS_FOR_COUNTS,
    MEASURED,
    PERCLOS,
    Metric,
    Reading,
    reading,
    readings,
)
from server.dashboard.rows import SessionRow
from server.session_data.activity.words import name_of
from server.session_data.summary.eyes import eyes_of

# A minute with less measured time is drawn pale, because its count covers only part of it.
WHOLE_MINUTE_S = 45
HIGHLIGHTS = (BLINK_RATE, PERCLOS, EAR, MEASURED)


@dataclass(frozen=True)
class Minute:
    """A row of the table of minutes. `None` means not measured; `why` is the reason if known."""

    number: int
    clock: str
    seen: str
    blinks: int | None
    ear: str | None
    perclos: str | None
    why: str | None


@dataclass(frozen=True)
class SessionPage:
    """The content of a session's page."""

    row: SessionRow
    day: str
    time: str
    state: str
    activity: str
    marks: Sequence[Mark]
    heard: str
    highlights: Sequence[Reading]
    eye_lines: Sequence[str]
    both_eyes: BothEyes | None
    readings: Sequence[Reading]
    minute_chart: SafeString | None
    ear_chart: SafeString | None
    perclos_chart: SafeString | None
    minutes: Sequence[Minute]
    blinks: Blinks
    remarks: Sequence[str]
    aim: str
    origin: str


def session_page(row: SessionRow, document: Mapping[str, Any], now: datetime) -> SessionPage:
    """Return the page of one session, from its row and its document."""
    measured = document.get("minutes") or []
    minutes = whole_minutes(measured)
    return SessionPage(
        row=row,
        day=long_day(row.day),
        time=time_span(row),
        state=_state(row),
        activity=name_of(row.activity),
        marks=marks_of(row, now),
        heard=clock(row.heard_at, row.zone),
        highlights=[reading(metric, row.values, row.fps, row.active) for metric in HIGHLIGHTS],
        eye_lines=[
            *eye_lines(row.values),
            *reminder_lines(document),
        ],
        both_eyes=both_eyes(row.values, eyes_of(document.get("blinks"))),
        readings=readings(row.values, row.fps, row.active),
        minute_chart=_minute_chart(minutes),
        ear_chart=_line_chart(minutes, EAR, _("Eye aspect ratio by minute")),
        perclos_chart=_line_chart(minutes, PERCLOS, _("PERCLOS by minute, in percent")),
        minutes=[_minute(row, number, each) for number, each in enumerate(minutes)],
        blinks=blinks_of(row, document.get("blinks")),
        remarks=remarks(document.get("quality") or ()),
        aim=document.get("aim") or "",
        origin=_origin(row, document),
    )


def remarks(quality: Sequence[str]) -> list[str]:
    """Return the texts of the document's quality flags; marks cover the others."""
    known = {
        "low_coverage": _("The eyes were visible for less than 70 % of the session."),
        "low_frame_rate": _("The frame rate was too low to time or count blinks reliably."),
        "no_blink": _("No blinks were counted. They may not have been visible."),
        "frames_dropped": _("More than a tenth of the frames were lost, so blinks were missed."),
        "noisy": _("The measurement was noisy: blinks were missed or could not be counted."),
        "blurred": _(
            "The eyes were out of focus, too dark or behind reflections: blinks were missed or"
            " could not be counted."
        ),
        "second_face": _(
            "A second face was visible for more than a tenth of the time. Some of the values "
            "may belong to that person."
        ),
        "turned": _(
            "The camera image was not upright and was rotated before measuring. To rotate it "
            "permanently, set camera.rotate on the device."
        ),
        "gaze_unknown": _(
            "Looking down could not be distinguished from closed eyes. PERCLOS and long "
            "closures may include it."
        ),
    }
    return [known[word] for word in quality if word in known]


def whole_minutes(minutes: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any] | None]:
    """Return the minutes in order from 0; `None` for minutes missing in the document."""
    by_number = {int(each["minute"]): each for each in minutes}
    return [by_number.get(number) for number in range(max(by_number, default=-1) + 1)]


def _state(row: SessionRow) -> str:
    if row.active:
        return _("In progress")
    how = ended_by(row)
    return how[:1].upper() + how[1:]


def _origin(row: SessionRow, document: Mapping[str, Any]) -> str:
    """Return the camera and agent that measured the session, as far as known."""
    camera, agent = document.get("camera") or {}, document.get("agent") or {}
    parts = []
    if camera.get("width") and camera.get("height"):
        parts.append(f"{camera['width']} x {camera['height']}")
    if row.fps is not None:
        parts.append(_("%(fps)s frames per second") % {"fps": number(row.fps, 1)})
    if agent.get("version"):
        parts.append(_("agent %(version)s") % {"version": agent["version"]})
    return ", ".join([*parts, *filter(None, [agent.get("model")])])


def _minute(row: SessionRow, number: int, each: Mapping[str, Any] | None) -> Minute:
    values = each or {}
    seen, offset = values.get("valid_s"), timedelta(minutes=number)
    at = clock(row.started_at + offset, row.zone)
    return Minute(
        number=number + 1,
        clock=since_start(offset) if row.date_uncertain else at,
        seen="" if seen is None else in_words(seen),
        blinks=values.get("blinks"),
        ear=EAR.formatted(values.get("ear_mean")),
        perclos=PERCLOS.formatted(values.get("perclos")),
        why=_why(row, each),
    )


def _why(row: SessionRow, each: Mapping[str, Any] | None) -> str | None:
    if each is None:
        return _("no data")
    if not each.get("valid_s"):
        return _("no face")
    if each.get("blinks") is None and row.fps is not None and row.fps < FPS_FOR_COUNTS:
        return _("frame rate too low")
    return None


def _minute_chart(minutes: Sequence[Mapping[str, Any] | None]) -> SafeString | None:
    counts = [None if each is None else each.get("blinks") for each in minutes]
    known = [count for count in counts if count is not None]
    if not known:
        return None
    label = _(
        "Blinks in each minute, from %(low)d to %(high)d; %(gaps)d of %(all)d minutes were "
        "not measured."
    ) % {
        "low": min(known),
        "high": max(known),
        "gaps": len(counts) - len(known),
        "all": len(counts),
    }
    span = axis_minutes(len(minutes))
    frame = Frame("minutes", label, (0, span), max(*known, 4), minute_ticks(span), big=True)
    return bars(frame, [_minute_bar(number, each) for number, each in enumerate(minutes)])


def _minute_bar(number: int, each: Mapping[str, Any] | None) -> Bar:
    count = None if each is None else each.get("blinks")
    words = {"n": number + 1, "count": count}
    text = _("Minute %(n)d: not measured") if count is None else _("Minute %(n)d: %(count)d blinks")
    seen = None if each is None else each.get("valid_s")
    partly = count is not None and (seen or 0) < WHOLE_MINUTE_S
    marks = ("partly",) if partly else ()
    return Bar(number, number + 1, count, text % words, marks)


def _line_chart(
    minutes: Sequence[Mapping[str, Any] | None], metric: Metric, label: str
) -> SafeString | None:
    values = [None if each is None else each.get(metric.key) for each in minutes]
    line = [_minute_dot(n, metric, value) for n, value in enumerate(values)]
    known = [dot.y for dot in line if dot.y is not None]
    if not known:
        return None
    bottom, top = ear_axis(known) if metric is EAR else (0, max(*known, 4))
    span = axis_minutes(len(minutes))
    frame = Frame(metric.key, label, (0, span), top, minute_ticks(span), bottom)
    return dots_and_line(frame, line=line, gaps=gaps_between(values))


def _minute_dot(n: int, metric: Metric, value: float | None) -> Dot:
    words = {"n": n + 1, "value": f"{metric.formatted(value)} {metric.unit}"}
    y = None if value is None else value * metric.scale
    return Dot(n + 0.5, y, _("Minute %(n)d: %(value)s") % words)
