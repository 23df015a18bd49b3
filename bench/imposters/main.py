"""What is accepted as a face: `python -m bench.imposters [--json]`.

Faces that are hard to measure (turned, mirrored, stretched, half covered, painted, on a screen) and
things that are not faces (drawn faces, a dog, a cat, boards, wallpaper). For each kind: how many
pictures give valid frames, in how many of these the eyes are misplaced, and the share of valid
frames. Each picture is shown for three seconds, as by a camera that moves slightly.
"""

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from agent.errors import ModelError
from agent.face import model_files, models
from agent.face.model_files import PackagedFile
from agent.face.tracker import FaceTracker, open_tracker
from agent.records import FaceLandmarks, Frame
from bench.imposters.drawn_faces import (
    HEIGHT,
    WIDTH,
    Drawn,
    Pixels,
    Point,
    board,
    cartoon,
    dog,
    texture,
    wallpaper,
)
from scripts.portrait import Portrait, load_portrait

FPS, SECONDS = 15, 3.0

SWAY_PX, NOISE = 3.0, 2.0
"""How far the picture moves, and the deviation of the camera's noise in grey levels."""

RIGHT_EYES = 0.12
"""Eyes are right whose middles are this near to the truth, in distances between them."""

EYES: tuple[Point, Point] = ((277.0, 200.5), (363.0, 206.0))
"""The middles of the portrait's right and left eye in its plain frame."""

Make = Callable[[int], Drawn]


@dataclass(frozen=True)
class Kind:
    """Pictures of one kind: `make` gives the one of each number below `count`."""

    name: str
    count: int
    make: Make


@dataclass(frozen=True)
class Row:
    """What became of one kind.

    `passing` pictures gave valid frames, `valid` is their share among all frames, and `wrong` are
    those among them whose eyes are elsewhere (None where no truth is known).
    """

    pictures: int
    passing: int
    valid: float
    wrong: int | None


def turned(portrait: Portrait, number: int) -> Drawn:
    """The portrait turned clockwise by so many times 45 degrees."""
    angle = math.radians(45 * number)
    cos, sin = 0.9 * math.cos(angle), 0.9 * math.sin(angle)
    picture = portrait.frame(1.0, rotation_deg=45.0 * number, scale=0.9)
    matrix = np.array([[cos, -sin], [sin, cos]])
    middle = np.array([WIDTH / 2, HEIGHT / 2])
    right, left = (tuple((matrix @ (eye - middle) + middle).tolist()) for eye in np.array(EYES))
    return Drawn(picture, (right, left))


def mirrored(portrait: Portrait, number: int) -> Drawn:
    """The portrait as in a mirror, at four sizes: its right eye is now on the other side."""
    scale = 0.5 + 0.2 * number
    picture = portrait.frame(1.0, scale=scale)[:, ::-1].copy()
    (x0, y0), (x1, y1) = _scaled(EYES, scale, scale)
    return Drawn(picture, ((WIDTH - x1, y1), (WIDTH - x0, y0)))


def stretched(portrait: Portrait, number: int) -> Drawn:
    """The portrait as wide as 0.5, 0.6, ... of what it should be."""
    wide = 0.5 + 0.1 * number
    across, down = min(wide, 1.0), min(1 / wide, 1.0)
    matrix = np.array([[across, 0, 320 * (1 - across)], [0, down, 240 * (1 - down)]])
    picture = cv2.warpAffine(portrait.frame(1.0), matrix, (WIDTH, HEIGHT), borderValue=(60,) * 3)
    return Drawn(np.asarray(picture, np.uint8), _scaled(EYES, across, down))


COVERS = (
    (200, 100, 320, 380), (320, 100, 440, 380), (200, 245, 440, 380), (200, 100, 440, 185),
    (245, 180, 310, 225), (330, 185, 395, 230), (230, 175, 410, 235), (200, 225, 440, 300),
)  # fmt: skip
"""Left and right half, from the nose down, forehead, an eye, the other, both, and the nose."""


