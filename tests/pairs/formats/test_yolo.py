"""YOLO's polygons become masks."""

import cv2
import numpy as np
import pytest

from fastunet.errors import PairingError
from fastunet.pairs.find import find_pairs

SQUARE = [2, 3, 12, 3, 12, 13, 2, 13]  # x, y of the corners: columns 2..11, rows 3..12


def square(value=1, size=(20, 30)) -> np.ndarray:
    mask = np.zeros(size, np.uint8)
    mask[3:13, 2:12] = value
    return mask


def read(pair) -> np.ndarray:
    return cv2.imread(str(pair.mask), cv2.IMREAD_UNCHANGED)


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


HEIGHT, WIDTH = 40, 60


BOX = [(12, 8), (36, 8), (36, 24), (12, 24)]  # x, y: columns 12..35, rows 8..23


def flat(points) -> list:
    return [float(number) for point in points for number in point]


def write_yolo(root, *images, line=None):
    (root / "labels").mkdir(exist_ok=True)
    shares = " ".join(f"{x / WIDTH} {y / HEIGHT}" for x, y in BOX)
    for i in images:
        (root / f"labels/{i}.txt").write_text(f"0 {shares}" if line is None else line)


def test_yolo_in_pixels_is_refused(root):
    write_yolo(root, *range(4), line="0 " + " ".join(map(str, flat(BOX))))
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
    write_yolo(root, *range(4))
    (root / "labels/0.txt").write_bytes(content)
    with pytest.raises(PairingError, match=message):
        find_pairs(root)


def test_a_yolo_data_set_that_outlines_nothing_is_an_error(root):
    write_yolo(root, *range(4), line="")
    (root / "data.yaml").write_text("names: [cell]")
    with pytest.raises(PairingError, match="outlines no object on any image"):
        find_pairs(root)
