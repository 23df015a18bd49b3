"""Charts as SVG text, drawn by pygal and styled by the pages' style sheet.

pygal embeds styles and scripts. Both are removed, because the pages' policy allows neither inline.
What remains are shapes with classes for the style sheet. The page also shows the same numbers in a
table next to each chart.
"""

import math
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element

import pygal  # type: ignore[import-untyped]
from django.utils.safestring import SafeString, mark_safe
from pygal.style import Style  # type: ignore[import-untyped]

from server.common.words import number

# pygal adds an import hook to find country maps, in a way that Python 3.11 warns about.
sys.meta_path[:] = [
    finder for finder in sys.meta_path if not isinstance(finder, pygal.PluginImportFixer)
]

Tick = tuple[float, str]
Span = tuple[float, float]


@dataclass(frozen=True)
class Size:
    """Width and height of a drawing, in CSS pixels at its intended size."""

    name: str
    width: int
    height: int
    labels: int  # how many labels fit below the chart


WIDE = Size("wide", 880, 250, 12)
NARROW = Size("narrow", 360, 210, 5)
SMALL = Size("small", 420, 170, 5)
SPARK = Size("spark", 184, 56, 0)


# Space on either side of a bar, as a share of its width. Gaps overlap slightly, to join up.
AIR = 0.09


# Values below this are shown as 0; near the smallest float the logarithm for the step fails.
NOTHING = 1e-6
# Decimals of the smallest step, and one more for where the axis starts.
MOST_DECIMALS = 8

# With more points than this, dots are smaller.
MANY = 45


@dataclass(frozen=True)
class Dot:
    """One measured point. `marks` become classes; `text` is its tooltip."""

    x: float
    y: float
    text: str
    marks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Bar:
    """One bar from `start` to `end`. A `value` of `None` is drawn as a gap of full height."""

    start: float
    end: float
    value: float | None
    text: str
    marks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Frame:
    """The chart's label for screen readers, and its two axes.

    The vertical axis goes from `bottom` to the round number at or above `top`.
    """

    label: str
    span: tuple[float, float]
    top: float
    x_ticks: Sequence[Tick] = ()
    bottom: float = 0


def dots_and_line(
    frame: Frame,
    size: Size,
    *,
    dots: Iterable[Dot] = (),
    line: Iterable[tuple[float, float | None]] = (),
    band: tuple[float, float] | None = None,
    gaps: Iterable[Span] = (),
) -> SafeString:
    """Draw measurements as dots, a line that breaks at `None`, and a band behind both.

    `gaps` are spans without measurements, drawn as pale columns of full height.
    """
    line = list(line)
    dots_size = 3 if len(line) <= MANY else 2
    chart = _chart(pygal.XY, frame, size, allow_interruptions=True, dots_size=dots_size)
    chart.add("band", _rectangle(frame.span, band), show_dots=False)
    chart.add("dots", [_dot(dot) for dot in dots], stroke=False)
    chart.add("line", line)
    _marks, low, high = _upright(frame)
    columns = [(*_rectangle(span, (low, high)), (span[0], None)) for span in gaps]
    chart.add("gaps", [point for column in columns for point in column], show_dots=False)
    return _svg(chart)


def gaps_between(values: Sequence[float | None]) -> list[Span]:
    """Return the spans of missing values, each from n to n + 1; neighbours are merged."""
    found: list[Span] = []
    for n, value in enumerate(values):
        if value is None and found and found[-1][1] == n:
            found[-1] = (found[-1][0], n + 1)
        elif value is None:
            found.append((n, n + 1))
    return found


def bars(frame: Frame, size: Size, data: Iterable[Bar]) -> SafeString:
    """Draw bars from zero; gaps are pale columns of full height, measured zeros thin marks."""
    chart = _chart(pygal.Histogram, frame, size)
    everything = list(data)
    top, _step = nice_top(frame.top)
    zero = top / 80
    chart.add("gaps", [_bar(bar, top, "gap", -0.01) for bar in everything if bar.value is None])
    chart.add("bars", [_bar(bar, bar.value, "bar", AIR) for bar in everything if bar.value])
    chart.add("zeros", [_bar(bar, zero, "zero", AIR) for bar in everything if bar.value == 0])
    return _svg(chart)


def sparkline(
    label: str, values: Sequence[float | None], band: tuple[float, float] | None
) -> SafeString:
    """Draw a line of one value per day, without axes, for the overview."""
    known = [value for value in values if value is not None]
    inside = [*known, *(band or ())]
    low, high = min(inside, default=0), max(inside, default=1)
    frame = Frame(label, (0, max(len(values) - 1, 1)), high or 1, bottom=low * 0.7)
    chart = _chart(
        pygal.XY, frame, SPARK, allow_interruptions=True, dots_size=1.6,
        show_x_labels=False, show_y_labels=False, margin=3,
    )  # fmt: skip
    chart.add("band", _rectangle(frame.span, band), show_dots=False)
    chart.add("dots", [], stroke=False)
    chart.add("line", list(enumerate(values)))
    return _svg(chart)


