"""Decide whether a detection is a face and which way up, with rotated and jittered crops.

The mesh draws a face into any picture, and its face flag alone is not reliable: an upside-down face
gives up to 25, a cat 12, and the same person upright sometimes only 10. But on a real face the
landmarks stay on the face when the crop moves; otherwise they move with the crop.
"""

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from agent.face.crops import Affine, Floats, Region, compose, transform
from agent.face.detector import QUARTER_TURNS, REGION_SCALE
from agent.face.mesh import CROP, AttentionMesh, Shape
from agent.face.motion import MAX_TURN
from agent.records import Frame

FACE_LOGIT = 10.0
"""Minimum face flag (a logit) to start tracking, in a crop that fits the face. Faces give 12
to 35."""

CLEAR_LOGIT = 20.0
"""Face flag from which no further rotations are tried."""

MAYBE_LOGIT = -6.0
"""Minimum face flag in the detector's crop for a closer look. A face that was detected upside down
is off the centre of its region: rotated, it gives -4, but 20 in a crop placed around it."""

MAX_MESH_DISTANCE = 0.06
"""Maximum distance between the meshes of a crop and of a jittered crop: a root mean square, in
distances between the eyes. Measured: at most 0.05 in 95 of 100 looks at a face, and always more for
anything else."""

MAX_OFF, MAX_LOG_SIZE = 0.08, 0.15
"""How far a crop may be off its face: the centre, in widths, and the logarithm of the size."""

_MIDDLE = CROP / 2
JITTERS = tuple(
    Region(
        _MIDDLE + side * 8, _MIDDLE - side * 6, CROP * 1.06**side, math.radians(8 * side)
    ).to_frame(CROP)
    for side in (1, -1)
)
"""Matrices from jittered crops to the crop itself: slightly shifted, scaled and rotated."""

_EYE_CORNERS = np.array([33, 263])
"""Mesh landmarks of the outer corners of the person's own right and left eye."""


@dataclass(frozen=True, slots=True, eq=False)
class _Candidate:
    """A crop, the mesh drawn in it, and the region around that mesh, in pixels of the crop."""

    to_frame: Affine
    shape: Shape
    region: Region


def upright_crop(mesh: AttentionMesh, frame: Frame, found: Region) -> Affine | None:
    """Return the crop around a detected face, rotated upright; None if it is not a face.

    The detector also finds upside-down faces, and takes them for upright ones. The rotation with
    the highest face flag wins.
    """
    best: _Candidate | None = None
    for turn in QUARTER_TURNS:
        each = _candidate(mesh, frame, replace(found, angle=found.angle + turn).to_frame(CROP))
        if each is not None and each.shape.logit >= MAYBE_LOGIT:
            each = _refined(mesh, frame, each)
            if best is None or each.shape.logit > best.shape.logit:
                best = each
            if each.shape.logit >= CLEAR_LOGIT:
                break
    if best is None or not best.shape.logit >= FACE_LOGIT:
        return None
    again = (mesh.shape(frame, compose(best.to_frame, each)).mesh for each in JITTERS)
    steady = all(
        mesh_distance(best.shape.mesh, moved, each) <= MAX_MESH_DISTANCE
        for each, moved in zip(JITTERS, again, strict=True)
    )
    return best.to_frame if steady else None


def mesh_distance(drawn: Floats, again: Floats, to_crop: Affine) -> float:
    """Return the distance between the mesh `drawn` in a crop and `again`, that of a jittered crop.

    `to_crop` is one of `JITTERS`. The result is a root mean square over all landmarks, in distances
    between the outer corners of the eyes.
    """
    away = cv2.norm(transform(to_crop, again[:, :2].copy()), drawn[:, :2].copy())
    right, left = drawn[_EYE_CORNERS, :2].tolist()
    apart = math.dist(right, left)
    return away / math.sqrt(len(drawn)) / apart if apart > 0 else math.inf


def region_around(mesh: Floats) -> Region | None:
    """Return the region around all landmarks (468, 3), rotated with the line through the eyes.

    Returns None if the mesh contains NaN or infinity.
    """
    rows = mesh.T.copy()  # minima of rows are much faster than minima of columns
    (x0, y0, z0), (x1, y1, z1) = rows.min(axis=1).tolist(), rows.max(axis=1).tolist()
    size = REGION_SCALE * max(x1 - x0, y1 - y0)
    if not math.isfinite(size + z1 - z0):
        return None
    (right_x, right_y), (left_x, left_y) = mesh[_EYE_CORNERS, :2].tolist()
    angle = math.atan2(left_y - right_y, left_x - right_x)
    return Region((x0 + x1) / 2, (y0 + y1) / 2, size, angle)


def fits(region: Region) -> bool:
    """Return whether a crop roughly matches the region around its landmarks."""
    off = math.hypot(region.x - _MIDDLE, region.y - _MIDDLE) / CROP
    size = region.size / CROP
    return off <= MAX_OFF and abs(region.angle) <= MAX_TURN and abs(math.log(size)) <= MAX_LOG_SIZE


def _refined(mesh: AttentionMesh, frame: Frame, far: _Candidate) -> _Candidate:
    """Return the crop placed around the mesh of `far`; refine it again if its flag is not clear."""
    near = far
    for _ in range(2):
        again = _candidate(mesh, frame, compose(near.to_frame, near.region.to_frame(CROP)))
        if again is None:
            break
        near = again
        if near.shape.logit >= CLEAR_LOGIT:
            break
    return near


def _candidate(mesh: AttentionMesh, frame: Frame, to_frame: Affine) -> _Candidate | None:
    """Run the mesh on a crop. Returns None if the mesh is not finite."""
    shape = mesh.shape(frame, to_frame)
    region = region_around(shape.mesh)
    return None if region is None else _Candidate(to_frame, shape, region)
