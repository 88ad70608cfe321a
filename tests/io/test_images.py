"""Any image file as an upright (H, W, C) array."""

import struct
import sys
import zlib

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from fastunet.errors import ImageReadError, SizeMismatchError
from fastunet.io.channels import full_scale, is_grey, with_channels
from fastunet.io.images import (
    as_stored,
    image_sizes,
    orientation_of,
    read_image,
    refuse_not_finite,
    upright_from,
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


@pytest.mark.parametrize("bands", [2, 3, 4, 5, 12])
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
@pytest.mark.parametrize(
    ("axis", "options"),
    [(0, {}), (0, {"planarconfig": "separate"}), (2, {"planarconfig": "contig"})],
    ids=["pages", "planar", "contiguous"],
)
def test_every_band_of_a_tiff_is_read_however_it_is_stored(tmp_path, bands, dtype, axis, options):
    pixels = numbers(dtype, (10, 11, bands))
    stored = np.moveaxis(pixels, 2, axis)
    tifffile.imwrite(tmp_path / "x.tif", stored, photometric="minisblack", **options)
    np.testing.assert_array_equal(read_image(tmp_path / "x.tif"), pixels)
    assert image_sizes(tmp_path / "x.tif") == ((10, 11), (10, 11))


@pytest.mark.parametrize("dtype", ["u1", "u2"])
@pytest.mark.parametrize("colour", ["rgb", "minisblack"])
@pytest.mark.parametrize("extra", ["unassalpha", "unspecified"])
def test_the_last_band_of_a_tiff_is_dropped_only_if_it_is_alpha(tmp_path, dtype, colour, extra):
    pixels = numbers(dtype, (10, 11, 4 if colour == "rgb" else 2))
    options = {"photometric": colour, "planarconfig": "contig", "extrasamples": [extra]}
    tifffile.imwrite(tmp_path / "x.tif", pixels, **options)
    expected = pixels[..., :-1] if extra == "unassalpha" else pixels
    np.testing.assert_array_equal(read_image(tmp_path / "x.tif"), expected)


@pytest.mark.parametrize("bands", [2, 5, 13])
def test_an_array_saved_by_tifffile_without_a_word_on_its_axes_is_read_as_it_was(tmp_path, bands):
    pixels = np.random.default_rng(0).integers(0, 60_000, (40, 48, bands), dtype=np.uint16)
    tifffile.imwrite(tmp_path / "last.tif", pixels)  # a page for each row
    tifffile.imwrite(tmp_path / "first.tif", np.moveaxis(pixels, -1, 0))  # a page for each band
    for name in ("last.tif", "first.tif"):
        np.testing.assert_array_equal(read_image(tmp_path / name), pixels)
        assert image_sizes(tmp_path / name) == ((40, 48), (40, 48))


def test_previews_in_a_tiff_are_no_channels(tmp_path):
    with tifffile.TiffWriter(tmp_path / "x.tif") as file:
        file.write(GREY, photometric="minisblack")
        file.write(GREY[::2, ::2].copy(), photometric="minisblack")
    np.testing.assert_array_equal(read_image(tmp_path / "x.tif")[..., 0], GREY)


def test_a_stack_of_colour_pages_is_its_first_page(tmp_path):
    tifffile.imwrite(tmp_path / "x.tif", np.stack([RGB, RGB[::-1]]), photometric="rgb")
    np.testing.assert_array_equal(read_image(tmp_path / "x.tif"), RGB)


@pytest.mark.parametrize("bands", [1, 5])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_tiff_is_turned_upright_by_whatever_reads_it(tmp_path, orientation, bands):
    pixels = RNG.integers(0, 256, (10, 14, bands), dtype=np.uint8)
    options = {"photometric": "minisblack", "extratags": [(0x112, "H", 1, orientation, True)]}
    if bands == 1:
        tifffile.imwrite(tmp_path / "x.tif", pixels[..., 0], **options)
    else:
        tifffile.imwrite(tmp_path / "x.tif", pixels, planarconfig="contig", **options)
    image = read_image(tmp_path / "x.tif")
    np.testing.assert_array_equal(image, upright_from(pixels, orientation))
    assert image_sizes(tmp_path / "x.tif")[0] == image.shape[:2]


def test_many_bands_say_how_to_install_what_reads_them(tmp_path, monkeypatch):
    tifffile.imwrite(tmp_path / "x.tif", np.zeros((9, 9, 5), "u1"), planarconfig="contig")
    monkeypatch.setitem(sys.modules, "tifffile", None)
    with pytest.raises(ImageReadError, match=r'x\.tif: .*pip install "fastunet\[tiff\]"'):
        read_image(tmp_path / "x.tif")


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
    with pytest.raises(SizeMismatchError, match=r"a\.png is 20x12 .*b\.png 20x10"):
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


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_pixels_that_are_no_numbers_are_refused_with_their_place(value):
    image = np.zeros((4, 5, 2), np.float64)
    refuse_not_finite(image, "x.npy")
    image[2, 3, 1] = image[3, 0, 0] = value
    message = r"x\.npy: NaN or infinity in 2 of 20 pixels, the first in row 2, column 3.*leave"
    with pytest.raises(ImageReadError, match=message):
        refuse_not_finite(image, "x.npy")


# --- TIFF as a viewer shows it --------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"tile": (16, 16)}], ids=str)
@pytest.mark.parametrize("dtype", ["u1", "u2", "u4"])
def test_grey_whose_white_is_0_is_turned_round(tmp_path, dtype, options):
    pixels = numbers(dtype, (12, 14))
    tifffile.imwrite(tmp_path / "x.tif", pixels, photometric="miniswhite", **options)
    image = read_image(tmp_path / "x.tif")[..., 0]
    np.testing.assert_array_equal(image, np.iinfo(dtype).max - pixels)
    if dtype == "u1":
        np.testing.assert_array_equal(image, np.asarray(Image.open(tmp_path / "x.tif")))


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_pages_and_bands_whose_white_is_0_are_turned_round_too(tmp_path, dtype):
    pixels = numbers(dtype, (3, 12, 14))
    tifffile.imwrite(tmp_path / "pages.tif", pixels, photometric="miniswhite")
    expected = np.iinfo(dtype).max - np.moveaxis(pixels, 0, -1)
    np.testing.assert_array_equal(read_image(tmp_path / "pages.tif"), expected)
    with_alpha = np.ascontiguousarray(np.moveaxis(pixels[:2], 0, -1))
    tifffile.imwrite(
        tmp_path / "alpha.tif", with_alpha, photometric="miniswhite", planarconfig="contig",
        extrasamples=["unassalpha"],
    )  # fmt: skip
    np.testing.assert_array_equal(read_image(tmp_path / "alpha.tif"), expected[..., :1])


@pytest.mark.parametrize("mode", ["1", "L"])
def test_grey_is_what_pillow_shows_whichever_value_is_white(tmp_path, mode):
    grey = Image.fromarray(GREY).convert(mode)
    for photometric in (0, 1):
        path = tmp_path / f"{photometric}.tif"
        grey.save(path, tiffinfo={262: photometric})
        expected = np.asarray(Image.open(path).convert("L"))
        np.testing.assert_array_equal(read_image(path)[..., 0], expected)


@pytest.mark.parametrize("options", [{}, {"planarconfig": "separate"}], ids=str)
def test_cmyk_is_the_rgb_that_pillow_makes_of_it(tmp_path, options):
    inks = RNG.integers(0, 256, (12, 14, 4), dtype=np.uint8)
    stored = np.moveaxis(inks, -1, 0) if options else inks
    tifffile.imwrite(tmp_path / "x.tif", stored.copy(), photometric="separated", **options)
    expected = np.asarray(Image.fromarray(inks, "CMYK").convert("RGB"))
    np.testing.assert_array_equal(read_image(tmp_path / "x.tif"), expected)
    with Image.open(tmp_path / "x.tif") as opened:
        np.testing.assert_array_equal(opened.convert("RGB"), expected)


def test_cmyk_of_16_bits_or_with_alpha_is_as_that_of_8_bits(tmp_path):
    inks = RNG.integers(0, 256, (12, 14, 4), dtype=np.uint8)
    expected = np.asarray(Image.fromarray(inks, "CMYK").convert("RGB")).astype(int)
    tifffile.imwrite(tmp_path / "deep.tif", inks.astype("u2") * 257, photometric="separated")
    deep = read_image(tmp_path / "deep.tif")
    assert deep.dtype == np.uint16
    assert np.abs(deep / 257 - expected).max() <= 0.51
    with_alpha = np.dstack([inks, inks[..., :1]])
    tifffile.imwrite(
        tmp_path / "a.tif", with_alpha, photometric="separated", extrasamples=["unassalpha"]
    )
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), expected)


