"""How the eyes have moved in the crop since a look, and whether that makes sense.

The crop follows the head by the eyes' four corners. Where these do not move as a head does, or the
picture around them jumps, the eyes have left the face or it moved too fast to be followed by them.
"""

import cmath

import cv2
import numpy as np

from agent.face.crops import Affine, Pixels, similarity
from agent.face.eyes import INNER, OUTER, Contours

MAX_MISFIT = 0.04
"""How far the eyes' four corners may be from where the last look saw them, after the head has moved
as a whole: a root mean square, in distances between the eyes."""

MAX_STEP, MAX_GROWTH, MAX_TURN = 0.1, 1.1, 0.15
"""How far the head may move from one frame to the next, in distances between the eyes; how much
larger or smaller it may get; and how far it may turn, in radians."""

STILL = 0.05
"""A step, growth and turn up to this may be the boxes' own: 0.01 to 0.04 were measured."""

MAX_OPENED = 2.0
"""Lids that are so much more, or less, open than at the last look have moved the corners."""

MAX_CHANGE = 0.25
"""Mean change of the picture around the eyes from one frame to the next, over its contrast: more is
another scene, or a head too fast to be followed by its eyes."""

RECENTRED_CHANGE = 0.5
"""The same where the crop itself was moved in between."""


class Motion:
    """Where the eyes were seen at the last look and in the last frame, in pixels of the crop.

    Corners are of the right and the left eye, outer and inner, as complex numbers; an opening is
    how far the lids of both eyes are apart.
    """

    def __init__(self, eyes: Contours, band: Pixels) -> None:
        """At a look, with the picture around the eyes."""
        self._corners, self._opening = self._seen = _measured(eyes)
        self._last = self._corners  # where the corners would be in the crop that followed them
        self._thumbnail = _thumbnail(band)
        self._contrast = _contrast(self._thumbnail)
        self._moved = 0.0

    def jumps(self, band: Pixels, max_change: float = MAX_CHANGE) -> bool:
        """Whether the picture around the eyes has changed too much for `step` to make sense."""
        before, self._thumbnail = self._thumbnail, _thumbnail(band)
        change = cv2.norm(before, self._thumbnail, cv2.NORM_L1) / before.size
        return not change <= max_change * self._contrast

    def step(self, eyes: Contours) -> tuple[complex, complex] | None:
        """How the crop has to turn and shift to see the eyes where the last look saw them.

        None if that makes no sense. The corners that are drawn move with the lids, too. So while
        these are far more, or far less, open than at the look, the crop follows the corners from
        frame to frame.
        """
        corners, opening = self._seen = _measured(eyes)
        alike = 1 / MAX_OPENED <= opening / self._opening <= MAX_OPENED
        start = self._corners if alike else self._last
        turn, shift, misfit = similarity(start, corners)
        middle, apart = sum(start) / len(start), abs(self._corners[2] - self._corners[0])
        step = abs(turn * middle + shift - middle) / apart
        if not (
            misfit <= MAX_MISFIT * apart
            and step <= MAX_STEP
            and 1 / MAX_GROWTH <= abs(turn) <= MAX_GROWTH
            and abs(cmath.phase(turn)) <= MAX_TURN
        ):
            return None
        self._moved = max(step, abs(turn - 1))
        self._last = [(corner - shift) / turn for corner in corners]
        return turn, shift

    @property
    def still(self) -> bool:
        """Whether the head moved no further in the last frame than boxes laid anew make it seem."""
        return self._moved <= STILL

    def restart(self) -> None:
        """What was seen last was a look; the crop stays where it is."""
        self._corners, self._opening = self._seen
        self._last = self._corners
        self._contrast = _contrast(self._thumbnail)

    def recentre(self, to_crop: Affine) -> None:
        """Go on in another crop, which `to_crop`, no mirror, maps into this one."""
        (a, _, x), (c, _, y) = to_crop.tolist()
        turn, shift = complex(a, c), complex(x, y)
        self._corners = [(corner - shift) / turn for corner in self._corners]
        self._last = [(corner - shift) / turn for corner in self._last]
        self._opening /= abs(turn)


def _measured(eyes: Contours) -> tuple[list[complex], float]:
    """The four corners, and how far both eyes' lids are apart together: at least a little."""
    corners, opening = [], 0.0
    for eye in eyes.points.tolist():
        corners += [complex(*eye[OUTER]), complex(*eye[INNER])]
        opening += eye[3][1] - eye[11][1] + eye[5][1] - eye[13][1]
    return corners, max(opening, 0.1)


def _thumbnail(band: Pixels) -> Pixels:
    """The band in cells of 8x8 pixels, each by two of its rows: uint8 (rows, columns * 3)."""
    height, width = band.shape[:2]
    size = width // 8, height // 8
    small = cv2.resize(band[::4], size, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8).reshape(size[1], -1)


def _contrast(thumbnail: Pixels) -> float:
    """The standard deviation."""
    return float(cv2.meanStdDev(thumbnail)[1].item())
