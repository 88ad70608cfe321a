"""LabelMe's and YOLO's polygons: a file of them for each image."""

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from fastunet.data.layouts.folders import IMAGES, MASKS, Folder
from fastunet.data.layouts.polygons import (
    VOID,
    Drawn,
    Outlined,
    Shape,
    checked_names,
    draw_all,
    is_background,
    key_of,
    polygon_of,
    read_json,
    warn_of_missing,
)
from fastunet.data.matching import Split, list_files, path_of, stem_of
from fastunet.errors import PairingError, listing


def _folders_of_notes(root: Folder, extension: str) -> list[tuple[Folder, Folder, Split]]:
    """Folders of images and of files with an extension: side by side, with splits, or one."""

    def both(images: Folder | None, notes: Folder | None) -> bool:
        return bool(images and notes and images.has_images and _holds(notes, extension))

    for name in MASKS:
        images, notes = root.find(*IMAGES), root.find(name)
        if images and notes and images.splits:
            partners = {split: folder for folder, split in notes.splits.items()}
            pairs = [(images.folders[folder], notes.folders.get(partners.get(split, "")), split)
                     for folder, split in images.splits.items()]  # fmt: skip
            if any(both(*pair[:2]) for pair in pairs):
                return [pair for pair in pairs if both(*pair[:2])]
        if both(images, notes):
            return [(images, notes, "")]
    inside = [(root.folders[name], split) for name, split in root.splits.items()]
    for folder, split in inside:
        if any(_folders_of_notes(folder, extension)):
            return [(*found[:2], split) for folder, split in inside
                    for found in _folders_of_notes(folder, extension)]  # fmt: skip
    for folder in filter(None, (root, root.find(*IMAGES))):
        if both(folder, folder):
            return [(folder, folder, "")]
    return []


def _holds(folder: Folder, extension: str) -> bool:
    return any(name.endswith(extension) for name in folder.files) or any(
        _holds(inner, extension) for inner in folder.folders.values()
    )


def _with_images(
    images: Path, notes: Path, extension: str
) -> tuple[list[tuple[Path, Path]], list[str]]:
    """(annotation file, image) of equal stems in mirrored folders; annotations without one."""
    by_stem = {(inner, stem_of(name)): (inner, name)
               for inner, names in list_files(images).items() for name in names}  # fmt: skip
    found, missing = [], []
    files = list_files(notes, lambda name: name.lower().endswith(extension))
    for inner, names in files.items():
        for name in names:
            if name == "classes.txt":
                continue
            file, image = path_of(notes, (inner, name)), by_stem.get((inner, stem_of(name)))
            if image:
                found.append((file, path_of(images, image)))
            else:
                missing.append(file.name)
    return found, missing


def _drawn_from_files(
    places: list[tuple[Folder, Folder, Split]],
    extension: str,
    values: dict[str, int],
    read: Callable[[Path, tuple[int, int]], list[Shape]],
    extra: object,
) -> list[tuple[Path, Path, Split, None]]:
    parts = []
    for images, notes, split in places:
        files, missing = _with_images(images.path, notes.path, extension)
        warn_of_missing(f"Annotations in {notes.path} without an image of their name", missing)
        outlined = [Outlined(image, partial(read, file)) for file, image in files]
        key = key_of([path for both in files for path in both], [values, extra])
        parts.append((images.path, draw_all(images.path, outlined, key), split, None))
    return parts


def labelme(root: Folder) -> Drawn | None:
    """A JSON file per image, beside it or in a folder of annotations."""
    places = _folders_of_notes(root, ".json")
    labels: set[str] = set()
    for images, notes, _ in places:
        for file, _ in _with_images(images.path, notes.path, ".json")[0]:
            doc = read_json(file)
            if not isinstance(doc, dict) or not isinstance(doc.get("shapes"), list):
                return None
            labels |= {_label(shape, file) for shape in doc["shapes"]}
    if not labels:
        return None
    ignored = {label for label in labels if label.strip("_").lower() == "ignore"}
    values = checked_names(sorted(labels - ignored), root.path)
    read = partial(_labelme_shapes, values)
    parts = _drawn_from_files(places, ".json", values, read, "labelme")
    return Drawn(parts, values, (VOID,) if ignored else ())


def _label(shape: object, file: Path) -> str:
    if not isinstance(shape, dict) or not isinstance(shape.get("label"), str):
        raise PairingError(f"{file}: a shape has no label: {str(shape)[:80]}. Name it.")
    return shape["label"]


