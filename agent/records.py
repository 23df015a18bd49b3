"""What the parts exchange: immutable values, and the interfaces of camera and store.

Times are seconds on the frames' monotonic clock. The interfaces are here because rooms that need
them may not import the rooms that implement them.
"""

from __future__ import annotations  # `sync` reads this file too, and needs no NumPy

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np
    from numpy.typing import NDArray

Layout = Literal["bgr", "yuv420"]

Document = dict[str, Any]
"""A JSON object: a session document, a command or a state."""

REASON_CHARACTERS = 500
"""Longest reason that is kept of a rejection, in characters: a sentence or two."""

Activity = Literal["reading", "screen", "talking", "eating", "resting", "other"]
"""What the person does in a session, so that like can be compared with like."""

ACTIVITIES: tuple[Activity, ...] = get_args(Activity)

COMMAND_S = 30.0
"""Lifetime of a command in seconds: a later start would surprise. As the server's `LIFE`."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One image.

    `pixels` is uint8. Layout `bgr` has the shape (height, width, 3); `yuv420` has the shape (height
    * 3 // 2, width), with the planes Y, U and V one below the other (OpenCV's I420). `time_s` is
    the frame's own timestamp, not the time it was read.
    """

    time_s: float
    pixels: NDArray[np.uint8]
    layout: Layout = "bgr"

    @property
    def width(self) -> int:
        """Width in pixels."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Height in pixels."""
        rows = int(self.pixels.shape[0])
        return rows if self.layout == "bgr" else rows * 2 // 3


@dataclass(frozen=True, slots=True, eq=False)
class FaceLandmarks:
    """One face in one frame.

    `lids` is float32 (2, 16, 2), x and y in pixels of the frame: the contours of the person's own
    right and left eye. Each contour goes from the outer corner along the lower lid to the inner
    corner, then along the upper lid without the corners. `irises` is float32 (2, 5, 2), with the
    centres first; None if they were not determined in this frame.

    `mesh` is float32 (468, 3): the landmarks from the last run of the whole face's model, in pixels
    of the face's crop. `to_frame`, float64 (2, 3), maps the crop of this frame into the frame.

    `score` is the model's confidence that this is a face, 0..1. `sharpness` is the share of fine
    detail around the eyes: about 0.2 in focus, below 0.15 when blurred. `others` is whether there
    are other faces in the image. Both are None if they were not determined in this frame. `turned`
    is whether the face is not upright in the image.
    """

    time_s: float
    lids: NDArray[np.float32]
    irises: NDArray[np.float32] | None
    mesh: NDArray[np.float32]
    to_frame: NDArray[np.float64]
    score: float
    sharpness: float | None = None
    others: bool | None = None
    turned: bool = False

    @property
    def mirrored(self) -> bool:
        """Whether the frame shows a mirror image of the face."""
        (a, b, _), (c, d, _) = self.to_frame.tolist()
        return bool(a * d - b * c < 0)

    @property
    def points(self) -> NDArray[np.float32]:
        """The mesh in the frame, float32 (468, 3): x and y in pixels, z on the same scale."""
        moved = self.mesh.copy()
        moved[:, :2] = self.mesh[:, :2] @ self.to_frame[:, :2].T + self.to_frame[:, 2]
        moved[:, 2] = self.mesh[:, 2] * math.hypot(*self.to_frame[:, 1])
        return moved


@dataclass(frozen=True, slots=True)
class EyeSample:
    """The eye measurements of one frame. None means "not seen", never 0.

    `ear` is the mean of the eyes that can be seen; left and right are the person's own. `score` is
    the face score 0..1, None without a face. `sharpness`, `others` and `turned` are as in
    `FaceLandmarks`.

    `iris` and `lower_lid` are how far the centre of the iris and the lower lid lie below the line
    through an eye's corners. The unit is the width of the eye, averaged over the eyes that can be
    seen. In an open eye they are about -0.06 and 0.08.
    """

    time_s: float
    ear_left: float | None
    ear_right: float | None
    ear: float | None
    score: float | None
    sharpness: float | None = None
    iris: float | None = None
    lower_lid: float | None = None
    others: bool | None = None
    turned: bool = False


@dataclass(frozen=True, slots=True)
class Blink:
    """A closure of the eyes that opened again.

    `start_s` and `end_s` are the times of its first and its last frame: closing, closed and
    opening, as the annotators of EyeBlink8 mark a blink.

    `duration_s` is its length at half amplitude, interpolated between frames: from the moment the
    lids were half way down to the moment they were half way up again (Caffier 2003 also times
    blinks at lid positions). It depends less on the frame rate and on noise than the extent does.

    `amplitude` is 0..1 of the way from this person's open to closed level. `closure_left` and
    `closure_right` are how far each eye closed, 0..1: 1 minus its lowest EAR divided by its level
    next to the blink. They are None for an eye that was not seen.

    `long` marks a closure of 500 ms or more. These are counted separately, never as blinks.
    """

    start_s: float
    end_s: float
    duration_s: float
    amplitude: float
    complete: bool
    long: bool = False
    closure_left: float | None = None
    closure_right: float | None = None


