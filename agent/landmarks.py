"""Frame -> FaceLandmarks: a detector finds the face, then the mesh follows it by its own landmarks.

The models and their geometry are MediaPipe's: BlazeFace short range (Bazarevsky et al. 2019,
arXiv:1907.05047) and the face mesh of 468 points (Kartynnik et al. 2019, arXiv:1907.06724), joined
as in its FaceMesh for video. Nothing is smoothed, there as here: a blink is faster than a filter.

    track    in this frame         then
    none     detector finds none   none; the detector looks again after RETRY_S
    none     detector finds one    the mesh measures it: a face, or none
    a face   mesh score >= 0.5     a face: next frame's region is laid around its landmarks
    a face   mesh score < 0.5      as under `none`, at once if the detector has rested
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.records import FaceLandmarks, Frame
from agent.sharpness import sharpness

MESH_SIZE = 192
DETECTOR_SIZE = 128
"""Widths of the models' square input tensors, in pixels."""

MIN_SCORE = 0.5
"""Both models give a probability; below one half it is more likely no face."""

RETRY_S = 0.1
"""The detector looks ten times a second at most: soon enough for a face, cheap in an empty room."""

REMEMBER_S = 5.0
"""How long a lost face is looked for near where it was, before another may take its place."""

_REGION_SCALE = 1.5
"""A region is this much wider than the face in it: the next frame's face must lie inside too."""

_MIN_REGION = 32.0
"""In pixels: an eye is then three or four pixels wide, and a lid's height is a guess."""

_SAME_FACE_OVERLAP = 0.3
"""Boxes that share more of their union than this are one face seen by several anchors."""

_EYE_CORNERS = np.array([33, 263])
"""Mesh landmarks: the outer corners of the person's own right and left eye."""

LOOK_SHARP_S = 0.5
"""How often the sharpness is looked at: focus drifts slowly."""

_TO_UNIT, _TO_SIGNED = np.float32(1 / 255), np.float32(2 / 255)
"""Grey levels to the mesh's 0..1 and, less 1, to the detector's -1..1."""

_TO_CHROMA = np.array([1, 1, 0.5])
"""An affine matrix for luma times this maps the chroma planes, which are half as large."""

_INTERPOLATE = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP

Affine = NDArray[np.float64]
Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]


