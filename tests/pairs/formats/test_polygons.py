"""Outlines become masks, once, and exactly."""

import base64
import json

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fastunet.errors import PairingError
from fastunet.masks.codec import MaskCodec
from fastunet.pairs.find import find_pairs
from fastunet.pairs.formats import rasterise as drawing
from fastunet.pairs.formats.polygons import Shape, bitmap_of, draw

SQUARE = [2, 3, 12, 3, 12, 13, 2, 13]  # x, y of the corners: columns 2..11, rows 3..12


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("FASTUNET_CACHE", str(folder))
    return folder


@pytest.fixture
def picture(tmp_path):
    """Write a black picture of 20 rows and 30 columns; returns the data folder."""

    def write(*names: str, size=(20, 30)):
        for name in names:
            file = tmp_path / "data" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(file), np.zeros((*size, 3), np.uint8))
        return tmp_path / "data"

    return write


def square(value=1, size=(20, 30)) -> np.ndarray:
    mask = np.zeros(size, np.uint8)
    mask[3:13, 2:12] = value
    return mask


def read(pair) -> np.ndarray:
    return cv2.imread(str(pair.mask), cv2.IMREAD_UNCHANGED)


def coco(images, annotations, categories=((1, "cell"), (7, "debris"))) -> str:
    """`annotations`: (image id, category id, segmentation[, iscrowd])."""
    return json.dumps({
        "images": [
            {"id": i, "file_name": name, "height": 20, "width": 30} for i, name in images
        ],
        "categories": [{"id": i, "name": name} for i, name in categories],
        "annotations": [
            {"id": 100 + n, "image_id": image, "category_id": category,
             "segmentation": outline, "iscrowd": int(bool(crowd))}
            for n, (image, category, outline, *crowd) in enumerate(annotations)
        ],
    })  # fmt: skip


# --- drawing -------------------------------------------------------------------------------------


corner = st.floats(-15, 45, allow_nan=False)


