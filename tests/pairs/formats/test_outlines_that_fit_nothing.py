"""No outline is drawn to nothing, or beside what it marks, in silence."""

import json

import cv2
import numpy as np
import pytest
from PIL import Image

from fastunet.checks.audit import audit
from fastunet.errors import PairingError
from fastunet.pairs.find import find_pairs
from fastunet.pairs.formats.rasterise import OutlineWarning

HEIGHT, WIDTH = 40, 60
BOX = [(12, 8), (36, 8), (36, 24), (12, 24)]  # x, y: columns 12..35, rows 8..23


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("FASTUNET_CACHE", str(folder))
    return folder


@pytest.fixture
def root(tmp_path):
    """A data folder with images 0.png to 3.png in images/."""
    (tmp_path / "data/images").mkdir(parents=True)
    for i in range(4):
        image = np.random.default_rng(i).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
        cv2.imwrite(str(tmp_path / f"data/images/{i}.png"), image)
    return tmp_path / "data"


def flat(points) -> list:
    return [float(number) for point in points for number in point]


def boxed(height=HEIGHT, width=WIDTH, scale=1.0) -> np.ndarray:
    mask = np.zeros((height, width), np.uint8)
    mask[round(8 * scale) : round(24 * scale), round(12 * scale) : round(36 * scale)] = 1
    return mask


def masks(root) -> list[np.ndarray]:
    return [cv2.imread(str(pair.mask), cv2.IMREAD_UNCHANGED) for pair in find_pairs(root)]


# --- COCO ----------------------------------------------------------------------------------------


def coco(root, **changes):
    """An annotation of BOX on each image; `changes` replace fields of each annotation."""
    doc = {
        "images": [
            {"id": i, "file_name": f"{i}.png", "height": HEIGHT, "width": WIDTH} for i in range(4)
        ],
        "categories": [{"id": 1, "name": "cell"}],
        "annotations": [
            {"id": i, "image_id": i, "category_id": 1, "segmentation": [flat(BOX)]}
            | {"bbox": [12, 8, 24, 16]}
            | {key: value(i) if callable(value) else value for key, value in changes.items()}
            for i in range(4)
        ],
    }
    (root / "labels.json").write_text(json.dumps(doc))
    return doc


def rewrite(root, doc):
    (root / "labels.json").write_text(json.dumps(doc))


@pytest.mark.parametrize("spelt", [str, "{:03d}".format, float])
@pytest.mark.parametrize("field", ["image_id", "category_id"])
def test_an_id_of_another_type_is_matched_and_said(root, field, spelt):
    coco(root, **{field: lambda i: spelt(i if field == "image_id" else 1)})
    if spelt is float:  # 1.0 is 1
        assert all(np.array_equal(mask, boxed()) for mask in masks(root))
        return
    with pytest.warns(OutlineWarning, match=rf"4 of 4 annotations have a {field} such as"):
        assert all(np.array_equal(mask, boxed()) for mask in masks(root))


def test_annotations_of_no_image_are_counted_and_shown(root):
    coco(root, image_id=lambda i: i if i < 2 else f"{i}.png")
    with pytest.raises(
        PairingError, match=r"labels\.json: 2 of 4 annotations belong to no image: .*'2\.png'"
    ):
        find_pairs(root)


def test_an_id_that_two_images_could_have_is_not_guessed(root):
    doc = coco(root)
    doc["images"][1]["id"], doc["images"][2]["id"] = "07", "7"
    doc["annotations"][1]["image_id"] = 7
    doc["annotations"][2]["image_id"] = 7
    rewrite(root, doc)
    with pytest.raises(PairingError, match="2 of 4 annotations belong to no image"):
        find_pairs(root)


@pytest.mark.parametrize("key", ["id", "file_name"])
def test_two_entries_for_one_image_are_refused(root, key):
    doc = coco(root)
    doc["images"][1][key] = doc["images"][0][key]
    rewrite(root, doc)
    with pytest.raises(PairingError, match=f"more than one image has the {key}"):
        find_pairs(root)


