"""Annotations in a file for each image: which file belongs to which image."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from fastunet._util.files import fingerprint
from fastunet._util.text import listing
from fastunet.errors import PairingError
from fastunet.pairs.file_names import nfc, stem_of
from fastunet.pairs.formats.layout import Folder, Part
from fastunet.pairs.formats.named_folders import IMAGES, MASKS
from fastunet.pairs.formats.polygons import Shape, Size
from fastunet.pairs.formats.rasterise import (
    DrawnMasks,
    Outlined,
    draw_all,
    warn_of_missing,
    warn_of_outlines,
)
from fastunet.pairs.matching import Rule, SubPath, list_files, sub_paths
from fastunet.pairs.pair import Split


@dataclass(frozen=True)
class AnnotatedFolder:
    """A folder of images and the folder of their annotation files."""

    images: Folder
    annotations: Folder
    split: Split = ""

    def files(
        self, extension: str
    ) -> tuple[list[tuple[Path, Path]], list[str]]:  # (file, image); files without an image
        """Annotation files with the image of equal stem, in mirrored folders."""
        images: dict[SubPath, list[Path]] = defaultdict(list)
        for inner, name in sub_paths(list_files(self.images.path)):
            images[nfc(inner), stem_of(name)].append(Path(self.images.path, inner, name))
        found, missing, unclear = [], [], []
        listed = list_files(self.annotations.path, lambda name: name.lower().endswith(extension))
        for inner, name in sub_paths(listed):
            file = Path(self.annotations.path, inner, name)
            of_that_name = images.get((nfc(inner), stem_of(name)), [])
            if name == "classes.txt":
                continue
            if len(of_that_name) > 1:
                unclear.append(file)
            elif of_that_name:
                found.append((file, of_that_name[0]))
            else:
                missing.append(file.name)
        if unclear:
            raise PairingError(
                f"More than one image in {self.images.path} has the name of {listing(unclear, 3)}. "
                "Keep one of each name in the folder."
            )
        return found, missing


def annotated_folders(root: Folder, extension: str) -> list[AnnotatedFolder]:
    """Folders of images and of files with an extension: side by side, with splits, or one."""
    for name in MASKS:
        images, notes = root.find(*IMAGES), root.find(name)
        if not images or not notes:
            continue
        partners = {split: folder for folder, split in notes.split_folders}
        parts = [(folder, partners.get(split), split) for folder, split in images.split_folders]
        found = [
            AnnotatedFolder(folder, partner, split)
            for folder, partner, split in parts
            if partner and _both_hold(folder, partner, extension)
        ]
        if found:
            with_both = [one.images for one in found]
            without = [folder.path for folder, _, _ in parts if folder not in with_both]
            warn_of_missing(f"Folders of images without {extension} files", without)
            return found
        if _both_hold(images, notes, extension):
            return [AnnotatedFolder(images, notes)]
    inside = [
        replace(found, split=split)
        for folder, split in root.split_folders
        for found in annotated_folders(folder, extension)
    ]
    if inside:
        return inside
    for folder in filter(None, (root, root.find(*IMAGES))):
        if _both_hold(folder, folder, extension):
            return [AnnotatedFolder(folder, folder)]
    return []


def _both_hold(images: Folder, notes: Folder, extension: str) -> bool:
    return images.has_images and _holds(notes, extension)


def _holds(folder: Folder, extension: str) -> bool:
    return any(name.endswith(extension) for name in folder.files) or any(
        _holds(inner, extension) for inner in folder.folders.values()
    )


def draw_from_files(
    folders: Sequence[AnnotatedFolder],
    extension: str,
    read: Callable[[Path, Size], list[Shape]],  # the outlines in a file, for a size of the image
    settings: object,  # plain data that the masks depend on, beside the files
    sizes: Mapping[Path, Size | None] | None = None,  # that files state for their images
    background: bool = False,  # an image without a file shows nothing but background
) -> tuple[list[Part], list[DrawnMasks]]:
    """Draw what each file outlines on its image: the parts of the layout, and their masks."""
    parts, drawn = [], []
    for folder in folders:
        images = folder.images.path
        files, missing = folder.files(extension)
        warn_of_missing(
            f"Annotations in {folder.annotations.path} without an image of their name", missing
        )
        sizes = sizes or {}
        outlined = [
            Outlined(image, partial(read, file), file, sizes.get(file), scales=True)
            for file, image in files
        ]
        if background:
            outlined += _without_file(images, {image for _, image in files}, extension)
        sources = [one.source for one in outlined if one.source]
        key = fingerprint([*sources, *(one.image for one in outlined)], settings)
        drawn.append(draw_all(images, outlined, key))
        parts.append(Part(images, drawn[-1].folder, folder.split, Rule()))
    return parts, drawn


def _without_file(images: Path, known: set[Path], extension: str) -> list[Outlined]:
    every = [Path(images, *file) for file in sub_paths(list_files(images))]
    others = [image for image in every if image not in known]
    if others:
        warn_of_outlines(
            f"{len(others)} of {len(every)} images in {images} have no {extension} file and count "
            f"as background all over: {listing([image.name for image in others], 3)}"
        )
    return [Outlined(image, lambda size: []) for image in others]
