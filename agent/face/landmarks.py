"""Frame -> FaceLandmarks: find a face, track it by its eyes, and regularly check the whole face.

    track    in this frame                       then
    -------  ----------------------------------  --------------------------------------------------
    none     no face is detected                 none; the detector runs again after RETRY_S
    none     a face is detected                  rotated and jittered crops confirm it, or none
    a face   LOOK_S since the last look          the trunk runs: a face, or as under `none`
    a face   the eyes' movement is plausible     a face: the crop follows the corners of the eyes
    a face   it is not, or the picture changed   the trunk runs at once: a face, or as under `none`
    a face   the trunk was not sure, CHECK_S     a jittered crop confirms it, spread over two
                                                 frames; two failures: none

The models are MediaPipe's: BlazeFace (`detector`), and the attention mesh in parts (`mesh`).
`face_check` explains the rotated and jittered crops.

Nothing is smoothed: a blink is faster than a filter.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from agent.face.crops import Affine, Floats, Pixels, Region, compose, move, region_of, transform
from agent.face.detector import Detector, probability, views
from agent.face.eyes import Contours
from agent.face.face_check import (
    FACE_LOGIT,
    JITTERS,
    MAX_MESH_DISTANCE,
    fits,
    mesh_distance,
    region_around,
    upright_crop,
)
from agent.face.mesh import CROP, AttentionMesh, FaceModels, Glance, Shape, load_models
from agent.face.motion import MAX_CHANGE, RECENTRED_CHANGE, Motion
from agent.face.others import OtherFaces
from agent.face.sharpness import sharpness
from agent.records import FaceLandmarks, Frame

LOOK_S = 0.4
"""Seconds between looks at the whole face. At 0.5, blinks of small and fast faces were missed."""

KEEP_LOGIT = 8.0
"""Minimum face flag to keep tracking: a hand or a turn of the head lowers it for a moment."""

SURE_LOGIT, CHECK_S, MAX_CHECK_S = 24.0, 1.0, 4.0
"""From this face flag on a look needs no confirmation; otherwise confirm after `CHECK_S` seconds,
and after twice as long each time that it is a face."""

IRIS_S = 0.09
"""How often to compute the irises: they tell looking down from shut eyes, at three of them in the
shortest closure for which that matters."""

RETRY_S = 0.1
"""Minimum time between runs of the detector: fast enough to find a face, cheap in an empty room."""

REMEMBER_S = 5.0
"""How long to search for a lost face near its last position before accepting another one."""

NEAR = 3.0
"""Size of the area to search for a lost face first, in widths of its region."""

MIN_REGION = 32.0
"""In pixels: below it, an eye is three or four pixels wide and a lid's height is a guess."""

SHARP_S = 0.5
"""How often to measure sharpness: focus drifts slowly."""

LATE_S = 0.15
"""A look is spread over three frames so that none takes long, unless frames are further apart."""

_CENTRED = Region(CROP / 2, CROP / 2, CROP).to_frame(CROP)
"""Maps a crop to itself: the face is in its middle."""

_TURNED = math.cos(math.radians(45))
"""Cosine of the angle from which a face is not upright: another quarter turn is nearer."""

_UPRIGHT = Region(0, 0, 1)
"""An upright face, as seen by a camera mounted upright."""


@dataclass(slots=True)
class _Track:
    """A face that is being tracked.

    - to_frame: the crop to use next.
    - looked_s: time of the last look at the whole face.
    - mesh: the mesh of that look, in pixels of that crop.
    - region: maps the crop of the next look into that crop.
    - unchecked: whether the next frame must cut out a jittered crop, to confirm the face.
    - jitter: maps the jittered crop of the last frame, whose mesh is still to be computed.
    - mesh_due: whether the last frame cut out the whole crop, whose mesh is still to be computed.
    - new_shape: the shape just computed; the boxes of the eyes are still to be placed around it.
    """

    to_frame: Affine
    looked_s: float
    motion: Motion
    mesh: Floats
    region: Affine
    logit: float
    unchecked: bool
    jitter: Affine | None = None
    mesh_due: bool = False
    new_shape: Shape | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _LastSeen:
    """When and where a face was last seen: its crop, and the region around it in that crop."""

    time_s: float
    to_frame: Affine
    in_crop: Affine

    @property
    def region(self) -> Region:
        return region_of(compose(self.to_frame, self.in_crop), CROP)


