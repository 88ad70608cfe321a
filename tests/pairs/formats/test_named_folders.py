"""Layouts that the names of folders tell."""

import pytest

from fastunet.pairs.find import find_pairs
from fastunet.pairs.formats.named_folders import IMAGES, MASKS


def named(pairs):
    return [(pair.image.name, pair.mask.name, pair.split) for pair in pairs]


@pytest.mark.parametrize("images", IMAGES)
def test_image_folders_of_any_common_name(touch, tmp_path, images):
    touch(tmp_path, f"{images.title()}/a.png", "masks/a.png")
    assert find_pairs(tmp_path).layout == f"{images.title()} + masks"


@pytest.mark.parametrize("masks", MASKS)
def test_mask_folders_of_any_common_name(touch, tmp_path, masks):
    touch(tmp_path, "images/a.png", f"{masks.upper()}/a.png")
    assert find_pairs(tmp_path).layout == f"images + {masks.upper()}"


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (("train", "val", "test"), {"train": 1, "valid": 1, "test": 1}),
        (("Training", "Validation", "Testing"), {"train": 1, "valid": 1, "test": 1}),
        (("tr", "dev"), {"train": 1, "valid": 1}),
    ],
)
@pytest.mark.parametrize(
    ("image", "mask", "layout"),
    [
        ("{}/imgs/{}.jpg", "{}/gt/{}.png", "train|val|test / imgs + gt"),
        ("imgs/{}/{}.jpg", "gt/{}/{}.png", "imgs + gt / train|val|test"),
    ],
)
def test_splits_lie_around_or_inside(touch, tmp_path, names, splits, image, mask, layout):
    for name in names:
        touch(tmp_path, image.format(name, name), mask.format(name, name))
    pairs = find_pairs(tmp_path)
    assert pairs.layout == layout
    assert pairs.splits == splits


def test_a_test_part_without_masks_is_no_concern(touch, tmp_path, recwarn):
    touch(tmp_path, "images/train/a.png", "images/test/b.png", "masks/train/a.png")
    touch(tmp_path, "more/x.png")
    assert named(find_pairs(tmp_path)) == [("a.png", "a.png", "train")]
    assert not recwarn.list


def test_the_folder_that_holds_images_is_taken_where_two_names_would_do(touch, tmp_path):
    touch(tmp_path, "images/a.png", "labels/a.txt", "annotations/a.png", "raw/notes.md")
    assert find_pairs(tmp_path).layout == "images + annotations"


@pytest.mark.parametrize("folder", ["train_masks", "train_labels", "trainannot"])
def test_masks_beside_the_training_folder(touch, tmp_path, folder):
    touch(
        tmp_path, "train/a.png", "train/b.png", f"{folder}/a.png", f"{folder}/b.png", "test/c.png"
    )
    pairs = find_pairs(tmp_path)
    assert pairs.layout == f"train + {folder}"
    assert pairs.splits == {"train": 2}


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("img{}.jpg", "img{}_mask.png"),
        ("{}.tif", "{}_SEG.tif"),
        ("{}_sat.jpg", "{}_mask.png"),
        ("{}.png", "mask_{}.png"),
        ("patient/x_{}.tif", "patient/x_{}_mask.tif"),
        ("scan.v2.{}.png", "scan.v2.{}.labels.png"),
    ],
)
def test_masks_that_lie_beside_their_images(touch, tmp_path, image, mask):
    for number in (1, 10, 100):
        touch(tmp_path, image.format(number), mask.format(number))
    pairs = find_pairs(tmp_path)
    assert "in one folder" in pairs.layout
    assert sorted(
        (str(p.image.relative_to(tmp_path)), str(p.mask.relative_to(tmp_path))) for p in pairs
    ) == sorted((image.format(n), mask.format(n)) for n in (1, 10, 100))


@pytest.mark.parametrize("part", ["", "train/"])
def test_a_folder_of_masks_among_the_images(touch, tmp_path, part):
    touch(tmp_path, *(f"{part}{name}.jpg" for name in "ab"))
    touch(tmp_path, *(f"{part}masks/{name}_m.png" for name in "ab"))
    pairs = find_pairs(tmp_path)
    assert pairs.layout == "x + masks/x"
    assert [pair.mask.name for pair in pairs] == ["a_m.png", "b_m.png"]
    assert not pairs.unpaired_images


def test_masks_beside_their_images_in_split_folders(touch, tmp_path):
    touch(tmp_path, "train/a.jpg", "train/a_mask.png", "valid/b.jpg", "valid/b_mask.png")
    assert find_pairs(tmp_path).splits == {"train": 1, "valid": 1}
