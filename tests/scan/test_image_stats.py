"""What images hold together."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastunet.scan.image_stats import measure_images


def measured(images, **how):
    options = {"size": None, "channels": None, "scaling": "auto", "sample": 100, "progress": False}
    return measure_images(images, **options | how)


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 5), channels=st.sampled_from([1, 3, 5]))
def test_mean_and_deviation_are_numpys_over_all_pixels(seed, count, channels):
    rng = np.random.default_rng(seed)
    images = [rng.integers(0, 256, (7, 5, channels), np.uint8) for _ in range(count)]
    found = measured(images, channels=channels)
    every = np.concatenate([image.reshape(-1, channels) for image in images]) / 255
    np.testing.assert_allclose(found.mean, every.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.std, every.std(axis=0), rtol=1e-12)


@pytest.mark.parametrize("value", [0, 1, 77, 255])
def test_a_channel_that_never_varies_is_divided_by_one(value):
    images = [np.full((9, 9, 1), value, np.uint8) for _ in range(7)]
    assert measured(images).std == (1.0,)


def test_some_of_many_images_are_looked_at_from_all_over_the_list():
    images = [np.full((4, 4, 1), i, np.uint8) for i in range(200)]
    found = measured(images, sample=10)
    np.testing.assert_allclose(found.mean[0], np.mean(range(0, 200, 20)) / 255)
