"""Regions, crops, anchors and overlapping boxes."""

import math
from typing import Literal

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.face import detector
from agent.face.crops import Cropper, Region, region_of
from agent.records import Frame

# Geometry


@given(
    x=st.floats(-100, 800), y=st.floats(-100, 600), size=st.floats(1, 900),
    angle=st.floats(-math.pi, math.pi),
)  # fmt: skip
def test_a_region_s_middle_and_corners_are_where_they_should_be(
    x: float, y: float, size: float, angle: float
) -> None:
    to_frame = Region(x, y, size, angle).to_frame(192)
    middle, corner, right = (to_frame @ (*p, 1) for p in ((96, 96), (0, 0), (192, 96)))
    np.testing.assert_allclose(middle, (x, y), atol=1e-6)
    assert math.dist(middle, corner) == pytest.approx(size / math.sqrt(2), rel=1e-6)
    np.testing.assert_allclose(
        right - middle, (size / 2 * math.cos(angle), size / 2 * math.sin(angle)), atol=1e-6
    )


@given(
    x=st.floats(-300, 400),
    y=st.floats(-300, 400),
    size=st.floats(2, 500),
    angle=st.floats(-math.pi, math.pi),
    border=st.sampled_from([cv2.BORDER_REPLICATE, cv2.BORDER_CONSTANT]),
    layout=st.sampled_from(["bgr", "yuv420"]),
)
def test_a_crop_has_nothing_left_of_the_one_before(
    x: float, y: float, size: float, angle: float, border: int, layout: Literal["bgr", "yuv420"]
) -> None:
    shape = (90, 120, 3) if layout == "bgr" else (135, 120)
    picture = np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)
    frame, matrix = Frame(0, picture, layout), Region(x, y, size, angle).to_frame(32)
    used = Cropper(32, 32)
    used.rgb(Frame(0, 255 - picture, layout), Region(60, 45, 50).to_frame(32), border)
    np.testing.assert_array_equal(
        used.rgb(frame, matrix, border), Cropper(32, 32).rgb(frame, matrix, border)
    )


def test_there_are_896_anchors_in_blazeface_s_order() -> None:
    anchors = detector._anchors()
    assert anchors.shape == (896, 2)
    np.testing.assert_array_equal(anchors[[0, 1, 2, 32]], [(4, 4), (4, 4), (12, 4), (4, 12)])
    np.testing.assert_array_equal(anchors[[512, 517, 518, 560]], [(8, 8), (8, 8), (24, 8), (8, 24)])


def test_boxes_that_overlap_are_one_face_and_others_are_not() -> None:
    def box(x: float, y: float, size: float) -> list[float]:
        return [x, y, size, size, *[x] * 12]

    boxes = np.array([box(40, 40, 20), box(90, 40, 20), box(42, 40, 20)], np.float32)
    merged = detector._merged(boxes, np.array([0.9, 0.8, 0.6], np.float32))
    assert len(merged) == 2
    assert merged[0][0] == pytest.approx((40 * 0.9 + 42 * 0.6) / 1.5)
    assert merged[1][0] == 90


# Not upright, not alone, not still


@pytest.mark.parametrize("mirrored", [False, True])
@given(
    x=st.floats(-100, 800), y=st.floats(-100, 600), size=st.floats(1, 900),
    angle=st.floats(-3.1, 3.1),
)  # fmt: skip
def test_a_crop_s_matrix_tells_its_region(
    mirrored: bool, x: float, y: float, size: float, angle: float
) -> None:
    region = region_of(Region(x, y, size, angle, mirrored).to_frame(192), 192)
    assert (region.x, region.y) == pytest.approx((x, y), abs=1e-6)
    assert (region.size, region.angle) == pytest.approx((size, angle), abs=1e-6)
    assert region.mirrored == mirrored
