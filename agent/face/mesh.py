"""A crop of a face -> its landmarks and both eyes: the attention mesh, cut into standard parts.

The face stem turns a 192x192 crop into early features. From these the trunk computes 468 landmarks
and the face flag. The eye stem computes the same features, but only for a band around both eyes.
The eye heads (`eyes`) read the features of the band from either stem.

A look runs the models on the whole face. A glance runs them only on the band around the eyes.
`tracker` decides when to look and when to glance.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from agent.face import models
from agent.face.crops import Affine, Cropper, Floats, Pixels, shifted
from agent.face.detector import tensors
from agent.face.eyes import BAND_COLUMNS, BAND_ROWS, CELL, CELLS, CHANNELS, Contours, EyeHeads
from agent.face.models import Interpreter
from agent.records import Frame

CROP = CELL * CELLS
BAND_WIDTH, BAND_HEIGHT = CELL * BAND_COLUMNS, CELL * BAND_ROWS
"""Width of the crop, and size of the band around the eyes, in pixels of the crop."""

_TO_UNIT = np.float32(1 / 255)
"""Factor from grey levels to the models' 0..1."""


@dataclass(frozen=True, slots=True)
class FaceModels:
    """The interpreters of a tracker, with allocated tensors."""

    detector_stem: Interpreter
    detector_head: Interpreter
    face_stem: Interpreter
    trunk: Interpreter
    eye_stem: Interpreter
    right_eye: Interpreter
    left_eye: Interpreter
    right_iris: Interpreter
    left_iris: Interpreter


