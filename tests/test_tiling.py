"""Where tiles lie."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fastunet.tiling import grid, pad, starts

SIDES = st.integers(1, 200)


@given(st.tuples(SIDES, SIDES), st.tuples(SIDES, SIDES), st.floats(0, 0.9))
def test_tiles_lie_inside_and_their_own_parts_cover_each_pixel_once(size, tile, overlap):
    seen = np.zeros(size, int)
    for top, left, bottom, right in grid(size, tile, overlap):
        assert bottom - top <= tile[0]
        assert right - left <= tile[1]
        assert top + tile[0] <= max(size[0], tile[0])
        assert left + tile[1] <= max(size[1], tile[1])
        seen[top:bottom, left:right] += 1
    assert (seen == 1).all()


@given(SIDES, st.integers(2, 50), st.floats(0, 0.8))
def test_neighbours_overlap_as_much_as_was_asked_for(length, tile, overlap):
    begin = starts(length, tile, overlap)
    step = max(1, tile * (1 - overlap))
    assert all(b - a <= step + 1 for a, b in pairwise(begin))


def test_padding_continues_a_picture_by_its_mirror_image():
    image = np.arange(6, dtype=np.uint8).reshape(1, 2, 3)
    padded = pad(image, (2, 1))
    assert padded.shape == (3, 3, 3)
    np.testing.assert_array_equal(padded[0, 2], image[0, 0])
    assert pad(np.zeros((4, 4, 13), np.float32), (1, 1)).shape == (5, 5, 13)