@dataclass(frozen=True, slots=True)
class StoredSession:
    """One row of the store: a session's newest document and its delivery state."""

    session_id: str
    revision: int
    acked_revision: int
    state: str
    document: Document
    parked_reason: str | None
    parked_at: str | None
    created_at: str
    updated_at: str

    @property
    def delivered(self) -> bool:
        """Whether the server has acknowledged this revision."""
        return self.acked_revision >= self.revision


class Camera(Protocol):
    """A source of frames. `frames_dropped` counts the frames lost since `start`.

    `width` and `height` are in pixels.
    """

    source: str
    width: int
    height: int
    frames_dropped: int

    def check(self) -> None:
        """Raise CameraError if the camera is known, without starting it, to be unplugged."""

    def start(self) -> None:
        """Start capturing. Raises CameraError."""

    def read(self, timeout_s: float) -> Frame | None:
        """Return the newest unread frame, or None at the end of a video.

        Raises CameraError after `timeout_s` seconds without a frame, and on any fault.
        """

    def stop(self) -> None:
        """Stop capturing. Raises CameraError if the camera does not stop in time."""

    def close(self) -> None:
        """Release the device or file for good."""


SETTINGS = "settings"
"""The note in the store with what was set on the server."""

LEAST_BOUND_PER_MIN, MOST_BOUND_PER_MIN = 1.0, 30.0
"""Bounds of the rate below which a device may remind. Most people blink 1.4 to 14.4 times a minute
when reading, and 10.5 to 32.5 times in conversation (Doughty 2001)."""


@dataclass(frozen=True, slots=True)
class DeviceSettings:
    """What was set on the server for a device; `version` grows with each change.

    `remind_below_per_min` is the blink rate below which the light asks for blinks; None for never.
    """

    version: int
    device: str
    remind_below_per_min: float | None

    @classmethod
    def read(cls, told: object) -> DeviceSettings | None:
        """Read settings in the form of `as_json`, which are untrusted; return None if invalid.

        Unknown keys are ignored: a newer server may send more.
        """
        if not isinstance(told, dict) or "reminding" not in told:
            return None
        version, device, reminding = told.get("version"), told.get("device"), told["reminding"]
        if type(version) is not int or not 0 < version < 1 << 53:
            return None
        if not isinstance(device, str) or len(device) > 64:
            return None
        if reminding is None:
            return cls(version, device, None)
        bound: Any = reminding.get("below_per_min") if isinstance(reminding, dict) else None
        if type(bound) not in (int, float) or not _is_bound(bound):
            return None
        return cls(version, device, float(bound))

    def as_json(self) -> Document:
        """Return the settings as the server sends them."""
        bound = self.remind_below_per_min
        reminding = None if bound is None else {"below_per_min": bound}
        return {"version": self.version, "device": self.device, "reminding": reminding}


def _is_bound(per_min: float) -> bool:
    return LEAST_BOUND_PER_MIN <= per_min <= MOST_BOUND_PER_MIN


class Store(Protocol):
    """What `watch` and `sync` need of the store, which is `agent.store.store.Store`.

    Every method raises StoreError if the disk fails.
    """

    def put(self, document: Document) -> bool:
        """Store a document if its revision is higher. Return whether it was stored."""

    def spool(self, document: Document) -> bool:
        """Set a document down beside the store, where `put` failed. Return whether it was news."""

    def take_in(self) -> int:
        """Store the documents that were set down beside the store. Return how many it was."""

    def pending(self, limit: int, skip: Iterable[tuple[str, int]] = ()) -> list[Document]:
        """Return up to `limit` unacknowledged documents, without the revisions in `skip`."""

    def acknowledge(self, session_id: str, revision: int) -> bool:
        """Mark a revision as stored by the server. Return whether that is new."""

    def acknowledged(self, session_id: str) -> int:
        """Return the highest revision that the server has acknowledged, or 0."""

    def park(self, session_id: str, revision: int, reason: str) -> bool:
        """Stop sending a revision. Return whether it was still to be sent."""

    def unfinished(self) -> list[Document]:
        """Return the documents of sessions that are still marked active."""

    def newest(self) -> Iterable[StoredSession]:
        """Yield all sessions, newest first, with only a few in memory at a time."""

    def counts(self) -> Mapping[str, int]:
        """Return how many sessions are pending, among other counts."""

    def prune(self, keep: int) -> int:
        """Delete the oldest delivered sessions beyond `keep`."""

    def oldest_pending(self) -> int | None:
        """Return a number that identifies the longest unsent finished session, or None."""

    def problem(self) -> str | None:
        """Return why no session can be stored now, or None."""

    def data_version(self) -> object:
        """Return a value that changes when another process has written to the store."""

    def add_command(self, command: Document, left_s: float = COMMAND_S) -> bool:
        """Store a command that is valid for `left_s` seconds. Raises ValueError if it is invalid.

        Return whether it is new.
        """

    def take_command(self) -> Document | None:
        """Return the next command that has neither expired nor been taken, and take it."""

    def next_command(self) -> Document | None:
        """Return that command without taking it."""

    def drop_command(self, command_id: str) -> None:
        """Take a command that `next_command` has returned."""

    def note(self, key: str, value: Any) -> None:
        """Record a fact for `status`."""

    def noted(self, key: str) -> Any:
        """Return the fact last recorded under `key`."""