@pytest.mark.parametrize("outline", [[], [[]], {}, "", None])
def test_boxes_without_outlines_are_counted(root, outline):
    coco(root, segmentation=lambda i: [flat(BOX)] if i == 0 else outline)
    with pytest.raises(PairingError, match=r"3 of 4 annotations have no outline, only a box"):
        find_pairs(root)


def test_a_missing_segmentation_is_no_outline(root):
    doc = coco(root)
    del doc["annotations"][0]["segmentation"]
    rewrite(root, doc)
    with pytest.raises(PairingError, match="1 of 4 annotations have no outline"):
        find_pairs(root)


def test_shares_where_pixels_are_meant_are_refused(root):
    coco(root, segmentation=[flat([(x / WIDTH, y / HEIGHT) for x, y in BOX])])
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
    coco(root, segmentation=segmentation)
    with pytest.raises(PairingError, match=message):
        find_pairs(root)


def test_a_few_outlines_that_reach_far_out_are_cut_off_and_named_each_time(root):
    doc = coco(root)
    far = flat((x + 40, y) for x, y in BOX)
    doc["annotations"] += [doc["annotations"][1] | {"id": 10 + i} for i in range(10)]
    doc["annotations"][0]["segmentation"] = [far]
    rewrite(root, doc)
    for _ in range(2):  # also where the masks are already drawn
        with pytest.warns(OutlineWarning, match=r"1 of 14 outlines lie mostly outside .*0\.png"):
            find_pairs(root)


def test_a_flat_list_of_coordinates_is_one_polygon(root):
    coco(root, segmentation=flat(BOX))
    assert all(np.array_equal(mask, boxed()) for mask in masks(root))


def test_an_object_too_small_to_hold_a_pixel_centre_is_still_there(root):
    coco(root, segmentation=[[20.6, 10.6, 20.9, 10.6, 20.9, 10.9]])
    for mask in masks(root):
        assert np.argwhere(mask).tolist() == [[10, 20]]


def test_coco_with_another_size_than_the_image_is_refused(root):
    doc = coco(root)
    for image in doc["images"]:
        image["height"], image["width"] = 2 * HEIGHT, 2 * WIDTH
    rewrite(root, doc)
    with pytest.raises(PairingError, match=r"0\.png is stated to have 80x120 .* has 40x60"):
        find_pairs(root)


@pytest.mark.parametrize("annotations", [0, 1])
def test_nothing_outlined_at_all_is_an_error(root, annotations):
    doc = coco(root, iscrowd=1)
    doc["annotations"] = doc["annotations"][:annotations]
    rewrite(root, doc)
    with pytest.raises(PairingError, match=r"labels\.json outlines no object on any image"):
        find_pairs(root)


def test_two_categories_of_one_id_are_refused(root):
    doc = coco(root)
    doc["categories"].append({"id": 1, "name": "debris"})
    rewrite(root, doc)
    with pytest.raises(PairingError, match="two categories have the id 1: 'cell' and 'debris'"):
        find_pairs(root)


@pytest.mark.parametrize("stored", [True, False])
def test_a_turned_photo_is_drawn_as_the_stated_size_says(root, stored):
    exif = Image.Exif()
    exif[0x0112] = 6
    photo = Image.fromarray(np.random.default_rng(9).integers(0, 255, (HEIGHT, WIDTH), np.uint8))
    for i in range(4):
        photo.save(root / f"images/{i}.png", exif=exif)
    doc = coco(root)
    if not stored:
        points = [(HEIGHT - y, x) for x, y in BOX]
        for image, annotation in zip(doc["images"], doc["annotations"], strict=True):
            image["height"], image["width"] = WIDTH, HEIGHT
            annotation["segmentation"] = [flat(points)]
    rewrite(root, doc)
    expected = boxed() if stored else np.rot90(boxed(), -1)
    assert all(np.array_equal(mask, expected) for mask in masks(root))


# --- LabelMe -------------------------------------------------------------------------------------


def labelme(root, height=HEIGHT, width=WIDTH, points=BOX, **more):
    shape = {"label": "cell", "points": points} | more
    for i in range(4):
        (root / f"images/{i}.json").write_text(
            json.dumps({"shapes": [shape], "imageHeight": height, "imageWidth": width})
        )


