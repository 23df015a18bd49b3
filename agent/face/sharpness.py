"""Sharpness: the amount of fine detail around the eyes. It drops before the mesh loses the face.

It is 0 where lids can't be seen: in the dark, and behind a reflection on spectacles.
"""

import math

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
one of them. The dark quarter of an open eye's middle is at most 0.6 in real recordings. In the
portrait it is 0.9 behind reflections that hide no blinks, and 1.0 behind some that do."""

APART = 0.15
"""Distance between the lids of an open eye, in its widths. A shut eye is as bright as the cheek."""

_UPPER, _LOWER = [11, 13], [3, 5]
"""Indices of two points of the upper lid in a contour, and of those below them."""

Floats = NDArray[np.float32]


def sharpness(crop: NDArray[np.uint8], lids: Floats) -> float | None:
    """Return the mean of both eyes: about 0.2 in focus, below 0.15 where lids begin to blur.

    `crop` is uint8 (height, width, 3). `lids` are the contours of both eyes, in its pixels
    (2, 16, 2). An eye that is too faint to be seen, or covered, counts as 0. Returns None if
    neither eye has a size.
    """
    found = [_share_of_detail(crop, each) for each in lids]
    bright = [_brightness(crop, each) for each in lids]
    limit = COVERED if sum(bright) > len(bright) * COVERED else ONE_COVERED
    seen = [
        share if light <= limit else 0.0
        for share, light in zip(found, bright, strict=True)
        if share is not None
    ]
    return sum(seen) / len(seen) if seen else None


def _share_of_detail(crop: NDArray[np.uint8], lids: Floats) -> float | None:
    """Return the share of fine detail in the contrast around an eye with this contour (16, 2).

    It hardly depends on the light or the size of the face, and the camera's noise is subtracted.
    """
    green = _part(crop, lids, (-0.75, 0.75), (-0.5, 0.5))
    if min(green.shape) < 2 * COARSE:
        return None
    fine, coarse = (cv2.GaussianBlur(green, (0, 0), sigma) for sigma in (FINE, COARSE))
    noise = _variance(green - fine)
    detail = _variance(fine - coarse) - _NOISE_IN_DETAIL * noise
    contrast = _variance(green) - _NOISE_IN_ALL * noise
    return math.sqrt(max(0.0, detail) / contrast) if contrast >= FAINT * FAINT else 0.0


def _variance(picture: Floats) -> float:
    return float(cv2.meanStdDev(picture)[1].item()) ** 2


def _brightness(crop: NDArray[np.uint8], lids: Floats) -> float:
    """Return the brightness of an open eye's dark quarter as a share of the cheek's.

    It is 0 for a shut eye, and where the picture does not show both.
    """
    apart = float(np.linalg.norm(lids[_UPPER] - lids[_LOWER], axis=1).mean())
    middle, cheek = (_part(crop, lids, *part) for part in (_MIDDLE, _CHEEK))
    is_open = apart >= APART * math.dist(*lids[_CORNERS].tolist())
    if not (is_open and middle.size and cheek.size):
        return 0.0
    return float(np.percentile(middle, 25) / max(1.0, float(np.median(cheek))))


_CORNERS = [OUTER, INNER]
_MIDDLE, _CHEEK = ((-0.2, 0.2), (-0.12, 0.12)), ((-0.4, 0.4), (0.5, 0.8))
"""Parts of a picture, as in `_part`."""


def _part(
    crop: NDArray[np.uint8], lids: Floats, across: tuple[float, float], down: tuple[float, float]
) -> Floats:
    """Return the green channel of a part around an eye, as float32. It may be empty.

    `across` and `down` are its bounds, from the middle of the eye's corners, in widths of the eye.
    """
    corners = lids[_CORNERS]
    if not np.isfinite(corners).all():
        return np.empty((0, 0), np.float32)
    x, y = corners.mean(axis=0).tolist()
    width = math.dist(*corners.tolist())
    left, right = (max(0, int(x + share * width)) for share in across)
    top, bottom = (max(0, int(y + share * width)) for share in down)
    return crop[top:bottom, left:right, 1].astype(np.float32)
