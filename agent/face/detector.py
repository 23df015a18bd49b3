"""Frame -> regions of faces: BlazeFace short range (Bazarevsky et al. 2019, arXiv:1907.05047)."""

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import cv2
import numpy as np

from agent.face.crops import Affine, Cropper, Floats, Region
from agent.face.models import Interpreter
from agent.records import Frame

DETECTOR_SIZE = 128
"""Width of the square input tensor, in pixels."""

MIN_SCORE = 0.5
"""Minimum probability given by the model: below one half, it is more likely not a face."""

REGION_SCALE = 1.5
"""Width of a region relative to the face in it, so that the face of the next frame is inside
too."""

QUARTER_TURNS = tuple(k * math.pi / 2 for k in (0, 2, 1, 3))
"""Rotations to try, in this order: a camera is mounted upside down more often than sideways."""

_SAME_FACE_OVERLAP = 0.3
"""Boxes with a larger intersection over union are one face, found by several anchors."""

_TO_SIGNED = np.float32(2 / 255)
"""Factor from grey levels to 0..2; the model expects this minus 1."""


class Detector:
    """Finds faces in a square region of a frame."""

    def __init__(self, stem: Interpreter, head: Interpreter) -> None:
        self._stem, self._head = stem, head
        self._crop = Cropper(DETECTOR_SIZE, DETECTOR_SIZE)
        self._anchors = _anchors()
        self._input, (self._features,) = tensors(stem)
        self._seen, (self._boxes, self._logits) = tensors(head)

    def find(self, frame: Frame, view: Region) -> list[Region]:
        """Return the regions of the faces in `view`, the most confident first.

        They are mirrored like `view`, and rotated relative to it. Each of the calls that this makes
        can be left to another frame.
        """
        self.see(frame, view)
        self.run_stem()
        self.run_head()
        return self.found(view)

    def see(self, frame: Frame, view: Region) -> None:
        """Cut `view` out of the frame."""
        crop = self._crop.rgb(frame, view.to_frame(DETECTOR_SIZE), cv2.BORDER_CONSTANT)
        # Keep no view of a tensor beyond a statement: the interpreter refuses to run with one.
        np.multiply(crop, _TO_SIGNED, out=self._input()[0])
        np.subtract(self._input()[0], np.float32(1), out=self._input()[0])

    def run_stem(self) -> None:
        """Compute the features of what was seen."""
        self._stem.invoke()

    def run_head(self) -> None:
        """Compute the boxes from the features."""
        np.copyto(self._seen(), self._features())
        self._head.invoke()

    def found(self, view: Region) -> list[Region]:
        """Return what `find` does, for the `view` last seen."""
        to_frame = view.to_frame(DETECTOR_SIZE)
        logits = self._logits()[0, :, 0]
        sure = np.flatnonzero(logits >= _LEAST_LOGIT)
        sure = sure[np.argsort(-logits[sure], kind="stable")]
        scores = np.array([probability(each) for each in logits[sure].tolist()], np.float32)
        faces = _decoded(self._boxes()[0, sure], self._anchors[sure])
        return [_face_region(face, to_frame, view) for face in _merged(faces, scores)]


def views(whole: Region, frame: Frame) -> Iterator[Region]:
    """Yield the picture in three more rotations, then overlapping squares of half its size.

    The squares overlap by half.
    """
    for turn in QUARTER_TURNS[1:]:
        yield replace(whole, angle=whole.angle + turn)
    half = whole.size / 2
    for y, x in itertools.product(_middles(frame.height, half), _middles(frame.width, half)):
        yield replace(whole, x=x, y=y, size=half)


def _middles(length: float, size: float) -> list[float]:
    """Return the centres of squares of width `size` along a side, at most half a square apart."""
    if size >= length:
        return [length / 2]
    count = math.ceil((length - size) / (size / 2)) + 1
    return [size / 2 + k * (length - size) / (count - 1) for k in range(count)]


def probability(logit: float) -> float:
    """Return the logistic function, clipped as in MediaPipe so that exp() can't overflow."""
    return 1 / (1 + math.exp(-min(max(logit, -100.0), 100.0)))


_LEAST_LOGIT = math.log(MIN_SCORE / (1 - MIN_SCORE))


def tensors(model: Interpreter) -> tuple[Callable[[], Floats], list[Callable[[], Floats]]]:
    """Return functions that give views of a model's first input and of each of its outputs."""
    outputs = [model.tensor(detail["index"]) for detail in model.get_output_details()]
    return model.tensor(model.get_input_details()[0]["index"]), outputs


def _anchors() -> Floats:
    """Return the centres of BlazeFace's 896 anchors, float32 (896, 2), x and y in tensor pixels.

    There are two for each cell of a 16x16 grid, then six for each cell of an 8x8 grid, row by row.
    """
    centres = []
    for cells, repeats in ((16, 2), (8, 6)):
        line = (np.arange(cells) + 0.5) * (DETECTOR_SIZE / cells)
        y, x = np.meshgrid(line, line, indexing="ij")
        centres.append(np.repeat(np.stack([x.ravel(), y.ravel()], axis=1), repeats, axis=0))
    return np.concatenate(centres).astype(np.float32)


def _decoded(raw: Floats, anchors: Floats) -> Floats:
    """Convert raw boxes (n, 16) to absolute tensor pixels.

    Columns: centre x, y, width, height, then x, y of the right and left eye, nose, mouth, right and
    left ear.
    """
    faces = raw.astype(np.float32)
    pairs = faces.reshape(-1, 8, 2)
    pairs[:, 0] += anchors
    pairs[:, 2:] += anchors[:, None]
    return faces


def _merged(faces: Floats, scores: Floats) -> list[Floats]:
    """Return one row per face: overlapping boxes averaged by score, as in BlazeFace's paper."""
    merged = []
    while len(faces):
        same = _overlap(faces[0], faces) > _SAME_FACE_OVERLAP
        same[0] = True
        merged.append(scores[same] @ faces[same] / scores[same].sum())
        faces, scores = faces[~same], scores[~same]
    return merged


def _overlap(face: Floats, faces: Floats) -> Floats:
    """Return the intersection over union of one box with each of `faces`."""
    low = np.maximum(face[:2] - face[2:4] / 2, faces[:, :2] - faces[:, 2:4] / 2)
    high = np.minimum(face[:2] + face[2:4] / 2, faces[:, :2] + faces[:, 2:4] / 2)
    width, height = np.maximum(high - low, 0).T
    shared = width * height
    union: Floats = face[2] * face[3] + faces[:, 2] * faces[:, 3] - shared
    overlap: Floats = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return overlap


def _face_region(face: Floats, to_frame: Affine, view: Region) -> Region:
    """Return a detected face's region in the frame, rotated with the line through its eyes."""
    scale = view.size / DETECTOR_SIZE
    x, y = (to_frame[:, :2] @ face[:2] + to_frame[:, 2]).tolist()
    eye_x, eye_y = (face[6:8] - face[4:6]).tolist()
    tilt = math.atan2(eye_y, eye_x)
    size = REGION_SCALE * scale * float(max(face[2], face[3]))
    angle = view.angle + (-tilt if view.mirrored else tilt)
    return Region(x, y, size, angle, view.mirrored)
