"""bench.reuse: what counts as a frame in which nothing moved."""

import numpy as np
from numpy.typing import NDArray

from agent.ear import LEFT_EYE, RIGHT_EYE
from agent.records import EyeSample, FaceLandmarks
from bench.reuse import Seen, reused

BOUND = (4.0, 6.0)


def seen(number: int, picture: NDArray[np.uint8], ear: float) -> Seen:
    points = np.zeros((468, 3), np.float32)
    points[:, :2] = np.random.default_rng(1).uniform((40, 20), (160, 180), (468, 2))
    for eye, x in ((RIGHT_EYE, 60), (LEFT_EYE, 120)):
        steps = ((0, 0), (8, -4), (16, -4), (24, 0), (16, 4), (8, 4))
        points[list(eye), :2] = [(x + dx, 80 + dy) for dx, dy in steps]
    face = FaceLandmarks(number / 30, points, 0.99)
    return Seen(picture, face, EyeSample(number / 30, ear, ear, ear, 0.99))


def picture(lid: int = 0) -> NDArray[np.uint8]:
    """Grey skin with two dark eyes, `lid` rows of which are covered."""
    grey = np.full((200, 200), 150, np.uint8)
    for x in (60, 120):
        grey[76 + lid : 84, x : x + 24] = 40
    return grey


def test_a_picture_that_stays_is_taken_over() -> None:
    samples, errors = reused([seen(n, picture(), 0.3 + 0.003 * n) for n in range(3)], BOUND)
    assert [sample.ear for sample in samples] == [0.3, 0.3, 0.3]
    assert np.allclose(errors, [0.01, 0.02])
    assert [sample.time_s for sample in samples] == [0, 1 / 30, 2 / 30]


def test_a_lid_that_falls_is_not() -> None:
    samples, errors = reused([seen(n, picture(3 * n), 0.3 - 0.1 * n) for n in range(3)], BOUND)
    assert [sample.ear for sample in samples] == [0.3, 0.3 - 0.1, 0.3 - 0.2]
    assert not errors


def test_a_lid_that_falls_slowly_is_noticed_in_the_end() -> None:
    frames = []
    for number in range(12):
        faded = picture().astype(np.int16)
        faded[faded == 40] += 3 * number  # a level or two a frame stays below the bound
        frames.append(seen(number, faded.astype(np.uint8), 0.3 - 0.01 * number))
    samples, _ = reused(frames, BOUND)
    assert samples[0].ear != samples[-1].ear
