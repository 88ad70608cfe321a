"""Random outlines in random files, some of them damaged: drawn where they belong, or refused.

The reference is OpenCV's own filling of the true coordinates on the pixels; the pixels within one
of the outline may be either.
"""

import copy
import json
import os
import tempfile
import warnings
from pathlib import Path
from unittest import mock

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fastunet.errors import FastunetError
from fastunet.pairs.find import find_pairs

_IMAGES = 3


@st.composite
def star(draw, height: int, width: int):
    """A polygon around a centre, convex or not, that lies in the picture."""
    corners = draw(st.integers(3, 9))
    radii = draw(st.lists(st.floats(2, 12), min_size=corners, max_size=corners))
    angles = np.linspace(0, 2 * np.pi, corners, endpoint=False) + draw(st.floats(0, 6))
    x, y = draw(st.floats(2, width - 2)), draw(st.floats(2, height - 2))
    points = np.stack([x + radii * np.cos(angles), y + radii * np.sin(angles)], 1)
    return np.clip(points, 0, (width, height))


@st.composite
def data_set(draw):
    """Sizes of the images (height, width), and the (class, polygon) of each."""
    sizes = [(draw(st.integers(24, 64)), draw(st.integers(24, 64))) for _ in range(_IMAGES)]
    outlines = [
        [(draw(st.integers(0, 1)), draw(star(*size))) for _ in range(draw(st.integers(0, 2)))]
        for size in sizes
    ]
    for polygons in outlines:  # which of two is the smaller decides which is on top
        areas = [cv2.contourArea(np.float32(polygon)) for _, polygon in polygons]
        assume(len(areas) < 2 or abs(areas[0] - areas[1]) > 1e-3 * max(areas))
    return sizes, outlines


# --- three formats -------------------------------------------------------------------------------


def as_coco(sizes, outlines) -> dict[str, object]:
    annotations = [
        {"id": 10 * image + number, "image_id": image, "category_id": kind + 5, "iscrowd": 0}
        | {"segmentation": [polygon.ravel().tolist()], "bbox": [0, 0, 1, 1]}
        for image, polygons in enumerate(outlines)
        for number, (kind, polygon) in enumerate(polygons)
    ]
    images = [
        {"id": i, "file_name": f"{i}.png", "height": height, "width": width}
        for i, (height, width) in enumerate(sizes)
    ]
    categories = [{"id": 5, "name": "a"}, {"id": 6, "name": "b"}]
    return {"labels.json": {"images": images, "annotations": annotations, "categories": categories}}


def as_labelme(sizes, outlines) -> dict[str, object]:
    return {
        f"images/{image}.json": {
            "imageHeight": sizes[image][0],
            "imageWidth": sizes[image][1],
            "imagePath": f"{image}.png",
            "shapes": [
                {"label": "ab"[kind], "points": polygon.tolist(), "shape_type": "polygon"}
                for kind, polygon in polygons
            ],
        }
        for image, polygons in enumerate(outlines)
    }


def as_yolo(sizes, outlines) -> dict[str, object]:
    files = {
        f"labels/{image}.txt": [
            [kind, *(polygon / sizes[image][::-1]).ravel().tolist()] for kind, polygon in polygons
        ]
        for image, polygons in enumerate(outlines)
    }
    return files | {"data.yaml": {"names": ["a", "b"]}}


FORMATS = {"coco": as_coco, "labelme": as_labelme, "yolo": as_yolo}


def write(root: Path, sizes, files: dict[str, object]) -> None:
    for i, (height, width) in enumerate(sizes):
        file = root / f"images/{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(file), np.full((height, width, 3), 60 + i, np.uint8))
    for name, content in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".txt") and isinstance(content, list):
            lines = (line if isinstance(line, list) else [line] for line in content)
            text = "\n".join(" ".join(str(word) for word in line) for line in lines)
            file.write_text(text, "utf-8")
        else:
            file.write_text(json.dumps(content), "utf-8")


# --- damage --------------------------------------------------------------------------------------

NONSENSE = st.sampled_from(
    [
        *(None, True, "", "x", "3", "nan", [], {}, [[]], [None], {"a": 1}, -1, 0, 1, 2, 3.5, 1e9),
        *(1e300, 10**400, float("nan"), float("inf"), "../x", "\x00", "x" * 300, [1, 2, 3, 4]),
        *({"size": [3, 3], "counts": [9]}, {"size": "x"}, {"counts": "abc", "size": [24, 24]}),
    ]
)


def places(value: object, path: tuple = ()) -> list[tuple]:
    """The paths to all that lies in a nest of dicts and lists."""
    keys = value.keys() if isinstance(value, dict) else range(len(value))
    found = []
    for key in keys:
        found.append((*path, key))
        if isinstance(value[key], dict | list):
            found += places(value[key], (*path, key))
    return found


