"""The eyes' boxes by hand: where they lie, what is taken there, and where drawn points come out.

The heads here are stand-ins that keep what they are shown and draw what they are told.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from agent.face.eyes import (
    AROUND,
    BAND_COLUMNS,
    BAND_ROWS,
    BOX_SCALE,
    CELL,
    CELLS,
    CHANNELS,
    CONTOUR,
    GRID,
    IRIS,
    EyeHeads,
    Floats,
)

EYES = pytest.mark.parametrize("eye", [0, 1], ids=["right", "left"])
MIDDLES = [(17.0, 20.0), (31.0, 21.0)]
"""Of the right and the left eye, in cells."""

HALF_WIDTH, HALF_HEIGHT = 4.0, 2.0
"""Of what lies around an eye, level with its corners."""


class Part:
    """A model whose output is set by the test, and whose inputs are kept."""

    def __init__(self, given: tuple[int, ...], *made: tuple[int, ...]) -> None:
        self.shown: list[Floats] = []
        self.made = [np.zeros((1, *shape), np.float32) for shape in made]
        self._given = np.zeros((1, *given), np.float32)

    def get_input_details(self) -> list[dict[str, Any]]:
        return [{"index": 0}]

    def get_output_details(self) -> list[dict[str, Any]]:
        return [{"index": 1 + place} for place in range(len(self.made))]

    def tensor(self, index: int) -> Callable[[], Floats]:
        return lambda: [self._given, *self.made][index]

    def invoke(self) -> None:
        self.shown.append(self._given[0].copy())


IRIS_FEATURES = 4, 4, 128


class Head(Part):
    """One eye's head with the part for its iris."""

    def __init__(self) -> None:
        super().__init__((GRID, GRID, CHANNELS), (71, 2), IRIS_FEATURES)
        self.iris = Part(IRIS_FEATURES, (IRIS, 2))


def a_mesh(
    roll_deg: float = 0.0, shift: tuple[float, float] = (0.0, 0.0), zoom: float = 1.0
) -> Floats:
    """A mesh in cells whose eyes are ellipses with their corners at both ends, turned clockwise."""
    mesh = np.zeros((468, 2), np.float32)
    turn = complex(math.cos(math.radians(roll_deg)), math.sin(math.radians(roll_deg)))
    for eye, (x, y) in enumerate(MIDDLES):
        for place, landmark in enumerate(AROUND[eye]):
            along = math.pi * (place / 8 if place < 16 else place / 36)
            side = -1 if eye == 0 else 1  # the outer corner of a right eye is on the left
            point = complex(side * HALF_WIDTH * math.cos(along), HALF_HEIGHT * math.sin(along))
            middle = complex(x - 24, y - 24)
            moved = zoom * turn * (middle + point) + complex(24 + shift[0], 24 + shift[1])
            mesh[landmark] = moved.real, moved.imag
    return mesh


def laid(mesh: Floats) -> tuple[EyeHeads, list[Head]]:
    heads = [Head(), Head()]
    eyes = EyeHeads(*heads, *(head.iris for head in heads))  # type: ignore[arg-type]
    eyes.place_boxes(mesh)
    return eyes, heads


def features(eyes: EyeHeads) -> Floats:
    """The band of a picture whose channels say where they are: column, row, and 1."""
    rows, columns = np.mgrid[:CELLS, :CELLS].astype(np.float32)
    whole = np.zeros((CELLS, CELLS, CHANNELS), np.float32)
    whole[..., 0], whole[..., 1], whole[..., 2], whole[..., 31] = columns, rows, 1.0, columns
    row, column = eyes.first_row, eyes.first_column
    band = whole[row : row + BAND_ROWS, column : column + BAND_COLUMNS]
    assert band.shape == (BAND_ROWS, BAND_COLUMNS, CHANNELS)
    return band.reshape(-1, CHANNELS)


def expected(eye: int, roll_deg: float, shift: tuple[float, float], zoom: float) -> Floats:
    """The middles of a box's cells, (16, 16, 2), in cells of the crop, by geometry alone."""
    turn = complex(math.cos(math.radians(roll_deg)), math.sin(math.radians(roll_deg)))
    x, y = MIDDLES[eye]
    middle = zoom * turn * complex(x - 24, y - 24) + complex(24 + shift[0], 24 + shift[1])
    places = np.empty((16, 16, 2), np.float32)
    for row in range(16):
        for column in range(16):
            across = ((column + 0.5) / 16 - 0.5) * 2 * HALF_WIDTH * 1.5 * zoom
            down = ((row + 0.5) / 16 - 0.5) * 2 * HALF_HEIGHT * 1.5 * zoom
            point = middle + turn * complex(across, down)
            places[row, column] = point.real, point.imag
    return places


POSES = pytest.mark.parametrize(
    ("roll_deg", "shift", "zoom"),
    [
        (0.0, (0.0, 0.0), 1.0),
        (10.0, (0.0, 0.0), 1.0),
        (-12.0, (1.3, -2.2), 1.0),
        (4.0, (-2.0, 5.0), 1.1),
        (0.0, (0.4, 9.0), 0.8),
    ],
)


