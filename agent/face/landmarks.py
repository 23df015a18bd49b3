"""Frame -> FaceLandmarks: find a face, follow it by its eyes, look at all of it now and then.

    track    in this frame                      then
    -------  ---------------------------------  -------------------------------------------------
    none     no face is found                   none; the detector looks again after RETRY_S
    none     a face is found                    it is turned and shaken: a face, or none
    a face   LOOK_S since the last look         the trunk looks: a face, or as under `none`
    a face   the eyes make sense                a face: the crop follows the corners of the eyes
    a face   they don't, or the picture jumped  the trunk looks at once: a face, or as under `none`
    a face   the trunk was not sure, CHECK_S    it is shaken: a face, or none if that fails twice

The models are MediaPipe's: BlazeFace (`detector`), and the attention mesh in parts (`mesh`); how
to turn and shake is told in `face_check`.
Nothing is smoothed: a blink is faster than a filter.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from agent.face.crops import Affine, Floats, Pixels, Region, followed, joined, mapped, region_of
from agent.face.detector import Detector, probability, views
from agent.face.eyes import CONTOUR, INNER, OUTER, Contours
from agent.face.face_check import (
    FACE_LOGIT,
    MAX_UNLIKE,
    SHAKEN,
    region_around,
    unlike,
    upright_crop,
)
from agent.face.mesh import CROP, AttentionMesh, FaceModels, Glance, Shape, load_models
from agent.face.motion import MAX_CHANGE, MAX_TURN, RECENTRED_CHANGE, Motion
from agent.face.sharpness import sharpness
from agent.records import FaceLandmarks, Frame

LOOK_S = 0.4
"""How often the whole face is looked at: 0.2 to 0.5 s count the same blinks (docs/accuracy.md)."""

KEEP_LOGIT = 8.0
"""Least face flag to go on with: a hand or a turn of the head lowers it for a moment."""

SURE_LOGIT, CHECK_S = 24.0, 1.0
"""A face flag from which on a look tells a face, and how often others are checked, in seconds."""

RETRY_S = 0.1
"""The detector looks ten times a second at most: soon enough for a face, cheap in an empty room."""

REMEMBER_S = 5.0
"""How long a lost face is looked for near where it was, before another may take its place."""

NEAR = 3.0
"""How far around a lost face it is looked for first, in widths of its region."""

OTHERS_S, OTHERS_SIZE = 5.0, 0.4
"""How often other faces are looked for while one is followed, and how large they must be, as a
share of it: smaller ones are far away."""

MIN_REGION = 32.0
"""In pixels: an eye is then three or four pixels wide, and a lid's height is a guess."""

SHARP_S = 0.5
"""How often the sharpness is looked at: focus drifts slowly."""

LATE_S = 0.15
"""A look is spread over three frames, so that none is dear: not where these are further apart."""

MAX_OFF, MAX_LOG_SIZE = 0.08, 0.15
"""How far a crop may be off the face in it, in its widths, and the logarithm of its size."""

_EYE_ENDS = slice(OUTER, INNER + 1, INNER - OUTER)
"""Both corners of an eye among its points."""

_CENTRED = Region(CROP / 2, CROP / 2, CROP).to_frame(CROP)
"""Maps a crop into itself: the face is in its middle."""

_TURNED = math.cos(math.radians(45))
"""Cosine of the angle from which on a face is not upright: another quarter turn is nearer."""

_UPRIGHT = Region(0, 0, 1)
"""As a camera sees a face that is mounted as it should be."""


