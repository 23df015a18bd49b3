"""Sharpness: the same in any light, noise and size, and 0 where lids can't be seen."""

from typing import Any

import numpy as np
import pytest

from agent.face.sharpness import APART, COVERED, ONE_COVERED, sharpness
from agent.face.tracker import FaceTracker
from agent.records import Frame
from scripts.portrait import Portrait
from tests.agent.face.looks import Pixels, frames

SIZE = 100


def sharpness_of(tracker: FaceTracker, picture: Pixels) -> float:
    tracker.reset()
    found = [tracker.find(frame) for frame in frames([picture] * 2)]
    (looked,) = [face.sharpness for face in found if face and face.sharpness is not None]
    return looked


def test_a_blur_is_less_sharp_whatever_light_noise_and_size(
    tracker: FaceTracker, portrait: Portrait
) -> None:
    def seen(**look: Any) -> float:
        return sharpness_of(tracker, portrait.frame(1.0, **look))

    for poor in ({"noise": 20.0}, {"gain": 0.1, "noise": 3.0}, {"scale": 0.5}):
        assert seen(**poor) == pytest.approx(seen(), rel=0.1)
        assert seen(**poor, blur=6.0 * poor.get("scale", 1.0)) < 0.6 * seen()
    assert seen() > seen(blur=2.0) > seen(blur=4.0) > seen(blur=6.0)


def test_eyes_too_dark_to_be_seen_are_not_sharp(tracker: FaceTracker, portrait: Portrait) -> None:
    assert sharpness_of(tracker, portrait.frame(1.0, gain=0.08)) > 0.15
    assert sharpness_of(tracker, portrait.frame(1.0, gain=0.04)) == 0


def test_sharpness_is_looked_at_twice_a_second(tracker: FaceTracker, portrait: Portrait) -> None:
    tracker.reset()
    found = [tracker.find(frame) for frame in frames([portrait.frame(1.0)] * 31)]
    assert sum(face is not None and face.sharpness is not None for face in found) == 3


# Reflections


def eye(brightness: int, cheek: int = 100, apart: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """A picture (100, 100, 3) of skin and both eyes at its middle, 40 pixels wide, and their lids.

    The middle of an eye has this brightness; detail surrounds it.
    """
    picture = np.full((SIZE, SIZE, 3), cheek, np.uint8)
    picture[35:65:4, 20:80] = picture[35:65, 20:80:4] = 20
    picture[43:58, 40:61] = brightness
    lids = np.zeros((16, 2), np.float32)
    lids[:9] = np.stack([np.linspace(30, 70, 9), np.full(9, 50 + 20 * apart)], axis=1)
    lids[[0, 8], 1] = 50
    lids[9:] = np.stack([np.linspace(35, 65, 7), np.full(7, 50 - 20 * apart)], axis=1)
    return picture, np.repeat(lids[None], 2, axis=0)


def of_eyes(brightness: int, **look: float) -> float:
    share = sharpness(*eye(brightness, **look))  # type: ignore[arg-type]
    assert share is not None
    return share


def test_a_dark_iris_is_not_covered() -> None:
    assert of_eyes(40) > 0.05


@pytest.mark.parametrize("cheek", [60, 100, 220])
def test_what_is_as_bright_as_the_cheek_covers_an_open_eye(cheek: int) -> None:
    assert of_eyes(round(COVERED * cheek) + 1, cheek=cheek) == 0
    assert of_eyes(round(COVERED * cheek) - 1, cheek=cheek) > 0.05


def test_a_shut_eye_is_as_bright_as_the_cheek_and_not_covered() -> None:
    assert of_eyes(110, apart=APART + 0.02) == 0
    assert of_eyes(110, apart=APART - 0.02) > 0.05


@pytest.mark.parametrize("other", [0, 1])
@pytest.mark.parametrize(("brightness", "covered"), [(108, False), (112, True)])
def test_one_covered_eye_counts_as_0_and_must_be_brighter(
    brightness: int, other: int, *, covered: bool
) -> None:
    assert ONE_COVERED == 1.1
    picture, lids = eye(40)
    bright, _ = eye(brightness)
    beside = np.concatenate([picture, bright], axis=1)
    lids[other, :, 0] += SIZE
    dark = of_eyes(40)
    share = sharpness(beside, lids)
    assert share is not None
    assert share == pytest.approx(dark / 2, rel=0.01) if covered else share > 0.6 * dark


def test_an_eye_at_the_edge_whose_cheek_is_not_in_the_picture_is_not_judged() -> None:
    picture, lids = eye(110)
    share = sharpness(picture[:66], lids)
    assert share is not None
    assert share > 0.05


def test_lids_that_are_nowhere_have_no_sharpness() -> None:
    picture, lids = eye(40)
    assert sharpness(picture, np.full_like(lids, np.nan)) is None


@pytest.mark.parametrize(
    ("glare", "hidden"), [(0.0, False), (0.3, False), (0.5, False), (0.7, True), (0.9, True)]
)
def test_a_reflection_that_hides_blinks_hides_the_lids(
    portrait: Portrait, tracker: FaceTracker, glare: float, *, hidden: bool
) -> None:
    face = tracker.find(Frame(0.0, portrait.frame(1.0, glare=glare)))
    assert face is not None
    assert face.sharpness is not None
    assert (face.sharpness == 0) is hidden
    assert hidden or face.sharpness > 0.15


def test_shut_eyes_behind_spectacles_are_not_hidden(
    portrait: Portrait, tracker: FaceTracker
) -> None:
    face = tracker.find(Frame(0.0, portrait.frame(0.0, glare=0.3)))
    assert face is not None
    assert (face.sharpness or 0) > 0.1
