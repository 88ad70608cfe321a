"""An image in, a class mask at the image's own size out."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from fastunet.errors import BundleError, ImageReadError
from fastunet.inference import Segmenter
from fastunet.inference.bundle import Bundle
from fastunet.io.images import upright_from
from fastunet.masks.codec import MaskCodec
from fastunet.models.build import describe
from fastunet.models.unet import UNet
from fastunet.preprocess import Preprocess

PHOTO = np.random.default_rng(0).integers(0, 256, (37, 53, 3), dtype=np.uint8)
BINARY = MaskCodec(("off", "on"), (0, 255))
THREE = MaskCodec(("a", "b", "c"), (0, 1, 2))


class Bright(nn.Module):
    """Foreground where the first channel is above its middle."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(20.0))

    def forward(self, x):
        return x[:, :1] * self.gain


def bright(size, **kwargs):
    return Segmenter(Bright(), BINARY, Preprocess(size, 3, mean=(0.5,), std=(0.5,)), **kwargs)


def test_the_mask_is_right_at_the_images_own_size():
    image = np.zeros((60, 100, 3), np.uint8)
    image[:, 50:] = 255
    mask = bright((30, 50)).predict(image)
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, (image[..., 0] > 0).astype(np.uint8))


def test_without_resizing_it_is_exact():
    mask = bright(PHOTO.shape[:2], precision="fp32").predict(PHOTO)
    np.testing.assert_array_equal(mask, PHOTO[..., 0] > 127.5)


def test_foreground_is_what_is_more_probable_than_the_threshold(tmp_path):
    model = UNet(3, 1, depth=1, width=2)
    probabilities = Segmenter(model, BINARY, Preprocess((16, 16))).probabilities(PHOTO)[0]
    threshold = float(np.median(probabilities))
    preprocess = Preprocess((16, 16))
    bundle = Bundle(describe(model), model.state_dict(), BINARY, preprocess, threshold=threshold)
    bundle.save(tmp_path)
    mask = Segmenter.load(tmp_path, device="cpu").predict(PHOTO)
    np.testing.assert_array_equal(mask, probabilities > threshold)
    assert 0 < mask.mean() < 1
    with pytest.raises(ValueError, match="from 0 to below 1"):
        bright((8, 8), threshold=1)


@pytest.mark.parametrize("codec", [BINARY, THREE])
def test_probabilities_are_of_the_images_size_and_sum_to_one(codec):
    model = UNet(3, codec.n_out, depth=2, width=4)
    probs = Segmenter(model, codec, Preprocess((32, 32))).probabilities(PHOTO)
    assert probs.shape == (codec.n_out, 37, 53)
    assert probs.min() >= 0
    if codec is THREE:
        np.testing.assert_allclose(probs.sum(0), 1, atol=1e-5)


def test_an_image_in_any_form_gives_the_same_mask(tmp_path):
    Image.fromarray(PHOTO).save(tmp_path / "x.png")
    segmenter = Segmenter(UNet(3, 3, depth=1, width=4), THREE, Preprocess((16, 16)))
    forms = [
        *(PHOTO, tmp_path / "x.png", str(tmp_path / "x.png"), (tmp_path / "x.png").read_bytes()),
        *(Image.fromarray(PHOTO), torch.from_numpy(PHOTO).permute(2, 0, 1)),
        *(PHOTO / 255, PHOTO.astype(np.float32)),
    ]
    expected = segmenter.predict(PHOTO)
    for form in forms:
        np.testing.assert_array_equal(segmenter.predict(form), expected)
    for mask in segmenter.predict(forms):
        np.testing.assert_array_equal(mask, expected)


@pytest.mark.parametrize("kind", ["palette", "cmyk", "exif"])
def test_a_file_and_its_pil_image_give_the_same_mask(tmp_path, kind):
    smooth = np.dstack([np.add.outer(3 * np.arange(37), 2 * np.arange(53))] * 3).astype(np.uint8)
    image, name, options = Image.fromarray(smooth), "x.jpg", {"quality": 100}
    if kind == "palette":
        image, name, options = image.quantize(32), "x.png", {}
    elif kind == "cmyk":
        image = image.convert("CMYK")
    else:
        options["exif"] = Image.Exif()
        options["exif"][0x112] = 6
    image.save(tmp_path / name, **options)
    segmenter = bright((53, 37) if kind == "exif" else (37, 53), precision="fp32")
    masks = [segmenter.predict(form) for form in (tmp_path / name, Image.open(tmp_path / name))]
    assert masks[0].shape == ((53, 37) if kind == "exif" else (37, 53))
    assert 0.2 < masks[0].mean() < 0.8
    assert (masks[0] != masks[1]).mean() < 0.02  # two JPEG decoders


