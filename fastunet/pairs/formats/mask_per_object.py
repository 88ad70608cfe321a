"""A folder for each image, with a mask file for each object in it, as the 2018 Data Science Bowl.

`<id>/images/<id>.png` and `<id>/masks/*.png`: the objects of an image are drawn as one mask.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from fastunet._util.files import fingerprint
from fastunet._util.text import listing, sizes_differ
from fastunet.errors import PairingError, SizeMismatchError
from fastunet.io.extensions import is_image
from fastunet.io.images import read_image
from fastunet.pairs.file_names import nfc, split_named, stem_of
from fastunet.pairs.formats.layout import Folder, Layout, Part
from fastunet.pairs.formats.polygons import Shape, Size
from fastunet.pairs.formats.rasterise import Outlined, draw_all, warn_of_missing
from fastunet.pairs.matching import Rule

_CLASSES = {"background": 0, "foreground": 1}


def mask_per_object(root: Folder) -> Layout | None:
    """Such folders, in `root` or in folders of it (stage1_train beside stage1_test)."""
    trees = [root] if _is_tree(root) else [f for f in root.folders.values() if _is_tree(f)]
    if not trees:
        return None
    parts = []
    for tree in trees:
        inside = _images_in(tree)
        without = [f.path.name for f in tree.folders.values() if f.path not in inside]
        warn_of_missing(f"Folders in {tree.path} without masks", without)
        outlined = [Outlined(image, partial(_union, masks)) for (image,), masks in inside.values()]
        files = [file for images, masks in inside.values() for file in (*images, *masks)]
        drawn = draw_all(tree.path, outlined, fingerprint(files, "objects"), "Merging masks")
        stems = frozenset(stem_of(one.image.name) for one in outlined)
        split = split_named(tree.path.name) or ""
        parts.append(Part(tree.path, drawn.folder, split, Rule(), only=stems))
    return Layout("<id>/images + <id>/masks, a mask per object", parts, _CLASSES)


def _images_in(tree: Folder) -> dict[Path, tuple[list[Path], list[Path]]]:
    """Of each folder with both, the files in `<id>/images` and in `<id>/masks`."""
    found = {}
    for folder in tree.folders.values():
        images, masks = folder.find("images"), folder.find("masks")
        if images and masks and masks.has_images:
            found[folder.path] = _files(images), _files(masks)
    return found


def _is_tree(folder: Folder) -> bool:
    """Whether each folder with masks holds one image, of its own name, and some hold several."""
    inside = _images_in(folder)
    named = all(
        [stem_of(file.name) for file in images] == [nfc(path.name)]
        for path, (images, _) in inside.items()
    )
    return named and any(len(masks) > 1 for _, masks in inside.values())


def _files(folder: Folder) -> list[Path]:
    return [folder.path / name for name in folder.files.values() if is_image(name)]


def _union(masks: Sequence[Path], size: Size) -> list[Shape]:
    """All objects of an image as one shape."""
    together = np.zeros(size, bool)
    for file in masks:
        mask = read_image(file)
        values = np.unique(mask)
        if len(values) > 2 or (len(values) == 2 and values[0] != 0):
            raise PairingError(
                f"{file} holds the values {listing(values.tolist())}; the mask of one object, with "
                "0 and one other value, was expected beside other masks of the same image. Take it "
                "out, or make one mask of each image."
            )
        if mask.shape[:2] != size:
            differ = sizes_differ(file, mask.shape, "its image", size)
            raise SizeMismatchError(f"{differ} Export it again, or take it out.")
        together |= mask.any(axis=2)
    return [Shape(_CLASSES["foreground"], bitmap=together)] if together.any() else []
