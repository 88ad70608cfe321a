"""What is left of masks at the network's size, and what mends a loss."""

import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fastunet import ImageMaskDataLoaders
from fastunet.checks.resolution import (
    LIMIT,
    brought_back,
    default_side,
    measure,
    measure_resolution,
)
from fastunet.labels import VOID
from fastunet.logits import decide
from fastunet.masks.codec import MaskCodec
from fastunet.preprocess import Preprocess


def lines(seed: int, side: int = 512, value: int = 255) -> np.ndarray:
    """A mask of lines one pixel wide that end anywhere."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((side, side), np.uint8)
    corners = [rng.integers(0, side, (4, 1, 2)).astype(np.int32) for _ in range(3)]
    return cv2.polylines(mask, corners, False, value, 1)


def discs(seed: int, side: int = 512, value: int = 255) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mask = np.zeros((side, side), np.uint8)
    for x, y in rng.integers(side // 4, 3 * side // 4, (3, 2)).tolist():
        cv2.circle(mask, (x, y), side // 8, value, -1)
    return mask


def write(root: Path, masks: list[np.ndarray]) -> Path:
    """Pairs of these masks and an image that shows them."""
    for kind in ("images", "masks"):
        (root / kind).mkdir(parents=True)
    for number, mask in enumerate(masks):
        image = np.where(mask > 0, 180, 60).astype(np.uint8)
        cv2.imwrite(str(root / "images" / f"{number}.png"), image)
        cv2.imwrite(str(root / "masks" / f"{number}.png"), mask)
    return root


def measured(masks: list[np.ndarray], preprocess: Preprocess, classes=("ground", "crack")):
    """The measure of masks of class indices that are in memory."""
    names = [(Path(f"{number}.png"), mask) for number, mask in enumerate(masks)]
    return measure(names, classes, preprocess)


def said_when_loading(root: Path, **options) -> tuple[list[str], ImageMaskDataLoaders]:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        dls = ImageMaskDataLoaders.from_folder(root, progress=False, **options)
    told = [str(one.message) for one in said]
    return [text for text in told if "thin or small" in text], dls


# --- the measure ----------------------------------------------------------------------------------


@given(st.data(), st.tuples(st.integers(1, 30), st.integers(1, 30)), st.booleans())
def test_at_their_own_size_masks_keep_everything(data, size, with_void):
    values = st.sampled_from([0, 1, 2, VOID] if with_void else [0, 1, 2])
    mask = data.draw(arrays(np.uint8, size, elements=values))
    found = measured([mask], Preprocess(size), ("a", "b", "c"))
    present = [index for index in range(3) if (mask == index).any()]
    assert [found.best_dice[index] for index in present] == [1.0] * len(present)
    assert found.lost == ()


@given(
    st.integers(0, 2**32 - 1),
    st.integers(2, 4),
    st.tuples(st.integers(2, 20), st.integers(2, 20)),
    st.tuples(st.integers(2, 60), st.integers(2, 60)),
)
def test_masks_are_brought_back_as_predictions_are(seed, classes, small, size):
    """Against the scores of a network that is sure of each pixel, as `Segmenter` decides them.

    Not where two classes have the same score: rounding decides there.
    """
    mask = np.random.default_rng(seed).integers(0, classes, small, dtype=np.uint8)
    preprocess = Preprocess(small)
    scores = torch.nn.functional.one_hot(torch.from_numpy(mask).long(), classes)
    scores = scores.permute(2, 0, 1)[None].float()
    expected = decide(preprocess.restore(scores[:, 1:] if classes == 2 else scores, size))
    second, first = preprocess.restore(scores, size)[0].sort(dim=0).values[-2:]
    clear = (first - second > 1e-5).numpy()
    found = brought_back(mask, size)
    np.testing.assert_array_equal(found[clear], expected[0].numpy()[clear])


def test_the_best_dice_is_that_of_pixels_counted_over_all_masks():
    masks = [discs(seed, 96, 1) for seed in range(3)] + [np.zeros((96, 96), np.uint8)]
    preprocess = Preprocess((24, 24))
    back = [brought_back(preprocess.resize_mask(mask), mask.shape) for mask in masks]
    right = sum(np.sum((a == 1) & (b == 1)) for a, b in zip(masks, back, strict=True))
    expected = 2 * right / sum(np.sum(m == 1) for m in masks + back)
    found = measured(masks, preprocess)
    assert found.best_dice[1] == pytest.approx(expected)
    assert 0.8 < expected < 1
    assert found.holders == (4, 3)


def test_void_is_left_out():
    """Void takes the place of what the size would lose: nothing is lost any more."""
    mask = discs(0, 256, 1)
    thin = lines(1, 256, 1) > 0
    assert measured([np.where(thin, 2, mask).astype(np.uint8)], Preprocess((64, 64)), "abc").lost
    hidden = np.where(thin, VOID, mask).astype(np.uint8)
    found = measured([hidden], Preprocess((64, 64)))
    assert found.lost == ()
    assert sum(found.holders) == 2
    assert min(found.best_dice) > 0.9


def test_a_mask_of_void_alone_says_nothing():
    void = np.full((64, 64), VOID, np.uint8)
    found = measured([void], Preprocess((32, 32)))
    assert (found.holders, found.lost, found.summary) == ((0, 0), (), "")


def test_a_class_that_is_gone_from_many_masks_is_lost_whatever_its_dice():
    """Large objects on few masks hide that the small ones of most masks are gone."""
    dots = np.zeros((256, 256), np.uint8)
    dots[1:250:60, 1:250:60] = 1
    masks = [discs(0, 256, 1), dots, dots, dots]
    found = measured(masks, Preprocess((64, 64)))
    assert found.best_dice[1] > 0.95
    assert found.lost == (1,)
    assert "gone from 3 of 4 masks" in found.message


def test_patches_at_the_images_own_resolution_lose_nothing_and_scaled_ones_do():
    masks = [lines(seed, 256, 1) for seed in range(3)]
    whole = Preprocess((32, 32), policy="patch")
    assert measured(masks, whole).best_dice == (1.0, 1.0)
    quarter = measured(masks, Preprocess((32, 32), policy="patch", scale=0.25))
    assert quarter.lost == (1,)
    assert quarter.message.startswith("What is thin or small is lost: at 0.25 of")


def test_few_of_many_large_masks_are_read(tmp_path):
    paths = [tmp_path / f"{number}.png" for number in range(40)]
    for path in paths:
        cv2.imwrite(str(path), np.zeros((2000, 2000), np.uint8))
    read: list[Path] = []

    def small(path: Path) -> np.ndarray:
        read.append(path)
        return np.zeros((20, 20), np.uint8)

    found = measure_resolution(paths, small, ("a", "b"), Preprocess((16, 16)), progress=False)
    assert found.masks == len(read) == 16  # 64 million pixels
    assert set(read) == {paths[i * 40 // 16] for i in range(16)}  # from all over the list


def test_a_cpu_sees_smaller_images_by_default():
    assert (default_side("cpu"), default_side("cuda"), default_side("mps")) == (128, 256, 256)
    assert default_side() in (128, 256)


# --- what is said when training starts ------------------------------------------------------------


@pytest.mark.parametrize("side", [64, 128])
def test_thin_lines_are_missed_with_a_warning_and_the_advice_mends_it(tmp_path, side):
    root = write(tmp_path / "thin", [lines(seed) for seed in range(6)])
    (said,), dls = said_when_loading(root, size=side)
    assert f"resized to {side}x{side}" in said
    assert "for foreground" in said
    assert dls.resolution.best_dice[1] < 0.5
    assert f"patch={side}" in said
    assert said_when_loading(root, patch=side)[0] == []
    mended = int(said.split("size=")[1].split(",")[0])
    assert side < mended <= 512
    told, dls = said_when_loading(root, size=mended)
    assert told == []
    assert dls.resolution.best_dice[1] >= LIMIT


def test_large_discs_are_nothing_to_warn_of(tmp_path):
    root = write(tmp_path / "discs", [discs(seed) for seed in range(6)])
    said, dls = said_when_loading(root, size=64)
    assert said == []
    assert min(dls.resolution.best_dice) > 0.95
    assert dls.resolution.advice == ""


def test_of_several_classes_the_thin_one_is_named(tmp_path):
    masks = [np.maximum(discs(seed, value=1), lines(seed, value=2)) for seed in range(6)]
    root = write(tmp_path / "leaves", masks)
    (said,), dls = said_when_loading(root, size=128, classes=["soil", "leaf", "vein"])
    assert "for vein" in said
    assert "leaf" not in said
    assert dls.resolution.lost == (2,)


def test_photos_that_would_need_a_large_network_get_the_advice_of_patches_first(tmp_path):
    root = write(tmp_path / "photos", [lines(seed, 900) for seed in range(3)])
    (said,), _ = said_when_loading(root, size=128)
    assert "Pass patch=128" in said
    assert said_when_loading(root, patch=128)[0] == []


def test_the_scale_of_patches_is_mended_by_a_larger_one(tmp_path):
    root = write(tmp_path / "thin", [lines(seed, 256) for seed in range(4)])
    (said,), _ = said_when_loading(root, patch=32, scale=0.25)
    mended = float(said.split("scale=")[1].rstrip("."))
    assert 0.25 < mended <= 1
    assert said_when_loading(root, patch=32, scale=mended)[0] == []


def test_lines_that_survive_at_one_size_by_luck_are_no_reason_to_name_it(tmp_path):
    """A column in 32: kept whole at some sizes, and hardly at larger ones."""
    mask = np.zeros((256, 256), np.uint8)
    mask[:, 5::32] = 1
    paths = []
    for number in range(3):
        paths.append(tmp_path / f"{number}.png")
        cv2.imwrite(str(paths[-1]), mask)
    codec = MaskCodec.infer(paths)
    sides = {}
    for side in range(96, 257, 32):
        how = Preprocess((side, side))
        found = measure_resolution(paths, codec.read, codec.classes, how, progress=False)
        sides[side] = found
    named = int(sides[96].advice.split("size=")[1].split(",")[0])
    assert sides[96].lost
    assert not any(found.lost for side, found in sides.items() if side >= named)
    assert any(not found.lost for side, found in sides.items() if side < named)