@pytest.mark.parametrize("dtype", ["u1", "u2"])
@pytest.mark.parametrize("options", [{}, {"tile": (16, 16)}], ids=str)
def test_a_palette_is_its_colours(tmp_path, dtype, options):
    palette = RNG.integers(0, 65_536, (3, np.iinfo(dtype).max + 1), dtype=np.uint16)
    indices = numbers(dtype, (12, 14))
    tifffile.imwrite(
        tmp_path / "x.tif", indices, photometric="palette", colormap=palette, **options
    )
    np.testing.assert_array_equal(read_image(tmp_path / "x.tif"), palette.T[indices] >> 8)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("colours", ["cmyk", "rgba", "pages"])
def test_every_way_to_read_a_tiff_turns_it_and_gives_it_as_stored(tmp_path, colours, orientation):
    pixels = RNG.integers(0, 256, (10, 14, 4), dtype=np.uint8)
    options = {"extratags": [(0x112, "H", 1, orientation, True)]}
    if colours == "cmyk":
        tifffile.imwrite(tmp_path / "x.tif", pixels, photometric="separated", **options)
        pixels = np.asarray(Image.fromarray(pixels, "CMYK").convert("RGB"))
    elif colours == "rgba":
        tifffile.imwrite(
            tmp_path / "x.tif", pixels, photometric="rgb", extrasamples=["unassalpha"], **options
        )
        pixels = pixels[..., :3]
    else:
        with tifffile.TiffWriter(tmp_path / "x.tif") as file:
            for page in np.moveaxis(pixels, -1, 0):
                file.write(page, photometric="minisblack", metadata=None, **options)
    upright = upright_from(pixels, orientation)
    np.testing.assert_array_equal(read_image(tmp_path / "x.tif"), upright)
    np.testing.assert_array_equal(read_image(tmp_path / "x.tif", upright=False), pixels)
    np.testing.assert_array_equal(as_stored(upright, orientation), pixels)
    assert image_sizes(tmp_path / "x.tif") == (upright.shape[:2], (10, 14))
    assert orientation_of(tmp_path / "x.tif") == orientation


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
