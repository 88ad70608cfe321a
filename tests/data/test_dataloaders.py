"""Pairs as fastai data."""

import shutil
import subprocess
import sys
from dataclasses import replace

import cv2
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from fastai.data.block import DataBlock
from fastai.data.transforms import Normalize, get_c
from fastai.vision.all import unet_learner
from fastai.vision.augment import Brightness, aug_transforms
from fastai.vision.core import PILImage, imagenet_stats
from fastai.vision.learner import _add_norm, model_meta
from PIL import Image
from torchvision.models import resnet18

from fastunet.data.augment import Albumentations, Augment
from fastunet.data.blocks import PairImageBlock, PairMaskBlock
from fastunet.data.dataloaders import ImageMaskDataLoaders
from fastunet.data.reader import PairReader
from fastunet.errors import (
    AuditError,
    ImageReadError,
    MaskValueError,
    OptionError,
    PairingError,
    SizeMismatchError,
    SplitError,
    TrainingError,
)
from fastunet.evaluation.evaluate import evaluate
from fastunet.io.images import read_image
from fastunet.labels import VOID
from fastunet.losses import CombinedLoss
from fastunet.masks.codec import MaskCodec
from fastunet.pairs.find import find_pairs
from fastunet.pairs.split import save_split
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


def test_workers_read_the_same_data(write_pairs):
    root = write_pairs(8)
    plain = loaders(root, bs=2)
    for processes in (False, True):
        workers = loaders(root, bs=2, num_workers=2, processes=processes)
        for ours, theirs in zip(plain.valid, workers.valid, strict=True):
            torch.testing.assert_close(ours[0], theirs[0])


def test_patches_are_cut_at_the_images_own_resolution(write_pairs):
    dls = loaders(write_pairs(6, size=(90, 130)), patch=32, bs=4, augment="none")
    assert len(dls.train.dataset) == 5 * 3 * 5  # as many patches as cover the images
    images, masks = dls.one_batch()
    assert images.shape == (4, 3, 32, 32)
    assert set(masks.unique().tolist()) <= {0, 1}
    pixels = dls.preprocess.denormalise(images)[0].permute(1, 2, 0).numpy()
    wholes = [read_image(pair.image) / 255 for pair in dls.pairs["train"]]
    assert any(_contains(whole, pixels) for whole in wholes)


def _contains(whole: np.ndarray, part: np.ndarray) -> bool:
    distance = cv2.matchTemplate(
        whole.astype(np.float32), np.ascontiguousarray(part, np.float32), cv2.TM_SQDIFF
    )
    return distance.min() < 0.01


def test_validation_goes_over_whole_images_and_counts_each_pixel_once(write_pairs):
    root = write_pairs(5, (0, 1, 2), size=(90, 130))
    dls = loaders(root, patch=(32, 48), scale=0.5, bs=2)
    counted = torch.cat([masks for _, masks in dls.valid])
    pair = dls.pairs["valid"][0]
    truth = dls.preprocess.resize_mask(dls.codec.read(pair.mask))
    assert truth.shape == (45, 65)
    for index in range(3):
        assert (counted == index).sum() == (truth == index).sum()


def test_a_share_of_the_patches_is_centred_on_rare_classes(write_pairs):
    root = write_pairs(4, size=(200, 200))
    for file in (root / "masks").iterdir():
        rare = np.zeros((200, 200), np.uint8)
        rare[150:153, 20:23] = 255
        cv2.imwrite(str(file), rare)
    hits = {}
    for share in (0.0, 1.0):
        augment = replace(Augment.none(), rare=share)
        dls = loaders(root, patch=32, bs=8, augment=augment)
        masks = torch.cat([masks for _, masks in dls.train])
        hits[share] = (masks == 1).any(dim=2).any(dim=1).float().mean()
    assert hits[0.0] < 0.5
    assert hits[1.0] == 1


def test_an_image_smaller_than_a_patch_is_continued_and_its_surroundings_are_void(write_pairs):
    dls = loaders(write_pairs(4, size=(20, 24)), patch=32, bs=2, augment="none")
    for images, masks in (dls.one_batch(), dls.valid.one_batch()):
        assert images.shape[-2:] == (32, 32)
        assert ((masks != VOID).sum(dim=(1, 2)) == 20 * 24).all()


