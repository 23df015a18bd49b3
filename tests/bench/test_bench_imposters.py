"""bench.imposters: the pictures are as told, and a face is told from what is none."""

import numpy as np
import pytest

from agent.face.tracker import FaceTracker
from bench.imposters import main as imposters
from bench.imposters.drawn_faces import HEIGHT, WIDTH, Drawn, board, cartoon, wallpaper
from bench.imposters.main import (
    EYES,
    Kind,
    has_wrong_eyes,
    measured,
    mirrored,
    seen,
    stretched,
    turned,
)
from scripts.portrait import Portrait


def test_the_eyes_of_the_portrait_are_where_the_bench_says(
    portrait: Portrait, tracker: FaceTracker
) -> None:
    faces = [face for face in seen(tracker, portrait.frame(1.0)) if face is not None]
    assert faces
    assert not any(has_wrong_eyes(face, Drawn(portrait.frame(1.0), EYES)) for face in faces)
    exchanged = Drawn(portrait.frame(1.0), (EYES[1], EYES[0]))
    assert all(has_wrong_eyes(face, exchanged) for face in faces)


@pytest.mark.parametrize("make", [turned, mirrored, stretched])
def test_a_picture_has_the_camera_s_size_and_its_eyes_inside(portrait: Portrait, make) -> None:  # type: ignore[no-untyped-def]
    drawn = make(portrait, 2)
    assert drawn.picture.shape == (HEIGHT, WIDTH, 3)
    assert drawn.picture.dtype == np.uint8
    for x, y in drawn.eyes:
        assert 0 < x < WIDTH
        assert 0 < y < HEIGHT


@pytest.mark.parametrize("make", [board, wallpaper])
def test_what_is_no_face_gives_no_valid_frame(tracker: FaceTracker, make) -> None:  # type: ignore[no-untyped-def]
    row = measured(tracker, Kind("no face", 2, make))
    assert (row.passing, row.valid) == (0, 0.0)


def test_a_drawn_face_is_measured_at_its_eyes_or_not_at_all(tracker: FaceTracker) -> None:
    assert measured(tracker, Kind("drawn", 3, cartoon)).wrong == 0


def test_a_face_in_a_mirror_is_measured_where_it_is(
    portrait: Portrait, tracker: FaceTracker
) -> None:
    row = measured(tracker, Kind("mirrored", 1, lambda _: mirrored(portrait, 3)))
    assert (row.passing, row.wrong) == (1, 0)
    assert row.valid > 0.9


def test_each_kind_has_a_name_of_its_own(portrait: Portrait) -> None:
    kinds = imposters.kinds(portrait, np.zeros((300, 451, 3), np.uint8))
    assert len({kind.name for kind in kinds}) == len(kinds)
