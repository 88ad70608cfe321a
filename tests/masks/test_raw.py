"""A mask file as codes: one integer per pixel, whatever the file's encoding."""

import sys

import cv2
import numpy as np
import pytest
from PIL import Image

from fastunet.errors import ImageReadError, MaskValueError
from fastunet.masks.codes import CodeKind
from fastunet.masks.raw import read_mask

RNG = np.random.default_rng(0)
CLASSES = RNG.integers(0, 5, (20, 30))
ONE_HOT = np.eye(5)[CLASSES]


@pytest.mark.parametrize("suffix", [".npy", ".tif"])
@pytest.mark.parametrize(
    "dtype", ["uint8", "uint16", ">u2", "int8", "int16", "int32", "int64", "f4", "f8"]
)
def test_whole_numbers_of_any_type_are_values(tmp_path, suffix, dtype, saved):
    byteorder = ">" if dtype[0] == ">" else "<"
    options = {"byteorder": byteorder} if suffix == ".tif" else {}
    path = saved(tmp_path / f"m{suffix}", CLASSES.astype(dtype), **options)
    raw = read_mask(path)
    assert raw.kind is CodeKind.VALUE
    np.testing.assert_array_equal(raw.codes, CLASSES)


@pytest.mark.parametrize("suffix", [".npy", ".tif"])
def test_values_may_be_below_zero(tmp_path, suffix, saved):
    path = saved(tmp_path / f"m{suffix}", CLASSES.astype(np.int8) - 1)
    assert read_mask(path).codes.min() == -1


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
def test_one_bit_files_hold_two_values(tmp_path, suffix):
    Image.fromarray(CLASSES > 2).save(tmp_path / f"m.{suffix}")
    codes = read_mask(tmp_path / f"m.{suffix}").codes
    np.testing.assert_array_equal(codes > 0, CLASSES > 2)


def test_three_bands_of_bytes_at_0_and_255_are_colours(tmp_path, saved):
    path = saved(tmp_path / "m.npy", (ONE_HOT[..., :3] * 255).astype(np.uint8))
    assert read_mask(path).kind is CodeKind.COLOUR


def test_grey_that_is_stored_three_times_is_values(tmp_path, saved):
    path = saved(tmp_path / "m.npy", CLASSES[..., None].repeat(3, 2).astype(np.uint16) * 1000)
    np.testing.assert_array_equal(read_mask(path).codes, CLASSES * 1000)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (CLASSES / 4, r"fractions \(0\.\.1\)"),
        (np.where(CLASSES, np.nan, 1.0), "NaN or infinite"),
        (np.ones((20, 30, 5), bool), "600 pixels are set in several of the 5 bands"),
        (RNG.random((20, 30, 5)), r"one band per class with 0 and 1"),
        (np.zeros((2, 3, 4, 5)), "is not a mask"),
        (np.zeros((4, 5), complex), "is not a mask"),
    ],
)
def test_an_array_that_is_no_mask_is_named(tmp_path, array, message, saved):
    with pytest.raises(MaskValueError, match=rf"m\.npy: .*{message}"):
        read_mask(saved(tmp_path / "m.npy", array))


@pytest.mark.parametrize("name", ["no.png", "no.npy", "no.tif"])
def test_a_missing_mask_is_named(tmp_path, name):
    with pytest.raises(ImageReadError, match=name):
        read_mask(tmp_path / name)


def test_a_16_bit_tiff_mask_needs_no_tifffile(tmp_path, monkeypatch):
    cv2.imwrite(str(tmp_path / "m.tif"), CLASSES.astype(np.uint16) * 1000)
    monkeypatch.setitem(sys.modules, "tifffile", None)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.tif").codes, CLASSES * 1000)


def test_a_mask_above_pillows_limit_is_read(tmp_path, monkeypatch):
    Image.fromarray(CLASSES.astype(np.uint8)).save(tmp_path / "m.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png").codes, CLASSES)
    assert Image.MAX_IMAGE_PIXELS == 100
