"""One eye of a photograph, drawn with its lids closed and its gaze lowered by any amount.

The eye has three layers, each taken from the photograph: the eyeball, the skin below the eye, which
the lower lid lifts, and the upper lid, made by stretching the skin up to the brow.

Heights are in pixels of the photograph, on a pixel grid of a sheet that is `ZOOM` times as large.
How far the lids move was chosen from some hundred settings by what the attention mesh's eye heads
measure in real lids. With closure, EAR falls evenly to 0.16 of the open one (0.04 to 0.35 in real
blinks), and the lower lid rises to 0.35 of its open position (0.3 to 0.8). Looking down reads as
shut (0.21), but moves the iris to 0.06 of the eye's width below the corners and leaves the lower
lid near its open position (0.8).
"""

from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Grid = NDArray[np.float32]
Point = tuple[float, float]

ZOOM = 2
"""Pixels of the sheet for one of the photograph, each way."""

# How lids close.
_LEAD = 0.82  # the lid is down by closure to this power: the lashes hide the last of the gap
_RISE = 0.45  # the lower lid goes this share of the way up to the line between the corners
_SKIN = 9.0  # height of the skin above the lid's edge that stretches, up to the brow
_LASHES = 3.0  # the part of it next to the edge that moves as it is: lashes and crease
_CHEEK = 7.0  # height of the skin below the lower lid that stretches
_BROW = 1.5  # how far the brow comes down with the lid
_FOREHEAD = 15.0  # height above the brow that gives way to it
_WIDER = 1.1  # the fold is this much wider than the eye
_SHADOW, _SHADOW_HEIGHT = 0.5, 1.8  # darkness below shut lashes, 0..1, and how far down it reaches

# How eyes look down.
_IRIS_DROPS = 4.0  # how far the eyeball's picture moves
_LOWER_LID_DROPS = 2.0
_UPPER_LID_FOLLOWS = 0.84  # the share of the gap that the upper lid covers


class Eye:
    """One eye: where its lids are, from corner to corner, and how it is drawn."""

    def __init__(self, upper: list[Point], lower: list[Point]) -> None:
        outer, inner = upper[0][0], upper[-1][0]
        half = (inner - outer) / 2
        left, right = int(outer - half * 0.8), int(inner + half * 0.8)
        top = int(min(y for _, y in upper) - _SKIN - _FOREHEAD) - 1
        bottom = int(max(y for _, y in lower) + _CHEEK) + 2
        self._box = slice(top * ZOOM, bottom * ZOOM), slice(left * ZOOM, right * ZOOM)
        rows, columns = np.mgrid[self._box].astype(np.float32)
        self._y = (rows + 0.5) / ZOOM - 0.5
        self._map_x = columns - self._box[1].start
        x = (columns + 0.5) / ZOOM - 0.5
        along = np.clip(x, outer, inner)
        self._upper = _curve(upper, along)
        self._lower: Grid = np.maximum(_curve(lower, along), self._upper)
        corners = np.interp(along, [outer, inner], [upper[0][1], upper[-1][1]])
        self._lift = _RISE * np.maximum(self._lower - corners, 0)
        across = (x - (outer + inner) / 2) / half
        # 1 in the middle of the eye, 0 at the ends of the fold; and the same for the wider brow.
        fold = np.clip(1 - (across / _WIDER) ** 2, 0, 1) ** 0.7
        self._fold: Grid = np.asarray(fold, np.float32)
        self._brow: Grid = np.asarray(np.clip((1.6 - np.abs(across)) / 0.6, 0, 1), np.float32)

    def draw(self, sheet: Pixels, closure: float, down: float = 0.0) -> None:
        """Draw the eye onto `sheet`, which shows it open and looking ahead.

        `closure` is 0 for an open eye and 1 for a shut one; so is `down` for the gaze.
        """
        if closure <= 0 and down <= 0:
            return
        eye = sheet[self._box]
        lower = self._lower - closure * self._lift + down * _LOWER_LID_DROPS * self._fold
        shut = 1 - (1 - closure**_LEAD) * (1 - _UPPER_LID_FOLLOWS * down)
        upper = self._upper + shut * (lower - self._upper)
        ball = self._sampled(eye, self._y - down * _IRIS_DROPS)
        cheek = self._sampled(eye, self._below(lower))
        lid = self._sampled(eye, self._above(upper, shut))
        drawn = _over(_over(ball, cheek, self._y - lower), lid, upper - self._y)
        eye[:] = np.clip(drawn * self._shade(upper, shut)[..., None] + 0.5, 0, 255)

    def _sampled(self, eye: Pixels, source_y: Grid) -> Grid:
        """The photograph at other heights, float32."""
        map_y = np.asarray((source_y + 0.5) * ZOOM - 0.5 - self._box[0].start, np.float32)
        picture = cv2.remap(
            eye, self._map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        return picture.astype(np.float32)

    def _above(self, edge: Grid, shut: float) -> Grid:
        """The height in the photograph of what is seen at each pixel, with the lid at `edge`."""
        brow, lashes = self._upper - _SKIN, _LASHES * self._fold
        knots = [
            (brow - _FOREHEAD, brow - _FOREHEAD),
            (np.asarray(brow + shut * _BROW * self._brow, np.float32), brow),
            (edge - lashes, self._upper - lashes),
            (edge, self._upper),
        ]
        return self._between(knots)

    def _below(self, edge: Grid) -> Grid:
        """The same for the skin below the lower lid at `edge`."""
        end = np.asarray(self._lower + _CHEEK, np.float32)
        return self._between([(edge, self._lower), (end, end)])

    def _between(self, knots: list[tuple[Grid, Grid]]) -> Grid:
        """The source of each pixel's height, by lines between knots of heights and sources."""
        source: Grid = self._y.copy()
        for (low, low_source), (high, high_source) in pairwise(knots):
            share = (self._y - low) / np.maximum(high - low, 1e-6)
            between = (self._y >= low) & (self._y < high)
            line = low_source + share * (high_source - low_source)
            np.copyto(source, line, where=between, casting="same_kind")
        return source

    def _shade(self, edge: Grid, shut: float) -> Grid:
        """How bright it stays below the lashes, 0..1: their shadow comes as the eye shuts."""
        below = np.exp(-((np.maximum(self._y - edge, 0) / _SHADOW_HEIGHT) ** 2))
        below = np.where(self._y > edge - 0.5, below, 0) * np.sqrt(self._fold)
        shadow = _SHADOW * min(max(2 * shut - 0.3, 0.0), 1.0)
        return np.asarray(1 - shadow * below, np.float32)


def _over(under: Grid, layer: Grid, inside: Grid) -> Grid:
    """`layer` drawn where `inside`, the distance from its edge, is above 0; its edge is smooth."""
    share = np.clip(inside * ZOOM + 0.5, 0, 1)[..., None]
    return np.asarray(under * (1 - share) + layer * share, np.float32)


def _curve(points: list[Point], at: Grid) -> Grid:
    """A lid's edge through `points`, as a polynomial of the fourth degree: y for each x of `at`."""
    x, y = np.array(points).T
    return np.polynomial.Polynomial.fit(x, y, 4)(at).astype(np.float32)
