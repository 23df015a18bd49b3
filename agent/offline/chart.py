"""Part of a recording as a chart: EAR, its levels, blinks and gaps over time.

The colours are Okabe and Ito's, which colour-blind people can tell apart. Colour is never the only
sign: each counted event has a mark at the top, filled for a complete blink, hollow for a partial
one, a bar of its length for a long closure. Gaps are hatched.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

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

Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Theme:
    """The colours of a chart, and the opacity of the bands of blinks, 0..1."""

    background: Colour
    ink: Colour
    grid: Colour
    left: Colour
    right: Colour
    level: Colour
    complete: Colour
    partial: Colour
    long: Colour
    gap: Colour
    shade: float
    shade_partial: float


LIGHT = Theme(
    background=colour("#ffffff"),
    ink=colour("#1f2933"),
    grid=colour("#e4e7eb"),
    left=colour("#a5d3ee"),
    right=colour("#e6bfd6"),
    level=colour("#009e73"),
    complete=colour("#d55e00"),
    partial=colour("#e69f00"),
    long=colour("#0072b2"),
    gap=colour("#b4bec8"),
    shade=0.35,
    shade_partial=0.25,
)
DARK = Theme(
    background=colour("#101418"),
    ink=colour("#ffffff"),
    grid=colour("#3a444e"),
    left=colour("#3f6f8c"),
    right=colour("#7c5a6e"),
    level=colour("#2ee6b0"),
    complete=colour("#ff7a1a"),
    partial=colour("#f0c040"),
    long=colour("#56b4e9"),
    gap=colour("#8a96a3"),
    shade=0.6,
    shade_partial=0.35,
)


def kind_colour(blink: Blink, theme: Theme) -> Colour:
    """Return the colour of a complete blink, a partial one, or a long closure."""
    return theme.long if blink.long else theme.complete if blink.complete else theme.partial


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

    def doubled(self) -> "Axes":
        """Return the axes for a picture of twice the size."""
        size = {name: 2 * getattr(self, name) for name in ("width", "height", "lane")}
        return replace(self, **size)

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


def ear_range(evidence: Evidence) -> tuple[float, float]:
    """Return the range of EAR to show: every dip, and peaks up to half above the open level."""
    curves = (evidence.ear, evidence.left, evidence.right, evidence.closed, evidence.open)
    seen = np.concatenate(curves)
    seen = seen[np.isfinite(seen)]
    if not len(seen):
        return 0.0, 0.4
    low, high = float(seen.min()), float(seen.max())
    high = min(high, 1.5 * float(np.nanmax(evidence.open, initial=0.0)) or high)
    margin = max(0.08 * (high - low), 0.02)  # the noise of a still eye must not look like blinks
    return max(0.0, low - margin), high + margin


def draw(image: Image, evidence: Evidence, axes: Axes, theme: Theme, stroke: float) -> None:
    """Draw the chart, filling `image`. `stroke` is the width of the EAR line in pixels."""
    for gap in evidence.gaps_between(axes.start_s, axes.end_s):
        _draw_gap(image, gap, axes, theme, stroke)
    blinks = evidence.blinks_between(axes.start_s, axes.end_s)
    for blink in blinks:
        draw_blink_band(image, blink, *axes.extent(blink), theme)
    _draw_lines(image, evidence, axes, theme, stroke)
    for blink in blinks:
        draw_mark(image, blink, *axes.extent(blink), axes.lane / 2, theme, stroke)


def draw_blink_band(image: Image, blink: Blink, left: float, right: float, theme: Theme) -> None:
    """Shade a blink from column `left` to column `right`."""
    shade = theme.shade if blink.complete else theme.shade_partial
    fill(image, left, right, kind_colour(blink, theme), shade)


def draw_mark(
    image: Image, blink: Blink, left: float, right: float, y: float, theme: Theme, stroke: float
) -> None:
    """Draw the mark of an event between the columns `left` and `right`, centred on row `y`."""
    paint = mix(kind_colour(blink, theme), theme.ink, 0.3)
    x, half = (left + right) / 2, mark_size(stroke) / 2
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
    inside = paint if blink.complete or blink.long else theme.background
    polygon(image, corners, paint, inside, max(1, round(0.8 * stroke)))


def mark_size(stroke: float) -> float:
    """Return the width and height of a blink's mark in pixels."""
    return max(6.0, 5.5 * stroke)