@pytest.mark.parametrize("scale", [2, 1.37, 0.5])
def test_the_outlines_of_a_resized_photo_are_scaled_and_said(root, scale):
    height, width = round(HEIGHT * scale), round(WIDTH * scale)
    labelme(root, height, width, [(x * width / WIDTH, y * height / HEIGHT) for x, y in BOX])
    for _ in range(2):
        with pytest.warns(OutlineWarning, match="4 of 4 images .* another size .* scaled"):
            assert all(np.array_equal(mask, boxed()) for mask in masks(root))
    (found,) = [f for f in audit(root).findings if f.code == "outlines"]
    assert "are scaled" in found.message


def test_a_photo_of_other_proportions_is_refused(root):
    labelme(root, HEIGHT, HEIGHT)
    with pytest.raises(PairingError, match=r"0\.json: 0\.png is stated to have 40x40"):
        find_pairs(root)


def test_without_a_stated_size_the_outlines_are_those_of_the_file(root):
    labelme(root, None, None)
    assert all(np.array_equal(mask, boxed()) for mask in masks(root))


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
    labelme(root, points=points, shape_type=kind)
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
    labelme(root, **change)
    with pytest.raises(PairingError, match=message):
        find_pairs(root)


def test_one_file_that_is_not_labelmes_among_others_is_named(root):
    labelme(root)
    (root / "images/2.json").write_text("{}")
    with pytest.raises(PairingError, match=r'2\.json \(1 of 4 files\) hold no list of "shapes"'):
        find_pairs(root)


# --- YOLO ----------------------------------------------------------------------------------------


def yolo(root, *images, line=None):
    (root / "labels").mkdir(exist_ok=True)
    shares = " ".join(f"{x / WIDTH} {y / HEIGHT}" for x, y in BOX)
    for i in images:
        (root / f"labels/{i}.txt").write_text(f"0 {shares}" if line is None else line)


def test_a_yolo_image_without_a_file_is_background(root):
    yolo(root, 0, 2)
    yolo(root, 1, line="")
    with pytest.warns(OutlineWarning, match=r"1 of 4 images .* no \.txt file .*: 3\.png"):
        drawn = masks(root)
    assert [mask.any() for mask in drawn] == [True, False, True, False]
    assert [f.code for f in audit(root).findings if "no .txt file" in f.message] == ["outlines"]


def test_yolo_in_pixels_is_refused(root):
    yolo(root, *range(4), line="0 " + " ".join(map(str, flat(BOX))))
    with pytest.raises(PairingError, match=r"line 1 has coordinates from 8 to 36; shares"):
        find_pairs(root)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"0 0.1 0.1 0.5 0.1 \xff\xfe", "is no text file"),
        (b"9999999999 0.1 0.1 0.5 0.1 0.5 0.5", "begins with"),
        (b"999999999 0.1 0.1 0.5 0.1 0.5 0.5", "at most 253"),
    ],
)
def test_what_is_no_yolo_file_is_said(root, content, message):
    yolo(root, *range(4))
    (root / "labels/0.txt").write_bytes(content)
    with pytest.raises(PairingError, match=message):
        find_pairs(root)


def test_a_yolo_data_set_that_outlines_nothing_is_an_error(root):
    yolo(root, *range(4), line="")
    (root / "data.yaml").write_text("names: [cell]")
    with pytest.raises(PairingError, match="outlines no object on any image"):
        find_pairs(root)


def test_two_images_of_one_name_are_refused(root):
    yolo(root, *range(4))
    cv2.imwrite(str(root / "images/0.jpg"), np.zeros((HEIGHT, WIDTH), np.uint8))
    with pytest.raises(PairingError, match=r"More than one image .* has the name of .*0\.txt"):
        find_pairs(root)


def test_masks_that_were_cleaned_away_in_part_are_drawn_again(root, cache):
    yolo(root, *range(4))
    find_pairs(root)[0].mask.unlink()
    assert all(np.array_equal(mask, boxed()) for mask in masks(root))
