"""Pairs that cannot be learned from are refused at once, or left out and listed."""

import json

import cv2
import numpy as np
import pytest
from PIL import Image

from fastunet.checks.bad_pairs import (
    refuse_bad_pairs,
    save_skipped,
    without_bad_pairs,
    without_unknown_values,
)
from fastunet.data.dataloaders import ImageMaskDataLoaders
from fastunet.errors import ImageReadError, PairingError, SizeMismatchError
from fastunet.evaluation.evaluate import evaluate
from fastunet.masks.codec import MaskCodec
from fastunet.pairs.find import find_pairs
from fastunet.pairs.pair import Pair, PairList
from fastunet.pairs.split import load_split, save_split

QUIET = {"size": 32, "device": "cpu", "progress": False}


def cut(file, share=0.5):
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])


def empty(file):
    file.write_bytes(b"")


def is_no_image(file):
    file.write_bytes(b"this is a text and no image at all")


def of_another_size(file):
    cv2.imwrite(str(file), np.zeros((10, 12), np.uint8))


def lost(file):
    file.unlink()
    file.symlink_to("gone.png")


DAMAGES = [cut, empty, is_no_image, lost]


def raw_tiff(file):
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 48, 3), np.uint8)).save(file)


def gif(file):
    Image.fromarray(np.random.default_rng(0).integers(0, 2, (40, 48), np.uint8)).save(file)


@pytest.mark.parametrize("side", ["images", "masks"])
@pytest.mark.parametrize("damage", [*DAMAGES, of_another_size])
def test_headers_show_what_is_refused_before_anything_is_decoded(write_pairs, side, damage):
    root = write_pairs(8)
    for name in ("02", "05"):
        damage(root / side / f"{name}.png")
    kind = SizeMismatchError if damage is of_another_size else ImageReadError
    with pytest.raises(kind, match=r"02\.png.*05\.png.*2 of 8: skip_bad=True"):
        refuse_bad_pairs(find_pairs(root), progress=False)


def test_the_header_of_a_tiff_shows_that_its_end_is_missing(tmp_path):
    for name in ("whole.tif", "short.tif"):
        raw_tiff(tmp_path / name)
    pairs = [Pair(tmp_path / name, tmp_path / "whole.tif") for name in ("whole.tif", "short.tif")]
    refuse_bad_pairs(pairs, progress=False)
    cut(tmp_path / "short.tif")
    with pytest.raises(ImageReadError, match=r"1 file ends early.*short\.tif"):
        refuse_bad_pairs(pairs, progress=False)


@pytest.mark.parametrize("damage", [*DAMAGES, of_another_size])
def test_bad_pairs_are_left_out_with_their_reason(write_pairs, damage):
    root = write_pairs(8)
    damage(root / "masks" / "02.png")
    pairs = find_pairs(root)
    good, skipped = without_bad_pairs(pairs, progress=False)
    assert [pair.image.stem for pair in good] == ["00", "01", "03", "04", "05", "06", "07"]
    assert isinstance(good, PairList)
    assert [one.pair for one in skipped] == [pairs[2]]
    assert "02.png" in skipped[0].reason
    assert "\n" not in skipped[0].reason


def test_what_only_decoding_shows_is_left_out_too(tmp_path, write_pairs):
    root = write_pairs(4)
    (root / "masks/01.png").unlink()
    gif(root / "masks/01.gif")
    cut(root / "masks/01.gif")
    np.save(root / "images/02.npy", np.full((40, 48, 3), np.nan, np.float32))
    (root / "images/02.png").unlink()
    pairs = find_pairs(root)
    refuse_bad_pairs(pairs, progress=False)  # headers do not show it
    _, skipped = without_bad_pairs(pairs, progress=False)
    assert [one.pair.image.stem for one in skipped] == ["01", "02"]


def test_masks_of_unknown_values_are_left_out_by_the_codec(write_pairs):
    root = write_pairs(6)
    pairs = find_pairs(root)
    codec = MaskCodec.infer([pair.mask for pair in pairs])
    cv2.imwrite(str(root / "masks/03.png"), np.full((40, 48), 77, np.uint8))
    good, skipped = without_unknown_values(pairs, codec, progress=False)
    assert (len(good), [one.pair.mask.name for one in skipped]) == (5, ["03.png"])
    assert "77" in skipped[0].reason


