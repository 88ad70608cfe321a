"""How many channels an image has, and in which number type."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fastunet.errors import ImageReadError
from fastunet.io.channels import channels_last, full_scale, is_grey, plain, with_channels

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (12, 20, 3), dtype=np.uint8)
GREY = RGB[..., 0]


@pytest.mark.parametrize(
    ("shape", "expected"), [((3, 40, 50), (40, 50, 3)), ((40, 50, 3), (40, 50, 3))]
)
def test_channels_come_last_where_the_first_side_is_by_far_the_shortest(shape, expected):
    assert channels_last(np.zeros(shape)).shape == expected


@pytest.mark.parametrize(
    ("dtype", "expected"), [(bool, "uint8"), ("f2", "float32"), (">u2", "uint16"), ("u1", "uint8")]
)
def test_a_plain_image_has_three_axes_and_a_type_that_opencv_resizes(dtype, expected):
    image = plain(np.ones((8, 9), dtype).T)
    assert image.shape == (9, 8, 1)
    assert image.dtype == expected
    assert image.flags.c_contiguous
    assert image.max() == (255 if dtype is bool else 1)
    assert cv2.resize(image, (4, 4)).shape == (4, 4)


def test_grey_is_seen_through_rgb():
    assert is_grey(GREY[..., None])
    assert is_grey(GREY[..., None].repeat(3, 2))
    assert not is_grey(RGB)


def test_colour_becomes_grey_as_opencv_makes_it():
    ours = with_channels(RGB, 1)[..., 0].astype(int)
    assert np.abs(ours - cv2.cvtColor(RGB, cv2.COLOR_RGB2GRAY)).max() <= 1


def test_other_channel_counts_are_refused():
    with pytest.raises(ImageReadError, match=r"x\.png: 5 channels were found where 3"):
        with_channels(np.zeros((4, 4, 5), np.uint8), 3, "x.png")
    with pytest.raises(ImageReadError, match=r"Do they come first\? np.moveaxis"):
        with_channels(np.zeros((3, 40, 50), np.uint8), 3)


@given(hnp.arrays(np.uint16, st.tuples(st.just(3), st.just(4), st.just(1))))
def test_sixteen_to_eight_bits_rounds(deep):
    np.testing.assert_array_equal(full_scale(deep, "uint8"), np.floor(deep / 65535 * 255 + 0.5))
    np.testing.assert_allclose(full_scale(deep, "float"), deep / 65535, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_floats_of_either_full_scale_become_eight_bits(dtype):
    image = RGB.copy()
    image[0, 0] = 255
    np.testing.assert_array_equal(full_scale(image.astype(dtype), "uint8"), image)
    unit = (image / 255).astype(dtype)
    assert np.abs(full_scale(unit, "uint8").astype(int) - image).max() <= (dtype == "f2")
    slightly_above = unit * np.array(1.0005, dtype)  # as resampling leaves it
    assert np.abs(full_scale(slightly_above, "uint8").astype(int) - image).max() <= 1


@pytest.mark.parametrize("dtype", ["u4", "i4", "i8"])
def test_eight_bit_pixels_in_wide_integers_stay_what_they_are(dtype):
    np.testing.assert_array_equal(full_scale(RGB.astype(dtype), "uint8"), RGB)


@pytest.mark.parametrize(
    "pixels",
    [
        np.float32([-2.1, 2.3]),  # normalised
        np.float32([0, 4095]),
        np.int32([0, 4095]),
        np.int16([-1000, 3000]),
    ],
)
def test_values_of_an_unknown_full_scale_are_refused(pixels):
    with pytest.raises(ImageReadError, match=r"x\.npy: .*8-bit ones are expected. Scale it to"):
        full_scale(pixels[None, :, None], "uint8", "x.npy")
