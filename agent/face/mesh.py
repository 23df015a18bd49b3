"""A crop of a face -> its landmarks and both eyes: the attention mesh, cut into plain parts.

A stem looks at a 192x192 crop and gives early features: from these the trunk draws 468 landmarks
and tells whether it is a face. Another stem computes the same features, but only for a band around
both eyes. The eye heads (`eyes`) read the features of the band, whichever of the two they are from.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from agent.face import models
from agent.face.crops import Affine, Cropper, Floats, Pixels
from agent.face.detector import tensors
from agent.face.eyes import BAND_COLUMNS, BAND_ROWS, CELL, CELLS, CHANNELS, Contours, EyeHeads
from agent.face.models import Interpreter
from agent.records import Frame

CROP = CELL * CELLS
BAND_WIDTH, BAND_HEIGHT = CELL * BAND_COLUMNS, CELL * BAND_ROWS
"""Width of the crop, and size of the band around the eyes, in pixels of the crop."""

_TO_UNIT = np.float32(1 / 255)
"""Grey levels to the models' 0..1."""


@dataclass(frozen=True, slots=True)
class FaceModels:
    """The interpreters that a tracker needs, with their tensors allocated."""

    detector: Interpreter
    face_stem: Interpreter
    trunk: Interpreter
    eye_stem: Interpreter
    right_eye: Interpreter
    left_eye: Interpreter


def load_models(cache: Path, threads: int = 1) -> FaceModels:
    """The models of a tracker, verified and tried. Raises ModelError."""
    return FaceModels(
        models.load("face_detection", cache, threads),
        models.load("face_stem", cache, threads),
        models.load("face_trunk", cache, threads),
        models.load("eye_stem", cache, threads),
        models.load("right_eye", cache, threads),
        models.load("left_eye", cache, threads),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """The mesh, float32 (468, 3), in pixels of its crop, and the face flag, a logit."""

    mesh: Floats
    logit: float

    def recentred(self, to_crop: Affine) -> "Shape":
        """In pixels of another crop, which `to_crop`, no mirror, maps into its own."""
        (a, b, x), (c, d, y) = cv2.invertAffineTransform(to_crop).tolist()
        matrix = np.array([[a, b, 0, x], [c, d, 0, y], [0, 0, math.hypot(a, c), 0]])
        moved = cv2.transform(self.mesh.reshape(-1, 1, 3), matrix)
        return Shape(np.asarray(moved, np.float32).reshape(-1, 3), self.logit)


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What a look at the whole face found, in pixels of its crop.

    `mesh` is float32 (468, 3); `logit` is the face flag; `band` is the picture around the eyes,
    uint8 (BAND_HEIGHT, BAND_WIDTH, 3), valid until the next look or glance.
    """

    mesh: Floats
    logit: float
    eyes: Contours
    band: Pixels


@dataclass(frozen=True, slots=True, eq=False)
class Glance:
    """What was seen of the eyes alone; fields as in `Look`."""

    eyes: Contours
    band: Pixels


class AttentionMesh:
    """Looks at a whole face, or glances at its eyes where their boxes were laid last.

    A glance needs the crop of the shape that they were laid for, moved along with the head.
    """

    def __init__(self, parts: FaceModels) -> None:
        self._face_stem, self._trunk, self._eye_stem = parts.face_stem, parts.trunk, parts.eye_stem
        self._heads = EyeHeads(parts.right_eye, parts.left_eye)
        self._whole_crop, self._band_crop = Cropper(CROP, CROP), Cropper(BAND_WIDTH, BAND_HEIGHT)
        self._crop: Pixels = np.empty((0, 0, 3), np.uint8)
        self._whole = False
        self._face, (self._features,) = tensors(parts.face_stem)
        self._seen, (self._points, self._flag) = tensors(parts.trunk)
        self._band, (self._band_features,) = tensors(parts.eye_stem)

    @property
    def band_corner(self) -> tuple[int, int]:
        """Where the band begins, x and y in pixels of the crop."""
        return CELL * self._heads.first_column, CELL * self._heads.first_row

    def shape(self, frame: Frame, to_frame: Affine) -> Shape:
        """Look at the whole crop, which `to_frame` maps into the frame, but not at the eyes."""
        self._crop_face(frame, to_frame)
        self._face_stem.invoke()
        return self.shape_seen()

    def shape_seen(self) -> Shape:
        """The shape in the whole crop that was seen last."""
        np.copyto(self._seen(), self._features())
        self._trunk.invoke()
        return Shape(self._points()[0] * np.float32(CELL), self._flag().item())

    def lay_boxes(self, shape: Shape) -> None:
        """Around the eyes of `shape`, whose mesh has to be finite."""
        self._heads.lay(shape.mesh[:, :2] / np.float32(CELL))

    def look(self, frame: Frame, to_frame: Affine) -> Look:
        """Look at the whole crop, lay the boxes, and look at the eyes."""
        shape = self.shape(frame, to_frame)
        self.lay_boxes(shape)
        seen = self.eyes_seen()
        return Look(shape.mesh, shape.logit, seen.eyes, seen.band)

    def glance(self, frame: Frame, to_frame: Affine) -> Glance:
        """Look at the band around the eyes alone."""
        band = self.crop_eyes(frame, to_frame)
        return Glance(self.eyes(), band)

    def crop_eyes(self, frame: Frame, to_frame: Affine, *, whole: bool = False) -> Pixels:
        """Cut out the band around the eyes for `eyes`, and return it as in `Look`.

        With `whole` the whole crop is cut out, which costs `eyes` more; `shape_seen` can then draw
        its shape later.
        """
        self._whole = whole
        if whole:
            self._crop_face(frame, to_frame)
            return self._band_of_crop()
        matrix = to_frame.copy()
        matrix[:, 2] += to_frame[:, :2] @ self.band_corner
        band = self._band_crop.rgb(frame, matrix, cv2.BORDER_REPLICATE)
        np.multiply(band, _TO_UNIT, out=self._band()[0])
        return band

    def eyes(self) -> Contours:
        """The eyes in what was cut out last."""
        if self._whole:
            self._face_stem.invoke()
            return self.eyes_seen().eyes
        self._eye_stem.invoke()
        return self._heads.read(self._band_features().reshape(-1, CHANNELS))

    def eyes_seen(self) -> Glance:
        """The eyes in the whole crop that was seen last."""
        column, row = self._heads.first_column, self._heads.first_row
        features = self._features()[0, row : row + BAND_ROWS, column : column + BAND_COLUMNS]
        return Glance(self._heads.read(features.reshape(-1, CHANNELS)), self._band_of_crop())

    def _band_of_crop(self) -> Pixels:
        x, y = self.band_corner
        return self._crop[y : y + BAND_HEIGHT, x : x + BAND_WIDTH]

    def _crop_face(self, frame: Frame, to_frame: Affine) -> None:
        self._crop = self._whole_crop.rgb(frame, to_frame, cv2.BORDER_REPLICATE)
        # A view of a tensor lives for one statement: with one alive the interpreter refuses to run.
        np.multiply(self._crop, _TO_UNIT, out=self._face()[0])
