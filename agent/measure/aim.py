"""Aiming the camera: what is seen of the eyes now, and what to do so that blinks are counted right.

A view has numbers, the lids and the face's outline as points, and never a picture.

The bounds are those from which the measurements in docs/accuracy.md get worse.
"""

import math
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from agent.ear import FULL_VIEW_DEG, LEFT_EYE, RIGHT_EYE, eye_sample, yaw_deg
from agent.measure.levels import quantile
from agent.measure.quality import SOFT
from agent.measure.session import MIN_DURATION_FPS, RATE_TOLERANCE, SessionBuilder
from agent.records import EyeSample, FaceLandmarks, Frame

LEAST_APART_PX = 22.0
"""Least distance between the middles of the eyes: nearer together, blinks are counted that are none
(`bench.degraded --apart`)."""

DARK = 24.0
"""Least mean brightness of the face, 0..255: 0.08 of the light still counts right, 0.04 does not
(bench.grid)."""

RECENT_S = 2.0
"""The frame rate and the openness are those of the last seconds."""

LOOK_S, LOOKS_S, LEAST_LOOKS = 0.5, 8.0, 8
"""A session is looked at twice a second, and judged by the looks of eight seconds, at least eight:
so its first checkpoint, after ten seconds, can say that it is badly aimed."""

FLASH_S = 0.4
"""How long a view shows a blink, so that a page that looks five times a second sees each."""

Advice = Literal[
    "no_face", "turned", "dark", "nearer", "sideways", "blurred", "slow", "second_face", "good"
]

OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152,
    148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
"""The landmarks of the face's outline, around the face from the top of the forehead."""

AROUND = [*range(9), *range(15, 8, -1)]
"""A contour's points in the order around the eye: both halves of a contour begin outside."""

