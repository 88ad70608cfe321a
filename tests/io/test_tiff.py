"""What a TIFF holds: pages, bands and colours, whatever reads it."""

import sys

import numpy as np
import pytest
import tifffile
from PIL import Image

from fastunet.errors import ImageReadError
from fastunet.io.images import as_stored, image_sizes, orientation_of, read_image, upright_from
from fastunet.io.tiff import nodata, pages

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (12, 20, 3), dtype=np.uint8)
GREY = RGB[..., 0]


def numbers(dtype, shape):
    return RNG.integers(0, 2 if dtype is bool else 100, shape).astype(dtype)


@pytest.mark.parametrize("bigtiff", [False, True])
def test_the_header_tells_size_bands_and_depth(tmp_path, bigtiff):
    pixels = numbers("u2", (12, 14, 5))
    tifffile.imwrite(tmp_path / "x.tif", pixels, planarconfig="contig", bigtiff=bigtiff)
    (page,) = pages(tmp_path / "x.tif")
    assert (page.height, page.width, page.bands, page.bits) == (12, 14, 5, 16)
    assert (page.grey, page.alpha, page.unsigned, page.orientation) == (True, False, True, 1)
    assert not page.suits_opencv


def test_what_is_no_tiff_has_no_pages(tmp_path):
    (tmp_path / "x.tif").write_bytes(b"rubbish")
    assert pages(tmp_path / "x.tif") == []
    assert pages(tmp_path / "no.tif") == []


def test_the_value_of_no_data_is_read_as_gdal_writes_it(tmp_path):
    said = [(42113, "s", 0, "-9999", True)]
    tifffile.imwrite(tmp_path / "x.tif", numbers("f4", (8, 9)), extratags=said)
    tifffile.imwrite(tmp_path / "y.tif", numbers("f4", (8, 9)))
    assert nodata(tmp_path / "x.tif") == -9999
    assert nodata(tmp_path / "y.tif") is None


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
    options = {"planarconfig": "contig", "extrasamples": ["unassalpha"]}
    tifffile.imwrite(tmp_path / "alpha.tif", with_alpha, photometric="miniswhite", **options)
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
