"""Cut rotated, and if necessary mirrored, squares out of a frame.

A 2x3 affine matrix maps pixels of a crop (x, y) to pixels of the frame. Regions and matrices
include the camera's rotation and mirroring, so whole frames are never rotated.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.records import Frame

Affine = NDArray[np.float64]
Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]

_TO_CHROMA = np.array([1, 1, 0.5])
"""Multiplied by an affine matrix for luma, this gives the matrix for the half-size chroma
planes."""

_INTERPOLATE = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP


@dataclass(frozen=True, slots=True)
class Region:
    """A square of the frame around (x, y), `size` pixels wide.

    `angle` is its rotation in radians, clockwise as seen by a viewer. A `mirrored` region is
    flipped left to right.
    """

    x: float
    y: float
    size: float
    angle: float = 0.0
    mirrored: bool = False

    def to_frame(self, tensor_size: int) -> Affine:
        """Return the 2x3 matrix from a tensor's pixels, `tensor_size` wide, to the frame's."""
        scale = self.size / tensor_size
        cos, sin = math.cos(self.angle) * scale, math.sin(self.angle) * scale
        across = -1.0 if self.mirrored else 1.0
        half = tensor_size / 2
        x = self.x - (across * cos - sin) * half
        y = self.y - (across * sin + cos) * half
        return np.array([[across * cos, -sin, x], [across * sin, cos, y]])

    def distance(self, other: "Region") -> float:
        """Return the distance between the centres, in widths of this region."""
        return math.hypot(other.x - self.x, other.y - self.y) / self.size


def region_of(to_frame: Affine, tensor_size: int) -> Region:
    """Return the region that a crop of width `tensor_size` shows.

    This is the inverse of `Region.to_frame`.
    """
    (a, b, x), (c, d, y) = to_frame.tolist()
    half = tensor_size / 2
    return Region(
        x=x + (a + b) * half,
        y=y + (c + d) * half,
        size=math.hypot(b, d) * tensor_size,
        angle=math.atan2(-b, d),
        mirrored=a * d - b * c < 0,
    )


def compose(outer: Affine, inner: Affine) -> Affine:
    """Return the matrix that applies `inner` first, then `outer`."""
    (a, b, right), (c, d, down) = outer.tolist()
    (e, f, x), (g, h, y) = inner.tolist()
    return np.array(
        [
            [a * e + b * g, a * f + b * h, a * x + b * y + right],
            [c * e + d * g, c * f + d * h, c * x + d * y + down],
        ]
    )


def shifted(to_frame: Affine, x: float, y: float) -> Affine:
    """Return the matrix of a crop whose origin is at (x, y) in this one."""
    (a, b, right), (c, d, down) = to_frame.tolist()
    return np.array([[a, b, a * x + b * y + right], [c, d, c * x + d * y + down]])


def move(to_frame: Affine, turn: complex, shift: complex) -> Affine:
    """Return the matrix of a crop that has moved: rotated and scaled by `turn`, then shifted.

    Both are complex numbers (x + iy), in pixels of the crop.
    """
    (a, b, x), (c, d, y) = to_frame.tolist()
    u, v, right, down = turn.real, turn.imag, shift.real, shift.imag
    return np.array(
        [
            [a * u + b * v, b * u - a * v, a * right + b * down + x],
            [c * u + d * v, d * u - c * v, c * right + d * down + y],
        ]
    )


def transform(matrix: Affine, points: Floats) -> Floats:
    """Apply a 2x3 matrix to float32 points (..., 2)."""
    moved = cv2.transform(points.reshape(-1, 1, 2), matrix)
    return np.asarray(moved, np.float32).reshape(points.shape)


class Similarity:
    """Fits a rotation, scale and shift from some points to others.

    Points are complex numbers, x + iy. Raises ZeroDivisionError if all points coincide.
    """

    def __init__(self, start: Sequence[complex]) -> None:
        self.start = start
        self.middle = sum(start) / len(start)
        arms = [point - self.middle for point in start]
        weight = sum(arm.real * arm.real + arm.imag * arm.imag for arm in arms)
        self._pulls = [arm.conjugate() / weight for arm in arms]

    def fit(self, end: Sequence[complex]) -> tuple[complex, complex, float]:
        """Fit end = a * start + b by least squares. Return `a`, `b` and the residual.

        `a` rotates and scales, `b` shifts. The residual is the root mean square of the remaining
        distances, in the same unit.
        """
        a = sum([pull * point for pull, point in zip(self._pulls, end, strict=True)])
        b = sum(end) / len(end) - a * self.middle
        off = [abs(a * before + b - point) for before, point in zip(self.start, end, strict=True)]
        return a, b, math.hypot(*off) / math.sqrt(len(end))


class Cropper:
    """Cuts crops of one size out of frames, reusing its memory."""

    def __init__(self, width: int, height: int) -> None:
        self._bgr = np.empty((height, width, 3), np.uint8)
        self._rgb = np.empty((height, width, 3), np.uint8)
        self._i420 = np.empty((height * 3 // 2, width), np.uint8)
        self._luma, self._blue, self._red = _planes(self._i420, height)

    def rgb(self, frame: Frame, to_frame: Affine, border: int) -> Pixels:
        """Return the crop as RGB, uint8 (height, width, 3), valid until the next call.

        `to_frame` maps its pixels into the frame. `border` is an OpenCV border mode; constant means
        black.
        """
        if frame.layout == "bgr":
            _warp(frame.pixels, to_frame, border, 0, self._bgr)
            cv2.cvtColor(self._bgr, cv2.COLOR_BGR2RGB, dst=self._rgb)
        else:
            luma, blue, red = _planes(frame.pixels, frame.height)
            to_chroma = to_frame * _TO_CHROMA
            _warp(luma, to_frame, border, 16, self._luma)
            _warp(blue, to_chroma, border, 128, self._blue)
            _warp(red, to_chroma, border, 128, self._red)
            cv2.cvtColor(self._i420, cv2.COLOR_YUV2RGB_I420, dst=self._rgb)
        return self._rgb


def _warp(source: Pixels, matrix: Affine, border: int, black: int, target: Pixels) -> None:
    """Interpolate `target` straight from the frame, while that is still in the CPU caches."""
    height, width = target.shape[:2]
    fill = (black, black, black)
    cv2.warpAffine(source, matrix, (width, height), target, _INTERPOLATE, border, fill)


def _planes(i420: Pixels, height: int) -> tuple[Pixels, Pixels, Pixels]:
    """Return Y, U and V of an I420 picture of this height as views."""
    blue, red = i420[height:].reshape(2, height // 2, -1)
    return i420[:height], blue, red
