"""The folder layouts that fastunet knows, in the order in which they are tried.

What is stated most precisely comes first: a data set's own file names before folders called
"images" and "masks", those before polygons that have yet to be drawn.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from fastunet.io.extensions import is_image
from fastunet.pairs.affixes import infer_rule
from fastunet.pairs.formats import coco
from fastunet.pairs.formats import labelme as labelme_files
from fastunet.pairs.formats import public_datasets as published
from fastunet.pairs.formats import yolo as yolo_files
from fastunet.pairs.formats.layout import (
    MASK_AFFIX,
    MASKS,
    Folder,
    Layout,
    Part,
    images_and_masks,
    two_folders,
)
from fastunet.pairs.formats.mask_per_object import objects
from fastunet.pairs.formats.rasterise import Drawn
from fastunet.pairs.matching import Rule, apart, list_files, pair_up, stem_of


def recognise(path: Path) -> Layout | None:
    """The first layout of the table that a folder, or the only folder in it, has."""
    root = Folder(path)
    for layout in LAYOUTS:
        found = layout(root)
        if found:
            return found
    if len(root.folders) == 1:
        return recognise(next(iter(root.folders.values())).path)
    return None


def with_masks(
    path: Path,
    masks: str,  # the name of the folder of masks, or its path below `path` or below its parts
) -> Layout | None:
    """The layout that a folder, or the only folder in it, has with the masks that a user names."""
    root = Folder(path)
    for layout in (images_and_masks, splits_of_images_and_masks, images_around_masks):
        found = layout(root, masks=(masks,))
        if found:
            return found
    tails = [masks.lower().removeprefix(split) for split in root.splits if root.find(masks)]
    found = _suffixed(root, [tail for tail in tails if tail and tail != masks.lower()])
    if not found and len(root.folders) == 1:
        return with_masks(next(iter(root.folders.values())).path, masks)
    return found


def splits_of_images_and_masks(root: Folder, masks: Sequence[str] = MASKS) -> Layout | None:
    """train/, val/, test/, each with images/ + masks/."""
    found = [
        (two_folders(root.folders[name], masks=masks), split) for name, split in root.splits.items()
    ]
    parts = [Part(both[0].path, both[1].path, split) for both, split in found if both]
    if not parts:
        return None
    inside = f"{parts[0].images.name} + {parts[0].masks.name}"
    return Layout(f"train|val|test / {inside}", parts, guessed=True)


def _suffixed(root: Folder, tails: Sequence[str]) -> Layout | None:
    for tail in tails:
        parts = [Part(root.folders[name].path, root.folders[name + tail].path, split)
                 for name, split in root.splits.items() if name + tail in root.folders]  # fmt: skip
        if parts:
            return Layout(f"train + train{tail}", parts, guessed=True)
    return None


def carvana(root: Folder) -> Layout | None:
    """train/ + train_masks/."""
    return _suffixed(root, [f"_{name}" for name in MASKS])


def segnet(root: Folder) -> Layout | None:
    """train/ + trainannot/."""
    return _suffixed(root, ("annot", "annotations", "masks"))


def images_around_masks(root: Folder, masks: Sequence[str] = MASKS) -> Layout | None:
    """Images with a folder masks/ among them, at the top or in train/, val/, test/."""
    places = [(root.folders[name], split) for name, split in root.splits.items()] or [(root, "")]
    parts = []
    for folder, split in places:
        inside = [inner for name in masks if (inner := folder.find(name)) and inner.has_images]
        if inside and any(map(is_image, folder.files)):
            parts.append(Part(folder.path, inside[0].path, split))
    return Layout(f"x + {parts[0].masks.name}/x", parts, guessed=True) if parts else None


def one_folder(root: Folder) -> Layout | None:
    """img1.jpg and img1_mask.png lie side by side, in one folder or in train/, val/, test/."""
    places = [(root.folders[name], split) for name, split in root.splits.items()] or [(root, "")]
    parts = []
    for folder, split in places:
        files = list_files(folder.path)
        stems = (stem_of(name) for names in files.values() for name in names)
        marks = Counter(found.groups() for stem in stems if (found := MASK_AFFIX.search(stem)))
        for before, behind in [mark for mark, _ in marks.most_common(3)]:
            affix = (before or "", behind or "")
            images, masks = apart(files, affix)
            if pair_up(images, masks, infer_rule(images, masks)).pairs:
                parts.append(Part(folder.path, folder.path, split, beside=affix))
                break
    if not parts:
        return None
    example = f"{parts[0].beside[0]}x{parts[0].beside[1]}"
    return Layout(f"x + {example} in one folder", parts, guessed=True)


def unfilled(root: Folder) -> Layout | None:
    """images/ + masks/ of which one is empty: a name to be said in the error."""
    return images_and_masks(root, filled=False)


def _drawn(name: str, found: Drawn | None) -> Layout | None:
    if found is None:
        return None
    parts = [Part(images, masks, split, Rule(), only=only)
             for images, masks, split, only in found.parts]  # fmt: skip
    return Layout(name, parts, found.classes, found.void)


def yolo(root: Folder) -> Layout | None:
    """images/ + labels/ with a text file of polygons per image."""
    return _drawn("YOLO polygons", yolo_files.yolo(root))


def mask_per_object(root: Folder) -> Layout | None:
    """<id>/images/<id>.png with <id>/masks/*.png, a mask for each object."""
    return _drawn("<id>/images + <id>/masks, a mask per object", objects(root))


def coco_polygons(root: Folder) -> Layout | None:
    """A JSON file with the polygons of all images."""
    return _drawn("COCO polygons", coco.coco(root))


def labelme(root: Folder) -> Layout | None:
    """A JSON file of polygons beside each image."""
    return _drawn("LabelMe polygons", labelme_files.labelme(root))


LAYOUTS: tuple[Callable[[Folder], Layout | None], ...] = (
    published.pascal_voc,
    published.cityscapes,
    published.nnunet,
    published.ade20k,
    published.fastai_camvid,
    published.oxford_pets,
    published.retina,
    published.chase,
    images_and_masks,
    splits_of_images_and_masks,
    carvana,
    segnet,
    images_around_masks,
    mask_per_object,
    one_folder,
    yolo,
    coco_polygons,
    labelme,
    unfilled,
)
