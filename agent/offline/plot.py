"""A whole recording in one picture: rows of charts with the counted events.

The row length is chosen so that the recording fits into `MAX_ROWS`: two seconds and two hours are
both readable. Every dip is drawn, even one of a single sample.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from agent.measure.session import MIN_COUNT_FPS
from agent.offline.canvas import Colour, Image, blank, colour, curve, dashed, draw_text, text_width
from agent.offline.chart import (
    LIGHT,
    Axes,
    blink_summary,
    clock,
    draw,
    draw_blink_band,
    draw_gap_band,
    draw_mark,
    ear_range,
)
from agent.offline.evidence import Evidence
from agent.records import Blink

WIDTH = 1200
"""Width of the picture in pixels; it is readable at half that size in a page."""

ROW_SECONDS = (15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600)
"""Row lengths in seconds, all easy to count with."""

MAX_ROWS = 24
"""Two hours make rows of five minutes."""

_LEFT, _RIGHT = 64, 32  # margins left and right of the rows
_TITLE, _TEXT, _LABEL = 14.0, 10.5, 9.0  # heights of capitals
_HEADER = 104
_TICKS = 30  # below each row
_FOOTER = 22
_LANE = 20
_SAMPLE = 24  # width and height of a sample in the legend
_STROKE = 1.6
_PANEL = colour("#f7f9fa")
_EAR_STEPS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
_TIME_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200)


@dataclass(frozen=True, slots=True)
class Sheet:
    """The layout: `rows` rows of `row_s` seconds each, `row_height` pixels high."""

    start_s: float
    row_s: float
    rows: int
    row_height: int
    low: float
    high: float

    @property
    def height(self) -> int:
        """Height of the picture in pixels."""
        return _HEADER + self.rows * (self.row_height + _TICKS) + _FOOTER

    def axes(self, row: int) -> Axes:
        """Return the axes of a row, counted from 0."""
        width = WIDTH - _LEFT - _RIGHT
        start_s = self.start_s + row * self.row_s
        return Axes(start_s, self.row_s, self.low, self.high, width, self.row_height, _LANE)

    def top(self, row: int) -> int:
        """Return the first pixel line of a row."""
        return _HEADER + row * (self.row_height + _TICKS)

    def place(self, time_s: float) -> tuple[int, int]:
        """Return the column of a time and the first line of its row, in pixels of the picture."""
        row = min(self.rows - 1, int((time_s - self.start_s) / self.row_s))
        return _LEFT + round(self.axes(row).column(time_s)), self.top(row)


def sheet_for(evidence: Evidence) -> Sheet:
    """Choose the layout. A recording hardly longer than the shortest row fills one row."""
    start_s, end_s = float(evidence.times[0]), float(evidence.times[-1])
    duration_s = max(end_s - start_s, 0.1)
    usual = (row_s for row_s in ROW_SECONDS if duration_s <= MAX_ROWS * row_s)
    row_s = next(usual, duration_s / MAX_ROWS)
    row_s = duration_s if duration_s < 1.4 * row_s else row_s
    rows = math.ceil(duration_s / row_s)
    height = max(96, min(320, 1000 // rows))
    return Sheet(start_s, row_s, rows, height, *ear_range(evidence))


def write_plot(path: Path, evidence: Evidence, title: str) -> None:
    """Write the plot as a PNG file. Raises OSError."""
    _, encoded = cv2.imencode(".png", plot(evidence, title), [cv2.IMWRITE_PNG_COMPRESSION, 9])
    path.write_bytes(encoded.tobytes())


def plot(evidence: Evidence, title: str) -> Image:
    """Draw the whole recording, uint8 (height, WIDTH, 3), BGR."""
    sheet = sheet_for(evidence)
    image = blank(WIDTH, sheet.height, LIGHT.background)
    room = (WIDTH - _LEFT - _RIGHT) / text_width(title, _TITLE, bold=True)
    draw_text(image, title, _LEFT, 34, _TITLE * min(1.0, room), LIGHT.ink, bold=True)
    draw_text(image, summary(evidence), _LEFT, 59, _TEXT, LIGHT.ink)
    _draw_legend(image, evidence, 84)
    draw_text(image, "EAR", _LEFT - 10, sheet.top(0) + _LABEL - 2, _LABEL, LIGHT.ink, align="right")
    for row in range(sheet.rows):
        _draw_row(image, sheet, row, evidence)
    unit = f"time ({'h:min:s' if evidence.times[-1] >= 3600 else 'min:s'})"
    draw_text(image, unit, WIDTH - _RIGHT, sheet.height - 14, _LABEL, LIGHT.ink, align="right")
    return image


def summary(evidence: Evidence) -> str:
    """Describe what was counted, and the coverage, frame rate and duration."""
    session = evidence.session
    facts = [blink_summary(evidence)]
    if session.metrics.coverage is not None:
        facts.append(f"coverage {100 * session.metrics.coverage:.0f} %")
    if session.fps is not None:
        slow = session.metrics.valid_s and session.metrics.blink_count is None
        limit = f" (too few: {MIN_COUNT_FPS:.0f} are needed)" if slow else ""
        facts.append(f"{session.fps:.1f} frames/s{limit}")
    duration_s = session.metrics.duration_s
    unit = "s" if duration_s < 60 else "min" if duration_s < 3600 else "h"
    facts.append(f"{duration_s:.1f} s" if unit == "s" else f"{clock(duration_s)} {unit}")
    return "     ".join(facts)


def _draw_row(image: Image, sheet: Sheet, row: int, evidence: Evidence) -> None:
    """Draw a row at twice the size and shrink it: OpenCV's thin lines are uneven."""
    axes, top = sheet.axes(row), sheet.top(row)
    end_s = min(axes.end_s, float(evidence.times[-1]))
    seen = image[top : top + axes.height, _LEFT : _LEFT + round(axes.column(end_s)) + 1]
    seen[:] = _PANEL
    _draw_ear_grid(image, seen, axes, top)
    _draw_time_grid(image, seen, axes, top, end_s)
    area = image[top : top + axes.height, _LEFT : _LEFT + axes.width]
    large = np.asarray(
        cv2.resize(area, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST), np.uint8
    )
    draw(large, evidence, axes.doubled(), LIGHT, 2 * _STROKE)
    area[:] = cv2.resize(large, (axes.width, axes.height), interpolation=cv2.INTER_AREA)


