"""Outlines become masks, once, and exactly."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fastunet.errors import PairingError
from fastunet.pairs.formats.polygons import Shape, bitmap_of, draw

SQUARE = [2, 3, 12, 3, 12, 13, 2, 13]  # x, y of the corners: columns 2..11, rows 3..12


def square(value=1, size=(20, 30)) -> np.ndarray:
    mask = np.zeros(size, np.uint8)
    mask[3:13, 2:12] = value
    return mask


corner = st.floats(-15, 45, allow_nan=False)


@given(st.tuples(corner, corner), st.tuples(corner, corner), st.tuples(corner, corner))
def test_a_triangle_fills_the_pixels_whose_centres_it_holds(a, b, c):
    """Against the sign of the three edges; a tenth of a pixel around the outline may be either."""
    y, x = np.mgrid[0:20, 0:30] + 0.5
    edges = [((a, b), c), ((b, c), a), ((c, a), b)]
    inside, near = np.ones((20, 30), bool), np.zeros((20, 30), bool)
    for ((x0, y0), (x1, y1)), (xo, yo) in edges:
        length = np.hypot(x1 - x0, y1 - y0)
        if length < 1e-6:
            return
        distance = ((x1 - x0) * (y - y0) - (y1 - y0) * (x - x0)) / length
        other = ((x1 - x0) * (yo - y0) - (y1 - y0) * (xo - x0)) / length
        inside &= distance * np.sign(other) > 0
        along = ((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / length
        gap = np.hypot(distance, np.maximum(0, np.maximum(-along, along - length)))
        near |= gap < 0.3
    try:
        mask = draw([Shape(1, (np.array([a, b, c]),))], (20, 30))
    except PairingError:  # nothing of it lies in the picture
        assert not inside[~near].any()
        return
    if not inside.any():  # too small to hold a centre: the pixels that it runs through
        assert mask.any()
        return
    assert np.array_equal(mask[~near] > 0, inside[~near])


def test_a_polygon_that_leaves_the_picture_is_cut_off():
    mask = draw([Shape(1, (np.array([[-1e12, 5], [1e12, 5], [1e12, 9], [-1e12, 9]]),))], (20, 30))
    assert np.array_equal(np.flatnonzero(mask.any(1)), [5, 6, 7, 8])
    assert mask[5:9].all()


def test_small_objects_are_drawn_over_large_ones_and_void_below_all():
    large = np.array([[0, 0], [30, 0], [30, 20], [0, 20]])
    small = np.array(SQUARE).reshape(-1, 2)
    shapes = [Shape(2, (small,)), Shape(1, (large,)), Shape(255, (small,))]
    mask = draw(shapes, (20, 30))
    assert np.array_equal(mask, np.where(square() > 0, 2, 1))


def test_cocos_compressed_run_lengths_decode_as_pycocotools_encoded_them():
    expected = np.zeros((9, 14), bool)
    expected[2:7, 3:11] = True
    expected[4, 5:8] = False
    packed = {"size": [9, 14], "counts": "m05400MM030M030M0330000i0"}  # by pycocotools 2.0.11
    assert np.array_equal(bitmap_of(packed, (9, 14), ""), expected)


@given(st.data(), st.integers(1, 12), st.integers(1, 12))
def test_plain_run_lengths_go_down_the_columns(data, height, width):
    pixels = data.draw(st.lists(st.booleans(), min_size=height * width, max_size=height * width))
    expected = np.array(pixels).reshape(height, width)
    runs, current = [0], False
    for pixel in expected.T.ravel():
        if pixel != current:
            runs.append(0)
            current = pixel
        runs[-1] += 1
    rle = {"size": [height, width], "counts": runs}
    assert np.array_equal(bitmap_of(rle, (height, width), ""), expected)
