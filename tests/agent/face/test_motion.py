"""How eyes move in the crop: followed as a head moves, and refused where no head moves so."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from agent.face.crops import Region, compose, move, transform
from agent.face.eyes import Contours
from agent.face.mesh import BAND_HEIGHT, BAND_WIDTH, CROP, Shape
from agent.face.motion import MAX_CHANGE, Motion

BAND = np.random.default_rng(1).integers(0, 256, (BAND_HEIGHT, BAND_WIDTH, 3)).astype(np.uint8)
CORNERS = [40 + 80j, 75 + 82j, 150 + 80j, 115 + 82j]


def eyes(
    turn: complex = 1, shift: complex = 0, opening: float = 10.0, lift: complex = 0
) -> Contours:
    """Both eyes, turned and scaled, then shifted; `lift` takes one corner away from the others."""
    points = np.zeros((2, 16, 2), np.float32)
    for eye, (outer, inner) in enumerate((CORNERS[:2], CORNERS[2:])):
        for index, point in ((0, outer + (0 if eye else lift)), (8, inner)):
            moved = turn * point + shift
            points[eye, index] = moved.real, moved.imag
        points[eye, [3, 5], 1] = 80 + opening / 2
        points[eye, [11, 13], 1] = 80 - opening / 2
    return Contours(points)


def brighter(share: float) -> NDArray[np.uint8]:
    """The picture, changed by a share of its contrast on average."""
    small = BAND[::4].reshape(BAND_HEIGHT // 8, 2, BAND_WIDTH // 8, 8, 3).mean(axis=(1, 3))
    return np.asarray(np.clip(BAND.astype(int) + round(share * small.std()), 0, 255), np.uint8)


@pytest.mark.parametrize(
    ("turn", "step", "still"),
    [(1, 0, True), (1, 5, True), (1, 6j, False), (1.06, 0, False), (0.95 + 0.1j, 8 + 5j, False)],
)
def test_a_head_that_moves_as_a_whole_is_followed(
    turn: complex, step: complex, still: bool
) -> None:
    """110 pixels are between the eyes: so much is a step of 0.05 and a turn of 3 degrees."""
    shift = step + (95 + 81j) * (1 - turn)
    motion = Motion(eyes(), BAND)
    found = motion.step(eyes(turn, shift))
    assert found == pytest.approx((turn, shift), abs=1e-3)
    assert motion.still == still


@pytest.mark.parametrize("wrong", [
    {"shift": 13}, {"shift": 13j}, {"turn": 1.15}, {"turn": 0.85}, {"turn": np.exp(0.2j)},
    {"lift": 25j}, {"shift": math.nan},
])  # fmt: skip
def test_no_head_moves_so(wrong: dict[str, complex]) -> None:
    turn = wrong.get("turn", 1)
    shift = wrong.get("shift", 0) + (95 + 80j) * (1 - turn)
    seen = eyes(turn, shift, lift=wrong.get("lift", 0))
    assert Motion(eyes(), BAND).step(seen) is None


def test_another_scene_is_no_movement() -> None:
    assert not Motion(eyes(), BAND).jumps(brighter(0.8 * MAX_CHANGE))
    assert Motion(eyes(), BAND).jumps(brighter(1.6 * MAX_CHANGE))
    assert not Motion(eyes(), BAND).jumps(brighter(1.6 * MAX_CHANGE), 2 * MAX_CHANGE)
    grey = np.full_like(BAND, 90)
    assert not Motion(eyes(), grey).jumps(grey)
    assert Motion(eyes(), grey).jumps(BAND)


def test_shut_lids_are_followed_from_frame_to_frame() -> None:
    """They draw the corners elsewhere, which is no movement of the head once it has been seen."""
    motion = Motion(eyes(), BAND)
    assert motion.step(eyes(shift=2, opening=3)) == pytest.approx((1, 2), abs=1e-3)
    # The crop has followed by 2, so what was drawn there is drawn at the old place.
    assert motion.step(eyes(shift=0, opening=3)) == pytest.approx((1, 0), abs=1e-3)
    assert motion.step(eyes(shift=1)) == pytest.approx((1, 1), abs=1e-3)


def test_after_a_look_movement_counts_from_there() -> None:
    motion = Motion(eyes(), BAND)
    motion.step(eyes(shift=4))
    motion.restart()
    assert motion.step(eyes(shift=5)) == pytest.approx((1, 1), abs=1e-3)


@pytest.mark.parametrize("mirrored", [False, True])
def test_in_a_crop_that_is_centred_anew_nothing_has_moved(mirrored: bool) -> None:
    to_frame = Region(300, 200, 250, 0.3, mirrored).to_frame(CROP)
    to_crop = Region(CROP / 2 + 6, CROP / 2 - 4, CROP * 1.1, 0.1).to_frame(CROP)
    seen = eyes()
    from_crop = np.linalg.inv(np.vstack([to_crop, [0, 0, 1]]))[:2]
    again = Contours(transform(from_crop, seen.lids))
    motion = Motion(seen, BAND)
    motion.recentre(to_crop)
    assert motion.step(again) == pytest.approx((1, 0), abs=1e-3)
    mesh = np.random.default_rng(2).random((468, 3), np.float32) * 150
    shape = Shape(mesh, 20.0).recentred(to_crop)
    assert shape.logit == 20.0
    np.testing.assert_allclose(
        transform(compose(to_frame, to_crop), shape.mesh[:, :2].copy()),
        transform(to_frame, mesh[:, :2].copy()),
        atol=1e-3,
    )
    np.testing.assert_allclose(shape.mesh[:, 2] * 1.1, mesh[:, 2], rtol=1e-5)


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_crop_that_follows_shows_what_moved_at_its_old_place(mirrored: bool) -> None:
    to_frame = Region(300, 200, 250, 0.3, mirrored).to_frame(CROP)
    turn, shift = 1.03 + 0.05j, 4 - 2j
    points = np.array([[10, 20], [150, 90]], np.float32)
    moved = [turn * complex(*point) + shift for point in points.tolist()]
    there = np.array([(each.real, each.imag) for each in moved], np.float32)
    after = transform(move(to_frame, turn, shift), points)
    np.testing.assert_allclose(after, transform(to_frame, there), atol=1e-3)
