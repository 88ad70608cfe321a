"""What a COCO file says is checked before anything is drawn."""

import json

import numpy as np
import pytest
from annotated_boxes import BOX, boxed, flat, masks, rewrite, write_coco

from fastunet.errors import PairingError
from fastunet.pairs.find import find_pairs
from fastunet.pairs.formats.rasterise import OutlineWarning

SQUARE = [2, 3, 12, 3, 12, 13, 2, 13]  # x, y of the corners: columns 2..11, rows 3..12


def coco(images, annotations, categories=((1, "cell"), (7, "debris"))) -> str:
    """`annotations`: (image id, category id, segmentation[, iscrowd])."""
    return json.dumps(
        {
            "images": [
                {"id": i, "file_name": name, "height": 20, "width": 30} for i, name in images
            ],
            "categories": [{"id": i, "name": name} for i, name in categories],
            "annotations": [
                {
                    "id": 100 + n,
                    "image_id": image,
                    "category_id": category,
                    "segmentation": outline,
                    "iscrowd": int(bool(crowd)),
                }
                for n, (image, category, outline, *crowd) in enumerate(annotations)
            ],
        }
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"images": [', r"labels\.json is not valid JSON \(line 1, column 13"),
        (coco([(1, "a.png")], [(1, 9, [SQUARE])]), "annotation 100 is of category 9; .* 1, 7"),
        (coco([(1, "a.png")], [(1, 1, [SQUARE[:7]])]), "annotation 100: 7 coordinates"),
        (
            coco([(1, "a.png")], [(1, 1, None)]),
            r"json: 1 of 1 annotations have no outline \(annotation 100\)",
        ),
        (coco([(1, "a.png")], [(1, 1, {"size": [20, 30], "counts": [5]})]), "do not fill"),
        (
            coco([(1, "a.png")], [(1, 1, {"size": [2, 3], "counts": [6]})]),
            "of 2x3 pixels .* its image of 20x30",
        ),
        (coco([(1, "a.png")], [], [(1, "background")]), "names no classes"),
        (coco([(1, "")], []), "has no id or file_name"),
        (coco([(1, "gone.png")], []), r"images named like gone\.png, which are neither"),
    ],
)
def test_what_is_wrong_in_a_coco_file_is_said(picture, text, message, cache):
    root = picture("images/a.png")
    (root / "labels.json").write_text(text)
    with pytest.raises(PairingError, match=message):
        find_pairs(root)
    assert not list(cache.rglob("*.png"))


@pytest.mark.parametrize("spelt", [str, "{:03d}".format, float])
@pytest.mark.parametrize("field", ["image_id", "category_id"])
def test_an_id_of_another_type_is_matched_and_said(root, field, spelt):
    write_coco(root, **{field: lambda i: spelt(i if field == "image_id" else 1)})
    if spelt is float:  # 1.0 is 1
        assert all(np.array_equal(mask, boxed()) for mask in masks(root))
        return
    with pytest.warns(OutlineWarning, match=rf"4 of 4 annotations have a {field} such as"):
        assert all(np.array_equal(mask, boxed()) for mask in masks(root))


def test_annotations_of_no_image_are_counted_and_shown(root):
    write_coco(root, image_id=lambda i: i if i < 2 else f"{i}.png")
    with pytest.raises(
        PairingError, match=r"labels\.json: 2 of 4 annotations belong to no image: .*'2\.png'"
    ):
        find_pairs(root)


def test_an_id_that_two_images_could_have_is_not_guessed(root):
    doc = write_coco(root)
    doc["images"][1]["id"], doc["images"][2]["id"] = "07", "7"
    doc["annotations"][1]["image_id"] = 7
    doc["annotations"][2]["image_id"] = 7
    rewrite(root, doc)
    with pytest.raises(PairingError, match="2 of 4 annotations belong to no image"):
        find_pairs(root)


@pytest.mark.parametrize("key", ["id", "file_name"])
def test_two_entries_for_one_image_are_refused(root, key):
    doc = write_coco(root)
    doc["images"][1][key] = doc["images"][0][key]
    rewrite(root, doc)
    with pytest.raises(PairingError, match=f"more than one image has the {key}"):
        find_pairs(root)


@pytest.mark.parametrize("outline", [[], [[]], {}, "", None])
def test_boxes_without_outlines_are_counted(root, outline):
    write_coco(root, segmentation=lambda i: [flat(BOX)] if i == 0 else outline)
    with pytest.raises(PairingError, match=r"3 of 4 annotations have no outline, only a box"):
        find_pairs(root)


def test_a_missing_segmentation_is_no_outline(root):
    doc = write_coco(root)
    del doc["annotations"][0]["segmentation"]
    rewrite(root, doc)
    with pytest.raises(PairingError, match="1 of 4 annotations have no outline"):
        find_pairs(root)


def test_two_categories_of_one_id_are_refused(root):
    doc = write_coco(root)
    doc["categories"].append({"id": 1, "name": "debris"})
    rewrite(root, doc)
    with pytest.raises(PairingError, match="two categories have the id 1: 'cell' and 'debris'"):
        find_pairs(root)
