"""A large image tile by tile."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fastunet.inference.sliding_window import blend_tiles

SIDES = st.integers(1, 70)


def first_channel(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels[..., :1]).permute(0, 3, 1, 2).float()


@given(st.tuples(SIDES, SIDES), st.tuples(st.integers(4, 40), st.integers(4, 40)))
def test_what_does_not_depend_on_the_surroundings_comes_out_as_from_the_whole(size, tile):
    image = np.random.default_rng(0).random((*size, 2), np.float32)
    scores = blend_tiles(first_channel, image, tile)
    assert scores.shape == (1, 1, *size)
    np.testing.assert_allclose(scores[0, 0], image[..., 0], atol=1e-5)


def test_the_network_sees_nothing_but_tiles_of_its_size():
    shapes = set()

    def look(pixels):
        shapes.add(pixels.shape[1:])
        return first_channel(pixels)

    blend_tiles(look, np.zeros((100, 130, 3), np.uint8), (32, 48))
    assert shapes == {(32, 48, 3)}


def test_there_is_no_seam_where_tiles_that_disagree_meet():
    calls = iter(range(100))

    def disagree(pixels):
        return torch.stack([torch.full((1, 32, 32), float(next(calls) % 2)) for _ in pixels])

    scores = blend_tiles(disagree, np.zeros((32, 200, 1), np.uint8), (32, 32), overlap=0.5)[0, 0]
    assert np.abs(np.diff(scores[16].numpy())).max() == pytest.approx(0, abs=0.13)
