"""Any image file as an upright (H, W, C) array."""

import struct
import zlib

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from fastunet.errors import ImageReadError, SizeMismatchError
from fastunet.io.images import (
    image_sizes,
    orientation_of,
    read_image,
    refuse_not_finite,
)
from fastunet.masks.raw import read_mask

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (12, 20, 3), dtype=np.uint8)
GREY = RGB[..., 0]


@pytest.mark.parametrize(
    ("mode", "array", "shape"),
    [
        ("L", GREY, (12, 20, 1)),
        ("RGB", RGB, (12, 20, 3)),
        ("RGBA", np.dstack([RGB, GREY]), (12, 20, 3)),
        ("LA", np.dstack([GREY, GREY]), (12, 20, 3)),
    ],
)
def test_png_decodes_to_rgb_or_grey_and_drops_alpha(tmp_path, mode, array, shape):
    Image.fromarray(array).convert(mode).save(tmp_path / "x.png")
    image = read_image(tmp_path / "x.png")
    assert image.shape == shape
    assert image.dtype == np.uint8
    expected = {"L": GREY[..., None], "LA": GREY[..., None].repeat(3, 2)}.get(mode, RGB)
    np.testing.assert_array_equal(image, expected)


def test_sixteen_bits_are_kept(tmp_path):
    deep = RNG.integers(0, 65536, (8, 9), dtype=np.uint16)
    cv2.imwrite(str(tmp_path / "deep.png"), deep)
    np.testing.assert_array_equal(read_image(tmp_path / "deep.png")[..., 0], deep)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_as_pillow_applies_it(tmp_path, orientation):
    from PIL import ImageOps

    smooth = np.add.outer(np.arange(40), 2 * np.arange(64)).astype(np.uint8)
    exif = Image.Exif()
    exif[0x112] = orientation
    Image.fromarray(smooth).save(tmp_path / "x.jpg", exif=exif, quality=100)
    with Image.open(tmp_path / "x.jpg") as file:
        expected = np.asarray(ImageOps.exif_transpose(file))
    image = read_image(tmp_path / "x.jpg")[..., 0]
    assert image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).max() <= 2  # two JPEG decoders
    assert read_image(tmp_path / "x.jpg", upright=False).shape[:2] == (40, 64)


NUMBERS = [bool, "u1", "i1", "u2", ">u2", "i2", "u4", "i4", "f2", "f4", ">f4", "f8"]


def numbers(dtype, shape):
    return RNG.integers(0, 2 if dtype is bool else 100, shape).astype(dtype)


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("suffix", [".npy", ".tif"])
def test_numbers_of_any_depth_are_kept(tmp_path, suffix, dtype):
    pixels = numbers(dtype, (10, 11))
    if suffix == ".npy":
        np.save(tmp_path / "x.npy", pixels)
    else:
        order = pixels.dtype.byteorder if pixels.dtype.byteorder in "<>" else None
        tifffile.imwrite(tmp_path / "x.tif", pixels, byteorder=order, photometric="minisblack")
    image = read_image(tmp_path / f"x{suffix}")
    expected = pixels * np.uint8(255) if dtype is bool else pixels
    np.testing.assert_array_equal(image[..., 0], expected)
    assert image.dtype.isnative
    assert cv2.resize(image.astype(np.float32), (4, 4)).shape == (4, 4)


def test_arrays_may_hold_their_channels_first(tmp_path):
    pixels = RNG.random((40, 50, 6))
    for name, array in (("last", pixels), ("first", np.moveaxis(pixels, 2, 0))):
        np.save(tmp_path / f"{name}.npy", array)
        np.testing.assert_array_equal(read_image(tmp_path / f"{name}.npy"), pixels)
        assert image_sizes(tmp_path / f"{name}.npy")[0] == (40, 50)


def test_what_is_not_a_number_is_passed_on(tmp_path):
    pixels = np.array([[1.0, np.nan], [np.inf, 0.0]], np.float32)
    np.save(tmp_path / "x.npy", pixels)
    tifffile.imwrite(tmp_path / "x.tif", pixels)
    for suffix in ("npy", "tif"):
        np.testing.assert_array_equal(read_image(tmp_path / f"x.{suffix}")[..., 0], pixels)


def test_channels_of_several_files_are_stacked_in_their_order(tmp_path):
    paths = [tmp_path / "rgb.png", tmp_path / "nir.png"]
    Image.fromarray(RGB).save(paths[0])
    Image.fromarray(GREY).save(paths[1])
    expected = np.dstack([RGB, GREY])
    np.testing.assert_array_equal(read_image(paths), expected)


def test_channel_files_of_different_sizes_are_named(tmp_path):
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    Image.fromarray(GREY).save(paths[0])
    Image.fromarray(GREY[:-2]).save(paths[1])
    with pytest.raises(SizeMismatchError, match=r"a\.png has 12x20 .*b\.png 10x20"):
        read_image(paths)


