"""Sharpness: the amount of fine detail around the eyes. It drops before the mesh loses the face."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

FINE, COARSE = 1.0, 2.0
"""Detail between these standard deviations of a Gaussian, in pixels of the crop, shows the lids."""

_NOISE_IN_DETAIL, _NOISE_IN_ALL = 0.047, 1.31
"""Variance of white noise in that detail, and in total, relative to its variance below `FINE`. It
follows from the squares of the filters' weights."""

FAINT = 2.5
"""Contrast around an eye in grey levels, a standard deviation: below it lids are hardly drawn. Real
recordings have 11 and more; the portrait loses its blinks at 1.7, and none at 3.4."""

Floats = NDArray[np.float32]


def sharpness(crop: NDArray[np.uint8], corners: Floats) -> float | None:
    """Return the mean of both eyes: about 0.2 in focus, below 0.15 where lids begin to blur.

    `crop` is uint8 (height, width, 3). `corners` are those of each eye, in its pixels (2, 2, 2).
    An eye that is too faint to be seen counts as 0. Returns None if neither eye has a size.
    """
    found = [_share_of_detail(crop, each) for each in corners]
    seen = [each for each in found if each is not None]
    return sum(seen) / len(seen) if seen else None


def _share_of_detail(crop: NDArray[np.uint8], corners: Floats) -> float | None:
    """Return the share of fine detail in the contrast around an eye with these two corners (2, 2).

    It hardly depends on the light or the size of the face, and the camera's noise is subtracted.
    """
    green = _around(crop, corners)
    if min(green.shape) < 2 * COARSE:
        return None
    fine, coarse = (cv2.GaussianBlur(green, (0, 0), sigma) for sigma in (FINE, COARSE))
    noise = _variance(green - fine)
    detail = _variance(fine - coarse) - _NOISE_IN_DETAIL * noise
    contrast = _variance(green) - _NOISE_IN_ALL * noise
    return math.sqrt(max(0.0, detail) / contrast) if contrast >= FAINT * FAINT else 0.0


def _variance(picture: Floats) -> float:
    return float(cv2.meanStdDev(picture)[1].item()) ** 2


def _around(crop: NDArray[np.uint8], corners: Floats) -> Floats:
    """Return the green channel around an eye, 1.5 times its width, as float32. It may be empty."""
    if not np.isfinite(corners).all():
        return np.empty((0, 0), np.float32)
    x, y = corners.mean(axis=0).tolist()
    width = math.dist(*corners.tolist())
    left, right = max(0, int(x - 0.75 * width)), max(0, int(x + 0.75 * width))
    top, bottom = max(0, int(y - 0.5 * width)), max(0, int(y + 0.5 * width))
    return crop[top:bottom, left:right, 1].astype(np.float32)
