"""Spectacles for a drawn face: a dark frame, and reflections of windows on the lenses."""

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Point = tuple[float, float]

_LENS = (16.5, 12.5)
"""Half width and half height of a lens, in pixels of a photograph with 43 between the pupils."""

_RIM = 1.0
_RIM_GREY = 38.0

_REFLECTION = ((-0.75, -0.55), (0.1, -0.75), (0.55, 0.6), (-0.35, 0.75))
"""Corners of a reflected window, in half widths and half heights of a lens from its middle."""

_SHARP = 4
"""Fixed-point bits of OpenCV's drawing."""


class Spectacles:
    """Drawn onto a picture of `shape`, around pupils at `right` and `left`; `zoom` scales all."""

    def __init__(self, shape: tuple[int, int], right: Point, left: Point, zoom: float) -> None:
        self._rims = np.zeros(shape, np.float32)
        self._reflections = np.zeros(shape, np.float32)
        lens = _LENS[0] * zoom, _LENS[1] * zoom
        width = round(_RIM * zoom)
        for pupil in (right, left):
            self._lens(pupil, lens, width)
        self._line((right[0] + lens[0], right[1]), (left[0] - lens[0], left[1]), width)
        arm = 7 * zoom
        self._line((right[0] - lens[0], right[1]), (right[0] - lens[0] - arm, right[1]), width)
        self._line((left[0] + lens[0], left[1]), (left[0] + lens[0] + arm, left[1]), width)
        self._rims = np.asarray(cv2.GaussianBlur(self._rims, (0, 0), 0.4 * zoom), np.float32)
        soft = cv2.GaussianBlur(self._reflections, (0, 0), 0.6 * zoom)
        x, y, columns, rows = cv2.boundingRect(np.asarray(self._rims + soft > 0, np.uint8))
        self._box = slice(y, y + rows), slice(x, x + columns)
        self._rims = self._rims[self._box][..., None]
        self._reflections = np.asarray(soft, np.float32)[self._box][..., None]

    def draw(self, picture: Pixels, glare: float) -> None:
        """Draw them onto `picture`; the lenses reflect `glare`, 0..1, of white light."""
        face = picture[self._box]
        drawn = face + (255 - face.astype(np.float32)) * (glare * self._reflections)
        face[:] = np.clip(drawn + (_RIM_GREY - drawn) * self._rims + 0.5, 0, 255)

    def _lens(self, pupil: Point, half: tuple[float, float], width: int) -> None:
        centre, axes = _fixed(pupil), _fixed(half)
        cv2.ellipse(self._rims, centre, axes, 0, 0, 360, 1.0, width, cv2.LINE_8, _SHARP)
        corners = np.array(
            [_fixed((pupil[0] + x * half[0], pupil[1] + y * half[1])) for x, y in _REFLECTION]
        )
        cv2.fillConvexPoly(self._reflections, corners, 1.0, cv2.LINE_8, _SHARP)

    def _line(self, start: Point, end: Point, width: int) -> None:
        cv2.line(self._rims, _fixed(start), _fixed(end), 1.0, width, cv2.LINE_8, _SHARP)


def _fixed(point: Point) -> tuple[int, int]:
    return round(point[0] * 2**_SHARP), round(point[1] * 2**_SHARP)
