"""The individual blinks of a session: a chart of time and duration, and a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from server.common.words import number, since_start
from server.dashboard.charts import (
    Dot,
    Frame,
    axis_minutes,
    dots_and_line,
    minute_ticks,
)
from server.dashboard.rows import SessionRow

# Columns of the document. Older devices leave out the last two or send null.
NAMES = ("at_s", "duration_ms", "amplitude", "complete", "closure_left", "closure_right")
Columns = Mapping[str, Any]

# A page can hold this many; a two-hour session may have five thousand.
MOST_BLINKS = 1500
# Most blinks are shorter than this. The same axis makes sessions comparable.
USUAL_TOP_MS = 400


@dataclass(frozen=True)
class BlinkLine:
    """A row of the table of blinks. `None` means not measured."""

    at: str
    duration_ms: str | None
    amplitude: str | None
    kind: str
    left: str | None = None
    right: str | None = None


@dataclass(frozen=True)
class Blinks:
    """The individual blinks of a session.

    `known` is whether the document has them; `many` is their number if too many to show.
    `each_eye` is whether the document has the closure of each eye; older devices don't send it.
    """

    known: bool
    many: int | None = None
    chart: SafeString | None = None
    lines: Sequence[BlinkLine] = ()
    each_eye: bool = False


def blinks_of(row: SessionRow, columns: Columns | None) -> Blinks:
    """Return the blinks of a session, from the columns of its document."""
    if columns is None:
        return Blinks(known=False)
    if len(columns["at_s"]) > MOST_BLINKS:
        return Blinks(known=True, many=len(columns["at_s"]))
    each_eye = any(columns.get(name) is not None for name in NAMES[-2:])
    each = list(zip(*(_column(columns, name) for name in NAMES), strict=True))
    lines = [_line(row, *blink) for blink in each]
    dots = [
        Dot(at_s / 60, duration_ms, _text(line), () if complete else ("partial",))
        for line, (at_s, duration_ms, _amplitude, complete, *_eyes) in zip(lines, each, strict=True)
        if duration_ms is not None
    ]
    return Blinks(True, None, _chart(row, dots), lines, each_eye)


def _column(columns: Columns, name: str) -> Sequence[Any]:
    """Return a column, filled with `None` if the document does not have it."""
    column = columns.get(name)
    return [None] * len(columns["at_s"]) if column is None else column


def _line(
    row: SessionRow,
    at_s: float,
    duration_ms: float | None,
    amplitude: float | None,
    complete: bool | None,
    left: float | None,
    right: float | None,
) -> BlinkLine:
    offset = timedelta(seconds=at_s)
    moment = (row.started_at + offset).astimezone(row.zone)
    kinds = {True: _("complete"), False: _("partial"), None: ""}
    return BlinkLine(
        at=since_start(offset) if row.date_uncertain else f"{moment:%H:%M:%S}",
        duration_ms=None if duration_ms is None else number(duration_ms, 0),
        amplitude=_per_cent(amplitude),
        kind=kinds[complete],
        left=_per_cent(left),
        right=_per_cent(right),
    )


def _per_cent(share: float | None) -> str | None:
    return None if share is None else number(share * 100, 0)


def _text(line: BlinkLine) -> str:
    return f"{line.at}: {line.duration_ms} ms" + (f", {line.kind}" if line.kind else "")


def _chart(row: SessionRow, dots: Sequence[Dot]) -> SafeString | None:
    durations = [dot.y for dot in dots if dot.y is not None]
    if not durations:
        return None
    span = axis_minutes(max((row.values.get("duration_s") or 0) / 60, *(dot.x for dot in dots), 0))
    label = _("Duration of each of %(count)d blinks, from %(low)d to %(high)d ms.") % {
        "count": len(dots),
        "low": round(min(durations)),
        "high": round(max(durations)),
    }
    top = max(*durations, USUAL_TOP_MS)
    frame = Frame("blinks", label, (0, span), top, minute_ticks(span), big=True)
    return dots_and_line(frame, dots=dots)
