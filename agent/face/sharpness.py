"""Sharpness: the amount of fine detail around the eyes. It drops before the mesh loses the face.

It is 0 where lids can't be seen: in the dark, and behind a reflection on spectacles.
"""

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.face.eyes import INNER, OUTER

FINE, COARSE = 1.0, 2.0
"""Detail between these standard deviations of a Gaussian, in pixels of the crop, shows the lids."""

_NOISE_IN_DETAIL, _NOISE_IN_ALL = 0.047, 1.31
"""Variance of white noise in that detail, and in total, relative to its variance below `FINE`. It
follows from the squares of the filters' weights."""

FAINT = 2.5
"""Contrast around an eye in grey levels, a standard deviation: below it lids are hardly drawn. Real
recordings have 11 and more; the portrait loses its blinks at 1.7, and none at 3.4."""

COVERED, ONE_COVERED = 0.95, 1.1
"""From this brightness on, a share of the cheek's, reflections cover both open eyes on average, or
one of them. Measured is the dark quarter of an open eye's middle: usually 0.1 to 0.6. In the
portrait it is 0.9 behind reflections that hide no blinks, and 1.0 behind some that do. Without any
reflection, 5 of 41 looks at one clip and 2 of 141 at another exceeded the limit, and none of 729 at
eight others."""

APART = 0.15
"""Distance between the lids of an open eye, in its widths. A shut eye is as bright as the cheek."""

_OPPOSITE = (11, 3), (13, 5)
"""Indices of two points of the upper lid in a contour, and of those below them."""

Part = tuple[float, float, float, float]
"""Left, right, upper and lower bound, from the middle of an eye's corners, in its widths."""

_AROUND: Part = (-0.75, 0.75, -0.5, 0.5)
_MIDDLE: Part = (-0.2, 0.2, -0.12, 0.12)
_CHEEK: Part = (-0.4, 0.4, 0.5, 0.8)

Floats = NDArray[np.float32]


def sharpness(crop: NDArray[np.uint8], lids: Floats) -> float | None:
    """Return the mean of both eyes: about 0.2 in focus, below 0.15 where lids begin to blur.

    `crop` is uint8 (height, width, 3). `lids` are the contours of both eyes, in its pixels
    (2, 16, 2). An eye that is too faint to be seen, or covered, counts as 0. Returns None if
    neither eye has a size.
    """
    if not np.isfinite(lids).all():
        return None
    eyes = [_Eye(each) for each in lids.tolist()]
    bright = [_brightness(crop, each) for each in eyes]
    limit = COVERED if sum(bright) > len(bright) * COVERED else ONE_COVERED
    found = [_share_of_detail(crop, each) for each in eyes]
    seen = [
        share if light <= limit else 0.0
        for share, light in zip(found, bright, strict=True)
        if share is not None
    ]
    return sum(seen) / len(seen) if seen else None


class _Eye:
    """Where an eye is in the crop: the middle of its corners, its width, and whether it is open."""

    def __init__(self, lids: Sequence[Sequence[float]]) -> None:
        outer, inner = lids[OUTER], lids[INNER]
        self._x, self._y = (outer[0] + inner[0]) / 2, (outer[1] + inner[1]) / 2
        self._width = math.dist(outer, inner)
        apart = sum(math.dist(lids[upper], lids[lower]) for upper, lower in _OPPOSITE)
        self.is_open = apart >= len(_OPPOSITE) * APART * self._width

    def part(self, crop: NDArray[np.uint8], part: Part) -> NDArray[np.uint8]:
        """Return the green channel of a part around the eye. It may be empty."""
        left, right, top, bottom = part
        columns = slice(self._place(self._x, left), self._place(self._x, right))
        return crop[self._place(self._y, top) : self._place(self._y, bottom), columns, 1]

    def _place(self, middle: float, share: float) -> int:
        return max(0, int(middle + share * self._width))


def _share_of_detail(crop: NDArray[np.uint8], eye: _Eye) -> float | None:
    """Return the share of fine detail in the contrast around an eye.

    It hardly depends on the light or the size of the face, and the camera's noise is subtracted.
    """
    green = eye.part(crop, _AROUND).astype(np.float32)
    if min(green.shape) < 2 * COARSE:
        return None
    fine, coarse = (cv2.GaussianBlur(green, (0, 0), sigma) for sigma in (FINE, COARSE))
    noise = _variance(green - fine)
    detail = _variance(fine - coarse) - _NOISE_IN_DETAIL * noise
    contrast = _variance(green) - _NOISE_IN_ALL * noise
    return math.sqrt(max(0.0, detail) / contrast) if contrast >= FAINT * FAINT else 0.0


def _variance(picture: Floats) -> float:
    return float(cv2.meanStdDev(picture)[1].item()) ** 2


def _brightness(crop: NDArray[np.uint8], eye: _Eye) -> float:
    """Return the brightness of an open eye's dark quarter as a share of the cheek's.

    It is 0 for a shut eye, and where the picture does not show both.
    """
    middle, cheek = eye.part(crop, _MIDDLE), eye.part(crop, _CHEEK)
    if not (eye.is_open and middle.size and cheek.size):
        return 0.0
    return _quantile(middle, 0.25) / max(1, _quantile(cheek, 0.5))


def _quantile(picture: NDArray[np.uint8], share: float) -> int:
    place = int(share * (picture.size - 1))
    return int(np.partition(picture, place, axis=None)[place])
