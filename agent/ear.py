"""FaceLandmarks -> EyeSample: the eye aspect ratio (EAR) of each eye and of those that can be seen.

EAR is eq. 1 of Soukupova & Cech, "Real-Time Eye Blink Detection using Facial Landmarks", CVWW 2016:

    (|p2 - p6| + |p3 - p5|) / (2 |p1 - p4|)

with p1 and p4 the corners of an eye, p2 and p3 on its upper, p6 and p5 on its lower lid.
"""

import math
from collections.abc import Sequence

import numpy as np

from agent.records import EyeSample, FaceLandmarks

RIGHT_EYE = (33, 160, 158, 133, 153, 144)
LEFT_EYE = (362, 385, 387, 263, 373, 380)
"""p1..p6 as landmarks of MediaPipe's canonical face model; right and left are the person's own.

Of the mesh's sixteen points around an eye, these are the six nearest to the paper's (iBUG 37-42
and 43-48).
"""

FULL_VIEW_DEG = 15.0
NO_VIEW_DEG = 25.0
"""Beyond 20 degrees of yaw the mesh no longer closes the far eye: around there its weight falls
from 1 to 0."""

_EYES = np.array(RIGHT_EYE + LEFT_EYE)

Point = Sequence[float]


def eye_sample(time_s: float, face: FaceLandmarks | None) -> EyeSample:
    """The eyes of `face` at `time_s`; all None without a face.

    `ear` is the mean of both eyes weighted by how well each can be seen; for a face that looks at
    the camera it is their plain mean.
    """
    if face is None:
        return EyeSample(time_s, None, None, None, None)
    points = face.points[_EYES].tolist()
    right, left = eye_aspect_ratio(*points[:6]), eye_aspect_ratio(*points[6:])
    seen_right, seen_left = visibility(yaw_deg(points[0], points[9]))
    return EyeSample(
        time_s=time_s,
        ear_left=left if seen_left > 0 else None,
        ear_right=right if seen_right > 0 else None,
        ear=(right * seen_right + left * seen_left) / (seen_right + seen_left),
        score=face.score,
        sharpness=face.sharpness,
    )


def eye_aspect_ratio(p1: Point, p2: Point, p3: Point, p4: Point, p5: Point, p6: Point) -> float:
    """EAR of six points in the plane of the picture: about 0.3 open, 0.1 shut; 0 without width."""
    width = _apart(p1, p4)
    return (_apart(p2, p6) + _apart(p3, p5)) / (2 * width) if width > 0 else 0.0


def yaw_deg(right: Point, left: Point) -> float:
    """How far the head is turned, in degrees, by the outer corners (x, y, z) of its eyes.

    Positive if the left eye is the farther one.
    """
    return math.degrees(math.atan2(left[2] - right[2], _apart(right, left)))


def visibility(yaw: float) -> tuple[float, float]:
    """Weights 0..1 of the right and the left eye at a yaw in degrees; the nearer one's is 1."""
    far = (NO_VIEW_DEG - abs(yaw)) / (NO_VIEW_DEG - FULL_VIEW_DEG)
    far = min(max(far, 0.0), 1.0)
    return (1.0, far) if yaw > 0 else (far, 1.0)


def _apart(a: Point, b: Point) -> float:
    return math.hypot(a[0] - b[0], a[1] - b[1])
