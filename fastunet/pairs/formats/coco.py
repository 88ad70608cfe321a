"""COCO's polygons and run lengths: one JSON file for many images."""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import product
from pathlib import Path, PurePosixPath

from fastunet._util.files import fingerprint
from fastunet._util.text import listing
from fastunet.errors import PairingError
from fastunet.labels import VOID
from fastunet.pairs.file_names import as_on_disk, split_named, stem_of
from fastunet.pairs.formats.annotations import class_values, is_background
from fastunet.pairs.formats.coco_file import CocoFile, Id, read_coco
from fastunet.pairs.formats.layout import Folder, Layout, Part
from fastunet.pairs.formats.named_folders import IMAGES
from fastunet.pairs.formats.polygons import Shape, Size, bitmap_of, polygon_of, refuse_shares
from fastunet.pairs.formats.rasterise import Outlined, draw_all, refuse_empty, warn_of_missing
from fastunet.pairs.matching import Rule
from fastunet.pairs.pair import Split

_OTHER_TASKS = ("captions_", "person_keypoints_", "panoptic_", "image_info_", "stuff_")


def coco(root: Folder) -> Layout | None:
    """`annotations/instances_*.json`, one JSON file per split folder, or one beside the images."""
    files = list(_coco_files(root))
    if not files:
        return None
    source = listing([file.path for file in files], 3)
    values = class_values([name for file in files for name in file.categories.values()], source)
    places = [_place_of_images(file, root) for file in files]
    folders = [folder for folder, _ in places]
    parts, drawn, crowded = [], [], False
    for file, (folder, reading) in zip(files, places, strict=True):
        named = file.categories.items()
        by_id = {key: 0 if is_background(name) else values[name] for key, name in named}
        crowded |= any(note.get("iscrowd") for image in file.images for note in image.annotations)
        outlined, missing = [], []
        for image in file.images:
            path = as_on_disk(folder / reading(image.name))
            if not _is_file(path):
                missing.append(image.name)
                continue
            shapes = partial(_shapes, file.path, image.annotations, by_id)
            outlined.append(Outlined(path, shapes, file.path, image.size))
        warn_of_missing(f"Images of {file.path.name} that are not in {folder}", missing)
        key = fingerprint([file.path, *(one.image for one in outlined)], values)
        masks = draw_all(folder, outlined, key)
        shared = folders.count(folder) > 1
        only = frozenset(stem_of(one.image.name) for one in outlined) if shared else None
        parts.append(Part(folder, masks.folder, _split(file.path, folder), Rule(), only=only))
        drawn.append(masks)
    refuse_empty(drawn, source)
    return Layout("COCO polygons", parts, values, (VOID,) if crowded else ())


def _coco_files(root: Folder) -> Iterator[CocoFile]:
    """The COCO files of a data set; the search of a folder ends at the first of another kind."""
    folders = [root, root.find("annotations", "annotation", "labels"), root.find(*IMAGES)]
    folders += [root.folders[name] for name in root.splits]
    for folder in filter(None, folders):
        names = [name for name in folder.files.values() if name.lower().endswith(".json")]
        names = [name for name in names if name.startswith("instances_")] or names
        for name in names:
            if name.startswith(_OTHER_TASKS):
                continue
            file = read_coco(folder.path / name)
            if file is None:
                break
            yield file


def _is_file(path: Path) -> bool:
    try:
        return as_on_disk(path).is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False


def _inside(name: str) -> str:
    """A file name that stays in its folder, which a file from elsewhere need not."""
    file = PurePosixPath(name.replace("\\", "/"))
    leaves = file.is_absolute() or ".." in file.parts or any(":" in part for part in file.parts[:1])
    return file.name if leaves else str(file)


def _place_of_images(file: CocoFile, root: Folder) -> tuple[Path, Callable[[str], str]]:
    """The folder that a file's images lie in, and how their names are to be read there."""
    path = file.path
    tail = path.stem.partition("_")[2]
    inner = root.find(*IMAGES)
    near = [path.parent, path.parent / "images", root.path, root.path / path.stem]
    near += [root.path / tail, root.path / "images" / tail, root.path / "images" / path.stem]
    near += [folder.path for place in (root, inner) if place for folder in place.folders.values()]
    sample = [image.name for image in file.images]
    sample = sample[:: max(1, len(sample) // 20)]
    readings = _inside, lambda name: PurePosixPath(_inside(name)).name

    def there(option: tuple[Callable[[str], str], Path]) -> int:
        reading, place = option
        return sum(_is_file(place / reading(name)) for name in sample)

    best = max(product(readings, near), key=there)
    if sample and not there(best):
        raise PairingError(
            f"{path} speaks of images named like {listing(sample, 3)}, which are neither beside "
            f"it nor in {listing(list(dict.fromkeys(near[2:])), 5)}. Put them there."
        )
    reading, place = best
    return place, reading


def _split(path: Path, folder: Path) -> Split:
    words = re.split(r"[^a-z]+", path.stem.lower())
    named = (split_named(word) for word in (*words, path.parent.name, folder.name))
    return next(filter(None, named), "")


def _shapes(
    path: Path, annotations: list[dict], values: Mapping[Id, int], size: Size
) -> list[Shape]:
    shapes = []
    for annotation in annotations:
        where = f"{path}: annotation {annotation.get('id', '?')}"
        value = VOID if annotation.get("iscrowd") else values[annotation["category_id"]]
        outline = annotation["segmentation"]
        if isinstance(outline, dict):
            shapes.append(Shape(value, bitmap=bitmap_of(outline, size, where), where=where))
        elif isinstance(outline, list):
            flat = all(isinstance(one, int | float) for one in outline)  # not in a list of its own
            rings = [outline] if flat else outline
            polygons = tuple(polygon_of(one, where) for one in rings)
            for polygon in polygons:
                refuse_shares(polygon, size, where)
            shapes.append(Shape(value, polygons, where=where))
        else:
            raise PairingError(
                f"{where}: its segmentation is {str(outline)[:40]!r}; polygons or run lengths were "
                "expected. Export it again."
            )
    return shapes
