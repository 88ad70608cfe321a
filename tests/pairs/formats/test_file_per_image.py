"""Which annotation file belongs to which image."""

import cv2
import numpy as np
import pytest

from fastunet.checks.audit import audit
from fastunet.errors import PairingError
from fastunet.pairs.find import find_pairs
from fastunet.pairs.formats.rasterise import OutlineWarning

HEIGHT, WIDTH = 40, 60

BOX = [(12, 8), (36, 8), (36, 24), (12, 24)]  # x, y: columns 12..35, rows 8..23


def masks(root) -> list[np.ndarray]:
    return [cv2.imread(str(pair.mask), cv2.IMREAD_UNCHANGED) for pair in find_pairs(root)]


def write_yolo(root, *images, line=None):
    (root / "labels").mkdir(exist_ok=True)
    shares = " ".join(f"{x / WIDTH} {y / HEIGHT}" for x, y in BOX)
    for i in images:
        (root / f"labels/{i}.txt").write_text(f"0 {shares}" if line is None else line)


def test_a_yolo_image_without_a_file_is_background(root):
    write_yolo(root, 0, 2)
    write_yolo(root, 1, line="")
    with pytest.warns(OutlineWarning, match=r"1 of 4 images .* no \.txt file .*: 3\.png"):
        drawn = masks(root)
    assert [mask.any() for mask in drawn] == [True, False, True, False]
    assert [f.code for f in audit(root).findings if "no .txt file" in f.message] == ["outlines"]


def test_two_images_of_one_name_are_refused(root):
    write_yolo(root, *range(4))
    cv2.imwrite(str(root / "images/0.jpg"), np.zeros((HEIGHT, WIDTH), np.uint8))
    with pytest.raises(PairingError, match=r"More than one image .* has the name of .*0\.txt"):
        find_pairs(root)
