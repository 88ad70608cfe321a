"""Which mask belongs to which image."""

import os
import shutil
import tempfile
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastunet.errors import PairingError
from fastunet.pairs.affixes import infer_rule
from fastunet.pairs.find import as_pairs, find_pairs
from fastunet.pairs.matching import Rule, pair_up


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


def test_one_folder_may_be_named_for_both_sides(tmp_path):
    touch(tmp_path, "mixed/a.png", "mixed/a_truth.png", "mixed/b.png", "mixed/b_truth.png")
    expected = [("a.png", "a_truth.png", ""), ("b.png", "b_truth.png", "")]
    assert stems(find_pairs(tmp_path, "mixed", "mixed", suffix="_truth")) == expected
    assert stems(find_pairs(tmp_path / "mixed", suffix="_truth")) == expected
    with pytest.raises(PairingError, match=r"one folder.*prefix= or suffix="):
        find_pairs(tmp_path, "mixed", "mixed")


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


def test_folders_of_masks_for_each_class_are_told_as_such(tmp_path):
    touch(tmp_path, *(f"images/s{i}.png" for i in range(3)))
    touch(tmp_path, *(f"masks/{kind}/s{i}.png" for i in range(3) for kind in ("cat", "dog")))
    message = (
        r"names fit, but the sub-folders differ\. Images lie in the folder itself, masks in cat/, "
        r"dog/.*folder of masks for each class\? .* merge them.*masks=\".*cat\"\."
    )
    with pytest.raises(PairingError, match=message):
        find_pairs(tmp_path)
    assert len(find_pairs(tmp_path, masks=tmp_path / "masks" / "cat")) == 3
    assert len(find_pairs(tmp_path, tmp_path / "images", tmp_path / "masks" / "cat")) == 3


def test_sub_folders_that_differ_are_told_as_such(tmp_path):
    touch(tmp_path, "images/a/1.png", "images/b/2.png", "masks/1.png", "masks/2.png")
    with pytest.raises(PairingError, match=r"differ\. Images lie in a/, b/, masks in the f"):
        find_pairs(tmp_path)


def test_folders_of_masks_for_each_image_are_told_as_such(tmp_path):
    touch(
        tmp_path, "images/a.png", "images/b.png", "masks/a/1.png", "masks/a/2.png", "masks/b/1.png"
    )
    with pytest.raises(
        PairingError, match=r"lie in a folder of its name \(a/, with 1.png, 2.png\)"
    ):
        find_pairs(tmp_path)


@pytest.mark.parametrize("folder", ["", "benign/"])
def test_further_masks_of_an_image_are_not_lost(tmp_path, folder):
    touch(tmp_path, *(f"{folder}benign ({i}){end}.png" for i in range(4) for end in ("", "_mask")))
    assert len(find_pairs(tmp_path)) == 4
    touch(tmp_path, f"{folder}benign (1)_mask_1.png", f"{folder}benign (1)_mask_2.png")
    message = (
        r"1 image has more than one mask \(benign \(1\)_mask_1.png beside benign \(1\)_mask.png, "
        r".*\)\. One mask per image is read\. Merge them"
    )
    for options in ({}, {"suffix": "_mask"}):
        with pytest.raises(PairingError, match=message):
            find_pairs(tmp_path, **options)


def test_further_masks_in_a_folder_of_masks_are_not_lost_either(tmp_path):
    touch(tmp_path, *(f"images/{i}.png" for i in "ab"), *(f"masks/{i}_mask.png" for i in "ab"))
    touch(tmp_path, "masks/b_mask_1.png")
    with pytest.raises(PairingError, match="1 image has more than one mask"):
        find_pairs(tmp_path)


def test_two_files_of_one_name_are_an_error_that_lists_both(tmp_path):
    touch(tmp_path, "images/a.png", "masks/a.png", "masks/a.gif")
    with pytest.raises(PairingError, match=r"a\.gif, .*a\.png"):
        find_pairs(tmp_path)


def test_several_clashes_are_listed_in_one_message(tmp_path):
    touch(tmp_path, "images/a.png", "images/b.png", "images/b.jpg", "masks/a.png", "masks/a.bmp")
    with pytest.raises(PairingError, match=r"images/b\.jpg, .*images/b\.png; .*masks/a\.bmp, "):
        find_pairs(tmp_path)


def test_a_lone_file_is_named_with_the_one_most_like_it(tmp_path):
    touch(tmp_path, "images/a.png", "images/cell_07.png", "masks/a.png", "masks/cell_7.png")
    with pytest.warns(UserWarning, match=r"left out") as caught:
        find_pairs(tmp_path)
    text = " ".join(str(w.message) for w in caught)
    assert "cell_07.png (nearest: cell_7.png)" in text


def test_litter_and_hidden_files_are_passed_over(tmp_path, recwarn):
    touch(tmp_path, "images/a.png", "images/._a.png", "images/Thumbs.db", "masks/a.png")
    touch(tmp_path, "images/.ipynb_checkpoints/a-checkpoint.png", "masks/__MACOSX/a.png")
    touch(tmp_path, "__MACOSX/images/b.png", ".DS_Store")
    assert stems(find_pairs(tmp_path)) == [("a.png", "a.png", "")]
    assert not recwarn.list


def test_linked_folders_are_followed_and_a_loop_of_links_ends(tmp_path):
    touch(
        tmp_path, "elsewhere/a.png", "data/images/b.png", "data/masks/b.png", "data/masks/s/a.png"
    )
    (tmp_path / "data/images/s").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/again").symlink_to(tmp_path / "data/images")
    assert [pair.image.name for pair in find_pairs(tmp_path / "data")] == ["b.png", "a.png"]


