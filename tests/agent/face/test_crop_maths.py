"""Regions, matrices and fits by hand, and crops whose every pixel is known."""

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.face import crops
from agent.face.crops import (
    Affine,
    Cropper,
    Region,
    Similarity,
    compose,
    region_of,
    transform,
)
from agent.records import Frame

Point = tuple[float, float]


def at(region: Region, size: int, x: float, y: float) -> Point:
    """Where a pixel of a region's crop is in the frame."""
    moved = region.to_frame(size) @ (x, y, 1.0)
    return float(moved[0]), float(moved[1])


# Regions


def test_a_region_has_its_middle_in_the_middle_of_the_crop() -> None:
    for mirrored in (False, True):
        region = Region(100, 50, 80, 0.7, mirrored)
        assert at(region, 40, 20, 20) == pytest.approx((100, 50))


def test_an_upright_region_is_moved_and_scaled() -> None:
    region = Region(100, 50, 80)
    assert at(region, 40, 0, 0) == pytest.approx((60, 10))
    assert at(region, 40, 40, 0) == pytest.approx((140, 10))
    assert at(region, 40, 0, 40) == pytest.approx((60, 90))


def test_a_turned_region_is_turned_clockwise() -> None:
    """Its right is where the frame's below is, and its below where the frame's left is."""
    region = Region(100, 50, 80, np.pi / 2)
    assert at(region, 40, 40, 20) == pytest.approx((100, 90))
    assert at(region, 40, 20, 40) == pytest.approx((60, 50))


def test_a_mirrored_region_has_its_right_on_the_left() -> None:
    region = Region(100, 50, 80, mirrored=True)
    assert at(region, 40, 40, 20) == pytest.approx((60, 50))
    assert at(region, 40, 20, 40) == pytest.approx((100, 90))
    turned = Region(100, 50, 80, np.pi / 2, mirrored=True)
    assert at(turned, 40, 40, 20) == pytest.approx((100, 10))
    assert at(turned, 40, 20, 40) == pytest.approx((60, 50))


REGIONS = st.builds(
    Region,
    st.floats(-500, 500),
    st.floats(-500, 500),
    st.floats(1, 900),
    st.floats(-3.1, 3.1),
    st.booleans(),
)


@given(
    REGIONS,
    st.complex_numbers(min_magnitude=0.5, max_magnitude=2),
    st.complex_numbers(max_magnitude=100),
)
def test_a_crop_that_moves_is_turned_within_itself(
    region: Region, turn: complex, shift: complex
) -> None:
    to_frame = region.to_frame(192)
    within = np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])
    moved = crops.move(to_frame, turn, shift)
    assert moved == pytest.approx(compose(to_frame, within), rel=1e-9, abs=1e-6)


@given(REGIONS, st.floats(-100, 100), st.floats(-100, 100))
def test_a_shifted_crop_begins_at_its_corner(region: Region, x: float, y: float) -> None:
    to_frame = region.to_frame(192)
    within = np.array([[1.0, 0.0, x], [0.0, 1.0, y]])
    assert crops.shifted(to_frame, x, y) == pytest.approx(compose(to_frame, within), abs=1e-9)


@given(REGIONS, st.sampled_from([48, 128, 192]))
def test_a_region_is_found_again_from_its_matrix(region: Region, size: int) -> None:
    found = region_of(region.to_frame(size), size)
    assert (found.x, found.y) == pytest.approx((region.x, region.y), abs=1e-6)
    assert (found.size, found.angle) == pytest.approx((region.size, region.angle))
    assert found.mirrored == region.mirrored


def test_a_region_that_lies_on_its_side_is_found_from_its_matrix() -> None:
    found = region_of(np.array([[0.0, -2, 300], [2, 0, 100]]), 100)
    assert (found.x, found.y, found.size) == (200, 200, 200)
    assert found.angle == pytest.approx(math.pi / 2)
    assert not found.mirrored


def test_a_region_is_upright_and_no_mirror_image_unless_it_is_said() -> None:
    assert Region(1, 2, 3) == Region(1, 2, 3, 0.0, mirrored=False)


def test_distances_are_in_widths_of_the_region_itself() -> None:
    assert Region(10, 20, 50).distance(Region(40, 60, 999)) == 1.0
    assert Region(40, 60, 100).distance(Region(10, 20, 1)) == 0.5


# Matrices


def test_of_joined_matrices_the_inner_one_is_first() -> None:
    inner, outer = np.array([[2.0, 0, 1], [0, 3, 5]]), np.array([[0.0, -1, 7], [1, 0, 9]])
    x, y = 10.0, 100.0
    moved = 2 * x + 1, 3 * y + 5
    both = compose(outer, inner) @ (x, y, 1)
    assert both == pytest.approx([-moved[1] + 7, moved[0] + 9])


