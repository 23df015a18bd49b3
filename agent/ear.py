"""FaceLandmarks -> EyeSample: the eye aspect ratio (EAR) of each eye, and the direction of gaze.

EAR is eq. 1 of Soukupova & Cech, "Real-Time Eye Blink Detection using Facial Landmarks", CVWW 2016:

    (|p2 - p6| + |p3 - p5|) / (2 |p1 - p4|)

p1 and p4 are the corners of an eye, p2 and p3 lie on its upper lid, p6 and p5 on its lower lid.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from agent.records import EyeSample, FaceLandmarks

RIGHT_EYE = (33, 160, 158, 133, 153, 144)
LEFT_EYE = (263, 387, 385, 362, 380, 373)
"""p1..p6 as landmarks of MediaPipe's canonical face model, from the outer corner to the inner one.
Right and left are the person's own.

Of the sixteen points around an eye, these six are nearest to the paper's (iBUG 37-42 and 43-48).
"""

CONTOUR = (0, 11, 13, 8, 5, 3)
"""Indices of the same six points among the sixteen of a contour in `FaceLandmarks.lids`."""

FULL_VIEW_DEG = 15.0
NO_VIEW_DEG = 25.0
"""Beyond 20 degrees of yaw the mesh no longer closes the far eye. Its weight therefore falls from 1
to 0 between these angles."""

_SIX = np.array(CONTOUR)
_OUTER_CORNERS = np.array([RIGHT_EYE[0], LEFT_EYE[0]])

Point = Sequence[float]


def eye_sample(time_s: float, face: FaceLandmarks | None) -> EyeSample:
    """Measure the eyes of `face` at `time_s`. All values are None without a face.

    `ear` is the mean of both eyes, weighted by how well each can be seen. For a face that looks at
    the camera it is the plain mean.
    """
    if face is None:
        return EyeSample(time_s, None, None, None, None)
    right, left = face.lids.take(_SIX, axis=1).tolist()
    eyes = eye_aspect_ratio(*right), eye_aspect_ratio(*left)
    seen = visibility(yaw_deg(*face.mesh.take(_OUTER_CORNERS, axis=0).tolist()))
    up = -1 if face.mirrored else 1  # a mirror swaps left and right eyes
    irises = None if face.irises is None else _iris_drops(face.irises, right, left, up)
    lids = (
        up * drop(right[0], right[3], right[4], right[5]),
        -up * drop(left[0], left[3], left[4], left[5]),
    )
    return EyeSample(
        time_s=time_s,
        ear_left=eyes[1] if seen[1] > 0 else None,
        ear_right=eyes[0] if seen[0] > 0 else None,
        ear=_mean(eyes, seen),
        score=face.score,
        sharpness=face.sharpness,
        iris=_mean(irises, seen) if irises else None,
        lower_lid=_mean(lids, seen),
        others=face.others,
        turned=face.turned,
    )


def eye_aspect_ratio(p1: Point, p2: Point, p3: Point, p4: Point, p5: Point, p6: Point) -> float:
    """Return the EAR of six points in the image plane: about 0.3 open, 0.1 closed.

    It is 0 if the eye has no width.
    """
    width = _apart(p1, p4)
    return (_apart(p2, p6) + _apart(p3, p5)) / (2 * width) if width > 0 else 0.0


def drop(p1: Point, p4: Point, *points: Point) -> float:
    """Return how far `points` lie below the line through an eye's corners.

    This is their mean distance, in widths of the eye. "Below" is to the right when going from `p1`
    to `p4`, as for a right eye in the image. It is 0 if the eye has no width.
    """
    across, down = p4[0] - p1[0], p4[1] - p1[1]
    area = 0.0
    for x, y in points:
        area += across * (y - p1[1]) - down * (x - p1[0])
    width = across * across + down * down
    return area / (width * len(points)) if width > 0 else 0.0


def yaw_deg(right: Point, left: Point) -> float:
    """Return the head's yaw in degrees, from the outer corners (x, y, z) of its eyes.

    It is positive if the left eye is the farther one.
    """
    return math.degrees(math.atan2(left[2] - right[2], _apart(right, left)))


def visibility(yaw: float) -> tuple[float, float]:
    """Return the weights, 0..1, of the right and the left eye at a yaw in degrees.

    The nearer eye's weight is 1.
    """
    far = (NO_VIEW_DEG - abs(yaw)) / (NO_VIEW_DEG - FULL_VIEW_DEG)
    far = min(max(far, 0.0), 1.0)
    return (1.0, far) if yaw > 0 else (far, 1.0)


def _iris_drops(
    irises: NDArray[np.float32], right: Sequence[Point], left: Sequence[Point], up: int
) -> tuple[float, float]:
    """Return how far the centres of the irises lie below the line through the eyes' corners."""
    right_iris, left_iris = irises[:, 0].tolist()
    return up * drop(right[0], right[3], right_iris), -up * drop(left[0], left[3], left_iris)


def _mean(values: tuple[float, float], weights: tuple[float, float]) -> float:
    return (values[0] * weights[0] + values[1] * weights[1]) / (weights[0] + weights[1])


def _apart(a: Point, b: Point) -> float:
    return math.hypot(a[0] - b[0], a[1] - b[1])
