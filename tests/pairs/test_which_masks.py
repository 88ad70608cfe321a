"""Where images have masks of several kinds the user is asked which are to be learned."""

import cv2
import pytest
from photos_and_masks import disc, masks_of, photo, view, write

from fastunet.checks.audit import audit
from fastunet.errors import AmbiguousPairingError, PairingError
from fastunet.pairs.find import find_pairs


@pytest.mark.parametrize(
    ("image", "first", "second"),
    [
        ("images/{}.png", "masks/{}.png", "masks_visible/{}.png"),
        ("images/{}.png", "mask/{}_mask.png", "vessels/{}_manual.png"),
        ("images/{}.png", "labels/{}.png", "instances/{}.png"),
        ("images/{}.png", "labels/{}.png", "others/{}.png"),
        ("images/train/{}.png", "masks/train/{}.png", "second/train/{}.png"),
        ("train/images/{}.png", "train/masks/{}.png", "train/experts/{}.png"),
        ("{}.png", "masks/{}.png", "experts/{}.png"),
        ("train/{}.png", "train_masks/{}.png", "train_experts/{}.png"),
    ],
)
def test_either_folder_of_masks_can_be_named(tmp_path, image, first, second):
    write(tmp_path, image, photo)
    write(tmp_path, first, view)
    write(tmp_path, second, disc)
    with pytest.raises(AmbiguousPairingError) as asked:
        find_pairs(tmp_path)
    for pattern in (first, second):
        step = next(part for part in pattern.split("/") if part != "train")
        assert f'masks="{step}"' in str(asked.value)
        found = find_pairs(tmp_path, masks=step)
        assert len(found) == 5
        assert all(step in pair.mask.parts for pair in found)
        assert {pair.split for pair in found} == {"train" if "train" in image else ""}


@pytest.mark.parametrize(
    ("image", "first", "second"),
    [
        ("{}.png", "{}_mask.png", "{}_label.png"),
        ("{}.png", "{}_mask.png", "{}_fov.png"),
        ("images/{}.png", "masks/{}_one.png", "masks/{}_two.png"),
        ("images/x{}.png", "masks/x{}_labelIds.png", "masks/x{}_instanceIds.png"),
    ],
)
def test_either_suffix_of_masks_can_be_named(tmp_path, image, first, second):
    write(tmp_path, image, photo)
    write(tmp_path, first, view)
    write(tmp_path, second, disc)
    with pytest.raises(AmbiguousPairingError) as asked:
        find_pairs(tmp_path)
    for pattern in (first, second):
        suffix = "_" + pattern.split("_")[1].removesuffix(".png")
        assert f'suffix="{suffix}"' in str(asked.value)
        with pytest.warns(UserWarning, match="left out"):
            found = find_pairs(tmp_path, suffix=suffix)
        assert {pair.mask.stem.endswith(suffix) for pair in found} == {True}
        assert len(found) == 5


@pytest.mark.parametrize(
    ("other", "draw"),
    [
        ("masks_color/{}.png", lambda n: cv2.merge([disc(n), disc(n) // 2, disc(n) // 3])),
        ("masks_again/{}.png", lambda n: disc(n, value=1)),  # the same areas in other values
        ("overlays/{}.png", disc),
        ("predictions/{}.png", disc),
        ("heatmaps/{}.png", disc),
        ("SegmentationClassVisualization/{}.png", disc),
        ("sharpened/{}.png", lambda n: photo(n + 50)),
        ("labels_on_photo/{}.png", photo),
        ("test/{}.png", disc),
    ],
)
def test_what_is_no_second_choice_is_not_asked_about(tmp_path, other, draw):
    write(tmp_path, "images/{}.png", photo)
    write(tmp_path, "masks/{}.png", disc)
    write(tmp_path, other, draw)
    assert masks_of(find_pairs(tmp_path)) == {"masks"}


def test_masks_of_a_few_images_only_are_no_second_choice(tmp_path):
    write(tmp_path, "images/{}.png", photo)
    write(tmp_path, "masks/{}.png", disc)
    write(tmp_path, "checked/{}.png", view, range(3))
    assert masks_of(find_pairs(tmp_path)) == {"masks"}


def test_black_and_white_pages_are_no_masks_of_each_other(tmp_path):
    write(tmp_path, "images/{}.png", disc)
    write(tmp_path, "denoised/{}.png", lambda n: disc(n, 7))
    write(tmp_path, "masks/{}.png", view)
    assert masks_of(find_pairs(tmp_path)) == {"masks"}


def test_a_second_kind_of_one_part_is_enough_to_ask(tmp_path):
    for part in ("train", "test"):
        write(tmp_path, f"{part}/images/{{}}.png", photo)
        write(tmp_path, f"{part}/mask/{{}}.png", view)
    write(tmp_path, "train/vessels/{}.png", disc)
    with pytest.raises(AmbiguousPairingError, match='masks="vessels"'):
        find_pairs(tmp_path)


def test_the_audit_finds_it(tmp_path):
    write(tmp_path, "images/{}.png", photo)
    write(tmp_path, "mask/{}.png", view)
    write(tmp_path, "vessels/{}.png", disc)
    report = audit(tmp_path)
    assert [finding.code for finding in report.errors] == ["which-masks"]
    assert audit(tmp_path, masks="vessels").ok


def test_masks_that_are_not_there_or_have_no_images_beside_them_are_refused(tmp_path):
    data, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    write(data, "images/{}.png", photo)
    write(data, "masks/{}.png", disc)
    write(elsewhere, "masks/{}.png", disc)
    with pytest.raises(PairingError, match="no folder nothing with masks"):
        find_pairs(data, masks="nothing")
    with pytest.raises(PairingError, match="images="):
        find_pairs(data, masks=elsewhere / "masks")
    assert len(find_pairs(data, masks=data / "masks")) == 5
