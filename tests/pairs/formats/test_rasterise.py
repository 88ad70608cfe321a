"""Outlines are drawn once, into the cache, where they belong on their image."""

import json

import cv2
import numpy as np
import pytest
from annotated_boxes import BOX, HEIGHT, WIDTH, boxed, flat, masks, rewrite, write_coco
from PIL import Image

from fastunet.checks.audit import audit
from fastunet.errors import PairingError
from fastunet.pairs.find import find_pairs
from fastunet.pairs.formats import rasterise as drawing
from fastunet.pairs.formats.rasterise import OutlineWarning

SQUARE = [2, 3, 12, 3, 12, 13, 2, 13]  # x, y of the corners: columns 2..11, rows 3..12


def read(pair) -> np.ndarray:
    return cv2.imread(str(pair.mask), cv2.IMREAD_UNCHANGED)


SHARES = " ".join(str(v / (30 if i % 2 == 0 else 20)) for i, v in enumerate(SQUARE))


def test_a_photo_taken_upright_is_drawn_upright(picture):
    root = picture("images/b.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by a quarter to see it
    Image.new("RGB", (20, 30)).save(root / "images/a.jpg", exif=exif)
    (root / "labels").mkdir()
    for name in "ab":
        (root / f"labels/{name}.txt").write_text(f"0 {SHARES}")
    assert [read(pair).shape for pair in find_pairs(root)] == [(20, 30), (20, 30)]


def test_masks_are_drawn_once_outside_the_data_and_again_when_the_outlines_change(
    picture, cache, monkeypatch
):
    root = picture("images/a.jpg")
    (root / "labels").mkdir()
    (root / "labels/a.txt").write_text(f"0 {SHARES}")
    before = sorted(root.rglob("*"))
    first = find_pairs(root)[0].mask
    assert first.is_relative_to(cache / "polygons")
    assert sorted(root.rglob("*")) == before

    with monkeypatch.context() as patch:
        patch.setattr(drawing, "draw", None)  # drawing would fail
        assert find_pairs(root)[0].mask == first

    (root / "labels/a.txt").write_text("0 0 0 1 0 1 1 0 1")
    again = find_pairs(root)[0]
    assert again.mask != first
    assert read(again).all()
    assert not [file for file in (cache / "polygons").iterdir() if file.name.startswith(".")]


def test_a_few_outlines_that_reach_far_out_are_cut_off_and_named_each_time(root):
    doc = write_coco(root)
    far = flat((x + 40, y) for x, y in BOX)
    doc["annotations"] += [doc["annotations"][1] | {"id": 10 + i} for i in range(10)]
    doc["annotations"][0]["segmentation"] = [far]
    rewrite(root, doc)
    for _ in range(2):  # also where the masks are already drawn
        with pytest.warns(OutlineWarning, match=r"1 of 14 outlines lie mostly outside .*0\.png"):
            find_pairs(root)


def test_coco_with_another_size_than_the_image_is_refused(root):
    doc = write_coco(root)
    for image in doc["images"]:
        image["height"], image["width"] = 2 * HEIGHT, 2 * WIDTH
    rewrite(root, doc)
    with pytest.raises(PairingError, match=r"0\.png is stated to have 80x120 .* has 40x60"):
        find_pairs(root)


@pytest.mark.parametrize("stored", [True, False])
def test_a_turned_photo_is_drawn_as_the_stated_size_says(root, stored):
    exif = Image.Exif()
    exif[0x0112] = 6
    photo = Image.fromarray(np.random.default_rng(9).integers(0, 255, (HEIGHT, WIDTH), np.uint8))
    for i in range(4):
        photo.save(root / f"images/{i}.png", exif=exif)
    doc = write_coco(root)
    if not stored:
        points = [(HEIGHT - y, x) for x, y in BOX]
        for image, annotation in zip(doc["images"], doc["annotations"], strict=True):
            image["height"], image["width"] = WIDTH, HEIGHT
            annotation["segmentation"] = [flat(points)]
    rewrite(root, doc)
    expected = boxed() if stored else np.rot90(boxed(), -1)
    assert all(np.array_equal(mask, expected) for mask in masks(root))


def write_labelme(root, height=HEIGHT, width=WIDTH, points=BOX, **more):
    shape = {"label": "cell", "points": points} | more
    for i in range(4):
        (root / f"images/{i}.json").write_text(
            json.dumps({"shapes": [shape], "imageHeight": height, "imageWidth": width})
        )


@pytest.mark.parametrize("scale", [2, 1.37, 0.5])
def test_the_outlines_of_a_resized_photo_are_scaled_and_said(root, scale):
    height, width = round(HEIGHT * scale), round(WIDTH * scale)
    write_labelme(root, height, width, [(x * width / WIDTH, y * height / HEIGHT) for x, y in BOX])
    for _ in range(2):
        with pytest.warns(OutlineWarning, match="4 of 4 images .* another size .* scaled"):
            assert all(np.array_equal(mask, boxed()) for mask in masks(root))
    (found,) = [f for f in audit(root).findings if f.code == "outlines"]
    assert "are scaled" in found.message


def test_a_photo_of_other_proportions_is_refused(root):
    write_labelme(root, HEIGHT, HEIGHT)
    with pytest.raises(PairingError, match=r"0\.json: 0\.png is stated to have 40x40"):
        find_pairs(root)


def test_without_a_stated_size_the_outlines_are_those_of_the_file(root):
    write_labelme(root, None, None)
    assert all(np.array_equal(mask, boxed()) for mask in masks(root))


def write_yolo(root, *images, line=None):
    (root / "labels").mkdir(exist_ok=True)
    shares = " ".join(f"{x / WIDTH} {y / HEIGHT}" for x, y in BOX)
    for i in images:
        (root / f"labels/{i}.txt").write_text(f"0 {shares}" if line is None else line)


def test_masks_that_were_cleaned_away_in_part_are_drawn_again(root, cache):
    write_yolo(root, *range(4))
    find_pairs(root)[0].mask.unlink()
    assert all(np.array_equal(mask, boxed()) for mask in masks(root))