def _labelme_shapes(values: Mapping[str, int], file: Path, size: tuple[int, int]) -> list[Shape]:
    doc = read_json(file)
    shapes = []
    for number, shape in enumerate(doc["shapes"], 1):
        where = f"{file}: shape {number} ({shape['label']})"
        name = shape["label"]
        value = values.get("background" if is_background(name) else name, VOID)
        kind, points = shape.get("shape_type") or "polygon", shape.get("points") or []
        flat = [number for point in points for number in point]
        if kind == "polygon":
            shapes.append(Shape(value, (polygon_of(flat, where),)))
        elif kind == "rectangle" and len(flat) == 4:
            x, y, x2, y2 = flat
            shapes.append(Shape(value, (polygon_of([x, y, x2, y, x2, y2, x, y2], where),)))
        elif kind == "circle" and len(flat) == 4:
            centre, rim = np.array(points, float)
            turn = np.linspace(0, 2 * np.pi, 128, endpoint=False)
            ring = centre + np.hypot(*(rim - centre)) * np.stack([np.cos(turn), np.sin(turn)], 1)
            shapes.append(Shape(value, (ring,)))
        elif kind == "mask" and len(flat) == 4 and shape.get("mask"):
            data = np.frombuffer(base64.b64decode(shape["mask"]), np.uint8)
            bitmap = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
            if bitmap is None:
                raise PairingError(f"{where}: its mask cannot be decoded.")
            shapes.append(Shape(value, bitmap=bitmap > 0, corner=(round(flat[1]), round(flat[0]))))
        else:
            raise PairingError(
                f"{where} is a {kind} of {len(points)} points; polygons, rectangles, circles and "
                "masks have an inside. Change it or take it out."
            )
    return shapes


def yolo(root: Folder) -> Drawn | None:
    """A text file per image; a line is the class and x, y of the points as shares of the image."""
    places = _folders_of_notes(root, ".txt")
    places = [place for place in places if place[0].path != place[1].path]
    if not places:
        return None
    names = _yolo_names(root)
    if not names:
        files = [file for images, notes, _ in places
                 for file, _ in _with_images(images.path, notes.path, ".txt")[0]]  # fmt: skip
        largest = max((number for file in files for number, _ in _yolo_lines(file)), default=-1)
        if largest < 0:  # text files that outline nothing are not polygons
            return None
        names = {number: f"class {number}" for number in range(largest + 1)}
    values = checked_names([names[number] for number in sorted(names)], root.path)
    by_number = {number: 0 if is_background(name) else values[name]
                 for number, name in names.items()}  # fmt: skip
    read = partial(_yolo_shapes, by_number)
    return Drawn(_drawn_from_files(places, ".txt", values, read, "yolo"), values, ())


def _yolo_names(root: Folder) -> dict[int, str]:
    """`names:` of the data set's YAML file, a list or a dict by number."""
    import yaml

    files = [name for name in root.files.values() if name.lower().endswith((".yaml", ".yml"))]
    for file in sorted(files, key=lambda name: not name.lower().startswith("data")):
        try:
            doc = yaml.safe_load((root.path / file).read_text("utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise PairingError(f"{root.path / file} is not valid YAML: {error}") from error
        names = doc.get("names") if isinstance(doc, dict) else None
        if isinstance(names, list):
            return {number: str(name) for number, name in enumerate(names)}
        if isinstance(names, dict) and all(str(number).isdigit() for number in names):
            return {int(number): str(name) for number, name in names.items()}
        if names is not None:
            raise PairingError(
                f"{root.path / file}: names is {str(names)[:80]!r}; a list of class names was "
                "expected, or a dict of number: name."
            )
    return {}


def _yolo_lines(file: Path) -> Iterator[tuple[int, np.ndarray]]:
    """Class number and (N, 2) points, as shares of the image, of each line."""
    for line_number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
        words = line.split()
        if not words:
            continue
        where = f"{file}, line {line_number}"
        if len(words) == 5:
            raise PairingError(
                f"{where} is a box (class, centre, size); polygons of at least 3 points were "
                "expected. Boxes cannot be learnt as masks; export a segmentation."
            )
        if not re.fullmatch(r"\d+(\.0*)?", words[0]):
            raise PairingError(f"{where} begins with {words[0]!r}; a class number was expected.")
        yield int(float(words[0])), polygon_of(words[1:], where)


def _yolo_shapes(values: Mapping[int, int], file: Path, size: tuple[int, int]) -> list[Shape]:
    shapes = []
    for number, points in _yolo_lines(file):
        if number not in values:
            raise PairingError(
                f"{file} holds class {number}; the classes are {listing(sorted(values), 20)}. "
                "Name it in the data set's YAML file, or take it out."
            )
        shapes.append(Shape(values[number], (points * size[::-1],)))
    return shapes