def test_joining_changes_neither() -> None:
    inner, outer = np.array([[2.0, 0, 1], [0, 3, 5]]), np.array([[0.0, -1, 7], [1, 0, 9]])
    compose(outer, inner)
    assert inner.tolist() == [[2, 0, 1], [0, 3, 5]]
    assert outer.tolist() == [[0, -1, 7], [1, 0, 9]]


def test_points_keep_their_shape_as_they_are_mapped() -> None:
    points = np.arange(24, dtype=np.float32).reshape(3, 4, 2)
    moved = transform(np.array([[2.0, 1, 10], [0, 3, 20]]), points)
    assert moved.shape == points.shape
    assert moved.dtype == np.float32
    assert moved[1, 2].tolist() == [2 * 12 + 13 + 10, 3 * 13 + 20]
    assert transform(np.array([[2.0, 1, 10], [0, 3, 20]]), points[1, 2]).tolist() == [47, 59]


# Fits


def test_a_fit_finds_turn_scale_and_shift() -> None:
    start = [0j, 10 + 0j, 3 + 7j]
    a, b = 0.6 + 1.2j, 30 - 5j
    fit = Similarity(start).fit([a * p + b for p in start])
    assert fit[0] == pytest.approx(a)
    assert fit[1] == pytest.approx(b)
    assert fit[2] == pytest.approx(0, abs=1e-9)


def test_what_a_fit_leaves_is_a_root_mean_square() -> None:
    """A square of which two opposite corners are 3 too far up and the others 3 too far down."""
    start = [0j, 10 + 0j, 10 + 10j, 10j]
    end = [p + sign * 3j for p, sign in zip(start, (1, -1, 1, -1), strict=True)]
    a, b, left = Similarity(start).fit(end)
    assert a == pytest.approx(1)
    assert b == pytest.approx(0)
    assert left == pytest.approx(3)


def test_a_fit_is_the_best_there_is() -> None:
    start, end = [0j, 4 + 0j, 4j], [1 + 1j, 5 + 2j, 0 + 5j]
    a, b, left = Similarity(start).fit(end)
    assert left == pytest.approx(_left(start, end, a, b))
    for nudge in (1e-3, -1e-3, 1e-3j, -1e-3j):
        assert _left(start, end, a + nudge, b) > left
        assert _left(start, end, a, b + nudge) > left


def _left(start: list[complex], end: list[complex], a: complex, b: complex) -> float:
    squares = [abs(a * p + b - q) ** 2 for p, q in zip(start, end, strict=True)]
    return float((sum(squares) / len(squares)) ** 0.5)


def test_points_that_all_coincide_have_no_fit() -> None:
    with pytest.raises(ZeroDivisionError):
        Similarity([1 + 1j] * 3)


def test_as_many_points_are_fitted_as_there_are() -> None:
    with pytest.raises(ValueError, match="zip"):
        Similarity([0j, 1 + 0j]).fit([0j])


# Crops


def shifted(x: float, y: float) -> Affine:
    """The matrix of a crop that begins there."""
    return np.array([[1.0, 0, x], [0, 1, y]])


def noise(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(3).integers(0, 256, shape, np.uint8)


def test_a_crop_of_a_colour_picture_is_its_pixels_as_rgb() -> None:
    pixels = noise(40, 60, 3)
    crop = Cropper(32, 16).rgb(Frame(0.0, pixels), shifted(5, 7), 0)
    assert crop.shape == (16, 32, 3)
    assert (crop == pixels[7:23, 5:37, ::-1]).all()


def test_a_crop_of_planes_is_that_of_the_picture() -> None:
    planes = noise(60, 60)
    crop = Cropper(32, 16).rgb(Frame(0.0, planes, "yuv420"), shifted(4, 6), cv2.BORDER_CONSTANT)
    whole = cv2.cvtColor(planes, cv2.COLOR_YUV2RGB_I420)
    assert whole.shape == (40, 60, 3)
    assert (crop == whole[6:22, 4:36]).all()


@pytest.mark.parametrize("layout", ["bgr", "yuv420"])
def test_beyond_the_picture_it_is_black(layout: str) -> None:
    pixels = np.full((40, 60, 3), 200, np.uint8)
    if layout == "yuv420":
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2YUV_I420)
    frame = Frame(0.0, pixels, layout)  # type: ignore[arg-type]
    crop = Cropper(32, 16).rgb(frame, shifted(1000, 0), cv2.BORDER_CONSTANT)
    assert crop.max() == 0


def test_a_crop_is_valid_until_the_next_call() -> None:
    cropper, pixels = Cropper(8, 8), noise(40, 60, 3)
    first = cropper.rgb(Frame(0.0, pixels), shifted(0, 0), 0)
    second = cropper.rgb(Frame(0.0, 255 - pixels), shifted(0, 0), 0)
    assert first is second
    assert (second == 255 - pixels[:8, :8, ::-1]).all()
