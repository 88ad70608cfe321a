"""LabelMe's polygons: a JSON file for each image."""

import base64
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from fastunet._util.text import listing
from fastunet.errors import PairingError
from fastunet.labels import VOID
from fastunet.pairs.formats.annotations import class_values, is_background, read_json, stated_size
from fastunet.pairs.formats.file_per_image import annotated_folders, draw_from_files
from fastunet.pairs.formats.layout import Folder, Layout
from fastunet.pairs.formats.polygons import Shape, Size, numbers_of, polygon_of, refuse_shares
from fastunet.pairs.formats.rasterise import refuse_empty

_CIRCLE = 128  # corners of the polygon that stands for it


def labelme(root: Folder) -> Layout | None:
    """A JSON file of polygons for each image, beside it or in a folder of annotations."""
    folders = annotated_folders(root, ".json")
    labels: set[str] = set()
    sizes: dict[Path, Size | None] = {}
    others: list[Path] = []
    for folder in folders:
        for file, _ in folder.files(".json")[0]:
            doc = read_json(file)
            if not isinstance(doc, dict) or not isinstance(doc.get("shapes"), list):
                others.append(file)
                continue
            labels |= {_label(shape, file) for shape in doc["shapes"]}
            sizes[file] = stated_size(doc.get("imageHeight"), doc.get("imageWidth"), str(file))
    if not sizes:
        return None
    if others:
        raise PairingError(
            f"{listing(others, 3)} ({len(others)} of {len(others) + len(sizes)} files) hold no "
            'list of "shapes", unlike the other LabelMe files beside them. Export them again, or '
            "take them out."
        )
    source = listing([folder.annotations.path for folder in folders], 3)
    if not labels:
        raise PairingError(
            f"The LabelMe files in {source} outline nothing on any image; there is nothing to "
            "learn. Are these the right annotations?"
        )
    ignored = {label for label in labels if label.strip("_").lower() == "ignore"}
    values = class_values(sorted(labels - ignored), root.path)
    read = partial(_shapes, values)
    parts, drawn = draw_from_files(folders, ".json", read, ["labelme", values], sizes)
    refuse_empty(drawn, source)
    return Layout("LabelMe polygons", parts, values, (VOID,) if ignored else ())


def _label(shape: object, file: Path) -> str:
    if not isinstance(shape, dict) or not isinstance(shape.get("label"), str):
        raise PairingError(f"{file}: a shape has no label: {str(shape)[:80]}. Name it.")
    return shape["label"]


def _shapes(values: Mapping[str, int], file: Path, size: Size) -> list[Shape]:
    """What a file outlines, on an image of the size that it was labelled at."""
    shapes = []
    for number, shape in enumerate(read_json(file)["shapes"], 1):
        name = shape["label"]
        where = f"{file}: shape {number} ({name[:40]})"
        value = values.get("background" if is_background(name) else name, VOID)
        shapes.append(_shape(shape, value, size, where))
    return shapes


def _shape(shape: Mapping, value: int, size: Size, where: str) -> Shape:
    kind, points = shape.get("shape_type") or "polygon", _points(shape, where)
    refuse_shares(points, size, where)
    if kind in ("polygon", "rotation") or (kind == "rectangle" and len(points) == 4):
        return Shape(value, (polygon_of(points, where),), where=where)
    if kind == "rectangle" and len(points) == 2:
        (x, y), (x2, y2) = points
        return Shape(value, (np.array([[x, y], [x2, y], [x2, y2], [x, y2]]),), where=where)
    if kind == "circle" and len(points) == 2:
        centre, rim = points
        turn = np.linspace(0, 2 * np.pi, _CIRCLE, endpoint=False)
        ring = centre + np.hypot(*(rim - centre)) * np.stack([np.cos(turn), np.sin(turn)], 1)
        return Shape(value, (ring,), where=where)
    if kind == "mask" and len(points) == 2 and shape.get("mask"):
        (x, y), _ = points
        bitmap = _bitmap(shape["mask"], where)
        return Shape(value, bitmap=bitmap, corner=(round(y), round(x)), where=where)
    raise PairingError(
        f"{where} is a {str(kind)[:40]} of {len(points)} points; polygons, rectangles, circles and "
        "masks have an inside. Change it or take it out."
    )


def _points(shape: Mapping, where: str) -> np.ndarray:  # (N, 2)
    points = shape.get("points") or []
    if not isinstance(points, list) or not all(isinstance(p, list) and len(p) == 2 for p in points):
        raise PairingError(
            f"{where}: its points are {str(points)[:60]}; a list of [x, y] was expected. Mend the "
            "annotation or take it out."
        )
    return numbers_of(points, where).reshape(-1, 2)


def _bitmap(text: object, where: str) -> np.ndarray:  # (H, W) bool
    """The image that LabelMe writes into its file as text."""
    try:
        data = np.frombuffer(base64.b64decode(str(text)), np.uint8)
        bitmap = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
    except (ValueError, cv2.error):
        bitmap = None
    if bitmap is None:
        raise PairingError(f"{where}: its mask cannot be decoded. Draw it again or take it out.")
    return bitmap > 0
