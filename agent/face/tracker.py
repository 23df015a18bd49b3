"""Frame -> FaceLandmarks: find a face, track it by its eyes, and regularly check the whole face.

    track    in this frame                       then
    -------  ----------------------------------  --------------------------------------------------
    none     no face is detected                 none; the detector runs again after RETRY_S
    none     a face is detected                  rotated and jittered crops confirm it, or none
    a face   the eyes' movement is plausible     a face: the crop follows the corners of the eyes
    a face   it is not, or the picture changed   the trunk runs at once: a face, or as under `none`

Beside this, a frame of a tracked face does one step of `_STEPS`, so that no frame takes long.

The models are MediaPipe's: BlazeFace (`detector`), and the attention mesh in parts (`mesh`).
`face_check` explains the rotated and jittered crops.

Nothing is smoothed: a blink is faster than a filter.
"""

import cmath
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from agent.face.crops import Affine, Floats, Region, compose, move, transform
from agent.face.detector import Detector, probability
from agent.face.eyes import Contours
from agent.face.face_check import (
    FACE_LOGIT,
    JITTERS,
    MAX_MESH_DISTANCE,
    fits,
    mesh_distance,
    region_around,
)
from agent.face.mesh import CROP, AttentionMesh, FaceModels, Glance, Shape, load_models
from agent.face.motion import MAX_CHANGE, RECENTRED_CHANGE, Motion
from agent.face.others import OtherFaces
from agent.face.search import LastSeen, Search
from agent.face.sharpness import sharpness
from agent.records import FaceLandmarks, Frame

LOOK_S = 0.4
"""Seconds between looks at the whole face. At 0.5, blinks of small and fast faces were missed."""

STILL_LOOK_S, STILL_LOOKS = 0.8, 2
"""Seconds between looks at a still face: the last two looks hardly corrected the crop, by at most
`STILL_SHIFT` of its width and `STILL_TURN` in rotation (radians) and scale."""

STILL_SHIFT, STILL_TURN = 0.005, 0.01

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


Step = Literal["rest", "look", "mesh", "boxes", "jitter", "confirm"]


@dataclass(slots=True)
class _Track:
    """A face that is being tracked.

    - to_frame: the crop to use next.
    - looked_s: time of the last look at the whole face.
    - mesh: the mesh of that look, in pixels of that crop.
    - region: maps the crop of the next look into that crop.
    - step: the next frame's step, see `_STEPS`.
    - shape: in the step `boxes`, the shape around which to place the boxes of the eyes.
    - still_looks: how many looks in a row hardly corrected the crop.
    """

    to_frame: Affine
    looked_s: float
    motion: Motion
    mesh: Floats
    region: Affine
    logit: float
    step: Step = "jitter"
    shape: Shape | None = None
    still_looks: int = 0


def open_tracker(cache: Path, threads: int = 1, upright: Region = _UPRIGHT) -> "FaceTracker":
    """Create a tracker with the models in `cache`. Raises ModelError."""
    return FaceTracker(load_models(cache, threads), upright)


