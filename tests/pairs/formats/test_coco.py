"""COCO's polygons and run lengths become masks."""

import json

import cv2
import numpy as np
import pytest
from annotated_boxes import BOX, HEIGHT, WIDTH, boxed, flat, masks, rewrite, write_coco

from fastunet.errors import PairingError
from fastunet.masks.codec import MaskCodec
from fastunet.pairs.find import find_pairs

SQUARE = [2, 3, 12, 3, 12, 13, 2, 13]  # x, y of the corners: columns 2..11, rows 3..12


def square(value=1, size=(20, 30)) -> np.ndarray:
    mask = np.zeros(size, np.uint8)
    mask[3:13, 2:12] = value
    return mask


def read(pair) -> np.ndarray:
    return cv2.imread(str(pair.mask), cv2.IMREAD_UNCHANGED)


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


def test_coco_as_it_is_published(picture):
    root = picture("train2017/a.jpg", "train2017/empty.jpg", "val2017/b.jpg")
    (root / "annotations").mkdir()
    (root / "annotations/captions_train2017.json").write_text("{}")
    (root / "annotations/instances_train2017.json").write_text(
        coco([(1, "a.jpg"), (2, "empty.jpg")], [(1, 7, [SQUARE])])
    )
    (root / "annotations/instances_val2017.json").write_text(
        coco([(1, "b.jpg")], [(1, 1, [SQUARE])], [(1, "debris"), (2, "cell")])
    )
    pairs = find_pairs(root)
    assert pairs.layout == "COCO polygons"
    assert pairs.classes == {"background": 0, "cell": 1, "debris": 2}
    assert pairs.void == ()
    assert [(p.image.name, p.split) for p in pairs] == [
        ("a.jpg", "train"),
        ("empty.jpg", "train"),
        ("b.jpg", "valid"),
    ]
    masks = [read(pair) for pair in pairs]
    assert np.array_equal(masks[0], square(2))
    assert not masks[1].any()
    assert np.array_equal(masks[2], square(2))  # "debris" is one class, whatever its id
    codec = MaskCodec.infer([pair.mask for pair in pairs], pairs.classes, pairs.void)
    assert codec.classes == ("background", "cell", "debris")


def test_coco_from_roboflow_one_file_per_split(picture):
    root = picture("train/a.jpg", "valid/b.jpg")
    categories = [
        {"id": 0, "name": "cells", "supercategory": "none"},
        {"id": 1, "name": "cell", "supercategory": "cells"},
    ]
    for split, name in (("train", "a.jpg"), ("valid", "b.jpg")):
        doc = json.loads(coco([(0, name)], [(0, 1, [SQUARE])])) | {"categories": categories}
        (root / split / "_annotations.coco.json").write_text(json.dumps(doc))
    pairs = find_pairs(root)
    assert pairs.splits == {"train": 1, "valid": 1}
    assert pairs.classes == {"background": 0, "cell": 1}
    assert all(np.array_equal(read(pair), square()) for pair in pairs)


def test_coco_beside_an_image_folder_with_crowds_holes_and_unions(picture):
    root = picture("images/a.png")
    ring = square().astype(bool)
    ring[6:9, 5:8] = False
    flat, runs, current = ring.T.ravel(), [0], False
    for pixel in flat:
        if pixel != current:
            runs.append(0)
            current = pixel
        runs[-1] += 1
    far = [20, 0, 25, 0, 25, 5, 20, 5]
    right = [25, 0, 28, 0, 28, 5, 25, 5]
    crowd = [14, 14, 30, 14, 30, 20, 14, 20]
    (root / "labels.json").write_text(
        coco(
            [(1, "a.png")],
            [
                (1, 1, {"size": [20, 30], "counts": runs}),
                (1, 7, [far, right]),
                (1, 1, [crowd], True),
            ],
        )
    )
    pairs = find_pairs(root)
    expected = np.zeros((20, 30), np.uint8)
    expected[ring] = 1
    expected[0:5, 20:28] = 2
    expected[14:20, 14:30] = 255
    assert np.array_equal(read(pairs[0]), expected)
    assert pairs.void == (255,)


