"""A portrait that blinks: real pixels, a real face, and a truth that is known exactly.

NASA's public-domain portrait of Eileen Collins closes its eyes by as much as it is told: the skin
between brow and upper lid is stretched down over the eyeball, which stays where it is. The demo
looks at it in place of a camera; tests and benches drive it with any schedule.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from agent import models, packaged_files
from agent.packaged_files import PackagedFile

Pixels = NDArray[np.uint8]
Grid = NDArray[np.float32]
Point = tuple[float, float]

WIDTH, HEIGHT = 640, 480
"""Of every frame, in pixels."""

_ZOOM = 2
"""The photograph is doubled: its face is 95 pixels wide, in a frame it is 190, as at a desk."""

_FACE = (225, 123)
"""The middle of the face in the photograph, in its pixels: what a frame is centred on."""

# The edges of the lids in the photograph, in its pixels, from corner to corner, where the face mesh
# finds them. Right and left are the person's own.
_RIGHT_UPPER: list[Point] = [
    (193.7, 101.0), (195.9, 99.4), (198.2, 98.2), (202.0, 97.6),
    (205.7, 98.3), (209.3, 100.0), (211.9, 102.3), (213.3, 103.8),
]  # fmt: skip
_RIGHT_LOWER: list[Point] = [
    (193.7, 101.0), (197.3, 103.0), (199.9, 103.8), (203.6, 104.4),
    (207.1, 104.5), (210.4, 104.2), (213.3, 103.8),
]  # fmt: skip
_LEFT_UPPER: list[Point] = [
    (236.6, 105.1), (238.1, 103.7), (240.9, 101.6), (244.8, 100.2),
    (248.6, 99.9), (252.3, 100.9), (254.5, 102.3), (256.7, 104.2),
]  # fmt: skip
_LEFT_LOWER: list[Point] = [
    (236.6, 105.1), (239.4, 105.7), (242.7, 106.3), (246.3, 106.7),
    (250.1, 106.5), (252.8, 106.0), (256.7, 104.2),
]  # fmt: skip

# How a lid closes, in pixels of the photograph. Chosen among some hundred settings for the deepest
# closure that the mesh sees in a face that still looks like one: EAR goes from 0.32 to 0.21.
_SKIN = 9.0  # height of the skin above the lid's edge that stretches, up to the brow
_LASHES = 3.8  # the part of it next to the edge that moves as it is: lashes and crease
_OVER = 2.0  # how far beyond the lower lid the lashes of a shut eye hang
_BROW = 3.2  # how far the brow comes down with it
_FOREHEAD = 15.0  # height above the brow that gives way to it
_WIDER = 1.1  # the fold is this much wider than the eye
_SHADOW, _SHADOW_HEIGHT = 0.5, 1.8  # darkness below shut lashes, 0..1, and how far down it reaches


@dataclass(frozen=True, slots=True)
class LidMovement:
    """One closure: the lids leave the open position at `start_s` and are back after `duration_s`.

    `depth` is how far they close: 1 is shut, 0.5 a partial blink.
    """

    start_s: float
    duration_s: float
    depth: float = 1.0

    @property
    def end_s(self) -> float:
        """When the lids are open again, in seconds."""
        return self.start_s + self.duration_s

    def closure(self, time_s: float) -> float:
        """How far the lids are closed, 0..depth.

        They close in a third of a blink and open in half of it, and no slower in a long closure
        (closing 50-150 ms, opening 100-250 ms; Caffier et al. 2003).
        """
        since_s, left_s = time_s - self.start_s, self.end_s - time_s
        closing_s, opening_s = min(self.duration_s / 3, 0.12), min(self.duration_s / 2, 0.2)
        moved = min(since_s / closing_s, left_s / opening_s, 1.0)
        return self.depth * _smooth(max(moved, 0.0))


@dataclass(frozen=True, slots=True)
class Schedule:
    """Lid movements in the order of time, which don't overlap: the truth of a video."""

    movements: tuple[LidMovement, ...]

    def __len__(self) -> int:
        return len(self.movements)

    def __iter__(self) -> Iterator[LidMovement]:
        return iter(self.movements)

    def openness(self, time_s: float) -> float:
        """How far the lids are open, 0..1."""
        return 1.0 - max((m.closure(time_s) for m in self.movements), default=0.0)

    def truth(self, fps: float) -> list[tuple[int, int]]:
        """The frames, first and last inclusive, in which each movement has the lids half down.

        Half of its own depth, as one who labels a recording would have it. A movement too short
        for any frame is left out.
        """
        frames = []
        for movement in self.movements:
            first, last = math.floor(movement.start_s * fps), math.ceil(movement.end_s * fps)
            down = [
                n for n in range(first, last + 1) if movement.closure(n / fps) >= movement.depth / 2
            ]
            if down:
                frames.append((down[0], down[-1]))
        return frames