@given(st.tuples(corner, corner), st.tuples(corner, corner), st.tuples(corner, corner))
def test_a_triangle_fills_the_pixels_whose_centres_it_holds(a, b, c):
    """Against the sign of the three edges; a tenth of a pixel around the outline may be either."""
    y, x = np.mgrid[0:20, 0:30] + 0.5
    edges = [((a, b), c), ((b, c), a), ((c, a), b)]
    inside, near = np.ones((20, 30), bool), np.zeros((20, 30), bool)
    for ((x0, y0), (x1, y1)), (xo, yo) in edges:
        length = np.hypot(x1 - x0, y1 - y0)
        if length < 1e-6:
            return
        distance = ((x1 - x0) * (y - y0) - (y1 - y0) * (x - x0)) / length
        other = ((x1 - x0) * (yo - y0) - (y1 - y0) * (xo - x0)) / length
        inside &= distance * np.sign(other) > 0
        along = ((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / length
        gap = np.hypot(distance, np.maximum(0, np.maximum(-along, along - length)))
        near |= gap < 0.3
    try:
        mask = draw([Shape(1, (np.array([a, b, c]),))], (20, 30))
    except PairingError:  # nothing of it lies in the picture
        assert not inside[~near].any()
        return
    if not inside.any():  # too small to hold a centre: the pixels that it runs through
        assert mask.any()
        return
    assert np.array_equal(mask[~near] > 0, inside[~near])


def test_a_polygon_that_leaves_the_picture_is_cut_off():
    mask = draw([Shape(1, (np.array([[-1e12, 5], [1e12, 5], [1e12, 9], [-1e12, 9]]),))], (20, 30))
    assert np.array_equal(np.flatnonzero(mask.any(1)), [5, 6, 7, 8])
    assert mask[5:9].all()


def test_small_objects_are_drawn_over_large_ones_and_void_below_all():
    large = np.array([[0, 0], [30, 0], [30, 20], [0, 20]])
    small = np.array(SQUARE).reshape(-1, 2)
    shapes = [Shape(2, (small,)), Shape(1, (large,)), Shape(255, (small,))]
    mask = draw(shapes, (20, 30))
    assert np.array_equal(mask, np.where(square() > 0, 2, 1))


def test_cocos_compressed_run_lengths_decode_as_pycocotools_encoded_them():
    expected = np.zeros((9, 14), bool)
    expected[2:7, 3:11] = True
    expected[4, 5:8] = False
    packed = {"size": [9, 14], "counts": "m05400MM030M030M0330000i0"}  # by pycocotools 2.0.11
    assert np.array_equal(bitmap_of(packed, (9, 14), ""), expected)


@given(st.data(), st.integers(1, 12), st.integers(1, 12))
def test_plain_run_lengths_go_down_the_columns(data, height, width):
    pixels = data.draw(st.lists(st.booleans(), min_size=height * width, max_size=height * width))
    expected = np.array(pixels).reshape(height, width)
    runs, current = [0], False
    for pixel in expected.T.ravel():
        if pixel != current:
            runs.append(0)
            current = pixel
        runs[-1] += 1
    rle = {"size": [height, width], "counts": runs}
    assert np.array_equal(bitmap_of(rle, (height, width), ""), expected)


# --- COCO ----------------------------------------------------------------------------------------


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


def test_images_that_coco_names_but_are_not_there_are_named(picture):
    root = picture("images/a.png")
    (root / "labels.json").write_text(
        coco([(1, "a.png"), (2, "gone.png")], [(1, 1, [SQUARE]), (2, 1, [SQUARE])])
    )
    with pytest.warns(UserWarning, match=r"not in .*images are left out \(1\): gone\.png"):
        assert len(find_pairs(root)) == 1


# --- LabelMe -------------------------------------------------------------------------------------


def labelme(*shapes) -> str:
    return json.dumps({
        "imagePath": "x.png",
        "shapes": [{"label": label, "points": points, "shape_type": kind, **more}
                   for label, kind, points, *rest in shapes for more in (rest or [{}])],
    })  # fmt: skip


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


# --- YOLO ----------------------------------------------------------------------------------------

SHARES = " ".join(str(v / (30 if i % 2 == 0 else 20)) for i, v in enumerate(SQUARE))


@pytest.mark.parametrize(
    ("image", "text", "names"),
    [
        ("images/train/a.jpg", "labels/train/a.txt", "names: [leaf, stem]"),
        ("train/images/a.jpg", "train/labels/a.txt", "names:\n  0: leaf\n  1: stem\n"),
        ("images/a.jpg", "labels/a.txt", None),
    ],
)
def test_yolo_in_either_nesting_with_and_without_names(picture, image, text, names):
    root = picture(image)
    (root / text).parent.mkdir(parents=True)
    (root / text).write_text(f"1 {SHARES}\n\n")
    if names:
        (root / "data.yaml").write_text(f"path: .\n{names}\n")
    pairs = find_pairs(root)
    first, second = ("leaf", "stem") if names else ("class 0", "class 1")
    assert pairs.layout == "YOLO polygons"
    assert pairs.classes == {"background": 0, first: 1, second: 2}
    assert pairs.splits == {"train" if "train" in image else "": 1}
    assert np.array_equal(read(pairs[0]), square(2))


def test_a_photo_taken_upright_is_drawn_upright(picture):
    root = picture("images/b.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by a quarter to see it
    Image.new("RGB", (20, 30)).save(root / "images/a.jpg", exif=exif)
    (root / "labels").mkdir()
    for name in "ab":
        (root / f"labels/{name}.txt").write_text(f"0 {SHARES}")
    assert [read(pair).shape for pair in find_pairs(root)] == [(20, 30), (20, 30)]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 0.1 0.1 0.5 0.1 0.5 0.5 0.1", r"a\.txt, line 2: 7 coordinates; .*an even number"),
        ("0 0.5 0.5 0.1 0.1", r"a\.txt, line 2 is a box"),
        ("leaf 0.1 0.1 0.5 0.1 0.5 0.5", r"line 2 begins with 'leaf'"),
        ("5 0.1 0.1 0.5 0.1 0.5 0.5", r"a\.txt holds class 5; the classes are 0"),
        ("0 0.1 0.1 0.5 nan 0.5 0.5", r"line 2: a coordinate is not finite"),
    ],
)
def test_what_is_wrong_in_a_yolo_file_is_said_with_its_line(picture, line, message, cache):
    root = picture("images/a.jpg")
    (root / "labels").mkdir()
    (root / "labels/a.txt").write_text(f"0 {SHARES}\n{line}\n")
    (root / "data.yaml").write_text("names: [leaf]")
    with pytest.raises(PairingError, match=message):
        find_pairs(root)
    assert not list(cache.rglob("*.png"))


# --- the cache -----------------------------------------------------------------------------------


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
