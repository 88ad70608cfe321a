"""Any image file as an upright (H, W, C) array."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from fastunet.data.images import as_image, full_scale, is_grey, read_image, with_channels
from fastunet.errors import ImageReadError

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


def test_arrays_and_many_bands_are_read(tmp_path):
    import tifffile

    bands = RNG.integers(0, 256, (10, 11, 6), dtype=np.uint8)
    np.save(tmp_path / "bands.npy", bands)
    np.testing.assert_array_equal(read_image(tmp_path / "bands.npy"), bands)
    tifffile.imwrite(tmp_path / "hwc.tif", bands, photometric="minisblack", planarconfig="contig")
    np.testing.assert_array_equal(read_image(tmp_path / "hwc.tif"), bands)
    tifffile.imwrite(
        tmp_path / "chw.tif",
        np.moveaxis(bands, -1, 0),
        photometric="minisblack",
        planarconfig="separate",
    )
    np.testing.assert_array_equal(read_image(tmp_path / "chw.tif"), bands)


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


@given(hnp.arrays(np.uint16, st.tuples(st.just(3), st.just(4), st.just(1))))
def test_sixteen_to_eight_bits_rounds(deep):
    np.testing.assert_array_equal(full_scale(deep, "uint8"), np.floor(deep / 65535 * 255 + 0.5))
    np.testing.assert_allclose(full_scale(deep, "float"), deep / 65535, rtol=1e-6)


def test_pil_images_and_flat_arrays_are_images_too():
    np.testing.assert_array_equal(as_image(Image.fromarray(RGB)), RGB)
    assert as_image(GREY).shape == (12, 20, 1)
    with pytest.raises(ImageReadError, match="shape"):
        as_image(np.zeros((2, 3, 4, 5)))
