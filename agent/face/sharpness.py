"""How much fine detail there is around the eyes: a blur takes it before the mesh loses the face."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

FINE, COARSE = 1.0, 2.0
"""Detail between these, deviations of a Gaussian in the mesh's own pixels, draws the lids."""

_NOISE_IN_DETAIL, _NOISE_IN_ALL = 0.047, 1.31
"""White noise's variance between these, and its whole one, over that of what is finer than `FINE`:
by the squares of the filters' weights."""

Floats = NDArray[np.float32]


def sharpness(crop: NDArray[np.uint8], corners: Floats) -> float | None:
    """The mean of both eyes: about 0.2 in focus, below 0.15 where lids begin to blur.

    `crop` is uint8 (height, width, 3); `corners` are those of each eye in its pixels (2, 2, 2).
    None where neither eye has size and contrast.
    """
    found = [_share_of_detail(crop, each) for each in corners]
    seen = [each for each in found if each is not None]
    return sum(seen) / len(seen) if seen else None


def _share_of_detail(crop: NDArray[np.uint8], corners: Floats) -> float | None:
    """Of the contrast around an eye with these two corners (2, 2).

    Light and the size of the face hardly move it, and the camera's noise is taken out.
    """
    green = _around(crop, corners)
    if min(green.shape) < 2 * COARSE:
        return None
    fine, coarse = (cv2.GaussianBlur(green, (0, 0), sigma) for sigma in (FINE, COARSE))
    noise = _variance(green - fine)
    detail = _variance(fine - coarse) - _NOISE_IN_DETAIL * noise
    contrast = _variance(green) - _NOISE_IN_ALL * noise
    return math.sqrt(max(0.0, detail) / contrast) if contrast > 0 else None


def _variance(picture: Floats) -> float:
    return float(cv2.meanStdDev(picture)[1].item()) ** 2


def _around(crop: NDArray[np.uint8], corners: Floats) -> Floats:
    """The green of half as much again as an eye is wide, float32; maybe empty."""
    if not np.isfinite(corners).all():
        return np.empty((0, 0), np.float32)
    x, y = corners.mean(axis=0).tolist()
    width = math.dist(*corners.tolist())
    left, right = max(0, int(x - 0.75 * width)), max(0, int(x + 0.75 * width))
    top, bottom = max(0, int(y - 0.5 * width)), max(0, int(y + 0.5 * width))
    return crop[top:bottom, left:right, 1].astype(np.float32)
