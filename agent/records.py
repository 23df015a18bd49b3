"""The values that are handed on, each frozen. Times: seconds on the frames' monotonic clock."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

Layout = Literal["bgr", "yuv420"]


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture.

    `pixels` is uint8: `bgr` has shape (height, width, 3); `yuv420` has shape (height * 3 // 2,
    width), the planes Y, U, V one below the other (OpenCV's I420). `time_s` is the frame's own
    timestamp, not the time it was read.
    """

    time_s: float
    pixels: NDArray[np.uint8]
    layout: Layout = "bgr"

    @property
    def width(self) -> int:
        """In pixels."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """In pixels."""
        rows = int(self.pixels.shape[0])
        return rows if self.layout == "bgr" else rows * 2 // 3


@dataclass(frozen=True, slots=True, eq=False)
class FaceLandmarks:
    """One face in one frame.

    `lids` is float32 (2, 16, 2), x and y in pixels of the frame: the contours of the person's own
    right and left eye, each from the outer corner along the lower lid to the inner one, then along
    the upper lid without the corners. `irises` is float32 (2, 5, 2), their centres first.

    `mesh` is float32 (468, 3), the landmarks of the last look at the whole face, in pixels of the
    face's crop; `to_frame`, float64 (2, 3), maps the crop of this frame into the frame.

    `score` is the model's own confidence that this is a face, 0..1. `sharpness` is the share of
    fine detail around the eyes, about 0.2 in focus and below 0.15 in a blur; `others` is whether
    there are other faces in the picture: both `None` where it wasn't looked at. `turned` is whether
    the face is not upright in the picture.
    """

    time_s: float
    lids: NDArray[np.float32]
    irises: NDArray[np.float32]
    mesh: NDArray[np.float32]
    to_frame: NDArray[np.float64]
    score: float
    sharpness: float | None = None
    others: bool | None = None
    turned: bool = False

    @property
    def mirrored(self) -> bool:
        """Whether the frame shows the face as a mirror would."""
        (a, b, _), (c, d, _) = self.to_frame.tolist()
        return bool(a * d - b * c < 0)

    @property
    def points(self) -> NDArray[np.float32]:
        """The mesh in the frame, float32 (468, 3): x and y in its pixels, z on the same scale."""
        moved = np.empty_like(self.mesh)
        moved[:, :2] = self.mesh[:, :2] @ self.to_frame[:, :2].T + self.to_frame[:, 2]
        moved[:, 2] = self.mesh[:, 2] * math.hypot(*self.to_frame[:, 1])
        return moved


@dataclass(frozen=True, slots=True)
class EyeSample:
    """What one frame says about the eyes. `None` is "not seen", never 0.

    `ear` is the mean of the eyes that can be seen; left and right are the person's own. `score` is
    the face score 0..1, `None` without a face. `sharpness`, `others` and `turned` are as in
    `FaceLandmarks`.

    `iris` and `lower_lid` are how far the centre of the iris and the lower lid lie below the line
    through an eye's corners, in widths of the eye, on average over the eyes that can be seen: in an
    open eye about -0.06 and 0.08.
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
    """A closure that opened again.

    `start_s` and `end_s` are the times of its first and its last frame: closing, closed and
    opening, as the annotators of EyeBlink8 mark a blink. `duration_s` is its length at half
    amplitude, between frames: from the moment the lids were half way down to the moment they were
    half way up again (Caffier 2003 times blinks at lid positions too). It depends less on the frame
    rate and on noise than the extent does. `amplitude` is 0..1 of the way from this person's open
    to closed level. `closure_left` and `closure_right` are how far each eye closed, 0..1: 1 minus
    its lowest EAR over its level beside the blink, `None` for an eye that wasn't seen.

    `long` marks a closure of 500 ms and more: counted apart, never as a blink.
    """

    start_s: float
    end_s: float
    duration_s: float
    amplitude: float
    complete: bool
    long: bool = False
    closure_left: float | None = None
    closure_right: float | None = None


Outcome = Literal["stored", "duplicate", "stale", "rejected"]

REASON_CHARACTERS = 500
"""Of a server's reason: a sentence or two."""


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """The server's word on one revision of one session, given after its database committed.

    `rejected` comes with a reason, fit to be kept and printed. `stale`: the server has a higher
    revision.
    """

    session_id: str
    revision: int
    outcome: Outcome
    reason: str | None = None

    @classmethod
    def read(cls, answer: object, document: Mapping[str, Any]) -> "Acknowledgement | None":
        """What a server's JSON answer says about `document`; None if it is no word on it.

        The answer comes from outside: it has to name this session and this revision, or for
        `stale` a higher one.
        """
        if not isinstance(answer, dict) or answer.get("session_id") != document["session_id"]:
            return None
        outcome, revision, reason = (answer.get(key) for key in ("outcome", "revision", "reason"))
        if outcome not in get_args(Outcome) or type(revision) is not int:
            return None
        if revision < document["revision"] or (
            revision > document["revision"] and outcome != "stale"
        ):
            return None
        said = _printable(reason) if isinstance(reason, str) else None
        return cls(document["session_id"], document["revision"], cast(Outcome, outcome), said)


def _printable(text: str) -> str:
    """Without what no file takes (JSON may hold half a character) and no terminal should."""
    return "".join(c if c.isprintable() else "?" for c in text[:REASON_CHARACTERS])
