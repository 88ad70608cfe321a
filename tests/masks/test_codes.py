"""Codes: one integer for each value or colour of a mask."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fastunet.masks.codes import NOWHERE, CodeKind, colour_codes, parse_value, pixel_counts, runs


@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2).map(lambda s: (*s, 4))))
def test_colour_codes_are_the_bytes_of_the_colour(rgba):
    r, g, b, a = np.moveaxis(rgba.astype(np.int64), -1, 0)
    opaque = (r << 16) + (g << 8) + b
    np.testing.assert_array_equal(colour_codes(rgba[..., :3]), opaque)
    expected = np.where(a == 0, 255 << 24, opaque + ((255 - a) << 24))
    np.testing.assert_array_equal(colour_codes(rgba), expected)


@given(hnp.arrays(np.int32, hnp.array_shapes(min_dims=2, max_dims=2), elements={"max_value": 3}))
def test_runs_and_counts_hold_every_pixel(codes):
    of_run, lengths = runs(codes)
    np.testing.assert_array_equal(np.repeat(of_run, lengths), codes.ravel())
    assert (of_run[1:] != of_run[:-1]).all()
    values, counts = np.unique(codes, return_counts=True)
    assert pixel_counts(codes) == dict(zip(values.tolist(), counts.tolist(), strict=True))


@pytest.mark.parametrize("written", [11, "11", np.uint8(11)])
def test_values_can_be_written_as_numbers_or_text(written):
    assert parse_value(written) == (11, CodeKind.VALUE)
    assert parse_value("-1") == (-1, CodeKind.VALUE)


@pytest.mark.parametrize("written", ["#ff0001", (255, 0, 1), "#ff0001ff"])
def test_colours_can_be_written_in_hexadecimal_or_as_channels(written):
    assert parse_value(written) == (0xFF0001, CodeKind.COLOUR)


@given(st.integers(0, 0xFFFFFFFF))
def test_a_colour_is_read_as_it_was_shown(code):
    shown = CodeKind.COLOUR.format(code)
    expected = 0xFF000000 if code >> 24 == 255 else code
    assert parse_value(shown) == (expected, CodeKind.COLOUR)


@given(st.integers(-300, 70_000))
def test_a_value_becomes_a_grey_and_a_value_again_where_it_fits_a_byte(value):
    grey = CodeKind.VALUE.convert(value, CodeKind.COLOUR)
    assert (grey == NOWHERE) == (not 0 <= value < 256)
    if grey != NOWHERE:
        assert CodeKind.COLOUR.convert(grey, CodeKind.VALUE) == value
    assert CodeKind.COLOUR.convert(0xFF0000, CodeKind.VALUE) == NOWHERE


def test_colours_are_as_far_apart_as_their_farthest_channel():
    away = CodeKind.COLOUR.distances([0x000000, 0x102030, 0x101010], 0x101010)
    assert away.tolist() == [16, 32, 0]
    assert CodeKind.VALUE.distances([0, 300], 255).tolist() == [255, 45]
    assert CodeKind.VALUE.distances([], 255).tolist() == []