def draw_gap_band(image: Image, left: float, right: float, theme: Theme, stroke: float) -> None:
    """Draw a gap from column `left` to column `right`."""
    fill(image, left, right, theme.gap, 0.2)
    hatch(image, left, right, theme.gap, max(5, round(6 * stroke)), max(1, round(0.5 * stroke)))


def _draw_gap(image: Image, gap: Gap, axes: Axes, theme: Theme, stroke: float) -> None:
    left, right = np.clip(axes.extent(gap), 0, axes.width)
    draw_gap_band(image, left, right, theme, stroke)
    label, size = "no face" if gap.frames else "no frames", label_size(stroke)
    half, middle = text_width(label, size) / 2 + size, (left + right) / 2
    if right - left > 2 * half:
        y = axes.lane + (axes.height - axes.lane) / 2
        box = image[max(0, round(y - size)) : round(y + size)]
        fill(box, middle - half, middle + half, theme.background)
        draw_text(image, label, middle, y + size / 2, size, theme.ink, align="middle")


def label_size(stroke: float) -> float:
    """Return the height of capitals in a chart, in pixels."""
    return max(8.0, 6.5 * stroke)


def _draw_lines(image: Image, evidence: Evidence, axes: Axes, theme: Theme, stroke: float) -> None:
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
        dashed(image, x, y, theme.level, thin, 5 * stroke)
    for values, paint, width in (
        (evidence.left[part], theme.left, thin),
        (evidence.right[part], theme.right, thin),
        (ear, theme.ink, stroke),
        (opened, theme.level, thin),
    ):
        for x, y in _runs(times, values, axes):
            curve(image, x, y, paint, width)


def _runs(times: Floats, values: Floats, axes: Axes) -> Iterator[tuple[Floats, Floats]]:
    """Yield columns (n,) and rows (n,) of each line through values without a gap."""
    seen = np.flatnonzero(np.isfinite(values))
    apart = (np.diff(seen) > 1) | (np.diff(times[seen]) > MAX_INTERVAL_S)
    for run in np.split(seen, np.flatnonzero(apart) + 1):
        if len(run):
            x, y = axes.columns(times[run]), axes.rows(values[run])
            kept = _thinned(x, y)
            yield x[kept], y[kept]


def _thinned(x: Floats, y: Floats) -> Indices:
    """Return the first, highest, lowest and last point in each pixel column.

    The line looks the same as with all points: Jugel et al., "M4: A Visualization-Oriented Time
    Series Data Aggregation", VLDB 2014.
    """
    column = np.floor(x)
    order = np.lexsort((y, column))
    begins = np.flatnonzero(np.diff(column, prepend=-np.inf))
    ends = np.append(begins[1:], len(x)) - 1
    return np.unique(np.concatenate([begins, ends, order[begins], order[ends]]))


def blink_summary(evidence: Evidence, until_s: float = math.inf) -> str:
    """Describe the number of blinks that began by `until_s`."""
    if not evidence.blinks and evidence.session.metrics.blink_count is None:
        return "blinks not counted"
    begun = evidence.blinks_between(-math.inf, until_s)
    long = sum(blink.long for blink in begun)
    half = sum(not blink.complete and not blink.long for blink in begun)
    said = f"{len(begun) - long} blink{'' if len(begun) - long == 1 else 's'}"
    said += f" ({half} partial)" if half else ""
    return said + (f", {long} long closure{'' if long == 1 else 's'}" if long else "")


def clock(time_s: float, step_s: float = 1.0) -> str:
    """Format a time as `1:05`, from an hour on `1:00:05`, with the decimals that `step_s` needs."""
    decimals = 0 if step_s >= 1 else 1 if step_s >= 0.1 else 2
    time_s = round(time_s, decimals)
    seconds = f"{time_s % 60:0{decimals + 3 if decimals else 2}.{decimals}f}"
    minutes, hours = int(time_s // 60) % 60, int(time_s // 3600)
    return f"{hours}:{minutes:02}:{seconds}" if hours else f"{minutes}:{seconds}"
