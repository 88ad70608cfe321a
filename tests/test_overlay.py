"""How an image and its mask are drawn."""

import numpy as np
import pytest

from fastunet.labels import VOID
from fastunet.masks.codec import MaskCodec
from fastunet.overlay import INVENTED, MISSED, WRONG, error_layer, overlay, picture

RAMP = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)


def bands(n: int, dtype=np.float32) -> np.ndarray:
    """Band i is a ramp of 1, 2, 4, ... levels, so that each looks different."""
    image = np.dstack([np.floor(RAMP * (i + 2)) / (i + 2) for i in range(n)])
    return (image * (255 if dtype == np.uint8 else 1)).astype(dtype)


def most_like(shown: np.ndarray, image: np.ndarray) -> tuple[int, ...]:
    """The band of `image` that each channel of a picture shows."""
    flat = image.reshape(-1, image.shape[2]).T
    return tuple(
        int(np.argmax([np.corrcoef(shown[..., i].ravel(), band)[0, 1] for band in flat]))
        for i in range(3)
    )


@pytest.mark.parametrize(
    ("channels", "chosen"), [(2, (0, 0, 0)), (5, (0, 1, 2)), (12, (3, 2, 1)), (13, (3, 2, 1))]
)
def test_of_many_bands_sensible_ones_are_shown(channels, chosen):
    image = bands(channels)
    assert most_like(picture(image), image) == chosen


def test_other_bands_are_shown_where_the_user_names_them():
    image = bands(6)
    assert most_like(picture(image, (5,)), image) == (5, 5, 5)
    assert most_like(picture(image, (4, 0, 2)), image) == (4, 0, 2)


def test_eight_bit_colour_is_shown_as_it_is():
    image = bands(3, np.uint8)
    np.testing.assert_array_equal(picture(image), image)


def test_pixels_that_are_no_numbers_do_not_spoil_the_picture():
    image = bands(4)
    image[0, 0] = np.nan
    clean = picture(bands(4))
    assert np.abs(picture(image)[1:].astype(int) - clean[1:]).max() < 20


def test_void_is_white_over_the_image_and_a_black_class_is_left_clear():
    codec = MaskCodec(("off", "on"), (0, 255))
    image = np.full((2, 2, 3), 100, np.uint8)
    shown = overlay(image, np.array([[0, 1], [VOID, 0]], np.uint8), codec)
    assert (shown[0, 0] == 100).all()
    assert (shown[1, 0] == 177).all()
    assert (shown[0, 1] != 100).any()


def test_of_many_classes_all_are_painted():
    codec = MaskCodec(("sky", "tree", "road"), (0, 1, 2))
    shown = overlay(np.full((1, 3, 3), 100, np.uint8), np.array([[0, 1, 2]], np.uint8), codec)
    assert (shown != 100).any(axis=2).all()


def test_errors_of_two_classes_are_missed_or_invented_and_void_is_none():
    codec = MaskCodec(("off", "on"), (0, 255))
    truth, prediction = np.array([[1, 0, 1, 0, VOID]], np.uint8), np.array([[1, 0, 0, 1, 1]])
    found, nothing, missed, invented, void = error_layer(truth, prediction, codec)[0]
    assert tuple(missed[:3]) == MISSED
    assert tuple(invented[:3]) == INVENTED
    assert found[0] > nothing[0]
    assert void[3] == 0


def test_errors_of_many_classes_are_of_one_colour():
    codec = MaskCodec(("sky", "tree", "road"), (0, 1, 2))
    truth, prediction = np.array([[0, 1, 2]], np.uint8), np.array([[0, 2, 1]], np.uint8)
    shown = error_layer(truth, prediction, codec)[0]
    assert [tuple(pixel[:3]) == WRONG for pixel in shown] == [False, True, True]
