"""Landmark numbers, by where they are on a face: what the eye heads draw, and the mesh beneath it.

The heads draw 71 points around each eye of the portrait, a photograph. The mesh was drawn before
them, by another part of the model, in which nothing knows these numbers.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from agent.ear import CONTOUR, LEFT_EYE, RIGHT_EYE
from agent.face.eyes import _LEVEL, AROUND, INNER, LIDS, OUTER, EyeHeads, Floats
from agent.face.eyes import CONTOUR as CONTOUR_POINTS
from agent.face.mesh import AttentionMesh, load_models
from agent.face.tracker import open_tracker
from agent.records import Frame
from scripts.portrait import Portrait

EYES = pytest.mark.parametrize("eye", [0, 1], ids=["right", "left"])


@dataclass(frozen=True)
class Seen:
    """The portrait's face in pixels of the crop: mesh (468, 2), drawn points (2, 71, 2)."""

    mesh: Floats
    drawn: Floats
    lids: Floats
    irises: Floats

    def nearest(self, point: Floats) -> int:
        """The landmark that is nearest to a point."""
        return int(np.hypot(*(self.mesh - point).T).argmin())


@pytest.fixture(scope="module")
def seen(model_cache: Path, portrait: Portrait) -> Seen:
    """What is seen of the portrait with open eyes, where the tracker looks."""
    frame = Frame(0.0, portrait.frame(1.0))
    face = open_tracker(model_cache).find(frame)
    assert face is not None
    mesh = AttentionMesh(load_models(model_cache))
    look = mesh.look(frame, face.to_frame)
    return Seen(look.mesh[:, :2], _all_drawn(mesh._heads), look.eyes.lids, look.eyes.irises)


def _all_drawn(heads: EyeHeads) -> Floats:
    drawn = [outputs[0]()[0].reshape(-1, 2) for outputs in heads._outputs]
    return np.array(drawn, np.float32) @ heads._to_crop + heads._origin


@EYES
def test_each_landmark_around_an_eye_is_the_one_that_is_drawn_there(seen: Seen, eye: int) -> None:
    assert AROUND.shape == (2, 71)
    assert [seen.nearest(point) for point in seen.drawn[eye]] == AROUND[eye].tolist()


@EYES
def test_the_lids_are_the_first_of_them(seen: Seen, eye: int) -> None:
    assert CONTOUR_POINTS == 16
    assert LIDS[eye].tolist() == AROUND[eye, :16].tolist()
    assert seen.lids[eye] == pytest.approx(seen.drawn[eye, :16], abs=1e-4)


@EYES
def test_the_corners_are_the_ends_of_an_eye(seen: Seen, eye: int) -> None:
    """The right eye is on the left of the picture: its outer corner is its leftmost point."""
    xs = seen.lids[eye, :, 0] * (1 if eye == 0 else -1)
    assert (xs.argmin(), xs.argmax()) == (OUTER, INNER)


@EYES
def test_the_lower_lid_comes_first_then_the_upper(seen: Seen, eye: int) -> None:
    lids = seen.lids[eye]
    lower, upper = lids[OUTER + 1 : INNER], lids[INNER + 1 :]
    assert len(lower) == len(upper) == 7
    corners = lids[[OUTER, INNER]]
    assert (lower[:, 1] > corners[:, 1].max()).sum() >= 5
    assert upper[1:-1, 1].max() < lower[1:-1, 1].min()
    outwards = 1 if eye == 0 else -1
    assert (np.diff(outwards * lower[:, 0]) > 0).all()
    assert (np.diff(outwards * upper[:, 0]) > 0).all()


@EYES
def test_the_six_points_of_the_ear_are_on_the_corners_and_one_above_the_other(
    seen: Seen, eye: int
) -> None:
    p1, p2, p3, p4, p5, p6 = seen.lids[eye][list(CONTOUR)]
    width = float(np.hypot(*(p4 - p1)))
    assert (CONTOUR[0], CONTOUR[3]) == (OUTER, INNER)
    along = [float((point - p1) @ (p4 - p1)) / width**2 for point in (p2, p3, p6, p5)]
    assert along == pytest.approx([0.24, 0.61, 0.24, 0.61], abs=0.08), "as far from the corners"
    assert along[1] - along[0] == pytest.approx(along[3] - along[2], abs=0.09), "parallel"
    assert p2[1] < p6[1]
    assert p3[1] < p5[1]


@EYES
def test_the_six_landmarks_are_the_same_places_in_the_mesh(seen: Seen, eye: int) -> None:
    six = (RIGHT_EYE, LEFT_EYE)[eye]
    assert [seen.nearest(seen.lids[eye, place]) for place in CONTOUR] == list(six)


@EYES
def test_a_box_is_level_with_the_corners_from_the_left_of_the_picture(seen: Seen, eye: int) -> None:
    corners = sorted(seen.lids[eye, [OUTER, INNER]].tolist())
    assert [seen.nearest(np.array(corner, np.float32)) for corner in corners] == _LEVEL[
        eye
    ].tolist()


@EYES
def test_an_iris_has_its_centre_first_and_its_edge_around_it(seen: Seen, eye: int) -> None:
    centre, *edge = seen.irises[eye]
    assert len(edge) == 4
    assert np.mean(edge, axis=0) == pytest.approx(centre, abs=0.3)
    radii = [float(np.hypot(*(point - centre))) for point in edge]
    assert min(radii) > 0.7 * max(radii) > 1.0
    lids = seen.lids[eye]
    assert lids[:, 0].min() < centre[0] < lids[:, 0].max()
