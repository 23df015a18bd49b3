"""Charts, drawn on the server as SVG. Begin with `draw`; `scale` has the axes, `signs` the notes.

All positions are percentages of the plot, and all sizes are in `rem`, so one drawing fits every
width and grows with the text. Colours, heights, and the sizes of points and lines come from the
pages' style sheet (`measured.css`). `charts.js` adds values under the pointer and by keyboard;
without it, the points are links, and the table next to each chart has all values.
"""

from server.dashboard.charts.draw import (
    Bar,
    Dot,
    Frame,
    bars,
    dots_and_line,
    gaps_between,
    sparkline,
)
from server.dashboard.charts.scale import axis_minutes, minute_ticks
from server.dashboard.charts.signs import Sign

__all__ = [
    "Bar",
    "Dot",
    "Frame",
    "Sign",
    "axis_minutes",
    "bars",
    "dots_and_line",
    "gaps_between",
    "minute_ticks",
    "sparkline",
]