# --- the rule that names follow ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("{}", "{}"),
        ("{}", "{}_mask"),
        ("{}", "mask_{}"),
        ("{}", "seg_{}_L"),
        ("{}_leftImg8bit", "{}_gtFine_labelIds"),
        ("{}_image", "{}_annotation"),
        ("img_{}", "mask_{}"),
        ("img{}", "mask{}"),
        ("sat_{}", "gt_{}"),
        ("{}_sat", "{}"),
        ("{}.rgb", "{}.labels"),
        ("sat_{}", "{}_gt"),
    ],
)
@pytest.mark.parametrize("count", [1, 2, 120])
def test_numbers_with_an_affix_on_either_side_pair_up(image, mask, count):
    cores = [str(7 * i) for i in range(1, count + 1)]
    images = {"": sorted(image.format(core) + ".jpg" for core in cores)}
    masks = {"": sorted(mask.format(core) + ".png" for core in cores)}
    found = pair_up(images, masks, infer_rule(images, masks))
    assert sorted(found.pairs) == sorted(
        ("", image.format(core) + ".jpg", "", mask.format(core) + ".png") for core in cores
    )


names = st.text("ab01_-.", min_size=1, max_size=6).filter(lambda s: not s.startswith("."))
affixes = st.sampled_from(["", "_mask", "-seg", "_L", ".gt", "M", "_gtFine_labelIds"])


@given(st.sets(names, min_size=1, max_size=30), affixes, affixes, st.randoms())
def test_any_stems_with_one_affix_pair_up_in_any_order(cores, before, behind, rng):
    """Another rule may pair as many: then equal stems, or the shorter affix, are as right."""
    images = {"": [f"{core}.png" for core in cores]}
    masks = {"": [f"{before}{core}{behind}.png" for core in cores]}
    rule = infer_rule(images, masks)
    found = pair_up(images, masks, rule)
    assert len(found.pairs) == len(cores)
    assert not found.lone_images
    assert not found.lone_masks
    assert rule.length <= len(before) + len(behind)

    for side in (images, masks):
        rng.shuffle(side[""])
    assert infer_rule(images, masks) == rule


@given(st.sets(st.integers(0, 99_999), min_size=4, max_size=60), st.data())
def test_a_few_strangers_do_not_spoil_the_rule(numbers, data):
    cores = sorted(map(str, numbers))
    images = {"": [f"img_{core}.png" for core in cores]}
    masks = {"": [f"mask_{core}.png" for core in cores]}
    dropped = data.draw(st.sampled_from(cores))
    masks[""].remove(f"mask_{dropped}.png")
    images[""] += ["readme-picture.png"]
    masks[""] += ["legend.png"]
    found = pair_up(images, masks, infer_rule(images, masks))
    assert {(image, mask) for _, image, _, mask in found.pairs} == {
        (f"img_{core}.png", f"mask_{core}.png") for core in cores if core != dropped
    }


@settings(max_examples=15)
@given(st.sets(st.text("abc_.", min_size=1, max_size=5).map("x{}".format), max_size=12),
       st.sampled_from(["", "one", "two/three"]), st.randoms())  # fmt: skip
def test_the_order_in_which_files_are_made_does_not_matter(stems, inner, rng):
    files = [f"{side}/{inner}/{stem}{tail}.png"
             for side, tail in (("images", ""), ("masks", "_m")) for stem in stems]  # fmt: skip
    files += ["images/z.png", "masks/z_m.png"]
    root = Path(tempfile.mkdtemp())
    listings = []
    for _ in range(2):
        rng.shuffle(files)
        touch(root, *files)
        listings.append(find_pairs(root).pairs)
        shutil.rmtree(root)
    assert listings[0] == listings[1]
    assert len(listings[0]) == len(stems) + 1


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        (["left"], ["right"]),
        (["scan1_001", "scan1_002"], ["scan2_001", "scan2_002"]),
        (["1", "2", "3"], ["4", "5", "6"]),
    ],
)
def test_names_that_only_look_alike_do_not_pair(images, masks):
    images = {"": [f"{stem}.png" for stem in images]}
    masks = {"": [f"{stem}.png" for stem in masks]}
    assert not pair_up(images, masks, infer_rule(images, masks)).pairs


def test_a_few_labelled_images_among_very_many_are_found():
    images = {"": [f"{i:06d}.jpg" for i in range(20_000)]}
    masks = {"": [f"{i:06d}_mask.png" for i in range(9_000, 9_020)]}
    assert infer_rule(images, masks) == Rule(mask=("", "_mask"))


# --- what cannot be read -------------------------------------------------------------------------


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


def test_a_pipe_named_like_an_image_is_no_image(tmp_path):
    for part in ("images", "masks"):
        touch(tmp_path, f"{part}/a.png")
        os.mkfifo(tmp_path / part / "b.png")
    assert [pair.image.name for pair in find_pairs(tmp_path)] == ["a.png"]


# --- what is given --------------------------------------------------------------------------------


def test_pairs_may_be_tuples_of_paths_or_a_table(tmp_path):
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
        ((".", 3, "masks"), "images=3; a name was expected"),
        ((".", "images", "masks", 1), "prefix=1; a name"),
    ],
)
def test_what_is_no_folder_is_refused(arguments, message):
    with pytest.raises(PairingError, match=message):
        find_pairs(*arguments)