def demo_schedule(seconds: float, seed: int = 1) -> Schedule:
    """Irregular blinks of 150 to 350 ms, about one in three seconds, one of them partial.

    The first comes after two seconds of open eyes, the last ends a second before the end.
    """
    random = np.random.default_rng(seed)
    movements: list[LidMovement] = []
    start_s = 2.0
    while True:
        duration_s = float(random.uniform(0.15, 0.35))
        if start_s + duration_s > seconds - 1.0:
            break
        depth = 0.75 if len(movements) == 3 else 1.0
        movements.append(LidMovement(start_s, duration_s, depth))
        # Intervals are skewed to the right (Doughty 2002); no long ones, for a demo is short.
        start_s += duration_s + 0.8 + min(float(random.lognormal(math.log(1.5), 0.6)), 4.0)
    return Schedule(tuple(movements))


class Portrait:
    """The photograph, ready to be drawn with its eyes open by any amount.

    `picture` is uint8 (512, 512, 3), BGR. The noise is random but the same in every run.
    """

    def __init__(self, picture: Pixels) -> None:
        size = (picture.shape[1] * _ZOOM, picture.shape[0] * _ZOOM)
        self._sheet = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC), np.uint8)
        self._eyes = [_Eye(_RIGHT_UPPER, _RIGHT_LOWER), _Eye(_LEFT_UPPER, _LEFT_LOWER)]
        self._random = np.random.default_rng(0)
        self._grain = self._random.standard_normal((2 * HEIGHT, 2 * WIDTH, 3), np.float32)

    def frame(
        self,
        openness: float,
        *,
        shift: tuple[float, float] = (0.0, 0.0),
        rotation_deg: float = 0.0,
        scale: float = 1.0,
        gain: float = 1.0,
        noise: float = 0.0,
        blur: float = 0.0,
    ) -> Pixels:
        """A frame, uint8 (480, 640, 3), BGR. `openness` is 1 for open eyes, 0 for shut ones.

        `shift` moves the face to the right and down, in pixels; `rotation_deg` turns it clockwise;
        `gain` below 1 makes it dark; `noise` is the deviation of each pixel in grey levels; `blur`
        the radius of a Gaussian, in pixels.
        """
        sheet = self._sheet.copy()
        for eye in self._eyes:
            eye.close(sheet, 1.0 - openness)
        centre = _FACE[0] * _ZOOM, _FACE[1] * _ZOOM
        matrix = cv2.getRotationMatrix2D(centre, -rotation_deg, scale)
        matrix[0, 2] += WIDTH / 2 - centre[0] + shift[0]
        matrix[1, 2] += HEIGHT / 2 - centre[1] + shift[1]
        picture = cv2.warpAffine(sheet, matrix, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)
        if blur > 0:
            picture = cv2.GaussianBlur(picture, (0, 0), blur)
        if gain == 1.0 and noise == 0.0:
            return np.asarray(picture, np.uint8)
        # Another part of one large field of noise for each frame: drawing it anew takes far longer.
        row, column = self._random.integers((HEIGHT, WIDTH))
        grain = self._grain[row : row + HEIGHT, column : column + WIDTH]
        grey = cv2.scaleAdd(grain, noise, picture.astype(np.float32) * np.float32(gain))
        return np.clip(grey, 0, 255).astype(np.uint8)


