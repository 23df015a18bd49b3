"""Sharpness: lids that can't be seen count as 0, whatever hides them."""

import numpy as np
import pytest

from agent.face.landmarks import FaceTracker
from agent.face.sharpness import APART, COVERED, ONE_COVERED, sharpness
from agent.records import Frame
from scripts.portrait import Portrait

SIZE = 100


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


def seen(brightness: int, **look: float) -> float:
    share = sharpness(*eye(brightness, **look))  # type: ignore[arg-type]
    assert share is not None
    return share


def test_a_dark_iris_is_not_covered() -> None:
    assert seen(40) > 0.05


@pytest.mark.parametrize("cheek", [60, 100, 220])
def test_what_is_as_bright_as_the_cheek_covers_an_open_eye(cheek: int) -> None:
    assert seen(round(COVERED * cheek) + 1, cheek=cheek) == 0
    assert seen(round(COVERED * cheek) - 1, cheek=cheek) > 0.05


def test_a_shut_eye_is_as_bright_as_the_cheek_and_not_covered() -> None:
    assert seen(110, apart=APART + 0.02) == 0
    assert seen(110, apart=APART - 0.02) > 0.05


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
    dark = seen(40)
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
