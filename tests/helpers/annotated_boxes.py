"""A box on each of four images, annotated in COCO's way, and the mask that it is."""

import json

import cv2
import numpy as np

from fastunet.pairs.find import find_pairs

HEIGHT, WIDTH = 40, 60


BOX = [(12, 8), (36, 8), (36, 24), (12, 24)]  # x, y: columns 12..35, rows 8..23


def flat(points) -> list:
    return [float(number) for point in points for number in point]


def boxed(height=HEIGHT, width=WIDTH, scale=1.0) -> np.ndarray:
    mask = np.zeros((height, width), np.uint8)
    mask[round(8 * scale) : round(24 * scale), round(12 * scale) : round(36 * scale)] = 1
    return mask


def masks(root) -> list[np.ndarray]:
    return [cv2.imread(str(pair.mask), cv2.IMREAD_UNCHANGED) for pair in find_pairs(root)]


def write_coco(root, **changes):
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