def test_fastais_batch_transforms_work(write_pairs):
    dls = loaders(write_pairs(8), bs=4, batch_tfms=aug_transforms(max_rotate=30.0))
    images, masks = dls.one_batch()
    assert images.shape == (4, 3, 32, 32)
    assert set(masks.unique().tolist()) <= {0, 1, VOID}


def test_albumentations_take_the_place_of_our_views(write_pairs):
    import albumentations

    turned = Albumentations(albumentations.VerticalFlip(p=1.0))
    root = write_pairs(6, size=(32, 32))
    dls = loaders(root, bs=4, augment=turned, num_workers=2)
    _, masks = dls.one_batch()
    truths = [dls.codec.read(pair.mask)[::-1] for pair in dls.pairs["train"]]
    assert any(np.array_equal(masks[0].numpy(), truth) for truth in truths)


SPAWNED = """
import multiprocessing, sys
from fastunet.data.dataloaders import ImageMaskDataLoaders

if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    dls = ImageMaskDataLoaders.from_folder(
        sys.argv[1], size=32, bs=2, num_workers=2, processes=True, device="cpu", cache=sys.argv[2]
    )
    print(sum(len(images) for images, _ in dls.train), sum(len(i) for i, _ in dls.valid))
"""


@pytest.mark.parametrize("cache", ["ram", pytest.param("disk", marks=pytest.mark.slow)])
def test_workers_that_are_spawned_share_the_cache(write_pairs, tmp_path, monkeypatch, cache):
    monkeypatch.setenv("FASTUNET_CACHE", str(tmp_path / "cache"))
    (tmp_path / "spawned.py").write_text(SPAWNED)
    done = subprocess.run(
        [sys.executable, tmp_path / "spawned.py", write_pairs(10), cache],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["8", "2"], done.stderr
    assert (tmp_path / "cache" / "decoded").is_dir() == (cache == "disk")


def test_a_split_is_repeated_from_its_file_and_folds_cover_all_pairs(write_pairs, tmp_path):
    root = write_pairs(10)
    first = loaders(root, bs=2, seed=7)
    save_split(first.pairs, tmp_path / "split.json")
    assert loaders(root, bs=2, split=tmp_path / "split.json").pairs == first.pairs
    held_out = [
        pair.image for i in range(5) for pair in loaders(root, bs=2, fold=(i, 5)).pairs["valid"]
    ]
    assert sorted(held_out) == sorted((root / "images").iterdir())


def test_a_random_split_through_groups_that_the_names_show_is_warned_of(write_pairs):
    root = write_pairs(8)
    for part in ("images", "masks"):
        for i, file in enumerate(sorted((root / part).iterdir())):
            file.rename(file.with_name(f"car{i // 2:03x}a_{i % 2:02d}.png"))
    with pytest.warns(UserWarning, match='4 groups .*groups="auto"'):
        loaders(root, bs=2)
    parts = loaders(root, bs=2, groups="auto").pairs
    cars = [{pair.image.stem.split("_")[0] for pair in parts[part]} for part in ("train", "valid")]
    assert cars[0].isdisjoint(cars[1])


def test_strict_refuses_what_can_train_but_is_wrong(write_pairs):
    root = write_pairs(6)
    shutil.copy(root / "images" / "02.png", root / "images" / "03.png")  # one image, two masks
    loaders(root, bs=2)
    with pytest.raises(AuditError, match=r"more than once with different masks.*03\.png"):
        loaders(root, bs=2, strict=True)


@pytest.mark.parametrize("cache", ["auto", None])
def test_pixels_that_are_no_numbers_are_refused_by_name_before_training(write_pairs, cache):
    root = write_pairs(6)
    for file in sorted((root / "images").iterdir()):
        pixels = cv2.imread(str(file)).astype(np.float32)
        if file.stem == "03":
            pixels[5, 6] = np.nan
        np.save(file.with_suffix(".npy"), pixels)
        file.unlink()
    message = r"03\.npy: NaN or infinity in 1 of 1,920 pixels, the first in row 5, column 6"
    with pytest.raises(ImageReadError, match=message):
        loaders(root, bs=2, cache=cache, split={"valid": ["00", "01"]}).one_batch()


def test_split_folders_are_used(shared):
    dls = ImageMaskDataLoaders.from_folder(shared("carvana"), size=64, bs=2, device="cpu")
    assert {pair.image.parent.name for pair in dls.pairs["train"]} == {"train"}
    assert {pair.image.parent.name for pair in dls.pairs["valid"]} == {"val"}


# --- as fastai's users write it -------------------------------------------------------------------


@pytest.mark.parametrize("values", [(0, 255), (0, 1, 2)])
def test_fastai_finds_the_classes_their_number_and_a_loss(write_pairs, values):
    root = write_pairs(6, values)
    pairs = find_pairs(root)
    codec = MaskCodec.infer([pair.mask for pair in pairs])
    reader = PairReader(codec, Preprocess.infer([pair.image for pair in pairs], 32))
    block = DataBlock((PairImageBlock(reader), PairMaskBlock(reader)))
    plain = block.dataloaders(list(pairs), bs=2, num_workers=0, device="cpu")
    for dls in (loaders(root, bs=2), plain):
        assert dls.vocab == list(dls.codec.classes)
        assert dls.c == get_c(dls) == len(values)
        assert isinstance(dls.train_ds.loss_func, CombinedLoss)
        assert dls.train_ds.loss_func is not dls.train_ds.loss_func  # none is shared


@pytest.mark.parametrize("values", [(0, 255), (0, 1, 2)])
def test_fastais_unet_learner_trains_predicts_and_is_evaluated(write_pairs, values):
    dls = loaders(write_pairs(6, values), bs=2)
    learn = unet_learner(dls, resnet18, pretrained=False)
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(1, 1e-3)
        preds, truth = learn.get_preds()
    assert preds.shape == (len(truth), len(values), 32, 32)
    scores = evaluate(learn, dls)
    assert (scores.split, scores.images) == ("valid", len(dls.pairs["valid"]))


def test_an_image_in_any_form_can_be_predicted_and_put_into_a_test_set(write_pairs):
    root = write_pairs(6)
    dls = loaders(root, bs=2)
    learn = unet_learner(dls, resnet18, pretrained=False)
    path = dls.pairs["valid"][0].image
    array = read_image(path)
    forms = [
        str(path),
        path,
        array,
        path.read_bytes(),
        Image.open(path),
        PILImage.create(path),
        torch.from_numpy(array).permute(2, 0, 1),
        array / 255,
        dls.pairs["valid"][0],
    ]
    batch = torch.cat([batch[0] for batch in dls.test_dl(forms)])
    for image in batch[1:]:
        torch.testing.assert_close(image, batch[0])
    with learn.no_bar():
        expected = learn.predict(path)[2]
        for form in forms:
            torch.testing.assert_close(learn.predict(form)[2], expected)
        with pytest.raises(ImageReadError, match="int is no form of an image"):
            learn.predict(3)


@pytest.mark.parametrize("statistics", [([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]), (0.1, 0.2)])
def test_fastais_normalize_takes_the_place_of_ours(write_pairs, statistics):
    root = write_pairs(6)
    dls, other = loaders(root, bs=2), loaders(root, bs=2)
    images = dls.valid.one_batch()[0]
    pixels = dls.preprocess.denormalise(images)
    dls.add_tfms([Normalize.from_stats(*statistics, cuda=False)], "after_batch")
    preprocess = replace(
        other.preprocess, mean=np.atleast_1d(statistics[0]), std=np.atleast_1d(statistics[1])
    )
    assert dls.preprocess == preprocess
    torch.testing.assert_close(dls.valid.one_batch()[0], preprocess.normalise(pixels))
    torch.testing.assert_close(dls.valid.decode(dls.valid.one_batch())[0], pixels)
    test = dls.test_dl([dls.pairs["valid"][0].image]).one_batch()[0]
    torch.testing.assert_close(test[0], preprocess.normalise(pixels)[0])
    torch.testing.assert_close(other.valid.one_batch()[0], images)
    assert dls.new_empty().preprocess == preprocess


def test_a_pretrained_unet_learner_normalises_once_by_its_own_statistics(write_pairs):
    dls = loaders(write_pairs(6), bs=2)
    _add_norm(dls, model_meta[resnet18], pretrained=True)
    np.testing.assert_allclose(dls.preprocess.mean, imagenet_stats[0])
    kinds = [type(transform).__name__ for transform in dls.train.after_batch]
    assert kinds.count("NormalisePixels") + kinds.count("Normalize") == 1
    dls.add_tfms([Brightness()], "after_batch")
    assert "Brightness" in [type(transform).__name__ for transform in dls.train.after_batch]


def test_a_second_normalisation_is_refused(write_pairs):
    root = write_pairs(6)
    normalize = Normalize.from_stats(*imagenet_stats, cuda=False)
    for wrong in (normalize, [Brightness(), normalize], Normalize):
        with pytest.raises(TrainingError, match=r"second normalisation.*preprocess=Preprocess"):
            loaders(root, batch_tfms=wrong)
    dls = loaders(root, bs=2, channels=1)
    with pytest.raises(TrainingError, match="statistics of 3 channels, but the images have 1"):
        dls.add_tfms([normalize], "after_batch")
    with pytest.raises(TrainingError, match="second normalisation"):
        dls.add_tfms([Normalize()], "after_batch")
    reader = PairReader(dls.codec, dls.preprocess)
    block = DataBlock((PairImageBlock(reader), PairMaskBlock(reader)), batch_tfms=[normalize])
    with pytest.raises(TrainingError, match="second normalisation"):
        block.dataloaders(list(find_pairs(root)), bs=2, num_workers=0, device="cpu").one_batch()


def test_one_batch_transform_need_not_be_a_list(write_pairs):
    dls = loaders(write_pairs(6), bs=2, batch_tfms=Brightness(0.3, p=1.0))
    assert dls.one_batch()[0].shape == (2, 3, 32, 32)
    assert any(isinstance(transform, Brightness) for transform in dls.train.after_batch)


def test_bare_albumentations_may_change_the_size(write_pairs):
    import albumentations

    root = write_pairs(6, values=(0, 1, 2))
    crop = albumentations.Compose([albumentations.RandomCrop(20, 24), albumentations.D4()])
    for augment in (crop, albumentations.RandomResizedCrop((16, 16))):
        images, masks = loaders(root, bs=2, augment=augment, num_workers=0).one_batch()
        assert images.shape == (2, 3, 32, 32)
        assert set(masks.unique().tolist()) <= {0, 1, 2, VOID}


def test_pairs_come_as_a_table_tuples_or_strings(write_pairs):
    root = write_pairs(6)
    found = find_pairs(root)
    images, masks = [str(p.image) for p in found], [str(p.mask) for p in found]
    frame = pd.DataFrame({"image": images, "mask": masks, "is_valid": [False] * 4 + [True] * 2})
    frame.to_csv(root / "t.csv", index=False)
    expected = {pair.image for pair in loaders(str(root), bs=2).pairs["valid"]}
    tuples = ImageMaskDataLoaders.from_pairs(zip(images, masks, strict=True), size=32, bs=2)
    assert {pair.image for pair in tuples.pairs["valid"]} == expected
    for table in (frame, root / "t.csv", str(root / "t.csv")):
        assert [p.image.stem for p in loaders(table, bs=2).pairs["valid"]] == ["04", "05"]
    by_pairs = ImageMaskDataLoaders.from_pairs(frame, size=32, bs=2)
    assert [pair.image.stem for pair in by_pairs.pairs["valid"]] == ["04", "05"]


def test_a_split_is_stated_or_drawn_in_three_parts(write_pairs):
    root = write_pairs(10)
    split = {"train": ["00", "01", "02"], "valid": ["03.png"], "test": [root / "images/04.png"]}
    with pytest.warns(UserWarning, match="5 images are in no part"):
        parts = loaders(root, bs=2, split=split).pairs
    stems = {part: [pair.image.stem for pair in pairs] for part, pairs in parts.items()}
    assert stems == {"train": ["00", "01", "02"], "valid": ["03"], "test": ["04"]}
    drawn = loaders(root, bs=2, valid_pct=0.2, test_pct=0.3, seed=1).pairs
    assert {part: len(pairs) for part, pairs in drawn.items()} == {
        "train": 5,
        "valid": 2,
        "test": 3,
    }


@pytest.mark.parametrize("form", ["drawn", "fold"])
def test_a_codec_that_is_given_does_not_change_the_split(write_pairs, form):
    root = write_pairs(12, values=(0, 1, 2, 3), size=(20, 24))
    for i, file in enumerate(sorted((root / "masks").iterdir())):
        cv2.imwrite(str(file), np.full((20, 24), [0, 1, 2, 3][i % 4 if i > 3 else 0], np.uint8))
    how = {"fold": (1, 3)} if form == "fold" else {"seed": 3}
    codec = MaskCodec.infer(sorted((root / "masks").iterdir()))
    without, given = (loaders(root, bs=2, codec=c, **how) for c in (None, codec))
    assert without.pairs == given.pairs


def test_classes_of_the_last_of_very_many_masks_are_known_and_in_both_parts(tmp_path):
    for part in ("images", "masks"):
        (tmp_path / part).mkdir()
    rng = np.random.default_rng(0)
    names = [f"{i:04d}.png" for i in range(1100)]
    late = names[1001::2][:6]  # masks that a sample of every second one does not show
    for name in names:
        mask = np.zeros((4, 4), np.uint8)
        mask[0] = 1
        mask[1:] = 2 if name in late else 0
        cv2.imwrite(str(tmp_path / "images" / name), rng.integers(0, 255, (4, 4), np.uint8))
        cv2.imwrite(str(tmp_path / "masks" / name), mask)
    dls = loaders(tmp_path, size=4, bs=16)
    assert dls.codec.codes == (0, 1, 2)
    for part in ("train", "valid"):
        assert any(pair.image.name in late for pair in dls.pairs[part])


@pytest.mark.parametrize(
    ("kwargs", "error", "message"),
    [
        ({"size": "32"}, OptionError, "size='32'; pixels were expected"),
        ({"size": (32, 32, 3)}, OptionError, "size="),
        ({"patch": 0.5}, OptionError, "patch=0.5"),
        ({"bs": "8"}, OptionError, "bs='8'; a whole number"),
        ({"valid_pct": "a fifth"}, OptionError, "valid_pct='a fifth'; a number"),
        ({"split": {"valid": ["00"]}, "fold": (0, 2)}, OptionError, "split= and fold= were both"),
        ({"split": ["00"], "test_pct": 0.2}, OptionError, "test_pct= draws a test part"),
        ({"augment": "strong"}, OptionError, "none, light, scene, free"),
        ({"fold": 3}, OptionError, "fold=3"),
        ({"fold": ("a", 2)}, OptionError, "fold="),
        ({"groups": 3}, OptionError, "groups=3"),
        ({"classes": 2}, OptionError, "classes=2; names were expected"),
        ({"classes": "ab"}, OptionError, "classes='ab'; names were expected"),
        ({"cache": "disc"}, OptionError, "cache='disc'; one of"),
        ({"scaling": "max"}, OptionError, "scaling='max'; one of"),
        ({"patch": 16, "scale": 0}, OptionError, "scale=0"),
        ({"codec": "masks.json"}, OptionError, "codec='masks.json'; a MaskCodec"),
        ({"preprocess": 3}, OptionError, "preprocess=3; a Preprocess"),
        ({"num_workers": "all"}, OptionError, "num_workers='all'"),
        ({"batch_tfms": "flip"}, OptionError, "batch_tfms='flip' is no batch transform"),
        ({"device": "gpu"}, OptionError, "device='gpu' is unknown"),
    ],
)
def test_options_that_make_no_sense_are_refused(write_pairs, kwargs, error, message):
    with pytest.raises(error, match=message):
        loaders(write_pairs(4), **kwargs)


@pytest.mark.parametrize("wrong", [3, None, ["images", "masks"], "no-such-folder"])
def test_what_is_no_folder_is_refused(wrong):
    with pytest.raises(PairingError):
        ImageMaskDataLoaders.from_folder(wrong)


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
    with pytest.raises((SplitError, OptionError), match=message):
        loaders(write_pairs(n), **kwargs)


def test_no_pairs_are_refused():
    with pytest.raises(SplitError, match="0 pairs to train on"):
        ImageMaskDataLoaders.from_pairs([])


def test_a_mask_of_another_size_than_its_image_is_named(write_pairs):
    root = write_pairs(4)
    cv2.imwrite(str(root / "masks" / "02.png"), np.zeros((10, 20), np.uint8))
    with pytest.raises(SizeMismatchError, match=r"02\.png 40x48, mask 10x20"):
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
    assert (
        sum(bool(axis.images) for axis in figure.axes) == 4
    )  # two images, each beside its overlay
    plt.close(figure)
