"""YOLO's polygons: a text file for each image, with shares of the image as coordinates."""

import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from fastunet._util.text import listing
from fastunet.errors import PairingError
from fastunet.pairs.formats.annotations import class_values, is_background
from fastunet.pairs.formats.file_per_image import annotated_folders, draw_from_files
from fastunet.pairs.formats.layout import Folder, Layout
from fastunet.pairs.formats.polygons import Shape, Size, polygon_of
from fastunet.pairs.formats.rasterise import refuse_empty

_MOST_CLASSES = 1000  # more are refused in any case


def yolo(root: Folder) -> Layout | None:
    """images/ + labels/ with a text file for each image: a line is a class and its x, y, ..."""
    found = annotated_folders(root, ".txt")
    folders = [one for one in found if one.images.path != one.annotations.path]
    if not folders:
        return None
    names = _names(root)
    if not names:
        files = [file for folder in folders for file, _ in folder.files(".txt")[0]]
        largest = max((number for file in files for number, _, _ in _lines(file)), default=-1)
        if largest < 0:  # text files that outline nothing are not polygons
            return None
        names = {number: f"class {number}" for number in range(min(largest, _MOST_CLASSES) + 1)}
    values = class_values([names[number] for number in sorted(names)], root.path)
    by_number = {n: 0 if is_background(name) else values[name] for n, name in names.items()}
    read = partial(_shapes, by_number)
    parts, drawn = draw_from_files(folders, ".txt", read, ["yolo", values], background=True)
    refuse_empty(drawn, listing([folder.annotations.path for folder in folders], 3))
    return Layout("YOLO polygons", parts, values)


def _names(root: Folder) -> dict[int, str]:
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
        if isinstance(names, dict) and all(str(number).isdecimal() for number in names):
            return {int(number): str(name) for number, name in names.items()}
        if names is not None:
            raise PairingError(
                f"{root.path / file}: names is {str(names)[:80]!r}; a list of class names was "
                "expected, or a dict of number: name."
            )
    return {}


def _lines(file: Path) -> Iterator[tuple[int, np.ndarray, str]]:
    """Class number and (N, 2) points, as shares of the image, of each line, and where it is."""
    try:
        text = file.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PairingError(f"{file} is no text file ({error}). Export it again.") from error
    for line_number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words:
            continue
        where = f"{file}, line {line_number}"
        if len(words) == 5:
            raise PairingError(
                f"{where} is a box (class, centre, size); polygons of at least 3 points were "
                "expected. Boxes cannot be learnt as masks; export a segmentation."
            )
        if not re.fullmatch(r"[0-9]{1,9}(\.0*)?", words[0]):
            raise PairingError(
                f"{where} begins with {words[0][:40]!r}; a class number was expected."
            )
        points = polygon_of(words[1:], where)
        if points.min() < -1 or points.max() > 2:
            raise PairingError(
                f"{where} has coordinates from {points.min():g} to {points.max():g}; shares of the "
                "image's width and height, 0 to 1, were expected. If these are pixels, divide x by "
                "the width and y by the height."
            )
        yield int(words[0].partition(".")[0]), points, where


def _shapes(values: Mapping[int, int], file: Path, size: Size) -> list[Shape]:
    shapes = []
    for number, points, where in _lines(file):
        if number not in values:
            raise PairingError(
                f"{file} holds class {number}; the classes are {listing(sorted(values), 20)}. "
                "Name it in the data set's YAML file, or take it out."
            )
        shapes.append(Shape(values[number], (points * size[::-1],), where=where))
    return shapes
