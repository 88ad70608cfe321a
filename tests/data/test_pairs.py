"""Which mask belongs to which image."""

import pytest

from fastunet.data.pairs import find_pairs
from fastunet.errors import PairingError


def touch(root, *names):
    for name in names:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def stems(pairs):
    return [(pair.image.name, pair.mask.name, pair.split) for pair in pairs]


def test_images_and_masks_with_equal_stems_pair_across_extensions(tmp_path):
    touch(tmp_path, "images/a.JPG", "images/b.v2.png", "masks/a.png", "masks/b.v2.gif")
    pairs = find_pairs(tmp_path)
    assert stems(pairs) == [("a.JPG", "a.png", ""), ("b.v2.png", "b.v2.gif", "")]
    assert pairs.layout == "images + masks"


def test_split_folders_keep_their_split(tmp_path):
    for part in ("train", "val", "test"):
        touch(tmp_path, f"{part}/images/{part}.png", f"{part}/masks/{part}.png")
    assert find_pairs(tmp_path).splits == {"train": 1, "valid": 1, "test": 1}


def test_carvana_pairs_with_a_suffix_and_another_extension(tmp_path):
    touch(tmp_path, "train/x_01.jpg", "train/x_02.jpg", "test/y.jpg")
    touch(tmp_path, "train_masks/x_01_mask.gif", "train_masks/x_02_mask.gif")
    assert stems(find_pairs(tmp_path)) == [
        ("x_01.jpg", "x_01_mask.gif", "train"),
        ("x_02.jpg", "x_02_mask.gif", "train"),
    ]


def test_segnet_pairs_train_with_trainannot(tmp_path):
    touch(tmp_path, "train/a.png", "trainannot/a.png", "val/b.png", "valannot/b.png")
    assert stems(find_pairs(tmp_path)) == [("a.png", "a.png", "train"), ("b.png", "b.png", "valid")]


def test_one_stem_inside_another_does_not_confuse_the_suffix(tmp_path):
    names = [f"{i}" for i in range(1, 25)]
    touch(tmp_path, *(f"images/{n}.png" for n in names), *(f"masks/seg_{n}_L.png" for n in names))
    pairs = find_pairs(tmp_path)
    assert [pair.mask.stem for pair in pairs] == [f"seg_{pair.image.stem}_L" for pair in pairs]
    assert len(pairs) == 24


def test_folders_prefix_and_suffix_can_be_given(tmp_path):
    touch(tmp_path, "photos/a.png", "labels/m-a-1.png", "labels/m-a-2.png")
    with pytest.warns(UserWarning, match="m-a-1.png"):
        pairs = find_pairs(tmp_path, images="photos", masks="labels", prefix="m-", suffix="-2")
    assert stems(pairs) == [("a.png", "m-a-2.png", "")]


def test_subfolders_are_mirrored(tmp_path):
    touch(tmp_path, "images/s1/a.png", "images/s2/a.png", "masks/s1/a.png", "masks/s2/a.png")
    assert [(p.image.parent.name, p.mask.parent.name) for p in find_pairs(tmp_path)] == [
        ("s1", "s1"),
        ("s2", "s2"),
    ]


def test_files_without_a_partner_are_named_in_a_warning(tmp_path):
    touch(tmp_path, "images/a.png", "images/lonely.png", "masks/a.png", "masks/orphan.png")
    with pytest.warns(UserWarning, match="left out") as caught:
        pairs = find_pairs(tmp_path)
    text = " ".join(str(w.message) for w in caught)
    assert "lonely.png" in text
    assert "orphan.png" in text
    assert [f.name for f in (*pairs.unpaired_images, *pairs.unpaired_masks)] == [
        "lonely.png",
        "orphan.png",
    ]


def test_no_pairs_shows_how_both_sides_are_named(tmp_path):
    touch(tmp_path, "images/left.png", "masks/right.png")
    with pytest.raises(PairingError, match=r"left\.png.*right\.png.*prefix= or suffix="):
        find_pairs(tmp_path)


def test_two_files_of_one_name_are_an_error_that_lists_both(tmp_path):
    touch(tmp_path, "images/a.png", "masks/a.png", "masks/a.gif")
    with pytest.raises(PairingError, match=r"a\.gif, .*a\.png"):
        find_pairs(tmp_path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda root: root / "nowhere", "is missing"),
        (lambda root: touch(root, "file.png") or root / "file.png", "is a file"),
        (lambda root: touch(root, "stuff/a.png") or root, r"no layout.*Found: stuff/.*images/"),
        (lambda root: touch(root, "images/a.png", "masks/a.txt") or root, "there are no masks"),
    ],
)
def test_a_folder_that_cannot_be_read_says_why(tmp_path, make, message):
    with pytest.raises(PairingError, match=message):
        find_pairs(make(tmp_path))


@pytest.mark.parametrize(
    ("name", "count", "splits"),
    [
        ("camvid", 701, {"train": 367, "valid": 101, "test": 233}),
        ("dsb2018", 240, {"": 240}),
        ("isbi2012", 30, {"": 30}),
        ("cwfid", 12, {"": 12}),
        ("carvana", 20, {"train": 16, "valid": 4}),
    ],
)
def test_the_real_data_sets_pair_completely(shared, name, count, splits):
    pairs = find_pairs(shared(name))
    assert len(pairs) == count
    assert pairs.splits == splits
    assert not pairs.unpaired_images
    assert not pairs.unpaired_masks