def test_channel_files_are_stacked_where_one_says_so(tmp_path):
    paths = [str(tmp_path / f"x_000{i}.png") for i in range(3)]
    for i, path in enumerate(paths):
        Image.fromarray(PHOTO[..., i]).save(path)
    segmenter = Segmenter(UNet(3, 3, depth=1, width=4), THREE, Preprocess((16, 16)))
    np.testing.assert_array_equal(segmenter.predict(channels=paths), segmenter.predict(PHOTO))
    probabilities = segmenter.probabilities(channels=paths)
    np.testing.assert_array_equal(segmenter.classify(probabilities), segmenter.predict(PHOTO))
    masks = segmenter.predict(paths)  # three grey pictures
    assert len(masks) == 3
    np.testing.assert_array_equal(masks[1], segmenter.predict(paths[1]))
    for wrong in ({}, {"image": PHOTO, "channels": paths}):
        with pytest.raises(ImageReadError, match="Give an image, or the files of its channels"):
            segmenter.predict(**wrong)
    with pytest.raises(ImageReadError, match=r"3 images were given where one.*channels="):
        segmenter.probabilities(paths)


def test_a_network_with_a_channel_for_each_of_two_classes_is_binary_too():
    class Two(Bright):
        def forward(self, x):
            return torch.cat([torch.zeros_like(x[:, :1]), super().forward(x)], 1)

    preprocess = Preprocess(PHOTO.shape[:2], 3, mean=(0.5,), std=(0.5,))
    one, two = (Segmenter(net(), BINARY, preprocess, threshold=0.9) for net in (Bright, Two))
    assert two.probabilities(PHOTO).shape == (1, 37, 53)
    np.testing.assert_allclose(two.probabilities(PHOTO), one.probabilities(PHOTO), atol=1e-6)
    np.testing.assert_array_equal(two.predict(PHOTO), one.predict(PHOTO))


def test_a_picture_with_pixels_that_are_no_numbers_is_refused_by_name(tmp_path):
    pixels = PHOTO.astype(np.float32)
    pixels[5, 6] = np.nan
    np.save(tmp_path / "x.npy", pixels)
    with pytest.raises(ImageReadError, match=r"x\.npy: NaN or infinity in 1 of 1,961"):
        bright((8, 8)).predict(tmp_path / "x.npy")


def test_a_loaded_bundle_gives_the_same_mask(tmp_path):
    model = UNet(3, 3, depth=2, width=4)
    segmenter = Segmenter(model, THREE, Preprocess((24, 40)))
    Bundle(describe(model), model.state_dict(), THREE, Preprocess((24, 40))).save(tmp_path)
    loaded = Segmenter.load(tmp_path, device="cpu")
    np.testing.assert_array_equal(loaded.predict(PHOTO), segmenter.predict(PHOTO))
    assert loaded.classes == ("a", "b", "c")


def test_loading_and_predicting_imports_no_fastai(tmp_path):
    model = UNet(3, 1, depth=1, width=2)
    Bundle(describe(model), model.state_dict(), BINARY, Preprocess((8, 8))).save(tmp_path)
    Image.fromarray(PHOTO).save(tmp_path / "x.png")
    code = (
        "import sys; from fastunet import Segmenter; "
        f"print(Segmenter.load({str(tmp_path)!r}).predict({str(tmp_path / 'x.png')!r}).shape); "
        "assert not {'fastai', 'pandas', 'matplotlib'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(37, 53)"


def test_predicting_leaves_the_model_as_it_was():
    model = UNet(3, 1, depth=1, width=2).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    Segmenter(model, BINARY, Preprocess((8, 8))).predict(PHOTO)
    assert model.training
    torch.testing.assert_close(dict(model.state_dict()), before)


def test_weights_of_another_network_are_refused(tmp_path):
    small, large = UNet(3, 1, depth=1, width=2), UNet(3, 1, depth=1, width=4)
    Bundle(describe(large), small.state_dict(), BINARY, Preprocess((8, 8))).save(tmp_path)
    with pytest.raises(BundleError, match="do not fit"):
        Segmenter.load(tmp_path)


def test_what_is_no_image_is_refused(tmp_path):
    with pytest.raises(ImageReadError, match=r"no\.png"):
        bright((8, 8)).predict(tmp_path / "no.png")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["path", "bytes", "file", "pil"])
def test_a_network_of_photos_as_stored_is_shown_such_and_its_mask_is_upright(
    tmp_path, orientation, form
):
    exif = Image.Exif()
    exif[0x112] = orientation
    path = tmp_path / "x.jpg"
    stored = np.zeros((40, 64, 3), np.uint8)
    stored[:8, :24] = 255
    Image.fromarray(stored).save(path, exif=exif, quality=100)
    seen = []

    class Watched(Bright):
        def forward(self, x):
            seen.append(x)
            return super().forward(x)

    pre = Preprocess((40, 64), 3, mean=(0.5,), std=(0.5,), orientation="stored")
    segmenter = Segmenter(Watched(), BINARY, pre, precision="fp32")
    read = {"path": Path, "bytes": Path.read_bytes, "file": lambda p: p.open("rb")}
    mask = segmenter.predict({**read, "pil": Image.open}[form](path))
    np.testing.assert_array_equal(mask, upright_from(stored[..., 0] > 127, orientation))
    assert (seen[0][0, 0, :8, :24] > 0).float().mean() > 0.9  # where it is in the file
    np.testing.assert_array_equal(segmenter.predict(stored), stored[..., 0] > 127)
