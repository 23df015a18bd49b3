"""How the eyes have moved in the crop since the last look, and whether that is plausible.

The crop follows the head by the four corners of the eyes. If these don't move as a rigid head does,
or the picture around them changes abruptly, the eyes were lost or the head moved too fast.
"""

import cmath
from typing import cast

import cv2
import numpy as np

from agent.face.crops import Affine, Pixels, Similarity
from agent.face.eyes import INNER, OUTER, Contours

MAX_MISFIT = 0.04
"""Maximum distance of the corners from their positions at the last look, after fitting the head's
movement: a root mean square, in distances between the eyes."""

MAX_STEP, MAX_GROWTH, MAX_TURN = 0.1, 1.1, 0.15
"""Limits of the head's movement from one frame to the next: shift, in distances between the eyes;
growth or shrinkage, as a factor; rotation, in radians."""

STILL = 0.05
"""Movement up to this may come from placing the boxes again: 0.01 to 0.04 were measured."""

MAX_OPENED = 2.0
"""If the lids are this many times more, or less, open than at the last look, they have moved the
corners."""

MAX_CHANGE = 0.25
"""Maximum mean change of the picture around the eyes between two frames, divided by its contrast.
Above it, the scene has changed or the head moves too fast to be tracked by its eyes."""

RECENTRED_CHANGE = 0.5
"""The same limit if the crop itself has moved in between."""


class Motion:
    """Positions of the eyes at the last look and in the last frame, in pixels of the crop.

    Corners are complex numbers, the outer and inner ones of the right and then the left eye. The
    opening is the distance between the lids, summed over both eyes.
    """

    def __init__(self, eyes: Contours, band: Pixels) -> None:
        """Start at a look, with the picture around the eyes."""
        self._thumbnail = _thumbnail(band)
        self._seen = _measured(eyes)
        self._last: list[complex]  # the corners of the last frame, in the moved crop
        self._moved = 0.0
        self.restart()

    def jumps(self, band: Pixels, max_change: float = MAX_CHANGE) -> bool:
        """Return whether the picture around the eyes has changed too much to use `step`."""
        before, self._thumbnail = self._thumbnail, _thumbnail(band)
        change = cv2.norm(before, self._thumbnail, cv2.NORM_L1) / before.size
        return not change <= max_change * self._contrast

    def step(self, eyes: Contours) -> tuple[complex, complex] | None:
        """Return the rotation and shift that move the crop along with the head.

        Returns None if the movement is not plausible. The corners in the model's output also move
        with the lids. While the lids are far more, or far less, open than at the look, the crop
        therefore follows the corners from frame to frame.
        """
        corners, opening = self._seen = _measured(eyes)
        alike = 1 / MAX_OPENED <= opening / self._opening <= MAX_OPENED
        start = self._look if alike else Similarity(self._last)
        turn, shift, misfit = start.fit(corners)
        step = abs(turn * start.middle + shift - start.middle) / self._apart
        if not (
            misfit <= MAX_MISFIT * self._apart
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
        """Whether the last movement is small enough to come from placing the boxes again."""
        return self._moved <= STILL

    def restart(self) -> None:
        """Use the last frame as the look to compare with. The crop stays where it is."""
        corners, self._opening = self._seen
        self._start_at(corners)
        self._last = corners
        self._contrast = _contrast(self._thumbnail)

    def recentre(self, to_crop: Affine) -> None:
        """Continue in another crop. `to_crop` maps it into this one, without mirroring."""
        (a, _, x), (c, _, y) = to_crop.tolist()
        turn, shift = complex(a, c), complex(x, y)
        self._start_at([(corner - shift) / turn for corner in self._look.start])
        self._last = [(corner - shift) / turn for corner in self._last]
        self._opening /= abs(turn)

    def _start_at(self, corners: list[complex]) -> None:
        """Compare with these corners."""
        self._look = Similarity(corners)
        self._apart = abs(corners[2] - corners[0])


_PLACES = np.array([OUTER, INNER, 3, 11, 5, 13])
"""Points of a contour: both corners, then two of the lower lid, each followed by that above it."""


def _measured(eyes: Contours) -> tuple[list[complex], float]:
    """Return the four corners, and the opening of both eyes: at least a small value."""
    points = eyes.lids.view(np.complex64)[..., 0].take(_PLACES, axis=1)
    right, left = points.tolist()
    return right[:2] + left[:2], max(_opening(right) + _opening(left), 0.1)


def _opening(eye: list[complex]) -> float:
    _, _, outer, above_outer, inner, above_inner = eye
    return outer.imag - above_outer.imag + inner.imag - above_inner.imag


def _thumbnail(band: Pixels) -> Pixels:
    """Return the band in cells of 8x8 pixels, averaged over two rows each."""
    height, width = band.shape[:2]
    small = cv2.resize(band[::4], (width // 8, height // 8), interpolation=cv2.INTER_AREA)
    return cast(Pixels, small)


def _contrast(thumbnail: Pixels) -> float:
    """Return the standard deviation of the thumbnail."""
    return float(cv2.meanStdDev(thumbnail.reshape(-1))[1].item())
