"""Pictures drawn by code: no faces, or faces that are hard to measure. Every run draws the same.

Each function returns a picture, uint8 (480, 640, 3), BGR, for a seed. Those with eyes also return
the centres of the eyes, the person's own right one first.
"""

import math
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Point = tuple[float, float]

WIDTH, HEIGHT = 640, 480
_INK = (30, 20, 20)
_SKINS = (
    (150, 190, 235), (90, 140, 190), (60, 220, 250),
    (200, 200, 200), (255, 255, 255), (80, 110, 60),
)  # fmt: skip


class Drawn(NamedTuple):
    """A picture, and the middles of both eyes in it, if it has any."""

    picture: Pixels
    eyes: tuple[Point, Point] | None = None


def cartoon(seed: int) -> Drawn:
    """A face of ellipses and bold lines, with one of four kinds of eyes."""
    random = np.random.default_rng(seed)
    picture, radius = _ground(random), int(random.integers(90, 190))
    x, y = 320 + int(random.integers(-40, 41)), 240 + int(random.integers(-20, 21))
    tall, pen = random.uniform(0.95, 1.35), int(random.integers(2, 7))
    head = (x, y), (radius, int(radius * tall))
    if random.random() < 0.6:
        hair = (int(radius * 1.12), int(radius * tall * 1.05))
        _ellipse(picture, (x, y - radius * 0.25), hair, _colour(random, 0, 90), half="upper")
    _ellipse(picture, *head, _SKINS[random.integers(len(_SKINS))])
    if random.random() < 0.7:
        _ellipse(picture, *head, _INK, pen)
    eye_y, apart = y - radius * random.uniform(0.1, 0.35), radius * random.uniform(0.3, 0.45)
    width = radius * random.uniform(0.12, 0.26)
    size, kind = (width, width * random.uniform(0.4, 1.1)), int(random.integers(4))
    iris, brows = _colour(random, 30, 160), random.random() < 0.7
    for side in (-1, 1):
        eye = (x + side * apart, eye_y)
        _eye(picture, eye, size, kind, iris, pen)
        if brows:
            brow_y = eye_y - size[1] - radius * 0.1
            _line(picture, (eye[0] - width, brow_y), (eye[0] + width, brow_y - side * 4), pen)
    if random.random() < 0.8:
        nose = (radius * 0.12, radius * 0.08)
        _ellipse(picture, (x, y + radius * 0.2), nose, _INK, max(1, pen // 2), half="lower")
    if random.random() < 0.5:
        smile = (radius * 0.4, radius * 0.22)
        _ellipse(picture, (x, y + radius * 0.45), smile, _INK, pen, half="lower")
    else:
        _ellipse(picture, (x, y + radius * 0.55), (radius * 0.3, radius * 0.1), (60, 60, 190))
    return Drawn(picture, ((x - apart, eye_y), (x + apart, eye_y)))


def dog(seed: int) -> Drawn:
    """A dog's head from the front: hanging ears, a muzzle, a black nose, fur."""
    random = np.random.default_rng(seed)
    picture, radius = _ground(random), int(random.integers(90, 170))
    fur = _colour(random, 40, 200)
    dark, light = (tuple(min(255, int(c * k)) for c in fur) for k in (0.6, 1.25))
    x, y = 320, 240
    _ellipse(picture, (x, y), (radius, radius * 1.1), fur)
    for side in (-1, 1):
        ear = (x + side * radius * 0.9, y - radius * 0.2)
        _ellipse(picture, ear, (radius * 0.28, radius * 0.75), dark, turned_deg=-15 * side)
    eyes = [(x + side * radius * 0.38, y - radius * 0.25) for side in (-1, 1)]
    for eye in eyes:
        _ellipse(picture, eye, (radius * 0.13, radius * 0.13), (30, 50, 80))
        _ellipse(picture, eye, (radius * 0.08, radius * 0.08), (5, 5, 5))
        _ellipse(picture, (eye[0] + 3, eye[1] - 3), (3, 3), (255, 255, 255))
    _ellipse(picture, (x, y + radius * 0.45), (radius * 0.5, radius * 0.42), light)
    _ellipse(picture, (x, y + radius * 0.28), (radius * 0.17, radius * 0.12), (15, 10, 10))
    _line(picture, (x, y + radius * 0.4), (x, y + radius * 0.6), 3)
    for side in (-1, 1):
        lip = (x + side * radius * 0.15, y + radius * 0.6)
        _ellipse(picture, lip, (radius * 0.15, radius * 0.1), _INK, 3, half="lower")
    return Drawn(_with_grain(random, picture, random.uniform(10, 50)), (eyes[0], eyes[1]))


def board(seed: int) -> Drawn:
    """Two eyes with lids and irises on a plain board, half of them with brows, and nothing else."""
    random = np.random.default_rng(seed)
    picture, apart = _ground(random), int(random.integers(40, 110))
    width = apart * random.uniform(0.3, 0.6)
    for side in (-1, 1):
        eye = (320 + side * apart, 240)
        turn = np.linspace(0, 2 * math.pi, 60)
        lid = np.stack([eye[0] - width * np.cos(turn), eye[1] - 0.4 * width * np.sin(turn)], axis=1)
        outline = np.round(lid).astype(np.int32)
        cv2.fillPoly(picture, [outline], (250, 250, 250), cv2.LINE_AA)
        _ellipse(picture, eye, (width * 0.38, width * 0.38), (90, 60, 30))
        _ellipse(picture, eye, (width * 0.18, width * 0.18), (5, 5, 5))
        cv2.polylines(picture, [outline], isClosed=True, color=_INK, thickness=2)
        if seed % 2:
            brow = (eye[0], eye[1] - width * 0.6)
            _ellipse(picture, brow, (width * 1.1, width * 0.3), _INK, 5, half="upper")
    return Drawn(picture, ((320 - apart, 240), (320 + apart, 240)))


def wallpaper(seed: int) -> Drawn:
    """A pattern in rows: dots, eyes, lines, or arcs."""
    random = np.random.default_rng(seed)
    picture, step = _ground(random), int(random.integers(30, 90))
    colour = _colour(random, 0, 255)
    for row, y in enumerate(range(0, HEIGHT + step, step)):
        for x in range(row % 2 * step // 2, WIDTH + step, step):
            if seed % 4 == 0:
                _ellipse(picture, (x, y), (step / 4, step / 4), colour)
            elif seed % 4 == 1:
                _ellipse(picture, (x, y), (step / 3, step / 6), colour)
                _ellipse(picture, (x, y), (step / 9, step / 9), (10, 10, 10))
            elif seed % 4 == 2:
                _line(picture, (x, y), (x + step, y + step / 2), 4)
            else:
                _ellipse(picture, (x, y), (step / 3, step / 2), colour, 5, half="lower")
    return Drawn(picture)


def texture(seed: int) -> Drawn:
    """Clouds of noise, coarse and fine."""
    random = np.random.default_rng(seed)
    clouds = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    for size in (2, 4, 8, 16, 32, 64):
        coarse = random.standard_normal((HEIGHT // size + 2, WIDTH // size + 2, 3), np.float32)
        fine = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
        clouds += fine * np.float32(random.uniform(0.2, 1.5) * math.sqrt(size / 16))
    level = (clouds - clouds.mean()) / clouds.std() * 45 + random.uniform(70, 180)
    return Drawn(np.clip(level, 0, 255).astype(np.uint8))


def _eye(
    picture: Pixels, eye: Point, size: Point, kind: int, iris: tuple[int, ...], pen: int
) -> None:
    """A dot, a ring with a pupil, an eye with an iris and a lash line, or a shut one: an arc."""
    width, height = size
    if kind == 0:
        _ellipse(picture, eye, (width * 0.5, width * 0.5), _INK)
    elif kind == 1:
        _ellipse(picture, eye, size, (255, 255, 255))
        _ellipse(picture, eye, size, _INK, max(1, pen // 2))
        _ellipse(picture, eye, (height * 0.55, height * 0.55), _INK)
    elif kind == 2:
        _ellipse(picture, eye, size, (250, 250, 250))
        _ellipse(picture, eye, (height * 0.7, height * 0.7), iris)
        _ellipse(picture, eye, (height * 0.35, height * 0.35), (10, 10, 10))
        _ellipse(picture, eye, size, _INK, pen, half="upper")
    else:
        _ellipse(picture, eye, (width, height * 0.7), _INK, pen, half="upper")


def _ground(random: np.random.Generator) -> Pixels:
    return np.full((HEIGHT, WIDTH, 3), random.integers(40, 220, 3), np.uint8)


def _colour(random: np.random.Generator, low: int, high: int) -> tuple[int, ...]:
    return tuple(int(each) for each in random.integers(low, high, 3))


def _with_grain(random: np.random.Generator, picture: Pixels, strength: float) -> Pixels:
    grain = cv2.GaussianBlur(random.standard_normal((HEIGHT, WIDTH)), (0, 0), 1.2)
    return np.clip(picture + strength * grain[..., None], 0, 255).astype(np.uint8)


_ARCS = {"": (0, 360), "upper": (180, 360), "lower": (0, 180)}


def _ellipse(
    picture: Pixels,
    middle: Point,
    radii: Point,
    colour: tuple[int, ...],
    pen: int = -1,
    *,
    half: str = "",
    turned_deg: float = 0.0,
) -> None:
    """Fill it, or draw it with a pen of so many pixels."""
    centre, size = _whole(middle), _whole((max(radii[0], 1), max(radii[1], 1)))
    cv2.ellipse(picture, centre, size, turned_deg, *_ARCS[half], colour, pen, cv2.LINE_AA)


def _line(picture: Pixels, start: Point, end: Point, pen: int) -> None:
    cv2.line(picture, _whole(start), _whole(end), _INK, pen, cv2.LINE_AA)


def _whole(point: Point) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))