# --- sizes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", [1, 3, 5, 6, 8])
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_sizes_are_those_of_the_pixels_upright_and_as_stored(tmp_path, suffix, orientation):
    exif = Image.Exif()
    exif[0x112] = orientation
    path = tmp_path / f"x.{suffix}"
    Image.fromarray(RGB).save(path, exif=exif)
    assert image_sizes(path) == (
        read_image(path).shape[:2],
        read_image(path, upright=False).shape[:2],
    )


def test_sizes_are_known_of_a_file_whose_pixels_are_cut_off(tmp_path):
    big = RNG.integers(0, 256, (200, 300, 3), dtype=np.uint8)
    Image.fromarray(big).save(tmp_path / "x.png")
    data = (tmp_path / "x.png").read_bytes()
    (tmp_path / "x.png").write_bytes(data[:500])
    assert image_sizes(tmp_path / "x.png") == ((200, 300), (200, 300))


@pytest.mark.parametrize("name", ["x.png", "x.tif", "x.npy", "x.jpg"])
@pytest.mark.parametrize("content", [b"", b"rubbish", None])
def test_files_without_a_header_are_named(tmp_path, name, content):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    for read in (image_sizes, read_image):
        with pytest.raises(ImageReadError, match=rf"{name}: "):
            read(tmp_path / name)


def huge_png(path, side):
    """A black one-bit PNG, written line by line."""

    def chunk(kind, data):
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    pack = zlib.compressobj(1)
    line = bytes(1 + -(-side // 8))
    pixels = b"".join(pack.compress(line) for _ in range(side)) + pack.flush()
    data = chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    return path


def test_what_opencv_cannot_hold_is_to_be_cut_into_parts(tmp_path):
    path = huge_png(tmp_path / "x.png", 33_000)
    message = r"x\.png: 33000x33000 pixels are 1,089 million; up to 1,074 million .* into parts"
    with pytest.raises(ImageReadError, match=message):
        read_image(path)
    with pytest.raises(ImageReadError, match=message):
        read_mask(path)
    assert image_sizes(path)[0] == (33_000, 33_000)


def test_a_mask_above_pillows_limit_is_read_as_its_image_is(tmp_path):
    path = huge_png(tmp_path / "x.png", 13_500)  # 182 million pixels
    assert read_image(path).shape == (13_500, 13_500, 1)
    assert read_mask(path).codes.shape == (13_500, 13_500)


@pytest.mark.parametrize("name", ["x.png", "x.jpg"])
def test_a_file_that_is_cut_short_is_named(tmp_path, name):
    big = RNG.integers(0, 256, (200, 200, 3), dtype=np.uint8)
    Image.fromarray(big).save(tmp_path / name)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(ImageReadError, match=rf"{name}.*cut short or not an image"):
        read_image(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("no.png", None, "cannot be opened"),
        ("empty.png", b"", "0 bytes"),
        ("text.png", b"hello", "not an image"),
        ("x.npy", b"\x93NUMPY garbage", "x.npy"),
    ],
)
def test_what_is_no_image_is_named(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ImageReadError, match=message):
        read_image(tmp_path / name)


def test_several_arrays_in_one_file_are_no_image(tmp_path):
    with (tmp_path / "x.npy").open("wb") as file:
        np.savez(file, a=GREY, b=GREY)
    with pytest.raises(ImageReadError, match="several arrays"):
        read_image(tmp_path / "x.npy")
    np.save(tmp_path / "y.npy", np.zeros((0, 3)))
    with pytest.raises(ImageReadError, match=r"y\.npy"):
        read_image(tmp_path / "y.npy")


def test_a_pickled_array_is_not_opened(tmp_path):
    np.save(tmp_path / "x.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ImageReadError, match="safely"):
        read_image(tmp_path / "x.npy")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_pixels_that_are_no_numbers_are_refused_with_their_place(value):
    image = np.zeros((4, 5, 2), np.float64)
    refuse_not_finite(image, "x.npy")
    image[2, 3, 1] = image[3, 0, 0] = value
    message = r"x\.npy: NaN or infinity in 2 of 20 pixels, the first in row 2, column 3.*leave"
    with pytest.raises(ImageReadError, match=message):
        refuse_not_finite(image, "x.npy")


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_the_orientation_is_known_from_the_header(tmp_path, suffix):
    exif = Image.Exif()
    exif[0x112] = 6
    Image.fromarray(RGB).save(tmp_path / f"x.{suffix}", exif=exif)
    Image.fromarray(RGB).save(tmp_path / f"y.{suffix}")
    assert orientation_of(tmp_path / f"x.{suffix}") == 6
    assert orientation_of([tmp_path / f"y.{suffix}", tmp_path / f"x.{suffix}"]) == 1
    exif[0x112] = 77  # means nothing
    Image.fromarray(RGB).save(tmp_path / f"z.{suffix}", exif=exif)
    assert orientation_of(tmp_path / f"z.{suffix}") == 1
