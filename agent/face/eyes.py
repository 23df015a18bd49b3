"""Face mesh and features -> contours of both eyes: the eye heads of the attention mesh.

Grishchenko et al. 2020 (arXiv:2006.10962): a head looks at one eye in the mesh's own early features
and outputs the points of lids, brow and iris. In the original model, three custom operators of
MediaPipe connect these parts. They are implemented here: place a box around an eye's landmarks,
sample 16x16 features in it, and map the head's output back to the crop. The iris branches off
late in a head and is a part of its own, which need not run each time.

Crop pixels are those of the mesh's 192x192 crop. A cell is one of its 48x48 features, 4 pixels
wide.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.face.detector import tensors
from agent.face.models import Interpreter

CELL = 4
"""Width of a feature cell in pixels of the crop."""

CELLS = 48
"""Number of feature cells across and down a whole crop."""

BAND_COLUMNS, BAND_ROWS = 38, 18
"""Size in cells of the band that contains both eyes' boxes. Most faces need 28 to 34 columns and 14
to 17 rows."""

CHANNELS, GRID = 32, 16
"""Channels of a feature, and number of samples across and down an eye's box."""

CONTOUR, IRIS = 16, 5
"""Number of points: the first sixteen of a head's 71 points are the lids, and an iris has five."""

BOX_SCALE = 1.5
"""Size of a box relative to the landmarks in it, as in the original model."""

_RIGHT = [
    33, 7, 163, 144, 145, 153, 154, 155, 133, 246, 161, 160, 159, 158, 157, 173,
    130, 25, 110, 24, 23, 22, 26, 112, 243, 247, 30, 29, 27, 28, 56, 190, 226, 31,
    228, 229, 230, 231, 232, 233, 244, 113, 225, 224, 223, 222, 221, 189, 35, 124,
    46, 53, 52, 65, 143, 111, 117, 118, 119, 120, 121, 128, 245, 156, 70, 63, 105,
    66, 107, 55, 193,
]  # fmt: skip
_LEFT = [
    263, 249, 390, 373, 374, 380, 381, 382, 362, 466, 388, 387, 386, 385, 384, 398,
    359, 255, 339, 254, 253, 252, 256, 341, 463, 467, 260, 259, 257, 258, 286, 414,
    446, 261, 448, 449, 450, 451, 452, 453, 464, 342, 445, 444, 443, 442, 441, 413,
    265, 353, 276, 283, 282, 295, 372, 340, 346, 347, 348, 349, 350, 357, 465, 383,
    300, 293, 334, 296, 336, 285, 417,
]  # fmt: skip
AROUND = np.array([_RIGHT, _LEFT])
"""Mesh landmarks around the right and the left eye, in the order of a head's output."""

LIDS = AROUND[:, :CONTOUR]
"""The lids among them: the lower lid from outer to inner corner, then the upper lid without
corners."""

OUTER, INNER = 0, 8
"""Indices of an eye's corners in its contour."""

