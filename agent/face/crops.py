"""Cut turned, and if need be mirrored, squares out of a frame.

A 2x3 affine matrix maps pixels of a crop (x, y) to pixels of the frame. Regions and matrices carry
the camera's rotation and flip, so no whole picture is ever turned.
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
"""An affine matrix for luma times this maps the chroma planes, which are half as large."""

_INTERPOLATE = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP


@dataclass(frozen=True, slots=True)
class Region:
    """A square of the frame around (x, y), `size` pixels wide.

    `angle` is how far its upright is turned, in radians, clockwise as one sees it. A `mirrored`
    region shows the picture as a mirror would.
    """

    x: float
    y: float
    size: float
    angle: float = 0.0
    mirrored: bool = False

    def to_frame(self, tensor_size: int) -> Affine:
        """The 2x3 matrix from pixels of a tensor of that width to pixels of the frame."""
        scale = self.size / tensor_size
        cos, sin = math.cos(self.angle) * scale, math.sin(self.angle) * scale
        across = -1.0 if self.mirrored else 1.0
        half = tensor_size / 2
        x = self.x - (across * cos - sin) * half
        y = self.y - (across * sin + cos) * half
        return np.array([[across * cos, -sin, x], [across * sin, cos, y]])

    def distance(self, other: "Region") -> float:
        """Between the centres, in widths of this one."""
        return math.hypot(other.x - self.x, other.y - self.y) / self.size


def region_of(to_frame: Affine, tensor_size: int) -> Region:
    """The region that a crop of that width shows: the inverse of `Region.to_frame`."""
    (a, b, x), (c, d, y) = to_frame.tolist()
    half = tensor_size / 2
    return Region(
        x=x + (a + b) * half,
        y=y + (c + d) * half,
        size=math.hypot(b, d) * tensor_size,
        angle=math.atan2(-b, d),
        mirrored=a * d - b * c < 0,
    )


def joined(outer: Affine, inner: Affine) -> Affine:
    """The matrix that first applies `inner`, then `outer`."""
    product = outer[:, :2] @ inner
    product[:, 2] += outer[:, 2]
    return product


def followed(to_frame: Affine, turn: complex, shift: complex) -> Affine:
    """The matrix of a crop that has moved in its own pixels: turned and scaled, then shifted."""
    (a, b, x), (c, d, y) = to_frame.tolist()
    u, v, right, down = turn.real, turn.imag, shift.real, shift.imag
    return np.array(
        [
            [a * u + b * v, b * u - a * v, a * right + b * down + x],
            [c * u + d * v, d * u - c * v, c * right + d * down + y],
        ]
    )


def mapped(matrix: Affine, points: Floats) -> Floats:
    """Float32 points (..., 2) through a 2x3 matrix."""
    moved = cv2.transform(points.reshape(-1, 1, 2), matrix)
    return np.asarray(moved, np.float32).reshape(points.shape)


def similarity(start: Sequence[complex], end: Sequence[complex]) -> tuple[complex, complex, float]:
    """Fit end = a * start + b by least squares: turn and scale `a`, shift `b`, and what is left.

    Points are complex numbers, x + iy. The third value is the root mean square of the distances
    that remain, in the same unit. Raises ZeroDivisionError if all points of `start` coincide.
    """
    count = len(start)
    mean, to = sum(start) / count, sum(end) / count
    turned, weight = 0j, 0.0
    for p, q in zip(start, end, strict=True):
        arm = p - mean
        turned += arm.conjugate() * (q - to)
        weight += arm.real * arm.real + arm.imag * arm.imag
    a = turned / weight
    b = to - a * mean
    left = 0.0
    for p, q in zip(start, end, strict=True):
        left += abs(a * p + b - q) ** 2
    return a, b, math.sqrt(left / count)


class Cropper:
    """Cuts crops of one size out of frames, into memory that is used again for each."""

    def __init__(self, width: int, height: int) -> None:
        self._bgr = np.empty((height, width, 3), np.uint8)
        self._rgb = np.empty((height, width, 3), np.uint8)
        self._i420 = np.empty((height * 3 // 2, width), np.uint8)
        self._planes = _planes(self._i420, width, height)

    def rgb(self, frame: Frame, to_frame: Affine, border: int) -> Pixels:
        """The crop as RGB, uint8 (height, width, 3), valid until the next call.

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
    """Interpolate `target` straight out of the frame, which is still in the caches."""
    height, width = target.shape[:2]
    fill = (black, black, black)
    cv2.warpAffine(source, matrix, (width, height), target, _INTERPOLATE, border, fill)


def _planes(i420: Pixels, width: int, height: int) -> tuple[Pixels, Pixels, Pixels]:
    """Y, U and V of an I420 picture as views of it."""
    flat, luma, chroma = i420.reshape(-1), width * height, width * height // 4
    half = (height // 2, width // 2)
    return (
        flat[:luma].reshape(height, width),
        flat[luma : luma + chroma].reshape(half),
        flat[luma + chroma :].reshape(half),
    )