class FaceTracker:
    """Tracks one face through a session.

    `upright` is how the camera sees an upright face: its angle and whether it is mirrored (see
    `Region`); position and size don't matter.
    """

    def __init__(self, models: FaceModels, upright: Region = _UPRIGHT) -> None:
        self._detector = Detector(models.detector_stem, models.detector_head)
        self._others = OtherFaces(self._detector)
        self._mesh = AttentionMesh(models)
        self._search = Search(self._detector, self._mesh, upright)
        self._up = cmath.rect(1, upright.angle)
        self.reset()

    def reset(self) -> None:
        """Forget the face. The next frame starts with the detector."""
        self._track: _Track | None = None
        self._last_seen: LastSeen | None = None
        self._detector_rests_until_s = self._sharp_due_s = -math.inf
        self._others.reset()
        self._irises_below = math.inf
        self._check_due_s = self._irises_due_s = -math.inf
        self._check_s, self._failed_before = CHECK_S, False
        self._search.reset()

    def find(self, frame: Frame, irises_below: float = math.inf) -> FaceLandmarks | None:
        """Return the tracked face, or None. Frames must be in chronological order.

        Computes the irises only if an eye's EAR is below `irises_below`.
        """
        face, self._irises_below = None, irises_below
        if self._track is not None:
            face = self._follow(frame, self._track)
        if face is None and frame.time_s >= self._detector_rests_until_s:
            self._detector_rests_until_s = frame.time_s + RETRY_S
            face = self._acquire(frame)
        return face

    def _follow(self, frame: Frame, track: _Track) -> FaceLandmarks | None:
        step = self._step(frame.time_s, track)
        todo = _STEPS[step]
        if todo.is_look and self._is_late(frame):
            return self._look_again(frame, track)
        if todo.before is not None and not todo.before(self, frame, track):
            if todo.is_look:
                return self._look_again(frame, track)
            self._track = None
            return None
        here = track.to_frame
        glance = self._glance(frame, track, step)
        if glance is None:
            return self._look_again(frame, track)
        track.step = todo.then
        face = self._face(frame, here, glance, busy=step != "rest")
        if face is not None and todo.after is not None:
            face = todo.after(self, frame, track, here, face)
        return face

    def _step(self, time_s: float, track: _Track) -> Step:
        """Return the step of this frame: the track's, unless it is not needed or a look is due."""
        step = track.step
        if step == "jitter" and (track.logit >= SURE_LOGIT or time_s < self._check_due_s):
            step = "rest"
        due_s = LOOK_S if track.still_looks < STILL_LOOKS else STILL_LOOK_S
        return "look" if step == "rest" and time_s - track.looked_s >= due_s else step

    def _is_late(self, frame: Frame) -> bool:
        assert self._last_seen is not None
        return frame.time_s - self._last_seen.time_s > LATE_S

    def _glance(self, frame: Frame, track: _Track, step: Step) -> Glance | None:
        """Glance at the eyes and move the crop along. Return None if the face needs a look now."""
        band = self._mesh.crop_eyes(frame, track.to_frame, whole=step == "look")
        if track.motion.jumps(band, RECENTRED_CHANGE if step == "boxes" else MAX_CHANGE):
            return None
        with_irises = self._are_irises_due(frame.time_s)
        eyes = self._mesh.eyes()
        moved = track.motion.step(eyes)
        if moved is None:
            return None
        if step == "look":
            track.looked_s = frame.time_s
        # The mesh of a look belongs to the crop of its frame, and the boxes to that of theirs.
        if step == "look" or (step == "boxes" and track.motion.still):
            track.motion.restart()
        else:
            track.to_frame = move(track.to_frame, *moved)
        return Glance(self._add_irises(eyes) if with_irises else eyes, band)

    def _compute_mesh(self, _frame: Frame, track: _Track) -> bool:
        """Compute the mesh of the last whole crop. Return whether it is a face that fits it."""
        shape = self._mesh.shape_of_crop()
        region = region_around(shape.mesh)
        if region is None or not shape.logit >= KEEP_LOGIT:
            return False
        track.region, track.shape = region.to_frame(CROP), shape
        return fits(region)

    def _place_boxes(self, _frame: Frame, track: _Track) -> bool:
        """Centre the crop on the new mesh and place the boxes of the eyes."""
        assert track.shape is not None
        shape = track.shape.recentred(track.region)
        track.still_looks = track.still_looks + 1 if _is_still(track.region) else 0
        self._mesh.place_boxes(shape)
        track.motion.recentre(track.region)
        track.to_frame, track.region = compose(track.to_frame, track.region), _CENTRED
        track.mesh, track.logit, track.shape = shape.mesh, shape.logit, None
        return True

    def _cut_jittered(
        self, frame: Frame, _track: _Track, here: Affine, face: FaceLandmarks
    ) -> FaceLandmarks:
        """Compute the features of a jittered crop."""
        self._check_due_s = frame.time_s + self._check_s
        self._mesh.see(frame, compose(here, JITTERS[self._failed_before]))
        return face

    def _confirm(self, _frame: Frame, track: _Track) -> bool:
        """Compare the mesh of the jittered crop. Two failures in a row mean that it is no face."""
        again, jitter = self._mesh.shape_of_crop().mesh, JITTERS[self._failed_before]
        differs = not mesh_distance(track.mesh, again, jitter) <= MAX_MESH_DISTANCE
        failed_twice = differs and self._failed_before
        self._failed_before = differs and not failed_twice
        self._check_s = CHECK_S if differs else min(2 * self._check_s, MAX_CHECK_S)
        return not failed_twice

    def _look_for_others(
        self, frame: Frame, _track: _Track, _here: Affine, face: FaceLandmarks
    ) -> FaceLandmarks:
        """Look for other faces, except in a frame that measures sharpness."""
        assert self._last_seen is not None
        if face.sharpness is not None or not self._others.is_due(frame.time_s):
            return face
        others = self._others.look(frame, self._search.whole(frame), self._last_seen.region)
        return face if others is None else replace(face, others=others)

    def _look_again(self, frame: Frame, track: _Track) -> FaceLandmarks | None:
        return self._look(frame, compose(track.to_frame, track.region), KEEP_LOGIT)

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
        self._check_due_s = min(self._check_due_s, frame.time_s + CHECK_S)
        glance = self._mesh.eyes_of_crop()
        if self._are_irises_due(frame.time_s):
            glance = Glance(self._add_irises(glance.eyes), glance.band)
        self._track = _Track(
            to_frame=to_frame,
            looked_s=frame.time_s,
            motion=Motion(glance.eyes, glance.band),
            mesh=shape.mesh,
            region=region.to_frame(CROP),
            logit=shape.logit,
        )
        return self._face(frame, to_frame, glance, busy=True)

    def _face(
        self, frame: Frame, to_frame: Affine, glance: Glance, *, busy: bool
    ) -> FaceLandmarks | None:
        track = self._track
        assert track is not None
        lids, irises = transform(to_frame, glance.eyes.lids), glance.eyes.irises
        if not _inside(lids, frame):
            self._track = None
            return None
        self._last_seen = LastSeen(frame.time_s, to_frame, track.region)
        return FaceLandmarks(
            time_s=frame.time_s,
            lids=lids,
            irises=None if irises is None else transform(to_frame, irises),
            mesh=track.mesh,
            to_frame=to_frame,
            score=probability(track.logit),
            sharpness=self._sharpness(frame.time_s, glance, busy=busy),
            turned=self._is_turned(to_frame),
        )

    def _are_irises_due(self, time_s: float) -> bool:
        if time_s < self._irises_due_s:
            return False
        self._irises_due_s = time_s + IRIS_S
        return True

    def _add_irises(self, eyes: Contours) -> Contours:
        """Add the irises if the lids are low enough."""
        return self._mesh.with_irises(eyes) if eyes.least_ear() < self._irises_below else eyes

    def _is_turned(self, to_frame: Affine) -> bool:
        """Return whether the face is not upright, given how the camera is mounted."""
        (_, b, _), (_, d, _) = to_frame.tolist()
        cos = d * self._up.real - b * self._up.imag
        return bool(cos < _TURNED * math.hypot(b, d))

    def _sharpness(self, time_s: float, glance: Glance, *, busy: bool) -> float | None:
        """Return the sharpness around both eyes, or None if it is not due.

        In a busy frame, which is expensive already, it is postponed by up to `LOOK_S`.
        """
        if time_s < self._sharp_due_s + (LOOK_S if busy else 0.0):
            return None
        self._sharp_due_s = time_s + SHARP_S
        corner = np.array(self._mesh.band_corner, np.float32)
        return sharpness(glance.band, glance.eyes.lids - corner)

    def _acquire(self, frame: Frame) -> FaceLandmarks | None:
        self._others.forget()
        for crop in self._search.crops(frame, self._last_seen):
            if (face := self._look(frame, crop, FACE_LOGIT)) is not None:
                return face
        return None