def load_models(cache: Path, threads: int = 1) -> FaceModels:
    """Load the models of a tracker, verified and tested. Raises ModelError."""
    return FaceModels(
        models.load("detector_stem", cache, threads),
        models.load("detector_head", cache, threads),
        models.load("face_stem", cache, threads),
        models.load("face_trunk", cache, threads),
        models.load("eye_stem", cache, threads),
        models.load("right_eye", cache, threads),
        models.load("left_eye", cache, threads),
        models.load("right_iris", cache, threads),
        models.load("left_iris", cache, threads),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """The mesh, float32 (468, 3), in pixels of its crop, and the face flag, a logit."""

    mesh: Floats
    logit: float

    def recentred(self, to_crop: Affine) -> "Shape":
        """Return the shape in pixels of another crop.

        `to_crop` maps that crop into this shape's crop, without mirroring.
        """
        (a, b, x), (c, d, y) = cv2.invertAffineTransform(to_crop).tolist()
        matrix = np.array([[a, b, 0, x], [c, d, 0, y], [0, 0, math.hypot(a, c), 0]])
        moved = cv2.transform(self.mesh.reshape(-1, 1, 3), matrix)
        return Shape(np.asarray(moved, np.float32).reshape(-1, 3), self.logit)


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """The result of a look, in pixels of its crop.

    `mesh` is float32 (468, 3); `logit` is the face flag; `band` is the picture around the eyes,
    uint8 (BAND_HEIGHT, BAND_WIDTH, 3), valid until the next look or glance.
    """

    mesh: Floats
    logit: float
    eyes: Contours
    band: Pixels


@dataclass(frozen=True, slots=True, eq=False)
class Glance:
    """The result of a glance; fields as in `Look`."""

    eyes: Contours
    band: Pixels


class AttentionMesh:
    """Runs the models on a whole face, or only on its eyes once their boxes are placed.

    A glance needs the crop of the shape for which the boxes were placed, moved along with the head.
    """

    def __init__(self, parts: FaceModels) -> None:
        self._face_stem, self._trunk, self._eye_stem = parts.face_stem, parts.trunk, parts.eye_stem
        self._heads = EyeHeads(parts.right_eye, parts.left_eye, parts.right_iris, parts.left_iris)
        self._whole_crop, self._band_crop = Cropper(CROP, CROP), Cropper(BAND_WIDTH, BAND_HEIGHT)
        self._crop: Pixels = np.empty((0, 0, 3), np.uint8)
        self._whole = False
        self._face, (self._features,) = tensors(parts.face_stem)
        self._seen, (self._points, self._flag) = tensors(parts.trunk)
        self._band, (self._band_features,) = tensors(parts.eye_stem)

    @property
    def band_corner(self) -> tuple[int, int]:
        """Top left corner of the band, x and y in pixels of the crop."""
        return CELL * self._heads.first_column, CELL * self._heads.first_row

    def shape(self, frame: Frame, to_frame: Affine) -> Shape:
        """Compute the shape in a whole crop, which `to_frame` maps into the frame.

        This does not compute the eyes.
        """
        self.see(frame, to_frame)
        return self.shape_of_crop()

    def see(self, frame: Frame, to_frame: Affine) -> None:
        """Compute the features of a whole crop, for `shape_of_crop`."""
        self._crop_face(frame, to_frame)
        self._face_stem.invoke()

    def shape_of_crop(self) -> Shape:
        """Compute the shape from the features of the last whole crop."""
        np.copyto(self._seen(), self._features())
        self._trunk.invoke()
        return Shape(self._points()[0] * np.float32(CELL), self._flag().item())

    def place_boxes(self, shape: Shape) -> None:
        """Place the boxes around the eyes of `shape`, whose mesh must be finite."""
        self._heads.place_boxes(shape.mesh[:, :2] / np.float32(CELL))

    def look(self, frame: Frame, to_frame: Affine) -> Look:
        """Compute the shape in the whole crop, place the boxes, and compute the eyes."""
        shape = self.shape(frame, to_frame)
        self.place_boxes(shape)
        seen = self.eyes_of_crop()
        return Look(shape.mesh, shape.logit, self.with_irises(seen.eyes), seen.band)

    def glance(self, frame: Frame, to_frame: Affine) -> Glance:
        """Compute the eyes from the band around them."""
        band = self.crop_eyes(frame, to_frame)
        return Glance(self.eyes(), band)

    def crop_eyes(self, frame: Frame, to_frame: Affine, *, whole: bool = False) -> Pixels:
        """Cut out the band around the eyes for `eyes`, and return it as in `Look`.

        With `whole`, cut out the whole crop instead. This makes `eyes` slower, but allows calling
        `shape_of_crop` later.
        """
        self._whole = whole
        if whole:
            self._crop_face(frame, to_frame)
            return self._band_of_crop()
        band = self._band_crop.rgb(
            frame, shifted(to_frame, *self.band_corner), cv2.BORDER_REPLICATE
        )
        np.multiply(band, _TO_UNIT, out=self._band()[0])
        return band

    def eyes(self) -> Contours:
        """Compute the lids from the last crop or band."""
        if self._whole:
            self._face_stem.invoke()
            return self.eyes_of_crop().eyes
        self._eye_stem.invoke()
        return Contours(self._heads.read(self._band_features().reshape(-1, CHANNELS)))

    def eyes_of_crop(self) -> Glance:
        """Compute the lids from the features of the last whole crop."""
        column, row = self._heads.first_column, self._heads.first_row
        features = self._features()[0, row : row + BAND_ROWS, column : column + BAND_COLUMNS]
        lids = self._heads.read(features.reshape(-1, CHANNELS))
        return Glance(Contours(lids), self._band_of_crop())

    def with_irises(self, eyes: Contours) -> Contours:
        """Add the irises to the eyes computed last."""
        return Contours(eyes.lids, self._heads.read_irises())

    def _band_of_crop(self) -> Pixels:
        x, y = self.band_corner
        return self._crop[y : y + BAND_HEIGHT, x : x + BAND_WIDTH]

    def _crop_face(self, frame: Frame, to_frame: Affine) -> None:
        self._crop = self._whole_crop.rgb(frame, to_frame, cv2.BORDER_REPLICATE)
        # Use a tensor's view within one statement: the interpreter refuses to run while one exists.
        np.multiply(self._crop, _TO_UNIT, out=self._face()[0])
