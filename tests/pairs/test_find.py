"""Which mask belongs to which image."""

from pathlib import Path

import pandas as pd
import pytest

from fastunet.errors import OptionError, PairingError
from fastunet.pairs.find import as_pairs, find_pairs


def stems(pairs):
    return [(pair.image.name, pair.mask.name, pair.split) for pair in pairs]


def test_images_and_masks_with_equal_stems_pair_across_extensions(touch, tmp_path):
    touch(tmp_path, "images/a.JPG", "images/b.v2.png", "masks/a.png", "masks/b.v2.gif")
    pairs = find_pairs(tmp_path)
    assert stems(pairs) == [("a.JPG", "a.png", ""), ("b.v2.png", "b.v2.gif", "")]
    assert pairs.layout == "images + masks"


def test_split_folders_keep_their_split(touch, tmp_path):
    for part in ("train", "val", "test"):
        touch(tmp_path, f"{part}/images/{part}.png", f"{part}/masks/{part}.png")
    assert find_pairs(tmp_path).splits == {"train": 1, "valid": 1, "test": 1}


def test_carvana_pairs_with_a_suffix_and_another_extension(touch, tmp_path):
    touch(tmp_path, "train/x_01.jpg", "train/x_02.jpg", "test/y.jpg")
    touch(tmp_path, "train_masks/x_01_mask.gif", "train_masks/x_02_mask.gif")
    assert stems(find_pairs(tmp_path)) == [
        ("x_01.jpg", "x_01_mask.gif", "train"),
        ("x_02.jpg", "x_02_mask.gif", "train"),
    ]


def test_segnet_pairs_train_with_trainannot(touch, tmp_path):
    touch(tmp_path, "train/a.png", "trainannot/a.png", "val/b.png", "valannot/b.png")
    assert stems(find_pairs(tmp_path)) == [("a.png", "a.png", "train"), ("b.png", "b.png", "valid")]


def test_folders_prefix_and_suffix_can_be_given(touch, tmp_path):
    touch(tmp_path, "photos/a.png", "labels/m-a-1.png", "labels/m-a-2.png")
    with pytest.warns(UserWarning, match="m-a-1.png"):
        pairs = find_pairs(tmp_path, images="photos", masks="labels", prefix="m-", suffix="-2")
    assert stems(pairs) == [("a.png", "m-a-2.png", "")]


def test_one_folder_may_be_named_for_both_sides(touch, tmp_path):
    touch(tmp_path, "mixed/a.png", "mixed/a_truth.png", "mixed/b.png", "mixed/b_truth.png")
    expected = [("a.png", "a_truth.png", ""), ("b.png", "b_truth.png", "")]
    assert stems(find_pairs(tmp_path, "mixed", "mixed", suffix="_truth")) == expected
    assert stems(find_pairs(tmp_path / "mixed", suffix="_truth")) == expected
    with pytest.raises(PairingError, match=r"one folder.*prefix= or suffix="):
        find_pairs(tmp_path, "mixed", "mixed")


@pytest.mark.parametrize(
    ("files", "path", "message"),
    [
        ([], "nowhere", "is missing"),
        (["file.png"], "file.png", "is a file"),
        (["stuff/a.png"], "", r"no layout.*Found: stuff/.*images/"),
        (["images/a.png", "masks/a.txt"], "", "there are no masks"),
    ],
)
def test_a_folder_that_cannot_be_read_says_why(touch, tmp_path, files, path, message):
    touch(tmp_path, *files)
    with pytest.raises(PairingError, match=message):
        find_pairs(tmp_path / path)


@pytest.mark.parametrize(
    ("name", "layout", "count", "splits"),
    [
        (
            "camvid",
            "train|val|test / images + masks",
            701,
            {"train": 367, "valid": 101, "test": 233},
        ),
        ("dsb2018", "images + masks", 240, {"": 240}),
        ("isbi2012", "images + masks", 30, {"": 30}),
        ("cwfid", "images + masks", 12, {"": 12}),
        ("carvana", "train + train_masks", 20, {"train": 16, "valid": 4}),
    ],
)
def test_the_real_data_sets_pair_completely(shared, name, layout, count, splits):
    pairs = find_pairs(shared(name))
    assert pairs.layout == layout
    assert len(pairs) == count
    assert pairs.splits == splits
    assert not pairs.unpaired_images
    assert not pairs.unpaired_masks


# --- what is given --------------------------------------------------------------------------------


def test_pairs_may_be_tuples_of_paths_or_a_table(touch, tmp_path):
    touch(tmp_path, "a.jpg", "a.png", "b.jpg", "b.png")
    images, masks = ([str(tmp_path / f"{n}{end}") for n in "ab"] for end in (".jpg", ".png"))
    expected = [("a.jpg", "a.png", ""), ("b.jpg", "b.png", "")]
    frame = pd.DataFrame({"image": images, "mask": masks})
    paths = [Path(image) for image in images]
    for form in (zip(images, masks, strict=True), [*zip(paths, masks, strict=True)], frame):
        assert stems(as_pairs(form)) == expected
    with pytest.raises(PairingError, match=r"1 of the files do not exist: .*c\.png"):
        as_pairs([(images[0], tmp_path / "c.png")])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("data", "data is a path; pairs were expected. from_folder"),
        (["images", "masks"], r"Entry 0 of the pairs is 'images'.*zip\(images, masks\)"),
        ([("a.png", 3)], r"Entry 0 of the pairs is \('a.png', 3\)"),
        ([("a.png", "b.png", "c.png")], "two paths"),
        (7, "7 holds no pairs"),
        (None, "None holds no pairs"),
    ],
)
def test_what_is_no_list_of_pairs_is_refused(wrong, message):
    with pytest.raises(PairingError, match=message):
        as_pairs(wrong)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["images", "masks"],), r"2 paths were given where one folder.*images=\.\.\. and masks="),
        ((3,), "3 is no path"),
        ((None,), "None is no path"),
        (("images", "masks"), "Pass masks= beside images="),
    ],
)
def test_what_is_no_folder_is_refused(arguments, message):
    with pytest.raises(PairingError, match=message):
        find_pairs(*arguments)


def test_names_of_folders_and_affixes_are_text():
    with pytest.raises(OptionError, match="images=3; a name was expected"):
        find_pairs(".", 3, "masks")
    with pytest.raises(OptionError, match="prefix=1; a name"):
        find_pairs(".", "images", "masks", 1)
