"""A folder for each image, with a mask file for each object in it, as the 2018 Data Science Bowl.

`<id>/images/<id>.png` and `<id>/masks/*.png`: the objects of an image are drawn once, as one mask,
into the user's cache folder.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from fastunet._util.text import listing
from fastunet.errors import PairingError, SizeMismatchError
from fastunet.io.extensions import is_image
from fastunet.io.images import read_image
from fastunet.pairs.formats.layout import Folder
from fastunet.pairs.formats.polygons import Shape
from fastunet.pairs.formats.rasterise import Drawn, Outlined, draw_all, key_of, warn_of_missing
from fastunet.pairs.matching import composed, split_of, stem_of

_CLASSES = {"background": 0, "foreground": 1}


def objects(root: Folder) -> Drawn | None:
    """Such folders, in `root` or in folders of it (stage1_train beside stage1_test)."""
    trees = [root] if _is_tree(root) else [f for f in root.folders.values() if _is_tree(f)]
    if not trees:
        return None
    parts = []
    for tree in trees:
        inside = _with_objects(tree)
        without = [f.path.name for f in tree.folders.values() if f not in inside]
        warn_of_missing(f"Folders in {tree.path} without masks", without)
        outlined = [Outlined(_image(folder), partial(_union, _masks(folder))) for folder in inside]
        files = [file for folder in inside for file in (_image(folder), *_masks(folder))]
        drawn = draw_all(tree.path, outlined, key_of(files, "objects"), "Merging masks")
        stems = frozenset(stem_of(one.image.name) for one in outlined)
        parts.append((tree.path, drawn.folder, split_of(tree.path.name) or "", stems))
    return Drawn(parts, _CLASSES, ())


def _with_objects(tree: Folder) -> list[Folder]:
    return [
        folder
        for folder in tree.folders.values()
        if folder.find("images") and folder.find("masks") and folder.find("masks").has_images
    ]


def _is_tree(folder: Folder) -> bool:
    """Whether each folder with masks holds one image, of its own name, and some hold several."""
    inside = _with_objects(folder)
    named = all(
        [stem_of(file) for file in _files(one.find("images"))] == [composed(one.path.name)]
        for one in inside
    )
    return bool(inside) and named and any(len(_files(one.find("masks"))) > 1 for one in inside)


def _files(folder: Folder) -> list[str]:
    return [name for name in folder.files.values() if is_image(name)]


def _image(folder: Folder) -> Path:
    images = folder.find("images")
    return images.path / _files(images)[0]


def _masks(folder: Folder) -> list[Path]:
    masks = folder.find("masks")
    return [masks.path / name for name in _files(masks)]


def _union(masks: Sequence[Path], size: tuple[int, int]) -> list[Shape]:
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
            raise SizeMismatchError(
                f"{file} is {mask.shape[1]}x{mask.shape[0]} pixels (width x height), its image "
                f"{size[1]}x{size[0]}. Export it again, or take it out."
            )
        together |= mask.any(axis=2)
    return [Shape(_CLASSES["foreground"], bitmap=together)] if together.any() else []
