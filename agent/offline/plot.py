"""A whole recording in one picture: rows of EAR over time with the counted events, by matplotlib.

All rows have the same length and the same scale of EAR. The length is chosen so that the recording
fits into `MAX_ROWS`: two seconds and two hours are both readable. The colours are Okabe and Ito's,
which colour-blind people can tell apart. Colour is never the only sign: above each counted event is
a mark, filled for a complete blink, hollow for a partial one, a bar for a long closure.

matplotlib is the extra `desk`. Import this module only where a plot is requested.
"""

import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.style
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator

from agent.measure.blinks import MIN_AMPLITUDE
from agent.measure.session import MAX_INTERVAL_S, MIN_COUNT_FPS
from agent.offline.evidence import Evidence, Floats, blink_summary, clock, ear_range
from agent.records import Blink

WIDTH = 1600
"""Width of the picture in pixels; it is readable at half that size in a page."""

DPI = 160
MAX_ROWS = 24
"""Two hours make rows of five minutes."""

ROW_SECONDS = (15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600)
"""Row lengths in seconds, all easy to count with."""

TICK_SECONDS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200)
TICKS = 15  # at most, in a row

INK, SOFT, PANEL, GRID = "#1f2933", "#52606d", "#f7f9fa", "#e4e7eb"
COMPLETE, PARTIAL, LONG = "#d55e00", "#e69f00", "#0072b2"
LEFT_EYE, RIGHT_EYE, LEVEL = "#8cc4e8", "#dba9c8", "#009e73"

STYLE: dict[str, Any] = {
    "font.size": 9,
    "text.color": INK,
    "text.parse_math": False,  # a file may be called `$1.mp4`
    "axes.facecolor": PANEL,
    "axes.edgecolor": "#9aa5b1",
    "axes.labelcolor": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": GRID,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "hatch.linewidth": 0.6,
    "lines.solid_joinstyle": "round",
}

# In inches
_LEFT, _RIGHT, _HEADER, _BETWEEN, _FOOTER = 0.62, 0.2, 1.02, 0.42, 0.5


@dataclass(frozen=True, slots=True)
class Look:
    """How a kind of event or span is drawn: its band's colours and hatching, and its mark."""

    label: str
    band: dict[str, Any]
    mark: dict[str, Any] | None = None


BLINKS = {
    "complete": Look(
        "complete blink",
        {"facecolor": COMPLETE, "alpha": 0.35},
        {"marker": "v", "color": "#a34800"},
    ),
    "partial": Look(
        "partial blink",
        {"facecolor": PARTIAL, "alpha": 0.28},
        {"marker": "v", "color": "#a87400", "markerfacecolor": "white"},
    ),
    "long": Look(
        "long closure",
        {"facecolor": LONG, "alpha": 0.30},
        {"marker": "s", "color": "#00507d"},
    ),
}
GAP = Look("no valid time", {"facecolor": "#eceff2", "edgecolor": "#b4bec8", "hatch": "////"})
DOWN = Look("looking down", {"facecolor": "#e3dcf2", "edgecolor": "#a99bcb", "hatch": "...."})


@dataclass(frozen=True, slots=True)
class Sheet:
    """The layout: `rows` rows of `row_s` seconds each, `row_height` inches high."""

    start_s: float
    row_s: float
    rows: int
    row_height: float

    @property
    def height(self) -> float:
        """Height of the picture in inches."""
        return _HEADER + self.rows * self.row_height + (self.rows - 1) * _BETWEEN + _FOOTER

    def span(self, row: int) -> tuple[float, float]:
        """Return the start and end of a row, counted from 0, in seconds."""
        start_s = self.start_s + row * self.row_s
        return start_s, start_s + self.row_s


def sheet_for(evidence: Evidence) -> Sheet:
    """Choose the layout. A recording hardly longer than the shortest row fills one row."""
    start_s, end_s = float(evidence.times[0]), float(evidence.times[-1])
    duration_s = max(end_s - start_s, 0.1)
    usual = (row_s for row_s in ROW_SECONDS if duration_s <= MAX_ROWS * row_s)
    row_s = next(usual, duration_s / MAX_ROWS)
    row_s = duration_s if duration_s < 1.4 * row_s else row_s
    rows = math.ceil(duration_s / row_s)
    return Sheet(start_s, row_s, rows, max(0.75, min(2.8, 8.0 / rows)))


