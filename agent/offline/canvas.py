"""Lines and text on a picture, uint8 (height, width, 3), BGR. Coordinates are pixels.

Anything outside the picture is clipped. OpenCV's letters are thin and rough at caption size, so
text is drawn large and shrunk.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Floats = NDArray[np.float64]
Colour = tuple[int, int, int]

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_CAPITAL = 21.0
"""Height of a capital letter at scale 1, in pixels."""

_DRAWN = 90.0
"""Text is drawn with capitals of about this height, in pixels."""

_REGULAR, _BOLD = 0.12, 0.17
"""Stroke width of a letter, as a share of a capital's height."""

_FRACTION_BITS = 4
"""Lines are placed to a sixteenth of a pixel."""


def colour(code: str) -> Colour:
    """Convert `#rrggbb` to BGR."""
    red, green, blue = bytes.fromhex(code.lstrip("#"))
    return blue, green, red


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """Mix `share` (0..1) of the second colour into the first."""
    blue, green, red = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return blue, green, red


def fill(image: Image, left: float, right: float, paint: Colour, opacity: float = 1.0) -> None:
    """Fill the columns from `left` to `right`, both included, over the full height."""
    first, last = max(0, round(left)), min(image.shape[1], round(right) + 1)
    if first < last:
        area = image[:, first:last]
        cv2.addWeighted(area, 1 - opacity, np.full_like(area, paint), opacity, 0, dst=area)


def hatch(image: Image, left: float, right: float, paint: Colour, apart: int, width: int) -> None:
    """Draw slanted lines over the columns from `left` to `right`, every `apart` pixels."""
    height = image.shape[0]
    area = image[:, max(0, round(left)) : max(0, round(right) + 1)]
    offset = max(0, round(left)) % apart
    for x in range(-height - offset, area.shape[1], apart):
        cv2.line(area, (x, height), (x + height, 0), paint, width, cv2.LINE_AA)


def curve(image: Image, x: Floats, y: Floats, paint: Colour, width: float) -> None:
    """Draw a line through points (n,); a single point becomes a dot."""
    if len(x) == 1:
        x, y = np.array([x[0] - width, x[0] + width]), np.repeat(y, 2)
    points = np.round(np.stack([x, y], axis=1) * (1 << _FRACTION_BITS)).astype(np.int32)
    cv2.polylines(image, [points], False, paint, max(1, round(width)), cv2.LINE_AA, _FRACTION_BITS)


def dashed(image: Image, x: Floats, y: Floats, paint: Colour, width: float, dash: float) -> None:
    """Draw a dashed line: as `curve`, without every other `dash` pixels horizontally."""
    for start in np.arange(np.floor(x[0] / dash / 2), x[-1] / dash / 2) * dash * 2:
        ends = np.clip([start, start + dash], x[0], x[-1])
        inside = (x > ends[0]) & (x < ends[1])
        at = np.concatenate([ends[:1], x[inside], ends[1:]])
        curve(image, at, np.interp(at, x, y), paint, width)


def polygon(
    image: Image, points: Sequence[tuple[float, float]], paint: Colour, inside: Colour, width: int
) -> None:
    """Draw a closed outline in `paint`, filled with `inside`."""
    corners = np.round(np.array(points) * (1 << _FRACTION_BITS)).astype(np.int32)
    cv2.fillPoly(image, [corners], inside, cv2.LINE_AA, _FRACTION_BITS)
    cv2.polylines(image, [corners], True, paint, width, cv2.LINE_AA, _FRACTION_BITS)


def text_width(text: str, size: float, bold: bool = False) -> int:
    """Return the width of `text` in pixels, with capitals `size` pixels high."""
    return int(_mask(_ascii(text), size, bold).shape[1])


def draw_text(
    image: Image,
    text: str,
    x: float,
    baseline: float,
    size: float,
    paint: Colour,
    *,
    align: Literal["left", "middle", "right"] = "left",
    bold: bool = False,
) -> None:
    """Write `text` with capitals `size` pixels high; characters outside ASCII become `?`."""
    mask = _mask(_ascii(text), size, bold)
    share = {"left": 0.0, "middle": 0.5, "right": 1.0}[align]
    left = round(x - share * mask.shape[1])
    top = round(baseline - _ascent(size))
    rows = slice(max(0, top), max(0, top + mask.shape[0]))
    columns = slice(max(0, left), max(0, left + mask.shape[1]))
    area = image[rows, columns]
    cut = mask[rows.start - top :, columns.start - left :][: area.shape[0], : area.shape[1]]
    covered = cut[..., None] / 255.0
    area[:] = np.round(area * (1 - covered) + np.array(paint) * covered)


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode()


def _ascent(size: float) -> int:
    return round(size * 1.3)


@lru_cache(maxsize=512)  # a video repeats the text next to its numbers
def _mask(text: str, size: float, bold: bool) -> NDArray[np.uint8]:
    """Return how much text covers each pixel, 0..255; the baseline is `_ascent` from the top."""
    zoom = max(2, min(8, round(_DRAWN / size)))
    stroke = max(1, round(zoom * size * (_BOLD if bold else _REGULAR)))
    scale = zoom * size / _CAPITAL
    (width, _), _ = cv2.getTextSize(text, _FONT, scale, stroke)
    columns = -(-(width + 2 * stroke) // zoom)
    rows = _ascent(size) + round(size * 0.5)
    large = np.zeros((rows * zoom, columns * zoom), np.uint8)
    at = (stroke, _ascent(size) * zoom)
    cv2.putText(large, text, at, _FONT, scale, (255,), stroke, cv2.LINE_AA)
    return np.asarray(cv2.resize(large, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)
