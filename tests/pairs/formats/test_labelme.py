"""LabelMe's polygons become masks."""

import base64
import json

import cv2
import numpy as np
import pytest
from annotated_boxes import BOX, HEIGHT, WIDTH, boxed, masks

from fastunet.errors import PairingError
from fastunet.pairs.find import find_pairs

SQUARE = [2, 3, 12, 3, 12, 13, 2, 13]  # x, y of the corners: columns 2..11, rows 3..12


def square(value=1, size=(20, 30)) -> np.ndarray:
    mask = np.zeros(size, np.uint8)
    mask[3:13, 2:12] = value
    return mask


def read(pair) -> np.ndarray:
    return cv2.imread(str(pair.mask), cv2.IMREAD_UNCHANGED)


def labelme(*shapes) -> str:
    return json.dumps(
        {
            "imagePath": "x.png",
            "shapes": [
                {"label": label, "points": points, "shape_type": kind, **more}
                for label, kind, points, *rest in shapes
                for more in (rest or [{}])
            ],
        }
    )


def test_labelme_files_beside_their_images(picture):
    root = picture("a.jpg", "b.v2.png", "unlabelled.png")
    points = np.array(SQUARE).reshape(-1, 2).tolist()
    stamp = cv2.imencode(".png", np.full((5, 4), 255, np.uint8))[1].tobytes()
    (root / "a.json").write_text(
        labelme(
            ("leaf", "rectangle", [[12, 13], [2, 3]]),
            ("__ignore__", "rectangle", [[20, 0], [30, 2]]),
        )
    )
    (root / "b.v2.json").write_text(
        labelme(
            ("leaf", "polygon", points),
            ("disc", "circle", [[22, 10], [22, 14]]),
            ("disc", "mask", [[25, 15], [28, 19]], {"mask": base64.b64encode(stamp).decode()}),
        )
    )
    with pytest.warns(UserWarning, match=r"unlabelled\.png"):
        pairs = find_pairs(root)
    assert pairs.layout == "LabelMe polygons"
    assert pairs.classes == {"background": 0, "disc": 1, "leaf": 2}
    assert pairs.void == (255,)
    expected = square(2)
    expected[0:2, 20:30] = 255
    assert np.array_equal(read(pairs[0]), expected)
    second = read(pairs[1])
    assert np.array_equal(second == 2, square() > 0)
    assert (second[15:20, 25:29] == 1).all()
    disc = np.count_nonzero(second[:, :26][:15] == 1)
    assert disc == pytest.approx(np.pi * 16, rel=0.1)  # 0.1 of a pixel on a radius of 4, twice


def test_labelme_refuses_what_has_no_inside(picture):
    root = picture("a.jpg")
    (root / "a.json").write_text(labelme(("leaf", "line", [[1, 1], [5, 5]])))
    with pytest.raises(PairingError, match=r"a\.json: shape 1 \(leaf\) is a line of 2 points"):
        find_pairs(root)


def write_labelme(root, height=HEIGHT, width=WIDTH, points=BOX, **more):
    shape = {"label": "cell", "points": points} | more
    for i in range(4):
        (root / f"images/{i}.json").write_text(
            json.dumps({"shapes": [shape], "imageHeight": height, "imageWidth": width})
        )


@pytest.mark.parametrize(
    ("kind", "points"),
    [
        ("rectangle", [BOX[2], BOX[0]]),
        ("rectangle", BOX),
        ("rotation", BOX),
        (None, BOX),
    ],
)
def test_each_kind_of_rectangle_is_drawn(root, kind, points):
    write_labelme(root, points=points, shape_type=kind)
    assert all(np.array_equal(mask, boxed()) for mask in masks(root))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shape_type": "point", "points": [[3, 3]]}, "is a point of 1 points"),
        ({"shape_type": "linestrip"}, "is a linestrip of 4 points"),
        ({"points": [1, 2, 3]}, r"its points are \[1, 2, 3\]; a list of \[x, y\]"),
        ({"points": [[1, 2, 3]]}, "a list of"),
        ({"points": 7}, "a list of"),
        ({"points": None}, "0 coordinates"),
        ({"points": [[0.1, 0.1], [0.9, 0.1], [0.5, 0.9]]}, "between 0 and 1"),
        ({"shape_type": "mask", "points": BOX[:2], "mask": "AAAA"}, "cannot be decoded"),
        ({"shape_type": "mask", "points": BOX[:2], "mask": 5}, "cannot be decoded"),
        ({"shape_type": ["polygon"]}, "of 4 points; polygons"),
    ],
)
def test_what_is_wrong_in_a_labelme_file_is_said(root, change, message):
    write_labelme(root, **change)
    with pytest.raises(PairingError, match=message):
        find_pairs(root)


def test_one_file_that_is_not_labelmes_among_others_is_named(root):
    write_labelme(root)
    (root / "images/2.json").write_text("{}")
    with pytest.raises(PairingError, match=r'2\.json \(1 of 4 files\) hold no list of "shapes"'):
        find_pairs(root)