Points = list[list[float]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to mend first, what was found and what is needed; None where that is no number."""

    advice: Advice
    found: float | None = None
    needed: float | None = None


def judge(
    face: FaceLandmarks | None,
    light: float | None,
    sharpness: float | None,
    others: bool,
    fps: float | None,
) -> Verdict:
    """Return what hides blinks in this frame. What is None counts as good, except the face."""
    if face is None:
        return Verdict("no_face")
    apart, turn = apart_px(face), abs(turn_deg(face))
    light, sharpness = DARK if light is None else light, SOFT if sharpness is None else sharpness
    slow = fps is not None and fps < MIN_DURATION_FPS * RATE_TOLERANCE
    checks: tuple[tuple[Advice, bool, float | None, float | None], ...] = (
        ("turned", face.turned, None, None),
        ("dark", light < DARK, light, DARK),
        ("nearer", apart < LEAST_APART_PX, apart, LEAST_APART_PX),
        ("sideways", turn > FULL_VIEW_DEG, turn, FULL_VIEW_DEG),
        ("blurred", sharpness < SOFT, sharpness, SOFT),
        ("slow", slow, fps, MIN_DURATION_FPS),
        ("second_face", others, None, None),
    )
    for advice, holds, found, needed in checks:
        if holds:
            return Verdict(advice, _rounded(found, 2), needed)
    return Verdict("good")


class Aimed:
    """How well a running session is aimed: the verdict that most of its last looks agree on."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, Verdict]] = deque()
        self._due_s = -math.inf
        self._sharpness: float | None = None

    def add(self, frame: Frame, face: FaceLandmarks | None) -> None:
        """Look at a frame, twice a second."""
        if face is not None and face.sharpness is not None:
            self._sharpness = face.sharpness
        if frame.time_s < self._due_s:
            return
        self._due_s = frame.time_s + LOOK_S
        light = None if face is None else brightness(frame, face)
        verdict = judge(face, light, self._sharpness, bool(face and face.others), None)
        self._looks.append((frame.time_s, verdict))
        while frame.time_s - self._looks[0][0] > LOOKS_S:
            self._looks.popleft()

    @property
    def verdict(self) -> Verdict:
        """The newest of the verdicts that at least half of the looks agree on, else good.

        It is good before there are `LEAST_LOOKS`.
        """
        if len(self._looks) < LEAST_LOOKS:
            return Verdict("good")
        advice, count = Counter(each.advice for _, each in self._looks).most_common(1)[0]
        if 2 * count < len(self._looks):
            return Verdict("good")
        return next(each for _, each in reversed(self._looks) if each.advice == advice)


@dataclass(frozen=True, slots=True)
class View:
    """What is seen now. None means "not seen".

    - aspect: width of the frame divided by its height.
    - apart_px: distance between the middles of the eyes, in pixels of the frame.
    - sharpness: as in `FaceLandmarks`.
    - light: mean brightness of the face, 0..255.
    - turn_deg: how far the head is turned to its left, in degrees.
    - fps: frames per second.
    - left, right: how far the person's own eyes are open, as a share of their usual width.
    - blinks: how many since the aiming began.
    - blinked: whether one ended within `FLASH_S`.
    - lids: the contours of the right and the left eye, x and y as shares of the frame's size.
    - outline: the face's outline in the same way.
    """

    advice: Advice
    found: float | None
    needed: float | None
    aspect: float
    apart_px: float | None
    sharpness: float | None
    light: float | None
    turn_deg: float | None
    fps: float | None
    left: float | None
    right: float | None
    blinks: int
    blinked: bool
    second_face: bool
    lids: list[Points]
    outline: Points

    @property
    def good(self) -> bool:
        """Whether blinks are counted right here."""
        return self.advice == "good"

    def as_json(self) -> dict[str, Any]:
        """Return the view as a JSON object."""
        told = {name: getattr(self, name) for name in self.__slots__}
        return {**told, "sentence": sentence(self)}


class Aim:
    """Makes a view of each frame and of the face that a tracker found in it."""

    def __init__(self) -> None:
        self._builder: SessionBuilder | None = None
        self._times: deque[float] = deque()
        self._open: tuple[_Openness, _Openness] = (_Openness(), _Openness())
        self._sharpness: float | None = None
        self._others = False
        self._blinks = 0
        self._flash_until_s = -math.inf

    def add(self, frame: Frame, face: FaceLandmarks | None) -> View:
        """Return the view of this frame. Frames must be in chronological order."""
        sample = eye_sample(frame.time_s, face)
        self._count(sample)
        self._times.append(frame.time_s)
        while frame.time_s - self._times[0] > RECENT_S:
            self._times.popleft()
        left = self._open[0].add(frame.time_s, sample.ear_left)
        right = self._open[1].add(frame.time_s, sample.ear_right)
        if sample.sharpness is not None:
            self._sharpness = sample.sharpness
        if sample.others is not None:
            self._others = sample.others
        apart = light = turn = None
        lids: list[Points] = []
        outline: Points = []
        if face is None:
            self._sharpness = None
        else:
            points = face.points
            apart, light, turn = apart_px(face), brightness(frame, face), turn_deg(face)
            size = np.array([frame.width, frame.height])
            lids = [_shares(each[AROUND], size) for each in face.lids]
            outline = _shares(points[list(OVAL), :2], size)
        verdict = judge(face, light, self._sharpness, self._others, self._known_fps)
        return View(
            advice=verdict.advice,
            found=verdict.found,
            needed=verdict.needed,
            aspect=round(frame.width / frame.height, 3),
            apart_px=_rounded(apart, 1),
            sharpness=_rounded(self._sharpness, 3),
            light=_rounded(light, 0),
            turn_deg=_rounded(turn, 0),
            fps=_rounded(self.fps, 1),
            left=_rounded(left, 2),
            right=_rounded(right, 2),
            blinks=self._blinks,
            blinked=frame.time_s < self._flash_until_s,
            second_face=self._others,
            lids=lids,
            outline=outline,
        )

    @property
    def _known_fps(self) -> float | None:
        """The frame rate, once it has been watched for a while."""
        return self.fps if self._times[-1] - self._times[0] > RECENT_S / 2 else None

    @property
    def fps(self) -> float | None:
        """Frames per second in the last seconds."""
        if len(self._times) < 2 or self._times[-1] <= self._times[0]:
            return None
        return (len(self._times) - 1) / (self._times[-1] - self._times[0])

    def _count(self, sample: EyeSample) -> None:
        if self._builder is None:
            self._builder = SessionBuilder(sample.time_s)
        for blink in self._builder.add(sample):
            self._blinks += not blink.long
            self._flash_until_s = sample.time_s + FLASH_S


class _Openness:
    """One eye's openness as a share of its median in the last seconds."""

    def __init__(self) -> None:
        self._ears: deque[tuple[float, float]] = deque()

    def add(self, time_s: float, ear: float | None) -> float | None:
        if ear is None:
            return None
        self._ears.append((time_s, ear))
        while time_s - self._ears[0][0] > RECENT_S:
            self._ears.popleft()
        usual = median(each for _, each in self._ears)
        return ear / usual if usual > 0 else None


SENTENCES: dict[Advice, Callable[[View], str]] = {
    "no_face": lambda _: "No face is seen: point the camera at the face.",
    "turned": lambda _: "The face is not upright: turn the camera, or set [camera] rotate.",
    "dark": lambda view: (
        f"More light: the face's brightness is {view.found:.0f}, {view.needed:.0f} is needed."
    ),
    "nearer": lambda view: (
        f"Nearer: the eyes are {view.found:.0f} pixels apart, {view.needed:.0f} are needed."
    ),
    "sideways": lambda view: (
        f"More from the front: the head is turned by {view.found:.0f} degrees, "
        f"{view.needed:.0f} is the most."
    ),
    "blurred": lambda view: (
        f"Blurred or reflecting: the sharpness is {view.found:.2f}, {view.needed:.2f} is needed."
        " Focus the lens, clean it, or keep reflections off the spectacles."
    ),
    "slow": lambda view: (
        f"Too slow: {view.found:.0f} frames a second, {view.needed:.0f} are needed. More light"
        " lets the camera take more."
    ),
    "second_face": lambda _: "A second face is in the picture: let only one person be in it.",
    "good": lambda _: "Good: the eyes are seen well.",
}


def sentence(view: View) -> str:
    """Return what to do, in one or two sentences."""
    return SENTENCES[view.advice](view)


def apart_px(face: FaceLandmarks) -> float:
    """Return the distance between the middles of the eyes, in pixels of the frame."""
    right, left = (face.lids[:, 0] + face.lids[:, 8]).tolist()
    return math.dist(right, left) / 2


def turn_deg(face: FaceLandmarks) -> float:
    """Return how far the head is turned to its left, in degrees."""
    return yaw_deg(*face.mesh[[RIGHT_EYE[0], LEFT_EYE[0]]].tolist())


def brightness(frame: Frame, face: FaceLandmarks) -> float:
    """Return the mean brightness of the middle of the face, 0..255."""
    x, y, _ = face.mesh.T
    (a, b, across), (c, d, down) = face.to_frame.tolist()
    left, right = _middle(a * x + b * y + across, frame.width)
    top, bottom = _middle(c * x + d * y + down, frame.height)
    middle = frame.pixels[top:bottom, left:right]
    return int(middle.sum()) / middle.size


def _middle(places: NDArray[np.float32], length: int) -> tuple[int, int]:
    """Return the first and the last pixel plus one of the middle half, within 0..`length`."""
    ordered = np.sort(places).tolist()
    first = min(max(int(quantile(ordered, 0.25)), 0), length - 1)
    return first, min(max(int(quantile(ordered, 0.75)), first + 1), length)


def _shares(points: NDArray[np.float32], size: NDArray[np.int_]) -> Points:
    shares: Points = np.round(points / size, 4).tolist()
    return shares


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
