"""Pairs as fastai data."""

import cv2
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from fastai.data.block import DataBlock
from fastai.data.transforms import RandomSplitter
from fastai.vision.augment import Brightness, Rotate
from PIL import Image

from fastunet.data.augment import Augment
from fastunet.data.block import ImageMaskDataLoaders, PairImageBlock, PairMaskBlock
from fastunet.data.masks import VOID, MaskCodec
from fastunet.data.pairs import find_pairs
from fastunet.data.reader import PairReader
from fastunet.errors import MaskValueError, SizeMismatchError, SplitError
from fastunet.preprocess import Preprocess


def loaders(root, **kwargs):
    return ImageMaskDataLoaders.from_folder(root, **{"size": 32, "device": "cpu", **kwargs})


def test_a_folder_becomes_batches_with_codec_preprocess_and_task(write_pairs):
    dls = loaders(write_pairs(10), bs=4)
    images, masks = dls.one_batch()
    assert images.shape == (4, 3, 32, 32)
    assert images.dtype == torch.float32
    assert masks.shape == (4, 32, 32)
    assert masks.dtype == torch.int64
    assert set(masks.unique().tolist()) <= {0, 1, VOID}
    assert (dls.task, dls.codec.n_out, dls.preprocess.size) == ("binary", 1, (32, 32))
    assert (len(dls.pairs["train"]), len(dls.pairs["valid"])) == (8, 2)


def test_validation_images_enter_as_they_do_in_prediction(write_pairs):
    dls = loaders(write_pairs(6, size=(90, 70)), bs=2)
    images, masks = dls.valid.one_batch()
    pair = dls.pairs["valid"][0]
    expected = dls.preprocess.to_tensor(dls.preprocess.prepare(pair.image))
    torch.testing.assert_close(images[:1].as_subclass(torch.Tensor), expected)
    truth = dls.preprocess.resize_mask(dls.codec.read(pair.mask))
    np.testing.assert_array_equal(masks[0].numpy(), truth)


def test_blocks_work_in_a_plain_datablock_with_fastais_batch_transforms(write_pairs):
    pairs = find_pairs(write_pairs(8, values=(0, 1, 2)))
    codec = MaskCodec.infer([pair.mask for pair in pairs])
    reader = PairReader(codec, Preprocess.infer([pair.image for pair in pairs], 32))
    block = DataBlock(
        blocks=(PairImageBlock(reader, Augment.none()), PairMaskBlock(reader)),
        splitter=RandomSplitter(0.25, seed=0),
        batch_tfms=[Rotate(30, p=1.0), Brightness(0.3, p=1.0)],
    )
    dls = block.dataloaders(list(pairs), bs=2, num_workers=0, device="cpu")
    images, masks = dls.one_batch()
    assert images.shape == (2, 3, 32, 32)
    assert set(masks.unique().tolist()) <= {0, 1, 2, VOID}
    assert dls.codec == codec
    assert dls.task == "multiclass"


def test_workers_read_the_same_data(write_pairs):
    root = write_pairs(8)
    plain, workers = loaders(root, bs=2), loaders(root, bs=2, num_workers=2)
    for ours, theirs in zip(plain.valid, workers.valid, strict=True):
        torch.testing.assert_close(ours[0], theirs[0])


def test_split_folders_are_used(shared):
    dls = ImageMaskDataLoaders.from_folder(shared("carvana"), size=64, bs=2, device="cpu")
    assert {pair.image.parent.name for pair in dls.pairs["train"]} == {"train"}
    assert {pair.image.parent.name for pair in dls.pairs["valid"]} == {"val"}


# --- what cannot be trained -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "kwargs", "message"),
    [
        (1, {}, "1 pair to train on; at least 2"),
        (4, {"bs": 8}, "bs=8, but the training part holds 3 images"),
        (4, {"bs": 0}, "bs=0"),
        (4, {"valid_pct": 1.0}, "valid_pct=1.0"),
    ],
)
def test_too_few_images_are_refused(write_pairs, n, kwargs, message):
    with pytest.raises(SplitError, match=message):
        loaders(write_pairs(n), **kwargs)


def test_no_pairs_are_refused():
    with pytest.raises(SplitError, match="0 pairs to train on"):
        ImageMaskDataLoaders.from_pairs([])


def test_a_mask_of_another_size_than_its_image_is_named(write_pairs):
    root = write_pairs(4)
    cv2.imwrite(str(root / "masks" / "02.png"), np.zeros((10, 20), np.uint8))
    with pytest.raises(SizeMismatchError, match=r"02\.png is 48x40.*20x10"):
        loaders(root)


def test_all_void_masks_are_refused(write_pairs):
    with pytest.raises(MaskValueError, match="nothing but void"):
        loaders(write_pairs(4, values=(7, 9)), void=[7, 9])


def test_two_images_are_enough(write_pairs):
    assert loaders(write_pairs(2)).one_batch()[0].shape[0] == 1


# --- orientation ----------------------------------------------------------------------------------


@pytest.mark.parametrize("mask_is", ["upright", "as stored"])
def test_exif_orientation_is_applied_as_the_mask_expects(tmp_path, mask_is):
    picture = np.zeros((40, 64), np.uint8)
    picture[:, :20] = 255
    exif = Image.Exif()
    exif[0x112] = 6  # to be turned by a quarter
    for part in ("images", "masks"):
        (tmp_path / part).mkdir()
    for name in "abcd":
        Image.fromarray(picture).save(tmp_path / "images" / f"{name}.jpg", exif=exif)
        upright = np.rot90(picture, -1) if mask_is == "upright" else picture
        Image.fromarray(upright).save(tmp_path / "masks" / f"{name}.png")
    dls = loaders(tmp_path, bs=2, augment=Augment.none())
    images, masks = dls.valid.one_batch()
    bright = images[0, 0] > 0
    assert (bright == (masks[0] == 1)).float().mean() > 0.95


# --- pictures -------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_show_batch_draws_any_number_of_channels_with_a_legend(tmp_path, channels):
    for part in ("images", "masks"):
        (tmp_path / part).mkdir()
    rng = np.random.default_rng(0)
    for i in range(4):
        np.save(tmp_path / f"images/{i}.npy", rng.integers(0, 255, (20, 20, channels), np.uint8))
        mask = rng.integers(0, 3, (20, 20), dtype=np.uint8)
        cv2.imwrite(str(tmp_path / f"masks/{i}.png"), mask)
    dls = loaders(tmp_path, bs=2, classes=["soil", "weed", "crop"])
    assert dls.one_batch()[0].shape[1] == channels
    dls.show_batch(max_n=2)
    figure = plt.gcf()
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert {"soil", "weed", "crop"} <= set(labels)
    assert sum(bool(axis.images) for axis in figure.axes) == 2
    plt.close(figure)