def write_plot(path: Path, evidence: Evidence, title: str) -> None:
    """Write the plot as a PNG file. Raises OSError."""
    with mpl.style.context(["default", STYLE]), warnings.catch_warnings():
        # A letter that the font lacks, in a file's name, becomes a box.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure(evidence, title).savefig(path, format="png")


def figure(evidence: Evidence, title: str) -> Figure:
    """Draw the whole recording. One axes per row, from top to bottom."""
    sheet = sheet_for(evidence)
    width = WIDTH / DPI
    drawing = Figure(figsize=(width, sheet.height), dpi=DPI)
    for row in range(sheet.rows):
        top = _HEADER + row * (sheet.row_height + _BETWEEN)
        axes = drawing.add_axes(
            (
                _LEFT / width,
                1 - (top + sheet.row_height) / sheet.height,
                1 - (_LEFT + _RIGHT) / width,
                sheet.row_height / sheet.height,
            )
        )
        axes.set_xlim(*sheet.span(row))
        axes.set_ylim(*ear_range(evidence))
        _draw_row(axes, evidence)
    unit = f"time ({'h:min:s' if evidence.times[-1] >= 3600 else 'min:s'})"
    drawing.axes[-1].set_xlabel(unit, loc="right")
    drawing.axes[0].set_ylabel("EAR (ratio)")
    _write_header(drawing, evidence, title)
    return drawing


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
    return "  ·  ".join(facts)


def kind_of(blink: Blink) -> Look:
    """Return how to draw a complete blink, a partial one, or a long closure."""
    return BLINKS["long" if blink.long else "complete" if blink.complete else "partial"]


def _write_header(drawing: Figure, evidence: Evidence, title: str) -> None:
    """Write title, summary and legend above the rows, so that they cover nothing."""
    _, height = drawing.get_size_inches()
    left = drawing.axes[0].get_position().x0
    name = drawing.text(left, 1 - 0.27 / height, title, fontsize=13, fontweight="bold")
    room = (WIDTH - _RIGHT * DPI - left * WIDTH) / name.get_window_extent().width
    name.set_fontsize(13 * min(1.0, room))
    drawing.text(left, 1 - 0.50 / height, summary(evidence), color=SOFT, fontsize=9.5)
    labels, handles = zip(*_legend(evidence), strict=True)
    drawing.legend(
        handles=handles,
        labels=labels,
        handler_map={tuple: HandlerTuple(ndivide=1)},
        loc="upper left",
        bbox_to_anchor=(left, 1 - 0.59 / height),
        ncols=12,
        frameon=False,
        borderpad=0,
        borderaxespad=0.3,
        columnspacing=1.0,
        handlelength=1.4,
        handletextpad=0.4,
        fontsize=7.5,
    )


def _draw_row(axes: Axes, evidence: Evidence) -> None:
    start_s, end_s = axes.get_xlim()
    _set_ticks(axes, end_s - start_s)
    axes.axvspan(max(start_s, float(evidence.times[-1])), end_s, color="white", zorder=0.9)
    _draw_spans(axes, GAP, [(g.start_s, g.end_s) for g in evidence.gaps_between(start_s, end_s)])
    _draw_spans(axes, DOWN, evidence.down)
    blinks = evidence.blinks_between(start_s, end_s)
    for look in BLINKS.values():
        alike = [(b.start_s, b.end_s) for b in blinks if kind_of(b) is look]
        _draw_spans(axes, look, alike)
        _draw_marks(axes, look, [(start + end) / 2 for start, end in alike])
    for values, line in _lines(evidence, start_s, end_s):
        times, seen = _broken(values[0], values[1])
        axes.plot(times, seen, **line, marker=".", markevery=_alone(seen), markersize=2)


