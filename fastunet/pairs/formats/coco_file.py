"""One COCO file, read into plain data: every annotation belongs to an image and has an outline."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

from fastunet._util.text import listing
from fastunet.errors import PairingError
from fastunet.pairs.formats.annotations import read_json, stated_size
from fastunet.pairs.formats.polygons import Size
from fastunet.pairs.formats.rasterise import warn_of_outlines

Id = int | float | str
_LISTS = ("images", "annotations", "categories")


@dataclass(frozen=True)
class CocoImage:
    """An image of the file, and what is annotated on it."""

    name: str  # as the file has it, perhaps with folders
    size: Size | None  # (height, width) as stated
    annotations: list[dict]


@dataclass(frozen=True)
class CocoFile:
    """The images of a file and the classes of their annotations."""

    path: Path
    images: list[CocoImage]
    categories: dict[Id, str]  # the names of those that count, by id


def read_coco(path: Path) -> CocoFile | None:
    """The contents of a file; None for a JSON file of another kind.

    Raises `PairingError` for annotations that belong to no image or category, or have no outline.
    """
    doc = read_json(path)
    if not isinstance(doc, dict) or not all(isinstance(doc.get(key), list) for key in _LISTS):
        return None
    images, annotations = _checked_images(path, doc["images"]), doc["annotations"]
    for annotation in annotations:
        if not isinstance(annotation, dict) or not _is_id(annotation.get("image_id")):
            raise PairingError(f"{path}: an annotation has no image_id: {str(annotation)[:80]}")
    names = _category_names(path, doc["categories"])
    if unknown := _resolve(path, annotations, "category_id", list(names)):
        first = unknown[0]
        raise PairingError(
            f"{path}: annotation {first.get('id', '?')} is of category "
            f"{first.get('category_id')!r:.40}; the file's categories are "
            f"{listing(list(names), 20) or 'none'}. Add it there, or take the annotation out "
            f"({len(unknown)} of {len(annotations)} annotations are of unknown categories)."
        )
    ids = [image["id"] for image in images]
    if unknown := _resolve(path, annotations, "image_id", ids):
        examples = [f"annotation {a.get('id', '?')} of {a.get('image_id')!r:.40}" for a in unknown]
        raise PairingError(
            f"{path}: {len(unknown)} of {len(annotations)} annotations belong to no image: their "
            f"image_id is not among the file's images ({listing(examples, 3)}; the images have ids "
            f"like {listing(list(map(repr, ids)), 3) or 'none'}). Export it again, or take these "
            "annotations out."
        )
    _refuse_without_outline(path, annotations)
    by_image = defaultdict(list)
    for annotation in annotations:
        by_image[annotation["image_id"]].append(annotation)
    read = []
    for image in images:
        name = image["file_name"]
        size = stated_size(image.get("height"), image.get("width"), f"{path}: {name}")
        read.append(CocoImage(name, size, by_image[image["id"]]))
    return CocoFile(path, read, _that_count(doc["categories"], names, annotations))


def _is_id(value: object) -> TypeGuard[Id]:
    return isinstance(value, int | float | str) and not isinstance(value, bool)


def _checked_images(path: Path, images: list) -> list[dict]:
    for image in images:
        if not (
            isinstance(image, dict)
            and _is_id(image.get("id"))
            and isinstance(image.get("file_name"), str)
            and image["file_name"]
        ):
            raise PairingError(f"{path}: an image has no id or file_name: {str(image)[:80]}")
    for key in ("id", "file_name"):
        double = [v for v, count in Counter(image[key] for image in images).items() if count > 1]
        if double:
            raise PairingError(
                f"{path}: more than one image has the {key} {listing(double, 3)}. Export it again, "
                "with one entry for each image."
            )
    return images


def _category_names(path: Path, categories: list) -> dict[Id, str]:
    names: dict[Id, str] = {}
    for category in categories:
        if not (
            isinstance(category, dict)
            and _is_id(category.get("id"))
            and isinstance(category.get("name"), str | int)
        ):
            raise PairingError(f"{path}: a category has no id or name: {str(category)[:80]}")
        name = str(category["name"])
        if names.setdefault(category["id"], name) != name:
            raise PairingError(
                f"{path}: two categories have the id {category['id']!r}: "
                f"{names[category['id']]!r} and {name!r}. Export it again."
            )
    return names


def _that_count(
    categories: Sequence[dict], names: dict[Id, str], annotations: Sequence[dict]
) -> dict[Id, str]:
    """All but the headings above other categories, which no annotation is of."""
    used = {annotation["category_id"] for annotation in annotations}
    above = {
        str(category.get("supercategory"))
        for category in categories
        if category.get("supercategory") != category["name"]
    }
    ids = sorted(names, key=lambda key: (isinstance(key, str), key))
    return {key: names[key] for key in ids if key in used or names[key] not in above}


# --- ids ------------------------------------------------------------------------------------------


def _resolve(
    path: Path, annotations: Sequence[dict], field: str, known: Sequence[Id]
) -> list[dict]:
    """Replace ids by those that the file defines: "3" stands for 3 where no other id would fit.

    Returns the annotations whose id is not known.
    """
    exact = set(known)
    by_number = defaultdict(list)
    for one in known:
        by_number[_as_number(one)].append(one)
    unknown, converted = [], []
    for annotation in annotations:
        value = annotation.get(field)
        if _is_id(value) and value in exact:
            continue
        like = by_number.get(_as_number(value), []) if _is_id(value) else []
        if len(like) == 1:
            converted.append((value, like[0]))
            annotation[field] = like[0]
        else:
            unknown.append(annotation)
    if converted and not unknown:
        given, meant = converted[0]
        warn_of_outlines(
            f"{path}: {len(converted)} of {len(annotations)} annotations have a {field} such as "
            f"{given!r}, where the file defines {meant!r}; they are taken as the same."
        )
    return unknown


def _as_number(value: Id) -> Id:
    """3 for 3, 3.0, "3" and "003"; other text stays as it is."""
    if isinstance(value, str):
        text = value.strip()
        return int(text) if text.isdecimal() and len(text) < 40 else text
    return value


def _refuse_without_outline(path: Path, annotations: Sequence[dict]) -> None:
    without = [one for one in annotations if not _has_outline(one.get("segmentation"))]
    if without:
        box = ", only a box" if any(one.get("bbox") for one in without) else ""
        ids = listing([one.get("id", "?") for one in without], 3)
        raise PairingError(
            f"{path}: {len(without)} of {len(annotations)} annotations have no outline{box} "
            f"(annotation {ids}). Boxes cannot be learnt as masks: export polygons or run lengths, "
            "or take these annotations out."
        )


def _has_outline(outline: object) -> bool:
    return any(part != [] for part in outline) if isinstance(outline, list) else bool(outline)