def test_a_coco_file_cannot_have_masks_written_outside_the_cache(picture, cache):
    root = picture("images/a.png", "images/b.png")
    (root / "labels.json").write_text(
        coco([(1, "../../../a.png"), (2, "/etc/b.png")], [(1, 1, [SQUARE])])
    )
    pairs = find_pairs(root)
    assert [pair.image.name for pair in pairs] == ["a.png", "b.png"]
    assert all(pair.mask.is_relative_to(cache / "polygons") for pair in pairs)


def test_two_coco_files_may_share_one_image_folder(picture):
    root = picture("images/a.png", "images/b.png")
    (root / "train.json").write_text(coco([(1, "images/a.png")], [(1, 1, [SQUARE])]))
    (root / "val.json").write_text(coco([(1, "images/b.png")], [(1, 1, [SQUARE])]))
    assert [(p.image.name, p.split) for p in find_pairs(root)] == [
        ("a.png", "train"),
        ("b.png", "valid"),
    ]


def test_images_that_coco_names_but_are_not_there_are_named(picture):
    root = picture("images/a.png")
    (root / "labels.json").write_text(
        coco([(1, "a.png"), (2, "gone.png")], [(1, 1, [SQUARE]), (2, 1, [SQUARE])])
    )
    with pytest.warns(UserWarning, match=r"not in .*images are left out \(1\): gone\.png"):
        assert len(find_pairs(root)) == 1


def test_shares_where_pixels_are_meant_are_refused(root):
    write_coco(root, segmentation=[flat([(x / WIDTH, y / HEIGHT) for x, y in BOX])])
    with pytest.raises(PairingError, match=r"between 0 and 1; pixels .* 3 more of the 4 images"):
        find_pairs(root)


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ([flat((x + 100, y) for x, y in BOX)], "marks no pixel: it is empty, or outside"),
        ([flat((x + 40, y) for x, y in BOX)], "4 of 4 outlines lie mostly outside"),
        ([flat((x * 1e9, y) for x, y in BOX)], "is outside any picture"),
        ([[1, 2, 3, 4]], "4 coordinates; x and y of at least 3 points"),
        ([[1, 2, 3, 4, 5, float("nan")]], "a coordinate is not finite"),
        ([[1, 2, 3, 4, 5, 10**400]], "are no numbers"),
        ([[1, 2, 3, 4, 5, "wide"]], "are no numbers"),
        ([[1, 2, 3, 4, 5, None]], "not finite"),
        ([{"x": 1}], "are no numbers"),
        ("outline", "its segmentation is 'outline'"),
        ({"size": [HEIGHT, WIDTH], "counts": [HEIGHT * WIDTH]}, "marks no pixel"),
        ({"size": [10**6, 10**6], "counts": [0, 10**12]}, "its image of 40x60"),
        ({"size": [HEIGHT, WIDTH], "counts": "ééé"}, "do not fill"),
        ({"size": [HEIGHT, WIDTH], "counts": [1.5, 2398.5]}, "do not fill"),
    ],
)
def test_an_outline_that_cannot_be_right_is_refused(root, segmentation, message):
    write_coco(root, segmentation=segmentation)
    with pytest.raises(PairingError, match=message):
        find_pairs(root)


def test_a_flat_list_of_coordinates_is_one_polygon(root):
    write_coco(root, segmentation=flat(BOX))
    assert all(np.array_equal(mask, boxed()) for mask in masks(root))


def test_an_object_too_small_to_hold_a_pixel_centre_is_still_there(root):
    write_coco(root, segmentation=[[20.6, 10.6, 20.9, 10.6, 20.9, 10.9]])
    for mask in masks(root):
        assert np.argwhere(mask).tolist() == [[10, 20]]


@pytest.mark.parametrize("annotations", [0, 1])
def test_nothing_outlined_at_all_is_an_error(root, annotations):
    doc = write_coco(root, iscrowd=1)
    doc["annotations"] = doc["annotations"][:annotations]
    rewrite(root, doc)
    with pytest.raises(PairingError, match=r"labels\.json outlines no object on any image"):
        find_pairs(root)
