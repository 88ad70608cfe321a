"""One picture, in whatever form a user holds it."""

import io

import numpy as np
import pandas as pd
import pytest
import tifffile
import torch
from fastai.torch_core import TensorImage
from fastai.vision.core import PILImage
from PIL import Image

from fastunet.errors import ImageReadError
from fastunet.io.channel_files import ChannelFiles
from fastunet.io.channels import with_channels
from fastunet.io.images import read_image
from fastunet.io.sources import as_image, is_several, turn_of

Y, X = np.mgrid[0:24, 0:40]
RGB = np.dstack([6 * X, 10 * Y, 255 - 3 * X - 4 * Y]).clip(0, 255).astype(np.uint8)  # smooth
GREY = RGB[..., 0]
ALPHA = np.where(X > 20, 255, 90).astype(np.uint8)
PALETTE = Image.fromarray(RGB).quantize(16)


def oriented(orientation):
    exif = Image.Exif()
    exif[0x112] = orientation
    return {"exif": exif}


FILES = {
    "rgb.png": (Image.fromarray(RGB), {}),
    "grey.png": (Image.fromarray(GREY), {}),
    "palette.png": (PALETTE, {}),
    "palette-one-clear.png": (PALETTE, {"transparency": 3}),
    "palette-half-clear.png": (PALETTE, {"transparency": bytes(range(0, 160, 10))}),
    "palette.gif": (PALETTE, {}),
    "palette.tif": (PALETTE, {}),
    "palette.bmp": (PALETTE, {}),
    "clear.png": (Image.fromarray(np.dstack([RGB, ALPHA])), {}),
    "clear.tif": (Image.fromarray(np.dstack([RGB, ALPHA])), {}),
    "clear.webp": (Image.fromarray(np.dstack([RGB, ALPHA])), {"lossless": True}),
    "grey-clear.png": (Image.fromarray(np.dstack([GREY, ALPHA])), {}),
    "grey-clear.tif": (Image.fromarray(np.dstack([GREY, ALPHA])), {}),
    "bits.png": (Image.fromarray(GREY > 100), {}),
    "bits.tif": (Image.fromarray(GREY > 100), {}),
    "deep.png": (Image.fromarray(GREY.astype(np.uint16) * 200), {}),
    "deep.tif": (Image.fromarray(GREY.astype(np.uint16) * 200), {}),
    "deep-white-0.tif": (Image.fromarray(GREY.astype(np.uint16) * 200), {"tiffinfo": {262: 0}}),
    "white-0.tif": (Image.fromarray(GREY), {"tiffinfo": {262: 0}}),
    "deep.pgm": (Image.fromarray(GREY.astype(np.int32) * 200), {}),
    "deeper.tif": (Image.fromarray(GREY.astype(np.int32) * 200), {}),
    "float.tif": (Image.fromarray(GREY.astype(np.float32) / 255), {}),
    "cmyk.jpg": (Image.fromarray(RGB).convert("CMYK"), {"quality": 100}),
    "cmyk.tif": (Image.fromarray(RGB).convert("CMYK"), {}),
    **{
        f"turned-{n}{suffix}": (Image.fromarray(RGB), {**oriented(n), **options})
        for n in range(1, 9)
        for suffix, options in ((".jpg", {"quality": 100}), (".png", {}), (".tif", {}))
    },
    "turned-6.webp": (Image.fromarray(RGB), {**oriented(6), "lossless": True}),
}


@pytest.fixture(params=FILES)
def file(request, tmp_path):
    image, options = FILES[request.param]
    image.save(tmp_path / request.param, **options)
    return tmp_path / request.param


def seen(image):
    """As a network of three channels is shown it: grey, or colour without alpha."""
    return with_channels(image, 3).astype(np.float64)


def test_a_pil_image_is_what_its_file_is(file):
    expected = read_image(file)
    with Image.open(file) as image:
        ours = as_image(image)
    assert ours.dtype == expected.dtype
    tolerance = 2 if file.suffix == ".jpg" else 0  # grey levels: two decoders
    np.testing.assert_allclose(seen(ours), seen(expected), atol=tolerance)


def test_the_bytes_of_a_file_are_what_the_file_is(file):
    expected = read_image(file)
    content = file.read_bytes()
    for form in (content, bytearray(content), memoryview(content), io.BytesIO(content)):
        np.testing.assert_array_equal(as_image(form), expected)
    with file.open("rb") as opened:
        np.testing.assert_array_equal(as_image(opened), expected)


@pytest.mark.parametrize("suffix", [".npy", ".tif"])
def test_bytes_of_many_channels_are_read_too(tmp_path, suffix):
    bands = np.random.default_rng(0).integers(0, 4000, (20, 30, 5), dtype=np.uint16)
    if suffix == ".npy":
        np.save(tmp_path / "x.npy", bands)
    else:
        tifffile.imwrite(tmp_path / "x.tif", np.moveaxis(bands, 2, 0), photometric="minisblack")
    np.testing.assert_array_equal(as_image((tmp_path / f"x{suffix}").read_bytes()), bands)