@st.composite
def damaged(draw):
    """Files with one or two values replaced, left out or repeated."""
    sizes, outlines = draw(data_set())
    kind = draw(st.sampled_from(sorted(FORMATS)))
    files = json.loads(json.dumps(FORMATS[kind](sizes, outlines)))
    for _ in range(draw(st.integers(1, 2))):
        every = places(files)
        if not every:
            break
        *way, last = draw(st.sampled_from(every))
        inside = files
        for key in way:
            inside = inside[key]
        action = draw(st.sampled_from(["replace", "replace", "remove", "repeat"]))
        if action == "replace":
            inside[last] = copy.deepcopy(draw(NONSENSE))
        elif action == "remove":
            del inside[last]
        elif isinstance(inside, list):
            inside.append(copy.deepcopy(inside[last]))
    return sizes, files


@st.composite
def rescaled(draw):
    """A data set in the wrong unit, with other ids or sizes than its images have."""
    sizes, outlines = draw(data_set())
    kind = draw(st.sampled_from(sorted(FORMATS)))
    change = draw(st.sampled_from(["unit", "ids", "size", "proportions", "shifted"]))
    drawn_on, changed = sizes, outlines
    if change == "unit":
        changed = [
            [
                (kind_, polygon * size[::-1] if kind == "yolo" else polygon / size[::-1])
                for kind_, polygon in polygons
            ]
            for size, polygons in zip(sizes, outlines, strict=True)
        ]
    if change == "shifted":
        changed = [[(k, polygon + 200) for k, polygon in polygons] for polygons in outlines]
    if change in ("size", "proportions"):
        factor = 2, 2 if change == "size" else 3
        drawn_on = [(size[0] * factor[0], size[1] * factor[1]) for size in sizes]
        changed = [[(k, p * factor[::-1]) for k, p in polygons] for polygons in outlines]
    files = FORMATS[kind](drawn_on, changed)
    if change == "ids" and kind == "coco":
        spelt = draw(st.sampled_from([str, float, "{:04d}".format, "image {}".format]))
        for annotation in files["labels.json"]["annotations"]:
            annotation["image_id"] = spelt(annotation["image_id"])
    return sizes, outlines, files


# --- what must hold ------------------------------------------------------------------------------


def drawn(sizes, files) -> dict[int, np.ndarray] | None:
    """The masks by the image's number; None where the data set was refused, in our words."""
    with tempfile.TemporaryDirectory() as place, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with mock.patch.dict(os.environ, {"FASTUNET_CACHE": f"{place}/cache"}):
            write(Path(place) / "data", sizes, files)
            try:
                pairs = find_pairs(Path(place) / "data")
            except FastunetError as error:
                assert str(error)  # noqa: PT017  it says something
                return None
            return {
                int(pair.image.stem): cv2.imread(str(pair.mask), cv2.IMREAD_UNCHANGED)
                for pair in pairs
            }


def assert_true(masks, sizes, outlines, names) -> None:
    """Every mask shows what was outlined. `names`: the value of each class."""
    for image, mask in masks.items():
        assert mask.shape == sizes[image]
        expected, near = np.zeros(sizes[image], np.uint8), np.zeros(sizes[image], np.uint8)
        by_area = sorted(outlines[image], key=lambda one: -cv2.contourArea(np.float32(one[1])))
        for kind, polygon in by_area:
            points = np.rint((polygon - 0.5) * 256).astype(np.int32)
            cv2.fillPoly(expected, [points], names[kind], shift=8)
            cv2.polylines(near, [points], True, 1, thickness=3, shift=8)
        clear = near == 0
        assert np.array_equal(mask[clear], expected[clear])
        assert mask.any() or not outlines[image]


def values_of(outlines) -> dict[int, int]:
    """LabelMe's classes are those that occur; the others' are named in their files."""
    return {0: 1, 1: 2 if any(kind == 0 for one in outlines for kind, _ in one) else 1}


def check_whole(kind, sizes, outlines) -> None:
    masks = drawn(sizes, FORMATS[kind](sizes, outlines))
    if not any(outlines):
        assert masks is None
        return
    assert masks is not None
    assert len(masks) == _IMAGES
    names = values_of(outlines) if kind == "labelme" else {0: 1, 1: 2}
    assert_true(masks, sizes, outlines, names)


def check_rescaled(sizes, outlines, files) -> None:
    masks = drawn(sizes, files)
    if masks is not None:
        labelme = "images/0.json" in files
        assert_true(masks, sizes, outlines, values_of(outlines) if labelme else {0: 1, 1: 2})


QUICK, LONG = settings(max_examples=60), settings(max_examples=3000)
kinds = st.sampled_from(sorted(FORMATS))


@QUICK
@given(kinds, data_set())
def test_whole_files_are_drawn_where_they_belong(kind, data):
    check_whole(kind, *data)


@QUICK
@given(rescaled())
def test_other_units_ids_and_sizes_are_drawn_rightly_or_refused(data):
    check_rescaled(*data)


@QUICK
@given(damaged())
def test_a_damaged_file_never_ends_in_another_error(data):
    drawn(*data)


@pytest.mark.slow
@LONG
@given(kinds, data_set())
def test_whole_files_are_drawn_where_they_belong_at_length(kind, data):
    check_whole(kind, *data)


@pytest.mark.slow
@LONG
@given(rescaled())
def test_other_units_ids_and_sizes_are_drawn_rightly_or_refused_at_length(data):
    check_rescaled(*data)


@pytest.mark.slow
@LONG
@given(damaged())
def test_a_damaged_file_never_ends_in_another_error_at_length(data):
    drawn(*data)