def test_more_than_half_are_never_left_out(write_pairs):
    root = write_pairs(6)
    for number in range(4):
        empty(root / f"images/0{number}.png")
    with pytest.raises(ImageReadError, match="4 of 6 pairs cannot be used, more than half"):
        without_bad_pairs(find_pairs(root), progress=False)


def test_the_list_of_what_was_left_out_is_written(tmp_path, write_pairs):
    root = write_pairs(4)
    empty(root / "masks/01.png")
    _, skipped = without_bad_pairs(find_pairs(root), progress=False)
    save_skipped(skipped, tmp_path / "skipped.json")
    (entry,) = json.loads((tmp_path / "skipped.json").read_text())["skipped"]
    assert entry["image"] == str(root / "images" / "01.png")
    assert entry["mask"] == str(root / "masks" / "01.png")
    assert "no bytes" in entry["reason"] or "empty" in entry["reason"]


# --- in training and evaluation ------------------------------------------------------------------


def test_data_loaders_go_without_bad_pairs_and_say_so(write_pairs):
    root = write_pairs(12)
    empty(root / "masks/02.png")
    of_another_size(root / "masks/05.png")
    with pytest.raises(ImageReadError, match="skip_bad=True"):
        ImageMaskDataLoaders.from_folder(root, **QUIET)
    with pytest.warns(UserWarning, match=r"2 of 12 pairs cannot be used and are left out: 02\.png"):
        dls = ImageMaskDataLoaders.from_folder(root, skip_bad=True, **QUIET)
    assert sum(map(len, dls.pairs.values())) == 10
    assert [one.pair.image.stem for one in dls.skipped] == ["02", "05"]
    dls.one_batch()


def test_good_data_are_the_same_with_and_without(write_pairs, recwarn):
    root = write_pairs(8)
    dls = ImageMaskDataLoaders.from_folder(root, skip_bad=True, **QUIET)
    assert dls.pairs == ImageMaskDataLoaders.from_folder(root, **QUIET).pairs
    assert not dls.skipped
    assert not [warned for warned in recwarn if "left out" in str(warned.message)]


def test_files_that_a_table_lists_and_nobody_has_are_left_out(write_pairs):
    root = write_pairs(8)
    rows = [f"images/0{n}.png,masks/0{n}.png" for n in range(9)]  # 08 is nowhere
    table = root / "pairs.csv"
    table.write_text("\n".join(["image,mask", *rows]))
    with pytest.raises(PairingError, match=r"do not exist.*skip_bad=True"):
        ImageMaskDataLoaders.from_folder(table, **QUIET)
    with pytest.warns(UserWarning, match=r"1 of 9 pairs.*08\.png"):
        dls = ImageMaskDataLoaders.from_folder(table, skip_bad=True, **QUIET)
    assert len(dls.skipped) == 1


def test_a_split_may_name_what_is_left_out_and_remembers_it(tmp_path, write_pairs):
    root = write_pairs(8)
    empty(root / "masks/02.png")
    with pytest.warns(UserWarning, match="1 of 8"):
        dls = ImageMaskDataLoaders.from_folder(root, skip_bad=True, split=["02", "03"], **QUIET)
    assert [pair.image.stem for pair in dls.pairs["valid"]] == ["03"]
    file = save_split(dls.pairs, tmp_path / "split.json", [one.pair for one in dls.skipped])
    with pytest.warns(UserWarning, match=r"leaves out 1 images.*02\.png"):
        parts = load_split(find_pairs(root), file)
    assert parts == dls.pairs


def test_evaluation_refuses_or_leaves_out(write_pairs):
    from fastunet.learner import segmentation_learner

    root = write_pairs(8)
    learn = segmentation_learner(ImageMaskDataLoaders.from_folder(root, **QUIET), width=4)
    empty(root / "masks/02.png")
    cv2.imwrite(str(root / "masks/03.png"), np.full((40, 48), 77, np.uint8))
    with pytest.raises(ImageReadError, match=r"02\.png.*1 of 8: skip_bad=True"):
        evaluate(learn, find_pairs(root), progress=False)
    with pytest.warns(UserWarning, match="2 of 8 pairs"):
        result = evaluate(learn, find_pairs(root), skip_bad=True, progress=False)
    assert result.images == 6