@pytest.mark.parametrize("name", ["turned-6.jpg", "palette.png", "rgb.png", "clear.png"])
def test_fastais_own_image_type_is_what_its_file_is(tmp_path, name):
    image, options = FILES[name]
    image.save(tmp_path / name, **options)
    difference = seen(as_image(PILImage.create(tmp_path / name))) - seen(
        read_image(tmp_path / name)
    )
    assert np.abs(difference).max() <= 2


def test_a_pil_image_that_was_changed_shows_the_change(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "x.png")
    with Image.open(tmp_path / "x.png") as image:
        image.putpixel((3, 2), (1, 2, 3))
        assert as_image(image)[2, 3].tolist() == [1, 2, 3]


def test_one_page_of_a_tiff_is_not_taken_for_all(tmp_path):
    tifffile.imwrite(tmp_path / "x.tif", np.stack([GREY] * 3), photometric="minisblack")
    with Image.open(tmp_path / "x.tif") as image:
        with pytest.raises(ImageReadError, match=r"one of 3 pages.*image\.copy\(\)"):
            as_image(image)
        np.testing.assert_array_equal(as_image(image.copy())[..., 0], GREY)


@pytest.mark.parametrize("kind", [torch.Tensor, TensorImage])
def test_tensors_are_channels_first_or_flat(kind):
    tensor = torch.from_numpy(RGB).permute(2, 0, 1).as_subclass(kind)
    np.testing.assert_array_equal(as_image(tensor), RGB)
    np.testing.assert_array_equal(as_image(tensor.permute(1, 2, 0)), RGB)  # `tensor(picture)`
    np.testing.assert_array_equal(as_image(tensor[0]), GREY[..., None])
    halves = (tensor / 256).to(torch.bfloat16).requires_grad_()
    assert as_image(halves).dtype == np.float32
    many = torch.zeros(13, 20, 30, dtype=torch.int16)
    assert as_image(many).shape == (20, 30, 13)


def test_flat_arrays_are_images_too():
    assert as_image(GREY).shape == (24, 40, 1)
    np.testing.assert_array_equal(as_image(RGB[::-1]), RGB[::-1])


def test_arrays_of_other_libraries_are_images_too():
    class Array:
        dtype = np.dtype(np.uint8)

        def __array__(self, dtype=None, copy=None):
            return RGB

        def __iter__(self):
            return iter(RGB)

    assert not is_several(Array())
    np.testing.assert_array_equal(as_image(Array()), RGB)


def test_channel_files_are_stacked(tmp_path):
    for name, array in (("rgb.png", RGB), ("nir.png", GREY)):
        Image.fromarray(array).save(tmp_path / name)
    files = ChannelFiles([str(tmp_path / "rgb.png"), tmp_path / "nir.png"])
    np.testing.assert_array_equal(as_image(files), np.dstack([RGB, GREY]))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (np.zeros((2, 3, 4, 5)), r"shape \(2, 3, 4, 5\).*Of several images give a list"),
        (torch.zeros(1, 3, 4, 5), "is a batch; give its images one by one"),
        (np.zeros((3, 3), complex), "complex128 array"),
        (np.zeros((0, 3)), r"shape \(0, 3\)"),
        (["a.png", "b.png"], "2 images were given where one is expected.*channels="),
        (b"", "holds no bytes"),
        (b"hello", "The image in memory: cannot be decoded"),
        (io.StringIO("hello"), "mode 'rb'"),
        (3, "int is no form of an image. Expected: a path"),
        (None, "NoneType is no form of an image"),
    ],
)
def test_what_is_no_image_is_refused(source, message):
    with pytest.raises(ImageReadError, match=message):
        as_image(source)


def test_a_pil_image_of_a_closed_file_is_refused(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "x.png")
    with Image.open(tmp_path / "x.png") as image:
        pass
    with pytest.raises(ImageReadError, match=r"mode RGB cannot be read"):
        as_image(image)


def test_several_images_are_told_from_one(tmp_path):
    picture = Image.fromarray(RGB)
    one = [
        "x.png",
        tmp_path,
        b"",
        RGB,
        torch.zeros(3, 4, 5),
        picture,
        ChannelFiles(["a", "b"]),
        io.BytesIO(),
        3,
    ]
    several = [
        ["x.png"],
        (RGB, RGB),
        iter([picture]),
        np.array(["a.png", "b.png"], object),
        pd.Series(["a.png"]),
    ]
    assert [is_several(source) for source in one] == [False] * len(one)
    assert all(map(is_several, several))


def test_the_turn_of_a_photo_is_known_in_every_form(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "x.jpg", **oriented(8))
    with Image.open(tmp_path / "x.jpg") as image:
        assert turn_of(image) == 8
    assert turn_of(tmp_path / "x.jpg") == 8
    assert turn_of(ChannelFiles([tmp_path / "x.jpg"])) == 8
    assert turn_of((tmp_path / "x.jpg").read_bytes()) == 8
    assert turn_of(RGB) == turn_of(torch.zeros(3, 4, 4)) == 1
