"""Templates of the charts: dots with a line and a band, bars, and a small line without axes.

Their heights and colours are in `measured.css`; on the page for the doctor, heights are in its own
`paper.css`.

A chart is two drawings on top of each other: a picture with a text alternative, and the points,
each with its text and, if it has one, its link. The points are hidden from screen readers, because
`charts.js` reads them out one by one, and the table next to the chart has them all.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from server.common.words import number
from server.dashboard.charts.scale import Scale, Tick, decimals_of, marks_between, with_widths
from server.dashboard.charts.signs import Sign, placed

Span = tuple[float, float]

# Space on either side of a bar, as a share of its width.
AIR = 0.09
# Height of the thin mark of a measured zero, in percent of the plot.
ZERO = 1.3
# With more points than this, dots are smaller.
MANY = 45
# A label of the vertical axis with more characters needs more room.
LONG_LABEL = 4


@dataclass(frozen=True)
class Dot:
    """One point. `y` is `None` for a gap in the line, `text` says its value, `marks` are classes.

    `href` is the page that it links to; empty for none.
    """

    x: float
    y: float | None
    text: str = ""
    marks: tuple[str, ...] = ()
    href: str = ""


@dataclass(frozen=True)
class Bar:
    """One bar from `start` to `end`. A `value` of `None` is drawn as a gap of full height."""

    start: float
    end: float
    value: float | None
    text: str
    marks: tuple[str, ...] = ()
    href: str = ""


@dataclass(frozen=True)
class Frame:
    """The chart's name on its page, its label for screen readers, and its two axes.

    The vertical axis goes from `bottom` to the round number at or above `top`. `big` charts are
    higher. With `first`, the horizontal axis is days from that day on, and `zoom.js` can narrow the
    page to some of them.
    """

    name: str
    label: str
    span: Span
    top: float
    x_ticks: Sequence[Tick] = ()
    bottom: float = 0
    big: bool = False
    first: date | None = None


def dots_and_line(
    frame: Frame,
    *,
    dots: Iterable[Dot] = (),
    line: Sequence[Dot] = (),
    cloud: Iterable[tuple[float, float]] = (),
    band: Span | None = None,
    gaps: Iterable[Span] = (),
    signs: Sequence[Sign] = (),
) -> SafeString:
    """Draw measurements as dots, a line that breaks at gaps, and a band behind both.

    `cloud` are dots without text and link, for charts with very many. `gaps` are spans without
    measurements, drawn as pale columns of full height. `signs` stand at the top.
    """
    across, marks = Scale(*frame.span), marks_between(frame.bottom, frame.top)
    up = Scale(marks[0], marks[-1])
    shapes = [
        *(_box(across, up, span, (marks[0], marks[-1]), "gap") for span in gaps),
        *([_box(across, up, frame.span, band, "band")] if band else []),
        _path("cloud", "".join(f"M{across.at(x):.2f} {up.down(y):.2f}h0" for x, y in cloud)),
        _path("line", _line(across, up, line)),
        _sign_lines(across, signs),
    ]
    points = [
        *(_circle(across, up, dot, "dot") for dot in dots),
        *(_circle(across, up, dot, "day") for dot in line),
        *(placed(sign, across.at(sign.x)) for sign in signs),
    ]
    return _chart(frame, across, up, marks, shapes, points)


def bars(frame: Frame, data: Iterable[Bar], signs: Sequence[Sign] = ()) -> SafeString:
    """Draw bars from zero; gaps are pale columns of full height, measured zeros thin marks.

    `signs` stand at the top.
    """
    across, marks = Scale(*frame.span), marks_between(frame.bottom, frame.top)
    up = Scale(marks[0], marks[-1])
    points = [
        *(_bar(across, up, bar) for bar in data),
        *(placed(sign, across.at(sign.x)) for sign in signs),
    ]
    return _chart(frame, across, up, marks, [_sign_lines(across, signs)], points)


def sparkline(label: str, values: Sequence[float | None], band: Span | None) -> SafeString:
    """Draw a line of one value per day, without axes, for the overview."""
    inside = [*(value for value in values if value is not None), *(band or ())]
    low, high = min(inside, default=0), max(inside, default=1) or 1
    across, up = Scale(-0.5, max(len(values), 2) - 0.5), Scale(low * 0.7, high * 1.05)
    line = [Dot(n, value) for n, value in enumerate(values)]
    shapes = [
        *([_box(across, up, (-0.5, across.high), band, "band")] if band else []),
        _path("line", _line(across, up, line)),
    ]
    days = "".join(_circle(across, up, dot, "day") for dot in line)
    return mark_safe(
        f'<svg class="chart-spark" role="img" aria-label="{escape(label)}">{_plot(shapes)}{days}'
        "</svg>"
    )


def gaps_between(values: Sequence[float | None]) -> list[Span]:
    """Return the spans of missing values, each from n to n + 1; neighbours are merged."""
    found: list[Span] = []
    for n, value in enumerate(values):
        if value is None and found and found[-1][1] == n:
            found[-1] = (found[-1][0], n + 1)
        elif value is None:
            found.append((n, n + 1))
    return found


def _chart(
    frame: Frame,
    across: Scale,
    up: Scale,
    marks: Sequence[float],
    shapes: Iterable[str],
    points: Sequence[str],
) -> SafeString:
    decimals = decimals_of(marks)
    labels = [number(mark, decimals) for mark in marks]
    kinds = {
        "big": frame.big,
        "many": len(points) > MANY,
        "wide-labels": max(map(len, labels)) > LONG_LABEL,
    }
    classes = " ".join(["chart", *(kind for kind, holds in kinds.items() if holds)])
    keys = _("Use the arrow keys to read the values, and Enter to open one.")
    days = ""
    if frame.first:
        keys += " " + _("Press Space on two days to see only the days between them.")
        days = f' data-first="{frame.first.isoformat()}" data-days="{frame.span[1]:.0f}"'
    return mark_safe(
        f'<div class="{classes}" id="chart-{frame.name}" data-chart{days}'
        f' data-keys="{escape(keys)}">'
        f'<svg class="picture" role="img" aria-label="{escape(frame.label)}">{_plot(shapes)}'
        f"{_upright(up, marks, labels)}{_level(across, frame.x_ticks)}</svg>"
        f'<svg class="points" aria-hidden="true">{"".join(points)}</svg>'
        '<p class="chart-says" aria-live="polite"></p></div>'
    )


def _plot(shapes: Iterable[str]) -> str:
    """Return shapes in a square that is stretched over the plot. Lines keep their width."""
    return f'<svg viewBox="0 0 100 100" preserveAspectRatio="none">{"".join(shapes)}</svg>'


def _upright(up: Scale, marks: Sequence[float], labels: Sequence[str]) -> str:
    """Return the horizontal lines with their labels on the left."""
    lines = []
    for mark, label in zip(marks, labels, strict=True):
        y = f"{up.down(mark):.2f}%"
        kind = "base" if mark == marks[0] else "grid"
        lines.append(f'<line class="{kind}" x2="100%" y1="{y}" y2="{y}"/>')
        lines.append(f'<text class="y" x="-.7em" y="{y}" dy=".32em">{escape(label)}</text>')
    return "".join(lines)


def _level(across: Scale, ticks: Sequence[Tick]) -> str:
    """Return the labels below the plot, each for charts that are wide enough for it."""
    return "".join(
        f'<text class="x{f" from-{width}" if width else ""}" x="{across.at(at):.2f}%" y="100%"'
        f' dy="1.6em">{escape(text)}</text>'
        for (at, text), width in with_widths(ticks)
    )


def _box(across: Scale, up: Scale, span: Span, heights: Span, kind: str) -> str:
    left, right = (across.at(x) for x in span)
    bottom, top = (up.down(y) for y in heights)
    return (
        f'<rect class="{kind}" x="{left:.2f}" y="{top:.2f}" width="{right - left:.2f}"'
        f' height="{max(bottom - top, 0):.2f}"/>'
    )


def _path(kind: str, path: str) -> str:
    return f'<path class="{kind}" d="{path}"/>' if path else ""


def _sign_lines(across: Scale, signs: Iterable[Sign]) -> str:
    return _path("sign-line", "".join(f"M{across.at(sign.x):.2f} 0V100" for sign in signs))


def _line(across: Scale, up: Scale, line: Iterable[Dot]) -> str:
    path, begun = [], False
    for dot in line:
        if dot.y is not None:
            kind = "L" if begun else "M"
            path.append(f"{kind}{across.at(dot.x):.2f} {up.down(dot.y):.2f}")
        begun = dot.y is not None
    return "".join(path)


def _circle(across: Scale, up: Scale, dot: Dot, kind: str) -> str:
    if dot.y is None:
        return ""
    place = f'cx="{across.at(dot.x):.2f}%" cy="{up.down(dot.y):.2f}%"'
    return _point("circle", " ".join((kind, *dot.marks)), place, dot.text, dot.href)


def _bar(across: Scale, up: Scale, bar: Bar) -> str:
    left, right = across.at(bar.start), across.at(bar.end)
    if bar.value is None:
        kind, air, top = "gap", 0.0, 0.0
    elif bar.value:
        kind, air, top = "bar", (right - left) * AIR, up.down(bar.value)
    else:
        kind, air, top = "zero", (right - left) * AIR, 100 - ZERO
    place = (
        f'x="{left + air:.2f}%" y="{top:.2f}%" width="{right - left - 2 * air:.2f}%"'
        f' height="{100 - top:.2f}%"'
    )
    return _point("rect", " ".join((kind, *bar.marks)), place, bar.text, bar.href)


def _point(shape: str, classes: str, place: str, text: str, href: str) -> str:
    """Return a shape with its text, as a link if it has one. The table has the same links.

    They are left out of the tab order: a chart is one stop, and the arrow keys go on from there.
    """
    title = f"<title>{escape(text)}</title>" if text else ""
    if not href:
        return f'<{shape} class="{classes}" {place}>{title}</{shape}>'
    return f'<a href="{escape(href)}" tabindex="-1">{title}<{shape} class="{classes}" {place}/></a>'