@dataclass(frozen=True, slots=True)
class _Todo:
    """What a frame does beside the glance at the eyes, and the step of the next frame.

    `before` returns whether this is still a face. If not, a look repeats it at once (`is_look`), or
    the face is lost.
    """

    before: Callable[[FaceTracker, Frame, _Track], bool] | None
    after: Callable[[FaceTracker, Frame, _Track, Affine, FaceLandmarks], FaceLandmarks] | None
    is_look: bool
    then: Step


_STEPS: dict[Step, _Todo] = {
    # A look, when it is due. The glance runs on the features of the whole crop.
    "look": _Todo(None, None, True, "mesh"),
    "mesh": _Todo(FaceTracker._compute_mesh, None, True, "boxes"),
    "boxes": _Todo(FaceTracker._place_boxes, None, True, "jitter"),
    # A check, if the trunk was not sure.
    "jitter": _Todo(None, FaceTracker._cut_jittered, False, "confirm"),
    "confirm": _Todo(FaceTracker._confirm, None, False, "rest"),
    # Until the next look.
    "rest": _Todo(None, FaceTracker._look_for_others, False, "rest"),
}
"""The steps in their order. Frames that are too far apart do a whole look in one."""


def _is_still(to_crop: Affine) -> bool:
    """Return whether the next crop is nearly the last look's, into which `to_crop` maps it."""
    (a, _, x), (c, _, y) = to_crop.tolist()
    turn, middle = complex(a, c), complex(CROP / 2, CROP / 2)
    shift = abs(turn * middle + complex(x, y) - middle)
    return shift <= STILL_SHIFT * CROP and abs(turn - 1) <= STILL_TURN


def _inside(lids: Floats, frame: Frame) -> bool:
    """Return whether the lids are inside the picture.

    The models complete a face beyond the picture's edge; an eye there would be invented.
    """
    x, y, width, height = cv2.boundingRect(lids.reshape(-1, 1, 2))  # in whole pixels
    return x >= 0 and y >= 0 and x + width <= frame.width and y + height <= frame.height


def _scale(to_frame: Affine) -> float:
    """Return the number of frame pixels per crop pixel."""
    return math.hypot(to_frame[0, 1], to_frame[1, 1])