class Interpreter(Protocol):
    """What is used of a TFLite interpreter, whose tensors are allocated."""

    def get_input_details(self) -> list[dict[str, Any]]: ...
    def get_output_details(self) -> list[dict[str, Any]]: ...
    def tensor(self, tensor_index: int) -> Callable[[], NDArray[Any]]: ...
    def invoke(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Region:
    """A square of the frame around (x, y), `size` pixels wide.

    `angle` is how far it is turned, in radians, clockwise as one sees it.
    """

    x: float
    y: float
    size: float
    angle: float = 0.0

    def to_frame(self, tensor_size: int) -> Affine:
        """The 2x3 matrix from pixels of a tensor of that width to pixels of the frame."""
        scale = self.size / tensor_size
        cos, sin = math.cos(self.angle) * scale, math.sin(self.angle) * scale
        half = tensor_size / 2
        x, y = self.x - (cos - sin) * half, self.y - (sin + cos) * half
        return np.array([[cos, -sin, x], [sin, cos, y]])

    def distance(self, other: "Region") -> float:
        """Between the centres, in widths of this one."""
        return math.hypot(other.x - self.x, other.y - self.y) / self.size


class FaceTracker:
    """Follows one face through a session.

    `detector` runs face_detection_short_range, `mesh` runs face_landmark.
    """

    def __init__(self, detector: Interpreter, mesh: Interpreter) -> None:
        self._detector = _Detector(detector)
        self._mesh = _Mesh(mesh)
        self.reset()

    def reset(self) -> None:
        """Forget the face: the next frame begins with the detector."""
        self._mesh.reset()
        self._region: Region | None = None
        self._seen: tuple[float, Region] | None = None
        self._detector_rests_until_s = -math.inf

    def find(self, frame: Frame) -> FaceLandmarks | None:
        """The face that is being followed, or None. Frames must come in the order of their time."""
        face = None
        if self._region is not None:
            face = self._measure(frame, self._region)
        if face is None and frame.time_s >= self._detector_rests_until_s:
            self._detector_rests_until_s = frame.time_s + RETRY_S
            face = self._acquire(frame)
        return face

    def _acquire(self, frame: Frame) -> FaceLandmarks | None:
        region = self._choose(self._detector.find(frame), frame.time_s)
        if region is None or self._measure(frame, region) is None or self._region is None:
            return None
        # The mesh looks twice: out of the detector's looser region EAR comes up to 7 % wrong.
        self._mesh.reset()
        return self._measure(frame, self._region)

    def _choose(self, found: list[Region], time_s: float) -> Region | None:
        """The face that was lost; if there is none to look for, the largest: the nearest person."""
        if self._seen is None or time_s - self._seen[0] > REMEMBER_S:
            return max(found, key=lambda region: region.size, default=None)
        seen_s, last = self._seen
        near = [region for region in found if _may_be(last, region, time_s - seen_s)]
        return min(near, key=last.distance, default=None)

    def _measure(self, frame: Frame, region: Region) -> FaceLandmarks | None:
        measured = self._mesh.measure(frame, region)
        if measured is None:
            self._region = None
            return None
        face, self._region = measured
        self._seen = frame.time_s, self._region
        return face


def _may_be(last: Region, found: Region, elapsed_s: float) -> bool:
    """Whether the face of `last` can be at `found`.

    A seated head moves half a region's width in a second; who sits beside is two widths away.
    """
    reach = 0.5 + 0.5 * elapsed_s
    return last.distance(found) <= reach and 0.5 <= found.size / last.size <= 2.0


class _Mesh:
    """The face mesh: a region of the frame in, landmarks in the frame's own pixels out."""

    def __init__(self, interpreter: Interpreter) -> None:
        self._model = interpreter
        self._crop = _Cropper(MESH_SIZE)
        self._input, (self._points, self._logit) = _tensors(interpreter)
        self.reset()

    def reset(self) -> None:
        """The next face's sharpness is looked at."""
        self._looked_s = -math.inf

    def measure(self, frame: Frame, region: Region) -> tuple[FaceLandmarks, Region] | None:
        """The face in `region` and where to look for it next; None without one to be measured."""
        to_frame = region.to_frame(MESH_SIZE)
        crop = self._crop.rgb(frame, to_frame, cv2.BORDER_REPLICATE)
        # A view of a tensor lives for one statement: with one alive the interpreter refuses to run.
        np.multiply(crop, _TO_UNIT, out=self._input()[0])
        self._model.invoke()
        score = _probability(self._logit().item())
        if not score >= MIN_SCORE:
            return None
        raw = self._points().reshape(-1, 3)
        points = _projected(raw, to_frame)
        eyes = points[:2, _EYE_CORNERS].tolist()
        following = _region_around(points, eyes)
        if following is None or not _eyes_inside(eyes, frame):
            return None
        seen = self._sharpness(crop, raw, frame.time_s)
        return FaceLandmarks(frame.time_s, points.T, score, seen), following

    def _sharpness(self, crop: Pixels, points: Floats, time_s: float) -> float | None:
        """Of both eyes; None while it isn't due."""
        if time_s - self._looked_s < LOOK_SHARP_S:
            return None
        self._looked_s = time_s
        return sharpness(crop, points)


def _projected(raw: Floats, to_frame: Affine) -> Floats:
    """Landmarks from tensor (468, 3) to frame (3, 468); the depth is scaled as x and y are.

    Rows of one coordinate each: extremes are then found three times as fast.
    """
    (cos, _, x), (sin, _, y) = to_frame.tolist()
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, math.hypot(cos, sin)]], np.float32)
    with np.errstate(invalid="ignore"):  # infinities become no numbers, which no region has
        points: Floats = turn @ raw.T
    points[0] += x
    points[1] += y
    return points