@EYES
@POSES
def test_features_are_taken_from_a_box_that_is_level_with_the_eye(
    eye: int, roll_deg: float, shift: tuple[float, float], zoom: float
) -> None:
    assert (CELL, GRID, BOX_SCALE) == (4, 16, 1.5)
    eyes, heads = laid(a_mesh(roll_deg, shift, zoom))
    eyes.read(features(eyes))
    (box,) = heads[eye].shown
    places = expected(eye, roll_deg, shift, zoom)
    # The middle of the first cell is at half a cell.
    assert box[..., 0] == pytest.approx(places[..., 0] - 0.5, abs=1e-3)
    assert box[..., 1] == pytest.approx(places[..., 1] - 0.5, abs=1e-3)
    assert box[..., 2] == pytest.approx(np.ones((16, 16)), abs=1e-5)
    assert box[..., 31] == pytest.approx(box[..., 0])
    assert (box[..., 3:31] == 0).all()


@EYES
@POSES
def test_what_is_drawn_comes_out_where_it_was_seen(
    eye: int, roll_deg: float, shift: tuple[float, float], zoom: float
) -> None:
    """Drawn at the middles of the box's cells, which is 64 of the head's own pixels wide."""
    eyes, heads = laid(a_mesh(roll_deg, shift, zoom))
    places = expected(eye, roll_deg, shift, zoom)
    heads[eye].made[0][0, :16] = [(4 * k + 2, 62 - 4 * k) for k in range(16)]
    heads[eye].made[0][0, 16:] = 99
    heads[eye].iris.made[0][0] = [(14, 4 * k + 2) for k in range(IRIS)]
    lids, irises = eyes.read(features(eyes)), eyes.read_irises()
    assert lids.shape == (2, 16, 2) == (2, CONTOUR, 2)
    assert irises.shape == (2, 5, 2)
    diagonal = [4 * places[15 - k, k] for k in range(16)]
    assert lids[eye] == pytest.approx(np.array(diagonal), abs=1e-3)
    assert irises[eye] == pytest.approx(4 * places[:5, 3], abs=1e-3)


@EYES
def test_an_iris_is_drawn_from_its_own_eyes_features_and_only_when_asked_for(eye: int) -> None:
    eyes, heads = laid(a_mesh())
    heads[eye].made[1][:] = np.arange(4 * 4 * 128, dtype=np.float32).reshape(1, *IRIS_FEATURES)
    lids = eyes.read(features(eyes))
    kept = lids.copy()
    assert heads[eye].iris.shown == []
    eyes.read_irises()
    assert (lids == kept).all()
    (shown,) = heads[eye].iris.shown
    assert (shown == heads[eye].made[1][0]).all()
    assert (heads[1 - eye].iris.shown[0] == 0).all()


def test_each_eye_is_shown_its_own_box_and_only_once() -> None:
    eyes, heads = laid(a_mesh())
    eyes.read(features(eyes))
    eyes.read(features(eyes))
    right, left = (head.shown for head in heads)
    assert len(right) == len(left) == 2
    assert right[0][..., 0].max() < 24 < left[0][..., 0].min()


def test_between_features_it_is_bilinear() -> None:
    """The product of column and row is its own bilinear interpolation."""
    eyes, heads = laid(a_mesh(7.0))
    band = features(eyes)
    band[:, 2] = band[:, 0] * band[:, 1]
    eyes.read(band)
    for head in heads:
        (box,) = head.shown
        assert box[..., 2] == pytest.approx(box[..., 0] * box[..., 1], rel=1e-5)


# The band


def test_a_band_has_the_eyes_in_its_middle() -> None:
    assert (CELLS, BAND_COLUMNS, BAND_ROWS) == (48, 38, 18)
    for shift in [(0.0, 0.0), (2.0, 5.0), (-3.0, -4.0)]:
        eyes, heads = laid(a_mesh(shift=shift))
        eyes.read(features(eyes))
        seen = np.stack([head.shown[0][..., :2] for head in heads]).reshape(-1, 2)
        before = seen.min(axis=0) - (eyes.first_column, eyes.first_row)
        after = (eyes.first_column + BAND_COLUMNS - 1, eyes.first_row + BAND_ROWS - 1) - seen.max(0)
        assert before == pytest.approx(after, abs=1.01)
        assert before.min() >= 0


@pytest.mark.parametrize(
    ("shift", "column", "row"),
    [((-40.0, -40.0), 0, 0), ((40.0, 40.0), CELLS - BAND_COLUMNS, CELLS - BAND_ROWS)],
)
def test_a_band_stays_in_the_crop(shift: tuple[float, float], column: int, row: int) -> None:
    eyes, _ = laid(a_mesh(shift=shift))
    assert (eyes.first_column, eyes.first_row) == (column, row)


def test_before_it_is_laid_a_band_begins_at_the_first_feature() -> None:
    eyes = EyeHeads(Head(), Head(), Head().iris, Head().iris)  # type: ignore[arg-type]
    assert (eyes.first_column, eyes.first_row) == (0, 0)


@pytest.mark.parametrize("shift", [(-14.0, 0.0), (14.0, 0.0), (0.0, -22.0), (0.0, 26.0)])
def test_outside_the_band_the_edge_is_seen(shift: tuple[float, float]) -> None:
    eyes, heads = laid(a_mesh(shift=shift))
    eyes.read(features(eyes))
    for eye, head in enumerate(heads):
        (box,) = head.shown
        places = expected(eye, 0.0, shift, 1.0) - 0.5
        first = eyes.first_column, eyes.first_row
        last = first[0] + BAND_COLUMNS - 1, first[1] + BAND_ROWS - 1
        assert box[..., :2] == pytest.approx(np.clip(places, first, last), abs=1e-3)
        assert box[..., 2] == pytest.approx(np.ones((16, 16)), abs=1e-5)
