"""Where images and masks do not pair, the message says why and what to do."""

import pytest
from hypothesis import strategies as st

from fastunet.errors import PairingError
from fastunet.pairs.find import find_pairs


def test_files_without_a_partner_are_named_in_a_warning(touch, tmp_path):
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


def test_no_pairs_shows_how_both_sides_are_named(touch, tmp_path):
    touch(tmp_path, "images/left.png", "masks/right.png")
    with pytest.raises(PairingError, match=r"left\.png.*right\.png.*prefix= or suffix="):
        find_pairs(tmp_path)


def test_folders_of_masks_for_each_class_are_told_as_such(touch, tmp_path):
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


def test_sub_folders_that_differ_are_told_as_such(touch, tmp_path):
    touch(tmp_path, "images/a/1.png", "images/b/2.png", "masks/1.png", "masks/2.png")
    with pytest.raises(PairingError, match=r"differ\. Images lie in a/, b/, masks in the f"):
        find_pairs(tmp_path)


def test_folders_of_masks_for_each_image_are_told_as_such(touch, tmp_path):
    touch(
        tmp_path, "images/a.png", "images/b.png", "masks/a/1.png", "masks/a/2.png", "masks/b/1.png"
    )
    with pytest.raises(
        PairingError, match=r"lie in a folder of its name \(a/, with 1.png, 2.png\)"
    ):
        find_pairs(tmp_path)


@pytest.mark.parametrize("folder", ["", "benign/"])
def test_further_masks_of_an_image_are_not_lost(touch, tmp_path, folder):
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


def test_further_masks_in_a_folder_of_masks_are_not_lost_either(touch, tmp_path):
    touch(tmp_path, *(f"images/{i}.png" for i in "ab"), *(f"masks/{i}_mask.png" for i in "ab"))
    touch(tmp_path, "masks/b_mask_1.png")
    with pytest.raises(PairingError, match="1 image has more than one mask"):
        find_pairs(tmp_path)


def test_two_files_of_one_name_are_an_error_that_lists_both(touch, tmp_path):
    touch(tmp_path, "images/a.png", "masks/a.png", "masks/a.gif")
    with pytest.raises(PairingError, match=r"a\.gif, .*a\.png"):
        find_pairs(tmp_path)


def test_several_clashes_are_listed_in_one_message(touch, tmp_path):
    touch(tmp_path, "images/a.png", "images/b.png", "images/b.jpg", "masks/a.png", "masks/a.bmp")
    with pytest.raises(PairingError, match=r"images/b\.jpg, .*images/b\.png; .*masks/a\.bmp, "):
        find_pairs(tmp_path)


def test_a_lone_file_is_named_with_the_one_most_like_it(touch, tmp_path):
    touch(tmp_path, "images/a.png", "images/cell_07.png", "masks/a.png", "masks/cell_7.png")
    with pytest.warns(UserWarning, match=r"left out") as caught:
        find_pairs(tmp_path)
    text = " ".join(str(w.message) for w in caught)
    assert "cell_07.png (nearest: cell_7.png)" in text


names = st.text("ab01_-.", min_size=1, max_size=6).filter(lambda s: not s.startswith("."))