class _Eye:
    """One eye of the sheet: where its lids are and how they close."""

    def __init__(self, upper: list[Point], lower: list[Point]) -> None:
        outer, inner = upper[0][0], upper[-1][0]
        half = (inner - outer) / 2
        left, right = int(outer - half * 0.8), int(inner + half * 0.8)
        top = int(min(y for _, y in upper) - _SKIN - _FOREHEAD) - 1
        bottom = int(max(y for _, y in lower) + _OVER + 3 * _SHADOW_HEIGHT) + 1
        self._box = slice(top * _ZOOM, bottom * _ZOOM), slice(left * _ZOOM, right * _ZOOM)
        rows, columns = np.mgrid[self._box].astype(np.float32)
        self._x, self._y = (columns + 0.5) / _ZOOM - 0.5, (rows + 0.5) / _ZOOM - 0.5
        along = np.clip(self._x, outer, inner)
        self._upper = _curve(upper, along)
        self._gap = np.maximum(_curve(lower, along) - self._upper, 0)
        across = (self._x - (outer + inner) / 2) / half
        # 1 in the middle of the eye, 0 at the ends of the fold; and the same for the wider brow.
        self._fold = np.clip(1 - (across / _WIDER) ** 2, 0, 1) ** 0.7
        self._brow = np.clip((1.6 - np.abs(across)) / 0.6, 0, 1)

    def close(self, sheet: Pixels, closure: float) -> None:
        """Draw the lid onto `sheet`, closed by 0..1."""
        if closure <= 0:
            return
        eye = sheet[self._box]
        edge = self._upper + closure * (self._gap + _OVER * self._fold)
        source_y = self._stretched(edge, closure)
        to_box = (self._box[1].start, self._box[0].start)
        map_x = (self._x + 0.5) * _ZOOM - 0.5 - to_box[0]
        map_y = (source_y + 0.5) * _ZOOM - 0.5 - to_box[1]
        lid = cv2.remap(eye, map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        covered = np.clip((edge - self._y) * _ZOOM + 0.5, 0, 1)[..., None]
        drawn = eye * (1 - covered) + lid * covered
        eye[:] = np.clip(drawn * self._shade(edge, closure)[..., None] + 0.5, 0, 255)

    def _stretched(self, edge: Grid, closure: float) -> Grid:
        """The height in the photograph of what is seen at each pixel, with the lid at `edge`."""
        brow, lashes = self._upper - _SKIN, _LASHES * self._fold
        knots = [
            (brow - _FOREHEAD, brow - _FOREHEAD),
            (brow + closure * _BROW * self._brow, brow),
            (edge - lashes, self._upper - lashes),
            (edge, self._upper),
        ]
        source = self._y.copy()
        for (low, low_source), (high, high_source) in pairwise(knots):
            share = (self._y - low) / np.maximum(high - low, 1e-6)
            between = (self._y >= low) & (self._y < high)
            source = np.where(between, low_source + share * (high_source - low_source), source)
        return np.asarray(source, np.float32)

    def _shade(self, edge: Grid, closure: float) -> Grid:
        """How bright it stays below the lashes, 0..1: their shadow comes as the eye shuts."""
        below = np.exp(-((np.maximum(self._y - edge, 0) / _SHADOW_HEIGHT) ** 2))
        below = np.where(self._y > edge - 0.5, below, 0) * np.sqrt(self._fold)
        shadow = _SHADOW * min(max(2 * closure - 0.6, 0.0), 1.0)
        return np.asarray(1 - shadow * below, np.float32)


def load_portrait(cache: Path | None = None) -> Portrait:
    """The portrait, fetched into `cache` if it isn't there. Raises ModelError."""
    cache = cache or models.default_cache()
    manifest = Path(__file__).with_name("portrait.toml")
    file = packaged_files.read(manifest, PackagedFile)["astronaut"]
    packaged_files.fetch_files([file], cache)
    content = np.frombuffer(packaged_files.verified(file, cache), np.uint8)
    return Portrait(np.asarray(cv2.imdecode(content, cv2.IMREAD_COLOR), np.uint8))


def sway(time_s: float) -> dict[str, Any]:
    """How a head is never quite still, with a camera's own grain: arguments of `Portrait.frame`."""
    return {
        "shift": (6 * math.sin(0.9 * time_s), 4 * math.sin(1.3 * time_s + 1)),
        "rotation_deg": 2 * math.sin(0.7 * time_s + 2),
        "noise": 2.0,
    }


def write_video(
    path: Path,
    portrait: Portrait,
    schedule: Schedule,
    *,
    seconds: float,
    fps: float = 30.0,
    look: Callable[[float], dict[str, Any]] = sway,
) -> None:
    """Write the blinking portrait as Motion JPEG (.avi) or MPEG-4 (any other suffix).

    `look` gives the arguments of `Portrait.frame` at each time. Raises OSError if OpenCV can't.
    """
    code = cv2.VideoWriter.fourcc(*("MJPG" if path.suffix == ".avi" else "mp4v"))
    video = cv2.VideoWriter(str(path), code, fps, (WIDTH, HEIGHT))
    if not video.isOpened():
        raise OSError(f"{path}: can't be written as a video")
    try:
        for number in range(round(seconds * fps)):
            time_s = number / fps
            video.write(portrait.frame(schedule.openness(time_s), **look(time_s)))
    finally:
        video.release()


def _curve(points: list[Point], at: Grid) -> Grid:
    """A lid's edge through `points`, as a polynomial of the fourth degree: y for each x of `at`."""
    x, y = np.array(points).T
    return np.polynomial.Polynomial.fit(x, y, 4)(at).astype(np.float32)


def _smooth(share: float) -> float:
    """0..1 with no corner at either end."""
    return share * share * (3 - 2 * share)