_LEVEL = np.array([[33, 133], [362, 263]])
"""Mesh landmarks of the eyes' corners, from left to right in the picture. A box is aligned with
them."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Contours:
    """The person's right and left eye, in pixels of the crop.

    `lids` is float32 (2, 16, 2), in the order of `LIDS`. `irises` is float32 (2, 5, 2), the centre
    first; None if they were not computed.
    """

    lids: Floats
    irises: Floats | None = None

    def least_ear(self) -> float:
        """Return the eye aspect ratio (`agent.ear`) of the eye that is less open."""
        return min(map(_ear, self.lids.view(np.complex64)[..., 0].tolist()))


def _ear(eye: Sequence[complex]) -> float:
    """Return the eye aspect ratio of a contour, 0 if it has no width."""
    width = abs(eye[OUTER] - eye[INNER])
    return (abs(eye[11] - eye[3]) + abs(eye[13] - eye[5])) / (2 * width) if width > 0 else 0.0


class EyeHeads:
    """Both eye heads, and the boxes they look into until `place_boxes` is called again."""

    def __init__(
        self,
        right: Interpreter,
        left: Interpreter,
        right_iris: Interpreter,
        left_iris: Interpreter,
    ) -> None:
        self._models, self._iris_models = (right, left), (right_iris, left_iris)
        parts = [tensors(model) for model in self._models]
        self._inputs = [each for each, _ in parts]
        self._outputs = [tuple(each) for _, each in parts]
        self._iris_parts = [tensors(model) for model in self._iris_models]
        self._taken = np.empty((4, GRID * GRID, CHANNELS), np.float32)
        self._lids = np.empty((2, CONTOUR, 2), np.float32)
        self._irises = np.empty((2, IRIS, 2), np.float32)
        self._cells = np.zeros((2, 4, GRID * GRID), np.intp)
        # The same weight for all channels: twice as fast as broadcasting.
        self._weights = np.zeros((2, 4, GRID * GRID, CHANNELS), np.float32)
        self._to_crop = np.zeros((2, 2, 2), np.float32)
        self._origin = np.zeros((2, 1, 2), np.float32)
        self.first_column = self.first_row = 0

    def place_boxes(self, mesh: Floats) -> None:
        """Place the boxes around both eyes of a mesh (468, 2), in cells.

        This also sets `first_column` and `first_row`, where the band of features begins.
        """
        turns, centres = _boxes(mesh)
        at = turns @ _GRID_POINTS + (centres[..., None] - 0.5)
        (left, top), (right, bottom) = at.min(axis=(0, 2)).tolist(), at.max(axis=(0, 2)).tolist()
        self.first_column = _first_of(BAND_COLUMNS, left, right)
        self.first_row = _first_of(BAND_ROWS, top, bottom)
        at -= np.array([[self.first_column], [self.first_row]])
        self._sample(at)
        self._to_crop = turns.transpose(0, 2, 1).astype(np.float32)
        origin = centres - turns.sum(axis=2) * (GRID / 2)
        self._origin = (CELL * origin[:, None]).astype(np.float32)

    def read(self, features: Floats) -> Floats:
        """Run the heads on the band's features (`BAND_ROWS` * `BAND_COLUMNS`, 32).

        Returns the lids as in `Contours`.
        """
        taken = self._taken
        for eye, model in enumerate(self._models):
            np.take(features, self._cells[eye], axis=0, out=taken, mode="clip")
            np.multiply(taken, self._weights[eye], out=taken)
            # Keep no view of a tensor beyond a statement.
            np.add.reduce(taken, axis=0, out=self._inputs[eye]().reshape(taken.shape[1:]))
            model.invoke()
            self._lids[eye] = self._outputs[eye][0]()[0, :CONTOUR]
        return self._in_crop(self._lids)

    def read_irises(self) -> Floats:
        """Run the rest of both heads: from their last features to the irises, as in `Contours`."""
        for eye, model in enumerate(self._iris_models):
            features, (points,) = self._iris_parts[eye]
            np.copyto(features(), self._outputs[eye][1]())
            model.invoke()
            self._irises[eye] = points()[0]
        return self._in_crop(self._irises)

    def _in_crop(self, drawn: Floats) -> Floats:
        points: Floats = drawn @ self._to_crop
        points += self._origin
        return points

    def _sample(self, at: NDArray[np.float64]) -> None:
        """Prepare bilinear sampling at (2, 2, 256): for both eyes, columns and rows in the band.

        Positions outside the band take the value at its edge.
        """
        np.minimum(np.maximum(at, 0, out=at), _LAST_CELL, out=at)
        cell = at.astype(np.intp)
        after = (at - cell).astype(np.float32)
        # At the end of a row or of the band, the next cell has weight 0.
        np.add(BAND_COLUMNS * cell[:, 1:] + cell[:, :1], _NEIGHBOURS, out=self._cells)
        parts = np.stack([1 - after, after], axis=2)  # by eye, then across and down
        across, down = parts[:, 0], parts[:, 1]
        self._weights[:] = (down[:, :, None] * across[:, None]).reshape(2, 4, -1, 1)


_LAST_CELL = np.array([[BAND_COLUMNS - 1], [BAND_ROWS - 1]])
"""Last column and last row of the band."""

_NEIGHBOURS = np.array([[0], [1], [BAND_COLUMNS], [BAND_COLUMNS + 1]])
"""Offsets of a cell, the one to its right, and the two below."""


def _first_of(count: int, low: float, high: float) -> int:
    """Return the first of `count` cells, out of `CELLS`, with low..high in their middle."""
    first = math.floor((low + high + 1 - count) / 2 + 0.5)
    return min(max(first, 0), CELLS - count)


def _grid_points() -> NDArray[np.float64]:
    """Return where a box is sampled, row by row, from its centre: float64 (2, 256), x and y.

    Like TransformTensorBilinear, this samples the middle of each of the box's cells.
    """
    line = np.arange(GRID) + 0.5 - GRID / 2
    y, x = np.meshgrid(line, line, indexing="ij")
    return np.stack([x.ravel(), y.ravel()])


_GRID_POINTS = _grid_points()


def _boxes(mesh: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the rotation and scale of each box (2, 2, 2), and its centre (2, 2).

    This is MediaPipe's operator Landmarks2TransformMatrix.
    """
    level = np.array([_to_level(*ends) for ends in mesh[_LEVEL].tolist()])
    around = level @ mesh.take(AROUND, axis=0).transpose(0, 2, 1)
    low, high = around.min(axis=2), around.max(axis=2)
    turns = level.transpose(0, 2, 1)
    centres = (turns @ ((low + high) / 2)[..., None])[..., 0]
    return turns * ((high - low) * (BOX_SCALE / GRID))[:, None], centres


def _to_level(start: Sequence[float], end: Sequence[float]) -> list[list[float]]:
    """Return the rotation matrix that makes the line between two points horizontal."""
    angle = math.atan2(end[1] - start[1], end[0] - start[0])
    cos, sin = math.cos(angle), math.sin(angle)
    return [[cos, sin], [-sin, cos]]