@dataclass(slots=True)
class _Track:
    """A face that is being followed.

    `to_frame` is the crop to look at next; `looked_s` is when the whole face was looked at, and
    `mesh` is what was seen then, in pixels of that crop. `region` maps the crop of the next look
    into it. `unchecked` is whether the next frame has to tell that it is a face. `seen` is whether
    the whole crop was seen in the last frame, and its mesh is still to be drawn; `drawn` is the
    mesh that was, as long as the boxes of the eyes are still to be laid around it.
    """

    to_frame: Affine
    looked_s: float
    motion: Motion
    mesh: Floats
    region: Affine
    logit: float
    unchecked: bool
    seen: bool = False
    drawn: Shape | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """When and where a face was seen last: its crop, and the region around it in that crop."""

    time_s: float
    to_frame: Affine
    in_crop: Affine

    @property
    def region(self) -> Region:
        return region_of(joined(self.to_frame, self.in_crop), CROP)


def open_tracker(cache: Path, threads: int = 1, upright: Region = _UPRIGHT) -> "FaceTracker":
    """A tracker with the models in `cache`. Raises ModelError."""
    return FaceTracker(load_models(cache, threads), upright)


class FaceTracker:
    """Follows one face through a session.

    `upright` says how a camera sees an upright face: its angle and whether it is mirrored (see
    `Region`); position and size don't matter.
    """

    def __init__(self, models: FaceModels, upright: Region = _UPRIGHT) -> None:
        self._detector = Detector(models.detector)
        self._mesh = AttentionMesh(models)
        self._upright = upright
        self.reset()

    def reset(self) -> None:
        """Forget the face: the next frame begins with the detector."""
        self._track: _Track | None = None
        self._seen: _Seen | None = None
        self._detector_rests_until_s = self._sharp_due_s = self._others_due_s = -math.inf
        self._check_due_s = -math.inf
        self._unlike_before = False
        self._views: Iterator[Region] = iter(())

    def find(self, frame: Frame) -> FaceLandmarks | None:
        """The face that is being followed, or None. Frames must come in the order of their time."""
        face = None
        if self._track is not None:
            face = self._follow(frame, self._track)
        if face is None and frame.time_s >= self._detector_rests_until_s:
            self._detector_rests_until_s = frame.time_s + RETRY_S
            face = self._acquire(frame)
        return face

    def _follow(self, frame: Frame, track: _Track) -> FaceLandmarks | None:
        unchecked = track.unchecked
        glanced = self._glance(frame, track)
        if glanced is None:
            return self._look(frame, joined(track.to_frame, track.region), KEEP_LOGIT)
        glance, here = glanced
        if unchecked and not track.seen and not self._is_face_still(frame, track, here):
            self._track = None
            return None
        face = self._face(frame, here, glance.eyes, glance.band)
        # A frame is dear for one thing.
        if face is None or face.sharpness is not None or track.seen or track.drawn is not None:
            return face
        if frame.time_s >= self._others_due_s:
            face = replace(face, others=self._look_for_others(frame))
        return face

    def _glance(self, frame: Frame, track: _Track) -> tuple[Glance, Affine] | None:
        """The eyes alone, with the crop that they are in; None if the face has to be looked at now.

        A look that is due is made in three frames: the whole crop is seen, its mesh is drawn, and
        the crop is centred on it and boxes laid for the eyes.
        """
        assert self._seen is not None
        due, laid = frame.time_s - track.looked_s >= LOOK_S, track.drawn
        if (due or track.seen or laid) and frame.time_s - self._seen.time_s > LATE_S:
            return None
        if track.seen and not self._draw(track):
            return None
        if laid is not None:
            self._lay(frame, track, laid)
        here, bound = track.to_frame, MAX_CHANGE if laid is None else RECENTRED_CHANGE
        band = self._mesh.crop_eyes(frame, here, whole=due)
        if track.motion.jumps(band, bound):
            return None
        eyes = self._mesh.eyes()
        moved = track.motion.step(eyes)
        if moved is None:
            return None
        if due:
            track.looked_s, track.seen = frame.time_s, True
        if due or (laid is not None and track.motion.still):  # the crop stays: the mesh is of it
            track.motion.restart()
        else:
            track.to_frame = followed(here, *moved)
        return Glance(eyes, band), here

    def _draw(self, track: _Track) -> bool:
        """Whether the whole crop that was seen in the last frame holds a face, and fits it."""
        track.seen, shape = False, self._mesh.shape_seen()
        region = region_around(shape.mesh)
        if region is None or not shape.logit >= KEEP_LOGIT:
            return False
        track.region = region.to_frame(CROP)
        track.drawn = shape
        return _fits(region)

    def _lay(self, frame: Frame, track: _Track, drawn: Shape) -> None:
        """Centre the crop on the mesh that was drawn, and lay the boxes of the eyes."""
        shape = drawn.recentred(track.region)
        self._mesh.lay_boxes(shape)
        track.motion.recentre(track.region)
        track.to_frame, track.region = joined(track.to_frame, track.region), _CENTRED
        track.mesh, track.logit, track.drawn = shape.mesh, shape.logit, None
        track.unchecked = self._is_unsure(shape, frame.time_s)

    def _is_unsure(self, shape: Shape, time_s: float) -> bool:
        return shape.logit < SURE_LOGIT and time_s >= self._check_due_s

    def _is_face_still(self, frame: Frame, track: _Track, to_frame: Affine) -> bool:
        """Shake the crop, once a second while the mesh isn't sure; two failures in a row mean no.

        Not in the frame of a look: two of them in one frame take too long.
        """
        track.unchecked, self._check_due_s = False, frame.time_s + CHECK_S
        shake = SHAKEN[self._unlike_before]
        differs = not unlike(self._mesh, frame, to_frame, track.mesh, shake) <= MAX_UNLIKE
        failed = differs and self._unlike_before
        self._unlike_before = differs and not failed
        return not failed

    def _look(self, frame: Frame, to_frame: Affine, least: float) -> FaceLandmarks | None:
        """Look at the whole face, and follow it from here on; None without one to be measured.

        A crop that does not fit the face in it, after a fast movement, is looked at again.
        """
        self._track = None
        shape = self._mesh.shape(frame, to_frame)
        region = region_around(shape.mesh)
        if shape.logit >= least and region is not None and not _fits(region):
            to_frame = joined(to_frame, region.to_frame(CROP))
            shape = self._mesh.shape(frame, to_frame)
            region = region_around(shape.mesh)
        if not shape.logit >= least or region is None:
            return None
        if region.size * _scale(to_frame) < MIN_REGION:
            return None
        self._mesh.lay_boxes(shape)
        seen = self._mesh.eyes_seen()
        self._track = _Track(
            to_frame=to_frame,
            looked_s=frame.time_s,
            motion=Motion(seen.eyes, seen.band),
            mesh=shape.mesh,
            region=region.to_frame(CROP),
            logit=shape.logit,
            unchecked=self._is_unsure(shape, frame.time_s),
        )
        return self._face(frame, to_frame, seen.eyes, seen.band)

    def _face(
        self, frame: Frame, to_frame: Affine, eyes: Contours, band: Pixels
    ) -> FaceLandmarks | None:
        track = self._track
        assert track is not None
        points = mapped(to_frame, eyes.points)
        lids, irises = points[:, :CONTOUR], points[:, CONTOUR:]
        if not _inside(lids, frame):
            self._track = None
            return None
        self._seen = _Seen(frame.time_s, to_frame, track.region)
        return FaceLandmarks(
            time_s=frame.time_s,
            lids=lids,
            irises=irises,
            mesh=track.mesh,
            to_frame=to_frame,
            score=probability(track.logit),
            sharpness=self._sharpness(frame.time_s, eyes, band),
            turned=self._is_turned(to_frame),
        )

    def _is_turned(self, to_frame: Affine) -> bool:
        """Whether the face is not upright in the picture, nor as the camera is mounted."""
        (_, b, _), (_, d, _) = to_frame.tolist()
        cos = d * math.cos(self._upright.angle) - b * math.sin(self._upright.angle)
        return bool(cos < _TURNED * math.hypot(b, d))

    def _look_for_others(self, frame: Frame) -> bool:
        """Whether the detector sees another face that is about as near as the one followed."""
        self._others_due_s = frame.time_s + OTHERS_S
        assert self._seen is not None
        mine = self._seen.region
        found = self._detector.find(frame, self._whole(frame))
        return any(
            mine.distance(each) > 0.5 and each.size > OTHERS_SIZE * mine.size for each in found
        )

    def _sharpness(self, time_s: float, eyes: Contours, band: Pixels) -> float | None:
        """Of both eyes; None while it isn't due, and if it has just become due at a look, which is
        dear enough."""
        assert self._track is not None
        looked = time_s == self._track.looked_s
        if time_s < self._sharp_due_s + (LOOK_S if looked else 0.0):
            return None
        self._sharp_due_s = time_s + SHARP_S
        corners = eyes.lids[:, _EYE_ENDS] - np.array(self._mesh.band_corner, np.float32)
        return sharpness(band, corners)

    def _acquire(self, frame: Frame) -> FaceLandmarks | None:
        for view in self._views_now(frame):
            found = self._choose(self._detector.find(frame, view), frame.time_s)
            crop = None if found is None else upright_crop(self._mesh, frame, found)
            # The detector may have seen a part of a larger face.
            if crop is None or self._choose([region_of(crop, CROP)], frame.time_s) is None:
                continue
            if (face := self._look(frame, crop, FACE_LOGIT)) is not None:
                return face
        return None

    def _choose(self, found: list[Region], time_s: float) -> Region | None:
        """The face that was lost; if there is none to look for, the largest: the nearest person."""
        if self._seen is None or time_s - self._seen.time_s > REMEMBER_S:
            return max(found, key=lambda region: region.size, default=None)
        last, elapsed_s = self._seen.region, time_s - self._seen.time_s
        near = [region for region in found if _may_be(last, region, elapsed_s)]
        return min(near, key=last.distance, default=None)

    def _whole(self, frame: Frame) -> Region:
        width, height = frame.width, frame.height
        return replace(self._upright, x=width / 2, y=height / 2, size=max(width, height))

    def _views_now(self, frame: Frame) -> Iterator[Region]:
        """Where to look for a face in this frame: where it was lost, everywhere, and one more view.

        The detector sees 128 pixels each way, and a far face only in a part of the picture.
        """
        if self._seen is not None and frame.time_s - self._seen.time_s <= REMEMBER_S:
            last = self._seen.region
            yield replace(last, size=NEAR * last.size)
        yield self._whole(frame)
        view = next(self._views, None)
        if view is None:
            self._views = views(self._whole(frame), frame)
            view = next(self._views)
        yield view


def _may_be(last: Region, found: Region, elapsed_s: float) -> bool:
    """Whether the face of `last` can be at `found`.

    A seated head moves half a region's width in a second; who sits beside is two widths away.
    """
    reach = 0.5 + 0.5 * elapsed_s
    return last.distance(found) <= reach and 0.5 <= found.size / last.size <= 2.0


def _fits(region: Region) -> bool:
    """Whether a crop shows what lies around its own landmarks, nearly."""
    off = math.hypot(region.x - CROP / 2, region.y - CROP / 2) / CROP
    size = region.size / CROP
    return off <= MAX_OFF and abs(region.angle) <= MAX_TURN and abs(math.log(size)) <= MAX_LOG_SIZE


def _inside(lids: Floats, frame: Frame) -> bool:
    """The models complete a face beyond the picture's edge: an eye there would be made up."""
    x, y, width, height = cv2.boundingRect(lids.reshape(-1, 1, 2))  # of the pixels they lie in
    return x >= 0 and y >= 0 and x + width <= frame.width and y + height <= frame.height


def _scale(to_frame: Affine) -> float:
    """Pixels of the frame for each of the crop."""
    return math.hypot(to_frame[0, 1], to_frame[1, 1])