def _draw_ear_grid(image: Image, area: Image, axes: Axes, top: int) -> None:
    room = (axes.height - axes.lane) / (3 * _LABEL)  # labels are at least three heights apart
    span = axes.high - axes.low
    step = next((step for step in _EAR_STEPS if span / step <= room), span)
    for number in range(math.ceil(axes.low / step), math.floor(axes.high / step) + 1):
        y = float(axes.rows(np.array([number * step]))[0])
        area[round(y)] = LIGHT.grid
        if y < axes.height - 3:  # leaves room for the first time label
            label, baseline = f"{number * step:.{1 if step >= 0.1 else 2}f}", top + y + _LABEL / 2
            draw_text(image, label, _LEFT - 10, baseline, _LABEL, LIGHT.ink, align="right")


def _draw_time_grid(image: Image, area: Image, axes: Axes, top: int, end_s: float) -> None:
    room = axes.width / (1.8 * text_width(clock(axes.end_s, 0.1), _LABEL))
    step = next((step for step in _TIME_STEPS if axes.seconds / step <= room), axes.seconds)
    baseline = top + axes.height + 5 + _LABEL
    for number in range(math.ceil(axes.start_s / step), math.floor(end_s / step) + 1):
        x = round(axes.column(number * step))
        area[:, min(x, area.shape[1] - 1)] = LIGHT.grid
        label = clock(number * step, step)
        draw_text(image, label, _LEFT + x, baseline, _LABEL, LIGHT.ink, align="middle")


def _draw_legend(image: Image, evidence: Evidence, y: int) -> None:
    x = _LEFT
    for label, sample in _samples(evidence):
        sample(image[y - _SAMPLE // 2 : y + _SAMPLE // 2, x : x + _SAMPLE])
        x += _SAMPLE + 7
        draw_text(image, label, x, y + _LABEL / 2, _LABEL, LIGHT.ink)
        x += text_width(label, _LABEL) + 16


def _samples(evidence: Evidence) -> Iterator[tuple[str, Callable[[Image], None]]]:
    """Yield each label of the legend with the function that draws its sample."""
    yield "EAR", partial(_draw_line_sample, paint=LIGHT.ink, width=_STROKE)
    for eye, paint, values in (
        ("left", LIGHT.left, evidence.left),
        ("right", LIGHT.right, evidence.right),
    ):
        if np.isfinite(values).any():
            yield f"{eye} eye", partial(_draw_line_sample, paint=paint, width=_STROKE)
    yield "open level", partial(_draw_line_sample, paint=LIGHT.level, width=_STROKE)
    yield "closed level", _draw_dashed_sample
    yield "complete blink", partial(_draw_blink_sample, blink=Blink(0, 0, 0.2, 1.0, complete=True))
    yield "partial blink", partial(_draw_blink_sample, blink=Blink(0, 0, 0.2, 0.5, complete=False))
    yield "long closure", partial(_draw_blink_sample, blink=Blink(0, 0, 1, 1, True, long=True))
    yield "gap", lambda image: draw_gap_band(image, 2, _SAMPLE - 3, LIGHT, _STROKE)


def _draw_line_sample(image: Image, paint: Colour, width: float) -> None:
    y = image.shape[0] / 2
    curve(image, np.array([0.0, _SAMPLE]), np.array([y, y]), paint, width)


def _draw_dashed_sample(image: Image) -> None:
    y = image.shape[0] / 2
    dashed(image, np.array([0.0, _SAMPLE]), np.array([y, y]), LIGHT.level, _STROKE, _SAMPLE / 5)


def _draw_blink_sample(image: Image, blink: Blink) -> None:
    left, right = _SAMPLE * 0.25, _SAMPLE * 0.75
    draw_blink_band(image, blink, left, right, LIGHT)
    draw_mark(image, blink, left, right, _LANE / 2, LIGHT, _STROKE)
