"""Annotations in a file for each image: which file belongs to which image."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

from fastunet._util.text import listing
from fastunet.errors import PairingError
from fastunet.pairs.formats.layout import IMAGES, MASKS, Folder
from fastunet.pairs.formats.polygons import Shape, Size
from fastunet.pairs.formats.rasterise import (
    Masks,
    Outlined,
    draw_all,
    key_of,
    warn,
    warn_of_missing,
)
from fastunet.pairs.matching import composed, list_files, path_of, stem_of
from fastunet.pairs.pair import Split

Place = tuple[Folder, Folder, Split]  # images, annotations


def folders_of_annotations(root: Folder, extension: str) -> list[Place]:
    """Folders of images and of files with an extension: side by side, with splits, or one."""

    def both(images: Folder | None, notes: Folder | None) -> bool:
        return bool(images and notes and images.has_images and _holds(notes, extension))

    for name in MASKS:
        images, notes = root.find(*IMAGES), root.find(name)
        if images and notes and images.splits:
            partners = {split: folder for folder, split in notes.splits.items()}
            pairs = [(images.folders[folder], notes.folders.get(partners.get(split, "")), split)
                     for folder, split in images.splits.items()]  # fmt: skip
            with_both = [pair for pair in pairs if both(*pair[:2])]
            if with_both:
                without = [pair[0].path for pair in pairs if pair not in with_both]
                warn_of_missing(f"Folders of images without {extension} files", without)
                return with_both
        if both(images, notes):
            return [(images, notes, "")]
    inside = [(root.folders[name], split) for name, split in root.splits.items()]
    for folder, split in inside:
        if any(folders_of_annotations(folder, extension)):
            return [(*found[:2], split) for folder, split in inside
                    for found in folders_of_annotations(folder, extension)]  # fmt: skip
    for folder in filter(None, (root, root.find(*IMAGES))):
        if both(folder, folder):
            return [(folder, folder, "")]
    return []


def _holds(folder: Folder, extension: str) -> bool:
    return any(name.endswith(extension) for name in folder.files) or any(
        _holds(inner, extension) for inner in folder.folders.values()
    )


def with_images(
    images: Path, annotations: Path, extension: str
) -> tuple[list[tuple[Path, Path]], list[str]]:
    """(annotation file, image) of equal stems in mirrored folders; annotations without one."""
    listed = list_files(images)
    by_stem: dict[tuple[str, str], Path] = {}
    counts = Counter[tuple[str, str]]()
    for inner, names in listed.items():
        for name in names:
            key = composed(inner), stem_of(name)
            by_stem[key] = path_of(images, (inner, name))
            counts[key] += 1
    found, missing, unclear = [], [], []
    files = list_files(annotations, lambda name: name.lower().endswith(extension))
    for inner, names in files.items():
        for name in names:
            if name == "classes.txt":
                continue
            key = composed(inner), stem_of(name)
            file = path_of(annotations, (inner, name))
            if counts[key] > 1:
                unclear.append(file)
            elif key in by_stem:
                found.append((file, by_stem[key]))
            else:
                missing.append(file.name)
    if unclear:
        raise PairingError(
            f"More than one image in {images} has the name of {listing(unclear, 3)}. Keep one of "
            "each name in the folder."
        )
    return found, missing


def draw_from_files(
    places: list[Place],
    extension: str,
    read: Callable[[Path, Size], list[Shape]],  # the outlines in a file, for a size of the image
    settings: object,  # plain data that the masks depend on, beside the files
    sizes: dict[Path, Size | None] | None = None,  # that files state for their images
    background: bool = False,  # an image without a file shows nothing but background
) -> tuple[list[tuple[Path, Path, Split, None]], list[Masks]]:
    parts, drawn = [], []
    for images, annotations, split in places:
        files, missing = with_images(images.path, annotations.path, extension)
        warn_of_missing(
            f"Annotations in {annotations.path} without an image of their name", missing
        )
        sizes = sizes or {}
        outlined = [
            Outlined(image, partial(read, file), file, sizes.get(file), scales=True)
            for file, image in files
        ]
        if background:
            outlined += _without_file(images.path, {image for _, image in files}, extension)
        sources = [one.source for one in outlined if one.source]
        key = key_of([*sources, *(one.image for one in outlined)], settings)
        masks = draw_all(images.path, outlined, key)
        parts.append((images.path, masks.folder, split, None))
        drawn.append(masks)
    return parts, drawn


def _without_file(images: Path, known: set[Path], extension: str) -> list[Outlined]:
    listed = list_files(images)
    every = [path_of(images, (inner, name)) for inner, names in listed.items() for name in names]
    others = [image for image in every if image not in known]
    if others:
        warn(
            f"{len(others)} of {len(every)} images in {images} have no {extension} file and count "
            f"as background all over: {listing([image.name for image in others], 3)}"
        )
    return [Outlined(image, lambda size: []) for image in others]