def _region_around(points: Floats, eyes: list[list[float]]) -> Region | None:
    """Around all landmarks (3, 468), turned with the line through the eyes' corners.

    None for a face too small to measure, and for numbers that are none.
    """
    (x0, y0, z0), (x1, y1, z1) = points.min(axis=1).tolist(), points.max(axis=1).tolist()
    size = _REGION_SCALE * max(x1 - x0, y1 - y0)
    if not (size >= _MIN_REGION and math.isfinite(size + z1 - z0)):
        return None
    (right_x, left_x), (right_y, left_y) = eyes
    angle = math.atan2(left_y - right_y, left_x - right_x)
    return Region((x0 + x1) / 2, (y0 + y1) / 2, size, angle)


def _eyes_inside(eyes: list[list[float]], frame: Frame) -> bool:
    """The mesh completes a face beyond the picture's edge: an eye there would be made up."""
    xs, ys = eyes
    return min(xs) >= 0 and max(xs) < frame.width and min(ys) >= 0 and max(ys) < frame.height


class _Detector:
    """BlazeFace: the whole frame in, the faces' regions out."""

    def __init__(self, interpreter: Interpreter) -> None:
        self._model = interpreter
        self._crop = _Cropper(DETECTOR_SIZE)
        self._anchors = _anchors()
        self._input, (self._boxes, self._logits) = _tensors(interpreter)

    def find(self, frame: Frame) -> list[Region]:
        """Regions of the faces in `frame`, the most certain first."""
        whole = Region(frame.width / 2, frame.height / 2, max(frame.width, frame.height))
        to_frame = whole.to_frame(DETECTOR_SIZE)
        crop = self._crop.rgb(frame, to_frame, cv2.BORDER_CONSTANT)
        np.multiply(crop, _TO_SIGNED, out=self._input()[0])
        np.subtract(self._input()[0], np.float32(1), out=self._input()[0])
        self._model.invoke()
        logits = self._logits()[0, :, 0].tolist()
        scores = np.array([_probability(logit) for logit in logits], np.float32)
        sure = np.flatnonzero(scores >= MIN_SCORE)
        sure = sure[np.argsort(-scores[sure], kind="stable")]
        faces = _decoded(self._boxes()[0, sure], self._anchors[sure])
        return [_face_region(face, to_frame) for face in _merged(faces, scores[sure])]


def _anchors() -> Floats:
    """The centres of BlazeFace's 896 anchors, float32 (896, 2), x and y in tensor pixels.

    Two for each cell of the 16x16 grid, then six for each of the 8x8 grid, row by row.
    """
    centres = []
    for cells, repeats in ((16, 2), (8, 6)):
        line = (np.arange(cells) + 0.5) * (DETECTOR_SIZE / cells)
        y, x = np.meshgrid(line, line, indexing="ij")
        centres.append(np.repeat(np.stack([x.ravel(), y.ravel()], axis=1), repeats, axis=0))
    return np.concatenate(centres).astype(np.float32)


def _decoded(raw: Floats, anchors: Floats) -> Floats:
    """Raw boxes (n, 16) made absolute, in tensor pixels.

    Columns: centre x, y, width, height, then x, y of the right and left eye, nose, mouth, right
    and left ear.
    """
    faces = raw.astype(np.float32)
    faces[:, 0:2] += anchors
    faces[:, 4:] += np.tile(anchors, 6)
    return faces


def _merged(faces: Floats, scores: Floats) -> list[Floats]:
    """One row for each face: overlapping boxes are averaged by score, as in BlazeFace's paper."""
    merged = []
    while len(faces):
        same = _overlap(faces[0], faces) > _SAME_FACE_OVERLAP
        same[0] = True
        merged.append(np.average(faces[same], axis=0, weights=scores[same]))
        faces, scores = faces[~same], scores[~same]
    return merged