def nice_top(highest: float, steps: int = 4) -> tuple[float, float]:
    """Return a round axis end at or above `highest` and its step: 1, 2 or 5 by a power of 10."""
    if highest < NOTHING:
        return 1.0, 1.0
    rough = highest / steps
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * n for n in (1, 2, 5, 10) if power * n >= rough * (1 - 1e-9))
    return step * math.ceil(highest / step - 1e-8), step


def thinned(ticks: Sequence[Tick], room: int) -> list[Tick]:
    """Keep every n-th tick, at most `room` of them and always the first."""
    every = max(1, math.ceil(len(ticks) / max(room, 1)))
    return list(ticks[::every])


def axis_minutes(minutes: float) -> int:
    """Return the length of a minute axis: at least ten, so that a new session has room to grow."""
    return max(math.ceil(minutes), 10)


def minute_ticks(count: int) -> list[tuple[float, str]]:
    every = next((n for n in (1, 2, 5, 10, 15, 30, 60) if count / n <= 10), 120)
    return [(n, str(n)) for n in range(0, count + 1, every)]


def _chart(kind: Callable[..., Any], frame: Frame, size: Size, **options: Any) -> Any:
    marks, _low, _high = _upright(frame)
    settings: dict[str, Any] = {
        "width": size.width, "height": size.height, "range": (marks[0], marks[-1]),
        "xrange": frame.span, "include_x_axis": frame.bottom == 0, "style": _STYLE,
        "classes": ("chart", f"chart-{size.name}"), "css": (), "js": (), "no_prefix": True,
        "show_legend": False, "show_x_guides": False, "disable_xml_declaration": True,
        "margin": 6, "margin_left": 4, "truncate_label": -1,
    }  # fmt: skip
    chart = kind(**(settings | options))
    ticks = thinned(frame.x_ticks, size.labels)
    chart.x_labels = [{"value": at, "label": text} for at, text in ticks]
    decimals = _decimals(marks)
    chart.y_labels = [{"value": n, "label": number(n, decimals)} for n in marks]
    chart.add_xml_filter(lambda root: _tidied(root, frame.label))
    return chart


def _upright(frame: Frame) -> tuple[list[float], float, float]:
    """Return the marks of the vertical axis, the first and the last."""
    top, step = nice_top(frame.top - frame.bottom)
    marks = [frame.bottom + n * step for n in range(round(top / step) + 1)]
    return marks, marks[0], marks[-1]


def _decimals(marks: Sequence[float]) -> int:
    """Return the fewest decimals that show each mark exactly: 0.15, 0.25 need two."""
    dust = (marks[1] - marks[0]) / 1000
    return next(
        (n for n in range(MOST_DECIMALS) if all(abs(round(m, n) - m) < dust for m in marks)),
        MOST_DECIMALS,
    )


def _rectangle(
    span: tuple[float, float], band: tuple[float, float] | None
) -> list[tuple[float, float]]:
    if band is None:
        return []
    (left, right), (low, high) = span, band
    return [(left, low), (right, low), (right, high), (left, high)]


def _dot(dot: Dot) -> dict[str, Any]:
    classes = " ".join(("dot", *dot.marks))
    return {"value": (dot.x, dot.y), "tooltip": dot.text, "node": {"class": classes}}


def _bar(bar: Bar, height: float | None, kind: str, air: float = 0) -> dict[str, Any]:
    classes, side = " ".join((kind, *bar.marks)), (bar.end - bar.start) * air
    value = (height, bar.start + side, bar.end - side)
    return {"value": value, "tooltip": bar.text, "node": {"class": classes}}


def _svg(chart: Any) -> SafeString:
    # ElementTree has escaped everything in it.
    text: str = chart.render(is_unicode=True)
    return mark_safe(text)


_STYLE = Style(font_family="inherit", label_font_size=12, major_label_font_size=12)
_UNWANTED = {"defs", "desc"}  # `defs` holds styles and scripts
_COORDINATES = ("d", "x", "y", "cx", "cy", "width", "height")


def _tidied(root: Element, label: str) -> Element:
    """Remove inline styles, scripts and notes; round coordinates; label it as one image."""
    for parent in list(root.iter()):
        parent.attrib.pop("style", None)
        for name in _COORDINATES:
            if name in parent.attrib:
                parent.attrib[name] = re.sub(r"(\.\d)\d+", r"\1", parent.attrib[name])
        for child in [child for child in parent if _unwanted(parent, child)]:
            parent.remove(child)
    _gaps_behind(root)
    root.attrib.pop("id", None)
    root.attrib.update({"role": "img", "aria-label": label})
    return root


def _gaps_behind(root: Element) -> None:
    """Move gaps behind the other series. They come last so that others keep their numbers."""
    for plot in root.iter():
        behind = [each for each in plot if "serie-3" in each.get("class", "").split()]
        if behind and "series" in behind[0].get("class", "").split():
            first = next(n for n, each in enumerate(plot) if "series" in each.get("class", ""))
            for each in behind:
                plot.remove(each)
                plot.insert(first, each)


def _unwanted(parent: Element, child: Element) -> bool:
    if not isinstance(child.tag, str) or child.tag in _UNWANTED:
        return True
    # Titles of the image and the axes would show as tooltips everywhere.
    of_a_point = parent.get("class", "") in ("dots", "histbar")
    if child.tag == "title":
        return not of_a_point
    return child.tag == "g" and child.get("class") in ("titles", "plot tooltip-overlay")