def _set_ticks(axes: Axes, seconds: float) -> None:
    step = next((step for step in TICK_SECONDS if seconds / step <= TICKS), seconds)
    axes.xaxis.set_major_locator(MultipleLocator(step))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda time_s, _: clock(time_s, step)))
    inches = axes.get_window_extent().height / DPI
    axes.yaxis.set_major_locator(MaxNLocator(max(2, round(2.5 * inches)), steps=[1, 2, 5, 10]))
    axes.tick_params(length=3, labelsize=8)


def _draw_spans(axes: Axes, look: Look, spans: Sequence[tuple[float, float]]) -> None:
    """Shade times from top to bottom; each is at least as wide as a thin line."""
    wide = [(start_s, end_s - start_s) for start_s, end_s in spans]
    edge = {"edgecolor": look.band["facecolor"], "linewidth": 0.6, **look.band}
    axes.broken_barh(wide, (0, 1), transform=axes.get_xaxis_transform(), **edge)


def _draw_marks(axes: Axes, look: Look, times: Sequence[float]) -> None:
    """Put a mark above each event whose middle is in this row."""
    start_s, end_s = axes.get_xlim()
    here = [time_s for time_s in times if start_s <= time_s <= end_s]
    above = 1 + 0.07 / (axes.get_window_extent().height / DPI)
    axes.plot(
        here,
        [above] * len(here),
        transform=axes.get_xaxis_transform(),
        linestyle="",
        markersize=5,
        clip_on=False,
        **(look.mark or {}),
    )


Line = tuple[tuple[Floats, Floats], dict[str, Any]]


def _lines(evidence: Evidence, start_s: float, end_s: float) -> Iterator[Line]:
    """Yield times and values (n,) of each line with its style, up to a sample beyond the edges."""
    first = max(0, int(np.searchsorted(evidence.times, start_s)) - 1)
    last = int(np.searchsorted(evidence.times, end_s, side="right")) + 1
    part = slice(first, last)
    times, ear = evidence.times[part], evidence.ear[part]
    opened, closed = (
        np.where(np.isfinite(ear), level[part], np.nan)
        for level in (evidence.open, evidence.closed)
    )
    threshold = opened - MIN_AMPLITUDE * (opened - closed)
    values = (evidence.left[part], evidence.right[part], opened, threshold, ear)
    for seen, line in zip(values, LINES, strict=True):
        yield (times, seen), line


LINES: tuple[dict[str, Any], ...] = (
    {"label": "left eye", "color": LEFT_EYE, "linewidth": 0.9},
    {"label": "right eye", "color": RIGHT_EYE, "linewidth": 0.9},
    {"label": "open level", "color": LEVEL, "linewidth": 1.1},
    {"label": "blink threshold", "color": LEVEL, "linewidth": 1.1, "linestyle": (0, (4, 2))},
    {"label": "mean EAR", "color": INK, "linewidth": 1.4},
)


def _broken(times: Floats, values: Floats) -> tuple[Floats, Floats]:
    """Interrupt a line where no frames are, by a NaN."""
    after = np.flatnonzero(np.diff(times) > MAX_INTERVAL_S) + 1
    return np.insert(times, after, times[after]), np.insert(values, after, np.nan)


def _alone(values: Floats) -> list[int]:
    """Return the indices of samples without a neighbour: a line does not show them."""
    seen = np.isfinite(np.pad(values, 1, constant_values=np.nan))
    return np.flatnonzero(seen[1:-1] & ~seen[:-2] & ~seen[2:]).tolist()


def _legend(evidence: Evidence) -> Iterator[tuple[str, tuple[Artist, ...]]]:
    """Yield label and sample of each line, and of each kind of event and span that occurs."""
    for line in LINES:
        yield line["label"], (Line2D([], [], **line),)
    found = [kind_of(blink) for blink in evidence.blinks]
    found += [GAP] * bool(evidence.gaps) + [DOWN] * bool(evidence.down)
    for look in (*BLINKS.values(), GAP, DOWN):
        if look in found:
            band = Patch(**{"edgecolor": look.band["facecolor"], **look.band})
            mark = Line2D([], [], linestyle="", markersize=5, **(look.mark or {}))
            yield look.label, (band, mark) if look.mark else (band,)