def covered(portrait: Portrait, number: int) -> Drawn:
    """The portrait behind a board or a hand."""
    picture = portrait.frame(1.0)
    x0, y0, x1, y1 = COVERS[number // 2]
    cv2.rectangle(picture, (x0, y0), (x1, y1), ((110, 100, 95), (125, 150, 200))[number % 2], -1)
    return Drawn(picture, EYES)


def painted(portrait: Portrait, number: int) -> Drawn:
    """The portrait with paint on it: rings, stripes, a mask, brows, cheeks, an eye patch."""
    picture, ink = portrait.frame(1.0), ((20, 20, 20), (240, 240, 240), (40, 40, 200))[number % 3]
    (x0, y0), (x1, y1) = (tuple(round(each) for each in eye) for eye in EYES)
    kind = number // 3
    for x, y in ((x0, y0), (x1, y1)):
        if kind == 0:
            cv2.circle(picture, (x, y), 30, ink, 8, cv2.LINE_AA)
        elif kind == 1:
            cv2.line(picture, (x, y - 60), (x, y + 70), ink, 10, cv2.LINE_AA)
        elif kind == 2:
            cv2.ellipse(picture, (x, y), (27, 16), 0, 0, 360, ink, 14, cv2.LINE_AA)
        elif kind == 3:
            cv2.ellipse(picture, (x, y - 25), (35, 14), 0, 180, 360, ink, 9, cv2.LINE_AA)
        elif kind == 4:
            cv2.ellipse(picture, (x, y + 45), (35, 18), 0, 0, 360, ink, 9, cv2.LINE_AA)
    if kind == 5:
        cv2.circle(picture, (x0, y0), 32, ink, -1, cv2.LINE_AA)
    return Drawn(picture, EYES)


def on_a_screen(portrait: Portrait, number: int) -> Drawn:
    """The portrait on a screen in a dark room: a frame around it, lines, too bright or too dark."""
    scale = (0.9, 0.65, 0.45)[number % 3]
    picture = portrait.frame(1.0, scale=scale).astype(np.float32) * (0.4, 1.0, 1.6)[number // 3 % 3]
    rows = np.arange(HEIGHT)[:, None, None]
    picture *= 0.8 + 0.2 * np.sin(rows * (1.1, 2.6)[number % 2])
    half = round(250 * scale), round(190 * scale)
    seen = np.full_like(picture, 12)
    inside = slice(240 - half[1], 240 + half[1]), slice(320 - half[0], 320 + half[0])
    seen[inside] = picture[inside]
    return Drawn(np.clip(seen, 0, 255).astype(np.uint8), _scaled(EYES, scale, scale))


def cat(photograph: Pixels, number: int) -> Drawn:
    """The cat's head at several sizes, from the front."""
    size = 260 + 40 * number
    head = cv2.resize(photograph[20:250, 60:280], (size, size), interpolation=cv2.INTER_AREA)
    picture = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    rows, columns = min(size, HEIGHT), min(size, WIDTH)
    top, left = (HEIGHT - rows) // 2, (WIDTH - columns) // 2
    picture[top : top + rows, left : left + columns] = head[:rows, :columns]
    return Drawn(picture)


def kinds(portrait: Portrait, photograph: Pixels) -> list[Kind]:
    """All kinds: faces first."""
    return [
        Kind("turned", 8, partial(turned, portrait)),
        Kind("mirrored", 4, partial(mirrored, portrait)),
        Kind("stretched, 0.6 to 1.8", 13, lambda n: stretched(portrait, n + 1)),
        Kind("half covered", 16, partial(covered, portrait)),
        Kind("painted", 18, partial(painted, portrait)),
        Kind("on a screen", 18, partial(on_a_screen, portrait)),
        Kind("drawn", 40, cartoon),
        Kind("dog", 20, dog),
        Kind("cat", 8, partial(cat, photograph)),
        Kind("two eyes on a board", 20, board),
        Kind("wallpaper", 24, wallpaper),
        Kind("texture", 24, texture),
    ]


def load_cat(cache: Path) -> Pixels:
    """The photograph, fetched into `cache` if it isn't there. Raises ModelError."""
    file = model_files.read_files(Path(__file__).with_suffix(".toml"), PackagedFile)["cat"]
    model_files.fetch_files([file], cache)
    content = np.frombuffer(model_files.verified(file, cache), np.uint8)
    return np.asarray(cv2.imdecode(content, cv2.IMREAD_COLOR), np.uint8)


def seen(tracker: FaceTracker, picture: Pixels) -> list[FaceLandmarks | None]:
    """What a tracker finds of a picture, frame by frame, from the beginning of a session."""
    tracker.reset()
    return [tracker.find(frame) for frame in _filmed(picture)]


def has_wrong_eyes(face: FaceLandmarks, drawn: Drawn) -> bool:
    """Whether an eye is not where it is in the picture, or the two are exchanged."""
    assert drawn.eyes is not None
    truth = np.array(drawn.eyes)
    away = np.hypot(*(face.lids.mean(axis=1) - truth).T)
    return bool(away.max() > RIGHT_EYES * math.dist(*drawn.eyes) + SWAY_PX)


def measured(tracker: FaceTracker, kind: Kind) -> Row:
    """What becomes of all pictures of one kind."""
    passing = valid = wrong = 0
    known = False
    for number in range(kind.count):
        drawn = kind.make(number)
        faces = [face for face in seen(tracker, drawn.picture) if face is not None]
        valid += len(faces)
        passing += bool(faces)
        known = drawn.eyes is not None
        if known:
            wrong += sum(has_wrong_eyes(face, drawn) for face in faces) > len(faces) / 2
    frames = kind.count * round(FPS * SECONDS)
    return Row(kind.count, passing, round(valid / frames, 3), wrong if known else None)


def table(tracker: FaceTracker, cache: Path) -> dict[str, Row]:
    """The row of each kind. Raises ModelError."""
    return {
        kind.name: measured(tracker, kind) for kind in kinds(load_portrait(cache), load_cat(cache))
    }


def _filmed(picture: Pixels) -> Iterator[Frame]:
    random = np.random.default_rng(0)
    for number in range(round(FPS * SECONDS)):
        shift = SWAY_PX * math.sin(number / 9), 0.7 * SWAY_PX * math.cos(number / 7)
        matrix = np.array([[1, 0, shift[0]], [0, 1, shift[1]]])
        moved = cv2.warpAffine(picture, matrix, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)
        noisy = moved + random.normal(0, NOISE, moved.shape)
        yield Frame(number / FPS, np.clip(noisy, 0, 255).astype(np.uint8))


def _scaled(eyes: tuple[Point, Point], across: float, down: float) -> tuple[Point, Point]:
    """Around the middle of the frame."""
    (x0, y0), (x1, y1) = eyes
    x, y = WIDTH / 2, HEIGHT / 2
    return (
        (x + (x0 - x) * across, y + (y0 - y) * down),
        (x + (x1 - x) * across, y + (y1 - y) * down),
    )


def _print(rows: Mapping[str, Row]) -> None:
    print(f"{'':24}{'pictures':>9}{'passing':>9}{'eyes wrong':>12}{'valid frames':>14}")
    for name, row in rows.items():
        wrong = "-" if row.wrong is None else row.wrong
        print(f"{name:24}{row.pictures:9}{row.passing:9}{wrong:>12}{row.valid:14.0%}")


def main() -> int:
    """Measures and prints; 1 without models or pictures."""
    parser = argparse.ArgumentParser(
        prog="bench.imposters", description="What is accepted as a face."
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    cache = models.default_cache()
    try:
        rows = table(open_tracker(cache), cache)
    except ModelError as error:
        print(f"bench.imposters: {error}", file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps({name: asdict(row) for name, row in rows.items()}, indent=2))
    else:
        _print(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
