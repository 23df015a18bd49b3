"""A face made only of the 468 landmarks of MediaPipe's FaceMesh, for synthetic faces too."""

import numpy as np
from numpy.typing import NDArray

from agent.face.eyes import LIDS
from agent.records import FaceLandmarks


def mesh_face(time_s: float, points: NDArray[np.float32], score: float) -> FaceLandmarks:
    """The lids are the mesh's own: `points` is float32 (468, 3) in pixels of the frame.

    The irises are not known: they lie in the middle of the eyes.
    """
    lids = points[LIDS, :2]
    irises = np.repeat(lids.mean(axis=1, keepdims=True), 5, axis=1)
    return FaceLandmarks(time_s, lids, irises, points, np.eye(2, 3), score)
