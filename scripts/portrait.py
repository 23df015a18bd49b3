"""A blinking portrait: real pixels, a real face, and exactly known blinks.

NASA's public-domain portrait of Eileen Collins closes its eyes and looks down by given amounts (see
`eyelids`), in colour or as an infrared camera sees it, with or without spectacles. The demo uses it
as the camera; tests and benchmarks drive it with any schedule.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.face import model_files, models
from agent.face.model_files import PackagedFile
from scripts.eyelids import ZOOM, Eye
from scripts.spectacles import Spectacles

Pixels = NDArray[np.uint8]
Point = tuple[float, float]

WIDTH, HEIGHT = 640, 480
"""Of every frame, in pixels."""

# In pixels of the photograph. Its face is 95 of them wide; on the doubled sheet, and in a frame, it
# is 190, as at a desk.
_FACE = (225, 123)  # the middle of the face: what a frame is centred on
_RIGHT_PUPIL, _LEFT_PUPIL = (202.6, 100.9), (245.7, 103.1)

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

# How an infrared camera sees it, by the light of its own lamp.
_CONTRAST, _HAZE = 0.4, 30.0  # grey levels for one of the photograph, and the darkest
_LIT = 95.0  # how far around the face the light reaches, in pixels of the photograph
_PUPIL_RADIUS, _PUPIL_GREY = 1.7, 150.0  # it throws the lamp's light back


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
        size = (picture.shape[1] * ZOOM, picture.shape[0] * ZOOM)
        self._sheet = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC), np.uint8)
        self._infrared = _by_infrared(self._sheet)
        self._eyes = Eye(_RIGHT_UPPER, _RIGHT_LOWER), Eye(_LEFT_UPPER, _LEFT_LOWER)
        pupils = _on_sheet(_RIGHT_PUPIL), _on_sheet(_LEFT_PUPIL)
        self._spectacles = Spectacles((size[1], size[0]), *pupils, ZOOM)
        self._random = np.random.default_rng(0)
        self._grain = self._random.standard_normal((2 * HEIGHT, 2 * WIDTH, 3), np.float32)

    def frame(
        self,
        openness: float | tuple[float, float],
        *,
        gaze_down: float = 0.0,
        shift: tuple[float, float] = (0.0, 0.0),
        rotation_deg: float = 0.0,
        scale: float = 1.0,
        gain: float = 1.0,
        noise: float = 0.0,
        blur: float = 0.0,
        grey: bool = False,
        glare: float | None = None,
    ) -> Pixels:
        """A frame, uint8 (480, 640, 3), BGR. `openness` is 1 for open eyes, 0 for shut ones.

        A pair of it is for the person's own right and left eye. `gaze_down` is 1 for one who reads
        something on a desk: the lids follow the gaze.

        `shift` moves the face to the right and down, in pixels; `rotation_deg` turns it clockwise;
        `gain` below 1 makes it dark; `noise` is the deviation of each pixel in grey levels; `blur`
        the radius of a Gaussian, in pixels. `grey` is what an infrared camera sees: low contrast,
        bright pupils, dark surroundings. `glare` puts on spectacles that reflect so much of white
        light, 0..1, from a part of each lens.
        """
        sheet = (self._infrared if grey else self._sheet).copy()
        each = openness if isinstance(openness, tuple) else (openness, openness)
        for eye, open_by in zip(self._eyes, each, strict=True):
            eye.draw(sheet, 1.0 - open_by, gaze_down)
        if glare is not None:
            self._spectacles.draw(sheet, glare)
        picture = _placed(sheet, shift, rotation_deg, scale)
        if blur > 0:
            picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), blur), np.uint8)
        if gain == 1.0 and noise == 0.0:
            return picture
        # Another part of one large field of noise for each frame: drawing it anew takes far longer.
        row, column = self._random.integers((HEIGHT, WIDTH))
        grain = self._grain[row : row + HEIGHT, column : column + WIDTH]
        if grey:
            grain = np.repeat(grain[..., :1], 3, axis=2)
        noisy = cv2.scaleAdd(grain, noise, picture.astype(np.float32) * np.float32(gain))
        return np.clip(noisy, 0, 255).astype(np.uint8)


def _placed(sheet: Pixels, shift: Point, rotation_deg: float, scale: float) -> Pixels:
    """The part of the sheet that a frame shows."""
    centre = _FACE[0] * ZOOM, _FACE[1] * ZOOM
    matrix = cv2.getRotationMatrix2D(centre, -rotation_deg, scale)
    matrix[0, 2] += WIDTH / 2 - centre[0] + shift[0]
    matrix[1, 2] += HEIGHT / 2 - centre[1] + shift[1]
    picture = cv2.warpAffine(sheet, matrix, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(picture, np.uint8)


def _by_infrared(sheet: Pixels) -> Pixels:
    """The sheet, uint8 (height, width, 3), as an infrared camera with a lamp sees it."""
    rows, columns = np.mgrid[: sheet.shape[0], : sheet.shape[1]].astype(np.float32)
    grey = _HAZE + _CONTRAST * cv2.cvtColor(sheet, cv2.COLOR_BGR2GRAY).astype(np.float32)
    for pupil in (_RIGHT_PUPIL, _LEFT_PUPIL):
        x, y = _on_sheet(pupil)
        inside = np.clip(_PUPIL_RADIUS * ZOOM + 0.5 - np.hypot(columns - x, rows - y), 0, 1)
        grey += (_PUPIL_GREY - grey) * inside
    x, y = _on_sheet(_FACE)
    grey *= np.exp(-(((columns - x) ** 2 + (rows - y) ** 2) / (_LIT * ZOOM) ** 2))
    lit = np.clip(grey + 0.5, 0, 255).astype(np.uint8)
    return np.repeat(lit[..., None], 3, axis=2)


def _on_sheet(point: Point) -> Point:
    """A point of the photograph in pixels of the sheet."""
    return (point[0] + 0.5) * ZOOM - 0.5, (point[1] + 0.5) * ZOOM - 0.5


def load_portrait(cache: Path | None = None) -> Portrait:
    """The portrait, fetched into `cache` if it isn't there. Raises ModelError."""
    cache = cache or models.default_cache()
    manifest = Path(__file__).with_name("portrait.toml")
    file = model_files.read_files(manifest, PackagedFile)["astronaut"]
    model_files.fetch_files([file], cache)
    content = np.frombuffer(model_files.verified(file, cache), np.uint8)
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
    """Write the blinking portrait as Motion JPEG (.avi), FFV1 (.mkv) or MPEG-4 (any other suffix).

    FFV1 loses nothing, and is the same picture on every processor; the others are not.

    `look` gives the arguments of `Portrait.frame` at each time. Raises OSError if OpenCV can't.
    """
    name = {".avi": "MJPG", ".mkv": "FFV1"}.get(path.suffix, "mp4v")
    code = cv2.VideoWriter.fourcc(*name)
    video = cv2.VideoWriter(str(path), code, fps, (WIDTH, HEIGHT))
    if not video.isOpened():
        raise OSError(f"{path}: can't be written as a video")
    try:
        for number in range(round(seconds * fps)):
            time_s = number / fps
            video.write(portrait.frame(schedule.openness(time_s), **look(time_s)))
    finally:
        video.release()


def _smooth(share: float) -> float:
    """0..1 with no corner at either end."""
    return share * share * (3 - 2 * share)
