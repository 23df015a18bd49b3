"""Is it a face, and which way up? The mesh is asked again with its crop turned and shaken.

The mesh draws a face into whatever it is shown, and its face flag alone does not tell: wrong way up
a face gives up to 25, a cat 12, and the same person upright now and then 10. But where there is a
face, the landmarks stay on it when the crop moves; where there is none, they move along.
"""

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from agent.face.crops import Affine, Floats, Region, joined, mapped
from agent.face.detector import QUARTER_TURNS, REGION_SCALE
from agent.face.mesh import CROP, AttentionMesh, Shape
from agent.records import Frame

FACE_LOGIT = 10.0
"""Least face flag to begin with, a logit, in a crop that fits. Faces give 12 to 35."""

CLEAR_LOGIT = 20.0
"""Enough not to try the turns that are left."""

MAYBE_LOGIT = -6.0
"""Least in the detector's crop for a closer look. A face that was found upside down lies off the
middle of its region: with that turned it gives -4, but 20 in the crop that is laid around it."""

MAX_UNLIKE = 0.06
"""How far the mesh may be from itself in a shaken crop: a root mean square, in distances between
the eyes. Measured: 0.05 at most in 95 of 100 looks at a face and more in all at something else."""

_MIDDLE = CROP / 2
SHAKEN = tuple(
    Region(
        _MIDDLE + side * 8, _MIDDLE - side * 6, CROP * 1.06**side, math.radians(8 * side)
    ).to_frame(CROP)
    for side in (1, -1)
)
"""From shaken crops to the crop itself: a little beside it, larger or smaller, and turned."""

_EYE_CORNERS = np.array([33, 263])
"""Mesh landmarks: the outer corners of the person's own right and left eye."""


@dataclass(frozen=True, slots=True, eq=False)
class _Try:
    """A crop, what the mesh drew in it, and the region around that, in pixels of the crop."""

    to_frame: Affine
    shape: Shape
    region: Region


def upright_crop(mesh: AttentionMesh, frame: Frame, found: Region) -> Affine | None:
    """The crop around a found face, turned as it looks most like a face; None if it is none.

    The detector finds faces that are upside down, too, and takes them for upright ones.
    """
    best: _Try | None = None
    for turn in QUARTER_TURNS:
        each = _tried(mesh, frame, replace(found, angle=found.angle + turn).to_frame(CROP))
        if each is not None and each.shape.logit >= MAYBE_LOGIT:
            each = _closer(mesh, frame, each)
            if best is None or each.shape.logit > best.shape.logit:
                best = each
            if each.shape.logit >= CLEAR_LOGIT:
                break
    if best is None or not best.shape.logit >= FACE_LOGIT:
        return None
    shaken = (unlike(mesh, frame, best.to_frame, best.shape.mesh, each) for each in SHAKEN)
    return best.to_frame if all(each <= MAX_UNLIKE for each in shaken) else None


def unlike(
    mesh: AttentionMesh, frame: Frame, to_frame: Affine, drawn: Floats, to_crop: Affine
) -> float:
    """How far the mesh `drawn` in a crop is from what is drawn in a shaken one, one of `SHAKEN`.

    A root mean square over all landmarks, in distances between the outer corners of the eyes.
    """
    again = mesh.shape(frame, joined(to_frame, to_crop)).mesh
    away = cv2.norm(mapped(to_crop, again[:, :2].copy()), drawn[:, :2].copy())
    right, left = drawn[_EYE_CORNERS, :2].tolist()
    apart = math.dist(right, left)
    return away / math.sqrt(len(drawn)) / apart if apart > 0 else math.inf


def region_around(mesh: Floats) -> Region | None:
    """Around all landmarks (468, 3), turned with the line through the eyes; None for NaN."""
    rows = mesh.T.copy()  # minima of rows are found much faster than of columns
    (x0, y0, z0), (x1, y1, z1) = rows.min(axis=1).tolist(), rows.max(axis=1).tolist()
    size = REGION_SCALE * max(x1 - x0, y1 - y0)
    if not math.isfinite(size + z1 - z0):
        return None
    (right_x, right_y), (left_x, left_y) = mesh[_EYE_CORNERS, :2].tolist()
    angle = math.atan2(left_y - right_y, left_x - right_x)
    return Region((x0 + x1) / 2, (y0 + y1) / 2, size, angle)


def _closer(mesh: AttentionMesh, frame: Frame, far: _Try) -> _Try:
    """The crop laid around what `far` shows, and once more where that is not clear yet."""
    near = far
    for _ in range(2):
        again = _tried(mesh, frame, joined(near.to_frame, near.region.to_frame(CROP)))
        if again is None:
            break
        near = again
        if near.shape.logit >= CLEAR_LOGIT:
            break
    return near


def _tried(mesh: AttentionMesh, frame: Frame, to_frame: Affine) -> _Try | None:
    """None where the mesh is not finite."""
    shape = mesh.shape(frame, to_frame)
    region = region_around(shape.mesh)
    return None if region is None else _Try(to_frame, shape, region)