def open_tracker(cache: Path, threads: int = 1, upright: Region = _UPRIGHT) -> "FaceTracker":
    """Create a tracker with the models in `cache`. Raises ModelError."""
    return FaceTracker(load_models(cache, threads), upright)


class FaceTracker:
    """Tracks one face through a session.

    `upright` is how the camera sees an upright face: its angle and whether it is mirrored (see
    `Region`); position and size don't matter.
    """

    def __init__(self, models: FaceModels, upright: Region = _UPRIGHT) -> None:
        self._detector = Detector(models.detector)
        self._others = OtherFaces(self._detector)
        self._mesh = AttentionMesh(models)
        self._upright = upright
        self.reset()

    def reset(self) -> None:
        """Forget the face. The next frame starts with the detector."""
        self._track: _Track | None = None
        self._last_seen: _LastSeen | None = None
        self._detector_rests_until_s = self._sharp_due_s = -math.inf
        self._others.reset()
        self._check_due_s = self._irises_due_s = -math.inf
        self._check_s, self._failed_before = CHECK_S, False
        self._views: Iterator[Region] = iter(())

    def find(self, frame: Frame) -> FaceLandmarks | None:
        """Return the tracked face, or None. Frames must be in chronological order."""
        face = None
        if self._track is not None:
            face = self._follow(frame, self._track)
        if face is None and frame.time_s >= self._detector_rests_until_s:
            self._detector_rests_until_s = frame.time_s + RETRY_S
            face = self._acquire(frame)
        return face

    def _follow(self, frame: Frame, track: _Track) -> FaceLandmarks | None:
        if track.jitter is not None and not self._is_face_still(track, track.jitter):
            self._track = None
            return None
        unchecked = track.unchecked
        glanced = self._glance(frame, track)
        if glanced is None:
            return self._look(frame, compose(track.to_frame, track.region), KEEP_LOGIT)
        glance, here = glanced
        checking = unchecked and not track.mesh_due
        if checking:
            self._begin_check(frame, track, here)
        face = self._face(frame, here, glance.eyes, glance.band)
        # Do at most one expensive thing in a frame.
        busy = checking or track.mesh_due or track.new_shape is not None
        if face is None or face.sharpness is not None or busy:
            return face
        assert self._last_seen is not None
        others = self._others.look(frame, self._whole(frame), self._last_seen.region)
        return face if others is None else replace(face, others=others)

    def _glance(self, frame: Frame, track: _Track) -> tuple[Glance, Affine] | None:
        """Glance at the eyes. Return the glance and its crop, or None if the face needs a look now.

        A look that is due is spread over three frames: the first runs on the whole crop, the second
        computes its mesh, the third centres the crop on it and places the boxes of the eyes.
        """
        assert self._last_seen is not None
        due, new_shape = frame.time_s - track.looked_s >= LOOK_S, track.new_shape
        if (due or track.mesh_due or new_shape) and frame.time_s - self._last_seen.time_s > LATE_S:
            return None
        if track.mesh_due and not self._compute_mesh(track):
            return None
        if new_shape is not None:
            self._place_boxes(frame, track, new_shape)
        here, bound = track.to_frame, MAX_CHANGE if new_shape is None else RECENTRED_CHANGE
        band = self._mesh.crop_eyes(frame, here, whole=due)
        if track.motion.jumps(band, bound):
            return None
        eyes = self._mesh.eyes(irises=self._are_irises_due(frame.time_s))
        moved = track.motion.step(eyes)
        if moved is None:
            return None
        if due:
            track.looked_s, track.mesh_due = frame.time_s, True
        if due or (new_shape is not None and track.motion.still):  # the mesh belongs to this crop
            track.motion.restart()
        else:
            track.to_frame = move(here, *moved)
        return Glance(eyes, band), here

    def _compute_mesh(self, track: _Track) -> bool:
        """Compute the mesh of the last whole crop. Return whether it is a face that fits it."""
        track.mesh_due, shape = False, self._mesh.shape_of_crop()
        region = region_around(shape.mesh)
        if region is None or not shape.logit >= KEEP_LOGIT:
            return False
        track.region = region.to_frame(CROP)
        track.new_shape = shape
        return fits(region)

    def _place_boxes(self, frame: Frame, track: _Track, new_shape: Shape) -> None:
        """Centre the crop on the new mesh and place the boxes of the eyes."""
        shape = new_shape.recentred(track.region)
        self._mesh.place_boxes(shape)
        track.motion.recentre(track.region)
        track.to_frame, track.region = compose(track.to_frame, track.region), _CENTRED
        track.mesh, track.logit, track.new_shape = shape.mesh, shape.logit, None
        track.unchecked = self._is_unsure(shape, frame.time_s)

    def _is_unsure(self, shape: Shape, time_s: float) -> bool:
        return shape.logit < SURE_LOGIT and time_s >= self._check_due_s

    def _begin_check(self, frame: Frame, track: _Track, to_frame: Affine) -> None:
        """Cut out a jittered crop; the next frame computes its mesh.

        This happens at most every `CHECK_S` seconds, and not in the frames of a look.
        """
        track.unchecked, self._check_due_s = False, frame.time_s + self._check_s
        track.jitter = JITTERS[self._failed_before]
        self._mesh.see(frame, compose(to_frame, track.jitter))

    def _is_face_still(self, track: _Track, jitter: Affine) -> bool:
        """Compare the meshes of the crop and the jittered one. Two failures mean it is no face."""
        track.jitter = None
        again = self._mesh.shape_of_crop().mesh
        differs = not mesh_distance(track.mesh, again, jitter) <= MAX_MESH_DISTANCE
        failed_twice = differs and self._failed_before
        self._failed_before = differs and not failed_twice
        self._check_s = CHECK_S if differs else min(2 * self._check_s, MAX_CHECK_S)
        return not failed_twice

    def _look(self, frame: Frame, to_frame: Affine, least: float) -> FaceLandmarks | None:
        """Look at the whole face and start tracking it. Returns None if there is no usable face.

        If the crop does not fit the face, after a fast movement, this looks again with a better
        crop.
        """
        self._track = None
        shape = self._mesh.shape(frame, to_frame)
        region = region_around(shape.mesh)
        if shape.logit >= least and region is not None and not fits(region):
            to_frame = compose(to_frame, region.to_frame(CROP))
            shape = self._mesh.shape(frame, to_frame)
            region = region_around(shape.mesh)
        if not shape.logit >= least or region is None:
            return None
        if region.size * _scale(to_frame) < MIN_REGION:
            return None
        self._mesh.place_boxes(shape)
        self._check_s = CHECK_S
        glance = self._mesh.eyes_of_crop(irises=self._are_irises_due(frame.time_s))
        self._track = _Track(
            to_frame=to_frame,
            looked_s=frame.time_s,
            motion=Motion(glance.eyes, glance.band),
            mesh=shape.mesh,
            region=region.to_frame(CROP),
            logit=shape.logit,
            unchecked=self._is_unsure(shape, frame.time_s),
        )
        return self._face(frame, to_frame, glance.eyes, glance.band)

    def _face(
        self, frame: Frame, to_frame: Affine, eyes: Contours, band: Pixels
    ) -> FaceLandmarks | None:
        track = self._track
        assert track is not None
        seen = Contours(transform(to_frame, eyes.points))
        lids = seen.lids
        if not _inside(lids, frame):
            self._track = None
            return None
        self._last_seen = _LastSeen(frame.time_s, to_frame, track.region)
        return FaceLandmarks(
            time_s=frame.time_s,
            lids=lids,
            irises=seen.irises,
            mesh=track.mesh,
            to_frame=to_frame,
            score=probability(track.logit),
            sharpness=self._sharpness(frame.time_s, eyes, band),
            turned=self._is_turned(to_frame),
        )

    def _are_irises_due(self, time_s: float) -> bool:
        if time_s < self._irises_due_s:
            return False
        self._irises_due_s = time_s + IRIS_S
        return True

    def _is_turned(self, to_frame: Affine) -> bool:
        """Return whether the face is not upright, given how the camera is mounted."""
        (_, b, _), (_, d, _) = to_frame.tolist()
        cos = d * math.cos(self._upright.angle) - b * math.sin(self._upright.angle)
        return bool(cos < _TURNED * math.hypot(b, d))

    def _sharpness(self, time_s: float, eyes: Contours, band: Pixels) -> float | None:
        """Return the sharpness around both eyes, or None if it is not due.

        In the frames of a look, which are expensive already, it is postponed by up to `LOOK_S`.
        """
        track = self._track
        assert track is not None
        busy = time_s == track.looked_s or track.new_shape is not None
        if time_s < self._sharp_due_s + (LOOK_S if busy else 0.0):
            return None
        self._sharp_due_s = time_s + SHARP_S
        return sharpness(band, eyes.lids - np.array(self._mesh.band_corner, np.float32))

    def _acquire(self, frame: Frame) -> FaceLandmarks | None:
        self._others.forget()
        for view in self._views_now(frame):
            found = self._choose(self._detector.find(frame, view), frame.time_s)
            crop = None if found is None else upright_crop(self._mesh, frame, found)
            # The detector may have found only a part of a larger face.
            if crop is None or self._choose([region_of(crop, CROP)], frame.time_s) is None:
                continue
            if (face := self._look(frame, crop, FACE_LOGIT)) is not None:
                return face
        return None

    def _choose(self, found: list[Region], time_s: float) -> Region | None:
        """Return the lost face or, if none is being searched for, the largest: the nearest."""
        if self._last_seen is None or time_s - self._last_seen.time_s > REMEMBER_S:
            return max(found, key=lambda region: region.size, default=None)
        last, elapsed_s = self._last_seen.region, time_s - self._last_seen.time_s
        near = [region for region in found if _may_be(last, region, elapsed_s)]
        return min(near, key=last.distance, default=None)

    def _whole(self, frame: Frame) -> Region:
        width, height = frame.width, frame.height
        return replace(self._upright, x=width / 2, y=height / 2, size=max(width, height))

    def _views_now(self, frame: Frame) -> Iterator[Region]:
        """Yield the views to search: around a lost face, the whole picture, one more view.

        The detector's input is 128 pixels wide, so it finds a distant face only in a part of the
        picture.
        """
        if self._last_seen is not None and frame.time_s - self._last_seen.time_s <= REMEMBER_S:
            last = self._last_seen.region
            yield replace(last, size=NEAR * last.size)
        yield self._whole(frame)
        view = next(self._views, None)
        if view is None:
            self._views = views(self._whole(frame), frame)
            view = next(self._views)
        yield view


def _may_be(last: Region, found: Region, elapsed_s: float) -> bool:
    """Return whether the face at `last` can have moved to `found`.

    A seated head moves half a region's width per second; a neighbour is two widths away.
    """
    reach = 0.5 + 0.5 * elapsed_s
    return last.distance(found) <= reach and 0.5 <= found.size / last.size <= 2.0


def _inside(lids: Floats, frame: Frame) -> bool:
    """Return whether the lids are inside the picture.

    The models complete a face beyond the picture's edge; an eye there would be invented.
    """
    x, y, width, height = cv2.boundingRect(lids.reshape(-1, 1, 2))  # in whole pixels
    return x >= 0 and y >= 0 and x + width <= frame.width and y + height <= frame.height


def _scale(to_frame: Affine) -> float:
    """Return the number of frame pixels per crop pixel."""
    return math.hypot(to_frame[0, 1], to_frame[1, 1])
