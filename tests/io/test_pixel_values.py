"""What the numbers in images mean."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastunet.io.pixel_values import ImageValues, nodata_values, read_values

RNG = np.random.default_rng(0)


def picture(low, high, dtype="f4", size=(20, 30)):
    """A ramp from `low` to `high`."""
    return np.linspace(low, high, size[0] * size[1]).reshape(*size, 1).astype(dtype)


def with_corner(image, value):
    """8 of 600 pixels without data."""
    image = image.copy()
    image[:2, :4] = value
    return image


@pytest.mark.parametrize(
    ("image", "value"),
    [
        (picture(0, 1), -9999),
        (picture(0, 1), -3.4028234663852886e38),
        (picture(0, 1), 9.969209968386869e36),  # netCDF
        (picture(0, 1), 9999),
        (picture(0, 10_000, "i2"), -9999),  # reflectances times 10,000
        (picture(-50, 8848, "i2"), -32_768),  # heights
        (picture(0, 3000, "i2"), -999),
        (picture(0, 1, "f8"), -5555),
        (picture(5, 5), -9999),
    ],
)
def test_one_value_far_away_from_all_others_is_no_data(image, value):
    assert nodata_values(with_corner(image, value)) == {float(np.array(value, image.dtype)): 8}
    assert nodata_values(image) == {}


@pytest.mark.parametrize(
    "image",
    [
        picture(-1, 1),  # an index of vegetation
        picture(-10_000, 10_000, "i2"),  # the same times 10,000: -9999 is a value among others
        with_corner(picture(-1024, 3071, "i2"), -2000),  # the padding of a scanner
        with_corner(picture(0, 300, "i2"), 32_767),  # saturated
        with_corner(picture(0, 0.01), 1),  # bright objects
        with_corner(picture(1000, 3000, "u2"), 65_535),  # bright, unless the file says otherwise
        with_corner(picture(100, 200, "u1"), 0),
        np.float32([[0, 0, 1, 1]])[..., None],
        np.full((4, 5, 1), -1, np.float32),
    ],
)
def test_what_may_be_a_measurement_stays_one(image):
    assert nodata_values(image) == {}


def test_a_file_may_state_its_value():
    deep = with_corner(picture(1000, 3000, "u2"), 65_535)
    assert nodata_values(deep, stated=65_535) == {65_535: 8}
    assert nodata_values(deep, stated=-9999) == {}  # which the type cannot hold
    assert nodata_values(picture(0, 1), stated=float("nan")) == {}


def test_two_values_of_no_data_are_both_found():
    image = with_corner(picture(0, 1), -9999)
    image[5, :3] = -3.4028234663852886e38
    assert set(nodata_values(image).values()) == {8, 3}


def test_an_image_without_any_data_has_no_range():
    values = ImageValues.of(np.full((4, 5, 1), -9999, np.float32), "x.npy")
    assert values.nodata == {-9999: 20}
    assert np.isnan(values.high)


@given(
    low=st.floats(-1e4, 1e4, width=32),
    span=st.floats(0.125, 1e4, width=32),
    dtype=st.sampled_from(["f4", "f8"]),
)
def test_a_picture_without_gaps_has_data_everywhere(low, span, dtype):
    assert nodata_values(picture(low, low + span, dtype)) == {}


# --- types and ranges -----------------------------------------------------------------------------


def of(*images):
    return [ImageValues.of(image, f"{number}.png") for number, image in enumerate(images)]


EIGHT, SIXTEEN = picture(10, 230, "u1"), picture(2570, 59_110, "u2")
TWELVE = picture(160, 3680, "u2")


@pytest.mark.parametrize(
    ("images", "full_scale"),
    [
        ([EIGHT, EIGHT, SIXTEEN], {"uint8": 255, "uint16": 65_535}),
        ([TWELVE, TWELVE, EIGHT], {"uint16": 4095, "uint8": 255}),
        ([EIGHT, EIGHT, EIGHT.astype("u2")], {"uint8": 255, "uint16": 255}),  # saved as 16 bits
        ([EIGHT, EIGHT, EIGHT.astype("f4")], {"uint8": 255, "float32": 255}),
        ([EIGHT, EIGHT, (EIGHT / 255).astype("f4")], {"uint8": 255, "float32": 1}),
        ([SIXTEEN, SIXTEEN, (SIXTEEN / 65_535).astype("f8")], {"uint16": 65_535, "float64": 1}),
    ],
)
def test_each_type_has_the_full_scale_that_makes_the_pictures_alike(images, full_scale):
    reading = read_values(of(*images))
    assert reading.full_scale == full_scale
    assert not reading.question
    assert "2.png differs from the most" in reading.warning
    assert reading.odd == ("2.png",)


def test_measurements_in_several_types_keep_their_numbers():
    heights = picture(-50, 900, "i2")
    reading = read_values(of(heights, heights, heights.astype("f4")))
    assert len(set(reading.full_scale.values())) == 1
    assert "mean the same" in reading.warning


@pytest.mark.parametrize(
    "images",
    [
        [EIGHT, picture(-1, 1)],  # colours and an index
        [
            EIGHT,
            EIGHT,
            with_corner(picture(10, 400, "u2", (60, 60)), 65_535),
        ],  # dark but for few pixels
    ],
)
def test_types_that_fit_in_no_way_are_a_question_with_its_answers(images):
    reading = read_values(of(*images))
    assert 'scaling="dtype"' in reading.question
    assert 'scaling="percentile"' in reading.question
    for answer in ("dtype", "percentile"):
        assert not read_values(of(*images), answer).question


def test_floats_up_to_1_among_floats_up_to_255_are_a_question():
    reading = read_values(of(*[picture(0, 1)] * 3, *[picture(0, 250)] * 2))
    assert "3 reach to 1 and 2 to 250" in reading.question
    assert "3.png, 4.png against 0.png" in reading.question
    assert not read_values(of(picture(0, 1), picture(0, 250)), "percentile").question


def test_two_ranges_of_one_type_are_told():
    reading = read_values(of(TWELVE, TWELVE, SIXTEEN, SIXTEEN))
    assert "2 reach to 3680 and 2 to 59110, none in between" in reading.warning


@pytest.mark.parametrize(
    "images",
    [
        [picture(0, high, "u2") for high in (500, 2000, 9000, 40_000)],  # several exposures
        [picture(0, high) for high in (0.5, 3, 12, 40)],  # rain in millimetres
        [SIXTEEN, SIXTEEN, picture(0, 0, "u2")],  # one empty
        [picture(0, high, "u1") for high in (2, 3, 250, 255)],  # night and day
    ],
)
def test_images_that_differ_in_brightness_are_no_question(images):
    reading = read_values(of(*images))
    assert (reading.question, reading.warning) == ("", "")
