"""COCO's polygons and run lengths: one JSON file for many images."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path, PurePosixPath

from fastunet.data.layouts.folders import IMAGES, Folder
from fastunet.data.layouts.polygons import (
    VOID,
    Drawn,
    Outlined,
    Shape,
    bitmap_of,
    checked_names,
    draw_all,
    is_background,
    key_of,
    polygon_of,
    read_json,
    warn_of_missing,
)
from fastunet.data.matching import Split, split_of
from fastunet.errors import PairingError, listing

_OTHER_TASKS = ("captions_", "person_keypoints_", "panoptic_", "image_info_", "stuff_")


def coco(root: Folder) -> Drawn | None:
    """`annotations/instances_*.json`, one JSON file per split folder, or one beside the images."""
    found = list(_coco_files(root))
    if not found:
        return None
    values, by_id = _coco_classes(found)
    places = [_coco_images(path, doc, root) for path, doc in found]
    parts, crowded = [], False
    for (path, doc), place in zip(found, places, strict=True):
        folder, names = place
        notes = _notes_by_image(path, doc)
        crowded |= any(note.get("iscrowd") for note in doc["annotations"])
        outlined, missing = [], []
        for image in doc["images"]:
            file = folder / names(image["file_name"])
            if not file.is_file():
                missing.append(image["file_name"])
                continue
            shapes = partial(_coco_shapes, path, notes[image["id"]], by_id[path])
            outlined.append(Outlined(file, shapes, _size(path, image)))
        warn_of_missing(f"Images of {path.name} that are not in {folder}", missing)
        sizes = [(one.image.relative_to(folder).as_posix(), one.size) for one in outlined]
        masks = draw_all(folder, outlined, key_of([path], [values, sizes]))
        shared = [other[0] for other in places].count(folder) > 1
        only = frozenset(one.image.stem for one in outlined) if shared else None
        parts.append((folder, masks, _coco_split(path, folder), only))
    return Drawn(parts, values, (VOID,) if crowded else ())


def _notes_by_image(path: Path, doc: dict) -> dict[int, list[dict]]:
    notes = defaultdict(list)
    for note in doc["annotations"]:
        if not isinstance(note, dict) or "image_id" not in note:
            raise PairingError(f"{path}: an annotation has no image_id: {str(note)[:80]}")
        notes[note["image_id"]].append(note)
    return notes


def _size(path: Path, image: dict) -> tuple[int, int] | None:
    """(height, width) as the file states it; None where it does not."""
    size = image.get("height"), image.get("width")
    if size == (None, None):
        return None
    if not all(isinstance(side, int | float) and 1 <= side <= 1 << 20 for side in size):
        raise PairingError(f"{path}: {image['file_name']} has a height and width of {size}.")
    return int(size[0]), int(size[1])


def _inside(name: str) -> str:
    """A file name that stays in its folder, which a file from elsewhere need not."""
    file = PurePosixPath(name.replace("\\", "/"))
    leaves = file.is_absolute() or ".." in file.parts or ":" in file.parts[0]
    return file.name if leaves else str(file)


def _coco_files(root: Folder) -> Iterator[tuple[Path, dict]]:
    """The COCO files of a data set; the search of a folder ends at the first of another kind."""
    folders = [root, root.find("annotations", "annotation", "labels"), root.find(*IMAGES)]
    folders += [root.folders[name] for name in root.splits]
    for folder in filter(None, folders):
        names = [name for name in folder.files.values() if name.lower().endswith(".json")]
        names = [name for name in names if name.startswith("instances_")] or names
        for name in names:
            if name.startswith(_OTHER_TASKS):
                continue
            doc = read_json(folder.path / name)
            if not isinstance(doc, dict) or "shapes" in doc:
                break
            if all(isinstance(doc.get(k), list) for k in ("images", "annotations", "categories")):
                if not all(isinstance(i, dict) and "id" in i
                           and isinstance(i.get("file_name"), str) and i["file_name"]
                           for i in doc["images"]):  # fmt: skip
                    raise PairingError(f"{folder.path / name}: an image has no id or file_name.")
                yield folder.path / name, doc


def _coco_classes(found: list[tuple[Path, dict]]) -> tuple[dict[str, int], dict]:
    """Class values by name, the same in all files; and by category id for each file."""
    names, by_path = [], {}
    for path, doc in found:
        try:
            used = {note["category_id"] for note in doc["annotations"]}
            above = {category.get("supercategory") for category in doc["categories"]
                     if category.get("supercategory") != category["name"]}  # fmt: skip
            kept = {category["id"]: str(category["name"])
                    for category in sorted(doc["categories"], key=lambda c: c["id"])
                    if category["id"] in used or category["name"] not in above}  # fmt: skip
        except (KeyError, TypeError, AttributeError) as error:
            raise PairingError(
                f"{path}: a category has no id or name, or an annotation no category_id "
                f"({error!r}). Export it again."
            ) from error
        by_path[path] = kept
        names += kept.values()
    values = checked_names(names, listing([path for path, _ in found], 3))
    return values, {path: {number: 0 if is_background(name) else values[name]
                           for number, name in kept.items()}
                    for path, kept in by_path.items()}  # fmt: skip


def _coco_images(path: Path, doc: dict, root: Folder) -> tuple[Path, Callable[[str], str]]:
    """The folder that a file's images lie in, and how their names are to be read there."""
    tail = path.stem.partition("_")[2]
    inner = root.find(*IMAGES)
    near = [path.parent, path.parent / "images", root.path, root.path / path.stem]
    near += [root.path / tail, root.path / "images" / tail, root.path / "images" / path.stem]
    near += [folder.path for place in (root, inner) if place for folder in place.folders.values()]
    sample = [image["file_name"] for image in doc["images"]]
    sample = sample[:: max(1, len(sample) // 20)]
    readings = _inside, lambda name: PurePosixPath(_inside(name)).name
    best = max(
        ((sum((place / reading(name)).is_file() for name in sample), place, reading)
         for reading in readings for place in near),
        key=lambda option: option[0], default=(0, root.path, readings[0]),
    )  # fmt: skip
    if sample and not best[0]:
        raise PairingError(
            f"{path} speaks of images named like {listing(sample, 3)}, which are neither beside "
            f"it nor in {listing(list(dict.fromkeys(near[2:])), 5)}. Put them there."
        )
    return best[1], best[2]


def _coco_split(path: Path, folder: Path) -> Split:
    words = re.split(r"[^a-z]+", path.stem.lower())
    named = (split_of(word) for word in (*words, path.parent.name, folder.name))
    return next(filter(None, named), "")


def _coco_shapes(
    path: Path, notes: list[dict], values: Mapping[int, int], size: tuple[int, int]
) -> list[Shape]:
    shapes = []
    for note in notes:
        where = f"{path}: annotation {note.get('id', '?')}"
        if note.get("category_id") not in values:
            raise PairingError(
                f"{where} is of category {note.get('category_id')!r}; the file's categories are "
                f"{listing(list(values), 20)}. Add it there, or take the annotation out."
            )
        value = VOID if note.get("iscrowd") else values[note["category_id"]]
        outline = note.get("segmentation")
        if isinstance(outline, dict):
            bitmap = bitmap_of(outline, where)
            if bitmap.shape != size:
                raise PairingError(f"{where} is of {bitmap.shape} pixels, its image of {size}.")
            shapes.append(Shape(value, bitmap=bitmap))
        elif isinstance(outline, list):
            shapes.append(Shape(value, tuple(polygon_of(one, where) for one in outline)))
        else:
            raise PairingError(
                f"{where} has no outline (segmentation: {outline!r}), only a box. Boxes cannot be "
                "learnt as masks; export polygons."
            )
    return shapes
