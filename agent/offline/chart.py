"""The overlay's chart: EAR, its levels, blinks and gaps of the last seconds, on a dark background.

The colours are Okabe and Ito's, which colour-blind people can tell apart. Colour is never the only
sign: each counted event has a mark at the top, filled for a complete blink, hollow for a partial
one, a bar of its length for a long closure. Gaps are hatched.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from agent.measure.session import MAX_INTERVAL_S
from agent.offline.canvas import (
    Colour,
    Image,
    colour,
    curve,
    dashed,
    draw_text,
    fill,
    hatch,
    mix,
    polygon,
    text_width,
)
from agent.offline.evidence import Evidence, Floats, Gap
from agent.records import Blink

BACKGROUND, INK, GRID = colour("#101418"), colour("#ffffff"), colour("#3a444e")
LEFT, RIGHT, LEVEL = colour("#3f6f8c"), colour("#7c5a6e"), colour("#2ee6b0")
COMPLETE, PARTIAL, LONG = colour("#ff7a1a"), colour("#f0c040"), colour("#56b4e9")
GAP = colour("#8a96a3")

SHADE, SHADE_PARTIAL = 0.6, 0.35
"""Opacity of the bands of blinks, 0..1."""


def kind_colour(blink: Blink) -> Colour:
    """Return the colour of a complete blink, a partial one, or a long closure."""
    return LONG if blink.long else COMPLETE if blink.complete else PARTIAL


@dataclass(frozen=True, slots=True)
class Axes:
    """`width` x `height` pixels show `seconds` from `start_s` and EAR from `low` to `high`.

    The top `lane` pixels are reserved for the marks of events.
    """

    start_s: float
    seconds: float
    low: float
    high: float
    width: int
    height: int
    lane: int

    @property
    def end_s(self) -> float:
        """The time at the right edge."""
        return self.start_s + self.seconds

    def column(self, time_s: float) -> float:
        """Convert a time to pixels from the left."""
        return (time_s - self.start_s) / self.seconds * self.width

    def extent(self, stretch: Blink | Gap) -> tuple[float, float]:
        """Return the columns of the start and end of a blink or gap."""
        return self.column(stretch.start_s), self.column(stretch.end_s)

    def columns(self, times: Floats) -> Floats:
        """Convert times (n,) to pixels from the left."""
        return (times - self.start_s) * (self.width / self.seconds)

    def rows(self, ear: Floats) -> Floats:
        """Convert EAR (n,) to pixels from the top; values outside the axes go to their edge."""
        share = (self.high - np.clip(ear, self.low, self.high)) / (self.high - self.low)
        return self.lane + share * (self.height - 1 - self.lane)


def draw(image: Image, evidence: Evidence, axes: Axes, stroke: float) -> None:
    """Draw the chart, filling `image`. `stroke` is the width of the EAR line in pixels."""
    for gap in evidence.gaps_between(axes.start_s, axes.end_s):
        _draw_gap(image, gap, axes, stroke)
    blinks = evidence.blinks_between(axes.start_s, axes.end_s)
    for blink in blinks:
        shade = SHADE if blink.complete else SHADE_PARTIAL
        fill(image, *axes.extent(blink), kind_colour(blink), shade)
    _draw_lines(image, evidence, axes, stroke)
    for blink in blinks:
        _draw_mark(image, blink, axes, stroke)


def mark_size(stroke: float) -> float:
    """Return the width and height of a blink's mark in pixels."""
    return max(6.0, 5.5 * stroke)


def _draw_mark(image: Image, blink: Blink, axes: Axes, stroke: float) -> None:
    paint = mix(kind_colour(blink), INK, 0.3)
    left, right = axes.extent(blink)
    x, y, half = (left + right) / 2, axes.lane / 2, mark_size(stroke) / 2
    if blink.long:
        wide, high = max((right - left) / 2, half), half / 2
        corners = [
            (x - wide, y - high),
            (x + wide, y - high),
            (x + wide, y + high),
            (x - wide, y + high),
        ]
    else:
        corners = [(x - half, y - half), (x + half, y - half), (x, y + half)]
    inside = paint if blink.complete or blink.long else BACKGROUND
    polygon(image, corners, paint, inside, max(1, round(0.8 * stroke)))


def _draw_gap(image: Image, gap: Gap, axes: Axes, stroke: float) -> None:
    left, right = np.clip(axes.extent(gap), 0, axes.width)
    fill(image, left, right, GAP, 0.2)
    hatch(image, left, right, GAP, max(5, round(6 * stroke)), max(1, round(0.5 * stroke)))
    label, size = "no face" if gap.frames else "no frames", max(8.0, 6.5 * stroke)
    half, middle = text_width(label, size) / 2 + size, (left + right) / 2
    if right - left > 2 * half:
        y = axes.lane + (axes.height - axes.lane) / 2
        box = image[max(0, round(y - size)) : round(y + size)]
        fill(box, middle - half, middle + half, BACKGROUND)
        draw_text(image, label, middle, y + size / 2, size, INK, align="middle")


def _draw_lines(image: Image, evidence: Evidence, axes: Axes, stroke: float) -> None:
    """Draw the EAR and the levels. Levels are left out where EAR is missing."""
    first = max(0, int(np.searchsorted(evidence.times, axes.start_s)) - 1)
    last = int(np.searchsorted(evidence.times, axes.end_s, side="right")) + 1
    part = slice(first, last)  # including one sample beyond each edge
    times, ear, thin = evidence.times[part], evidence.ear[part], 0.6 * stroke
    opened, closed = (
        np.where(np.isfinite(ear), level[part], np.nan)
        for level in (evidence.open, evidence.closed)
    )
    for x, y in _runs(times, closed, axes):
        dashed(image, x, y, LEVEL, thin, 5 * stroke)
    for values, paint, width in (
        (evidence.left[part], LEFT, thin),
        (evidence.right[part], RIGHT, thin),
        (ear, INK, stroke),
        (opened, LEVEL, thin),
    ):
        for x, y in _runs(times, values, axes):
            curve(image, x, y, paint, width)


def _runs(times: Floats, values: Floats, axes: Axes) -> Iterator[tuple[Floats, Floats]]:
    """Yield columns (n,) and rows (n,) of each line through values without a gap."""
    seen = np.flatnonzero(np.isfinite(values))
    apart = (np.diff(seen) > 1) | (np.diff(times[seen]) > MAX_INTERVAL_S)
    for run in np.split(seen, np.flatnonzero(apart) + 1):
        if len(run):
            yield axes.columns(times[run]), axes.rows(values[run])
