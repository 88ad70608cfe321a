"""A folder for each image, with a mask file for each object in it."""

import cv2
import numpy as np
import pytest

from fastunet.errors import PairingError, SizeMismatchError
from fastunet.masks.codec import MaskCodec
from fastunet.pairs.find import find_pairs

IDS = ("0a1b", "1c2d", "2e3f")


@pytest.fixture
def tree(tmp_path):
    """Three images, with one to three objects of their own mask files."""
    root = tmp_path / "stage1_train"
    for n, name in enumerate(IDS, 1):
        for part in ("images", "masks"):
            (root / name / part).mkdir(parents=True)
        image = np.zeros((20, 30, 3), np.uint8)
        cv2.imwrite(str(root / name / "images" / f"{name}.png"), image)
        for at in range(n):
            mask = np.zeros((20, 30), np.uint8)
            mask[2:6, 8 * at : 8 * at + 5] = 255
            cv2.imwrite(str(root / name / "masks" / f"{n}{at}ff.png"), mask)
    return root


def test_the_objects_of_an_image_become_one_mask(tree):
    pairs = find_pairs(tree)
    assert [pair.image.name for pair in pairs] == [f"{name}.png" for name in IDS]
    assert not pairs.unpaired_images
    codec = MaskCodec.infer([pair.mask for pair in pairs], pairs.classes)
    assert codec.classes == ("background", "foreground")
    for n, pair in enumerate(pairs, 1):
        mask = codec.read(pair.mask)
        assert mask.sum() == n * 4 * 5
        assert mask[3, 8 * (n - 1)] == 1
        assert not pair.mask.is_relative_to(tree)


def test_a_part_without_masks_beside_it_is_no_concern(tree, recwarn):
    test = tree.parent / "stage1_test" / "9z9z" / "images"
    test.mkdir(parents=True)
    cv2.imwrite(str(test / "9z9z.png"), np.zeros((20, 30), np.uint8))
    assert len(find_pairs(tree.parent)) == 3
    tree.rename(tree.with_name("train"))
    assert find_pairs(tree.parent).splits == {"train": 3}
    assert not recwarn.list


def test_images_without_masks_are_named(tree):
    (tree / "7777" / "images").mkdir(parents=True)
    cv2.imwrite(str(tree / "7777" / "images" / "7777.png"), np.zeros((20, 30), np.uint8))
    with pytest.warns(UserWarning, match=r"without masks are left out \(1\): 7777"):
        assert len(find_pairs(tree)) == 3


def test_what_is_no_mask_of_one_object_is_named(tree):
    file = tree / IDS[1] / "masks" / "x.png"
    cv2.imwrite(str(file), np.arange(600, dtype=np.uint8).reshape(20, 30) % 3)
    with pytest.raises(PairingError, match=r"x\.png holds the values 0, 1, 2; the mask of one"):
        find_pairs(tree)
    cv2.imwrite(str(file), np.zeros((10, 30), np.uint8))
    with pytest.raises(SizeMismatchError, match=r"x\.png has 10x30 pixels .*, its image 20x30"):
        find_pairs(tree)


def test_other_folders_of_images_and_masks_are_not_taken_for_it(tree):
    for name in IDS:
        image = tree / name / "images" / f"{name}.png"
        image.rename(image.with_name("photo.png"))
    with pytest.raises(PairingError, match="holds no layout"):
        find_pairs(tree)
