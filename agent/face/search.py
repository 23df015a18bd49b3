"""Frame -> crops of faces: searches a frame for a face that was lost, or for any face."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from agent.face.crops import Affine, Region, compose, region_of
from agent.face.detector import Detector, views
from agent.face.face_check import upright_crop
from agent.face.mesh import CROP, AttentionMesh
from agent.records import Frame

REMEMBER_S = 5.0
"""How long to search for a lost face near its last position before accepting another one."""

NEAR = 3.0
"""Size of the area to search for a lost face first, in widths of its region."""


@dataclass(frozen=True, slots=True, eq=False)
class LastSeen:
    """When and where a face was last seen: its crop, and the region around it in that crop."""

    time_s: float
    to_frame: Affine
    in_crop: Affine

    @property
    def region(self) -> Region:
        """The face's region in the frame."""
        return region_of(compose(self.to_frame, self.in_crop), CROP)


class Search:
    """Searches for faces that look as `upright` does, in any quarter turn of it."""

    def __init__(self, detector: Detector, mesh: AttentionMesh, upright: Region) -> None:
        self._detector, self._mesh, self._upright = detector, mesh, upright
        self.reset()

    def reset(self) -> None:
        """Begin again with the first part of the picture."""
        self._views: Iterator[Region] = iter(())

    def crops(self, frame: Frame, last: LastSeen | None) -> Iterator[Affine]:
        """Yield crops of confirmed faces: of the face `last` seen, while that is remembered."""
        if last is not None and frame.time_s - last.time_s > REMEMBER_S:
            last = None
        for view in self._views_now(frame, last):
            found = _choose(self._detector.find(frame, view), frame.time_s, last)
            crop = None if found is None else upright_crop(self._mesh, frame, found)
            # The detector may have found only a part of a larger face.
            if crop is not None and _choose([region_of(crop, CROP)], frame.time_s, last):
                yield crop

    def whole(self, frame: Frame) -> Region:
        """Return the view of the whole picture."""
        width, height = frame.width, frame.height
        return replace(self._upright, x=width / 2, y=height / 2, size=max(width, height))

    def _views_now(self, frame: Frame, last: LastSeen | None) -> Iterator[Region]:
        """Yield the views to search: around a lost face, the whole picture, one more view.

        The detector's input is 128 pixels wide, so it finds a distant face only in a part of the
        picture.
        """
        if last is not None:
            yield replace(last.region, size=NEAR * last.region.size)
        yield self.whole(frame)
        view = next(self._views, None)
        if view is None:
            self._views = views(self.whole(frame), frame)
            view = next(self._views)
        yield view


def _choose(found: list[Region], time_s: float, last: LastSeen | None) -> Region | None:
    """Return the lost face or, if none is being searched for, the largest: the nearest."""
    if last is None:
        return max(found, key=lambda region: region.size, default=None)
    region, elapsed_s = last.region, time_s - last.time_s
    near = [each for each in found if _may_be(region, each, elapsed_s)]
    return min(near, key=region.distance, default=None)


def _may_be(last: Region, found: Region, elapsed_s: float) -> bool:
    """Return whether the face at `last` can have moved to `found`.

    A seated head moves half a region's width per second; a neighbour is two widths away.
    """
    reach = 0.5 + 0.5 * elapsed_s
    return last.distance(found) <= reach and 0.5 <= found.size / last.size <= 2.0
