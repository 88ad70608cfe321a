"""Pixels at another size."""

import cv2
import numpy as np
import pytest

from fastunet.io.resizing import resize


@pytest.mark.parametrize("channels", [1, 3, 4, 5, 13])
@pytest.mark.parametrize(("size", "how"), [((5, 8), cv2.INTER_AREA), ((40, 60), cv2.INTER_LINEAR)])
def test_any_number_of_channels_is_resized_as_each_of_them_alone(channels, size, how):
    image = np.random.default_rng(0).integers(0, 256, (20, 30, channels), dtype=np.uint8)
    expected = [cv2.resize(image[..., i], size[::-1], interpolation=how) for i in range(channels)]
    np.testing.assert_array_equal(resize(image, size), np.stack(expected, axis=2))


def test_an_image_of_the_size_is_the_image_itself():
    image = np.zeros((20, 30, 3), np.uint8)
    assert resize(image, (20, 30)) is image