def _overlap(face: Floats, faces: Floats) -> Floats:
    """Intersection over union of one box with each of `faces`."""
    low = np.maximum(face[:2] - face[2:4] / 2, faces[:, :2] - faces[:, 2:4] / 2)
    high = np.minimum(face[:2] + face[2:4] / 2, faces[:, :2] + faces[:, 2:4] / 2)
    shared = np.prod(np.clip(high - low, 0, None), axis=1)
    union: Floats = face[2] * face[3] + faces[:, 2] * faces[:, 3] - shared
    overlap: Floats = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return overlap


def _face_region(face: Floats, to_frame: Affine) -> Region:
    """A detected face's region in the frame, turned with the line through its eyes."""
    scale = float(np.hypot(*to_frame[:, 0]))
    x, y = (to_frame[:, :2] @ face[:2] + to_frame[:, 2]).tolist()
    eyes = to_frame[:, :2] @ (face[6:8] - face[4:6])
    size = _REGION_SCALE * scale * float(max(face[2], face[3]))
    return Region(x, y, size, math.atan2(eyes[1], eyes[0]))


class _Cropper:
    """Cuts turned squares out of frames, into memory that is used again for each."""

    def __init__(self, size: int) -> None:
        self._bgr = np.empty((size, size, 3), np.uint8)
        self._rgb = np.empty((size, size, 3), np.uint8)
        self._i420 = np.empty((size * 3 // 2, size), np.uint8)
        self._planes = _planes(self._i420, size, size)

    def rgb(self, frame: Frame, to_frame: Affine, border: int) -> Pixels:
        """The square as RGB, uint8 (size, size, 3), valid until the next call.

        `to_frame` maps its pixels into the frame; `border` is OpenCV's, a constant one being black.
        """
        if frame.layout == "bgr":
            _warp(frame.pixels, to_frame, border, 0, self._bgr)
            cv2.cvtColor(self._bgr, cv2.COLOR_BGR2RGB, dst=self._rgb)
        else:
            planes = _planes(frame.pixels, frame.width, frame.height)
            to_chroma = to_frame * _TO_CHROMA
            _warp(planes[0], to_frame, border, 16, self._planes[0])
            _warp(planes[1], to_chroma, border, 128, self._planes[1])
            _warp(planes[2], to_chroma, border, 128, self._planes[2])
            cv2.cvtColor(self._i420, cv2.COLOR_YUV2RGB_I420, dst=self._rgb)
        return self._rgb


def _warp(source: Pixels, matrix: Affine, border: int, black: int, target: Pixels) -> None:
    """Interpolate `target`, a square, out of `source`.

    Straight out of the frame: what was just decoded or copied is still in the caches.
    """
    size, fill = target.shape[:2], (black, black, black)
    cv2.warpAffine(source, matrix, size, target, _INTERPOLATE, border, fill)


def _planes(i420: Pixels, width: int, height: int) -> tuple[Pixels, Pixels, Pixels]:
    """Y, U and V of an I420 picture as views of it."""
    flat, luma, chroma = i420.reshape(-1), width * height, width * height // 4
    half = (height // 2, width // 2)
    return (
        flat[:luma].reshape(height, width),
        flat[luma : luma + chroma].reshape(half),
        flat[luma + chroma :].reshape(half),
    )


def _tensors(model: Interpreter) -> tuple[Callable[[], Floats], list[Callable[[], Floats]]]:
    """Views on demand of a model's input and outputs."""
    outputs = [model.tensor(detail["index"]) for detail in model.get_output_details()]
    return model.tensor(model.get_input_details()[0]["index"]), outputs


def _probability(logit: float) -> float:
    """Clipped as MediaPipe does, so that the exponential can't overflow."""
    return 1 / (1 + math.exp(-min(max(logit, -100.0), 100.0)))
