"""The layouts that fastunet knows, in the order in which they are tried.

What is stated most precisely comes first: a data set's own file names before folders called
"images" and "masks", those before polygons that have yet to be drawn. A new layout is a function
of a `Folder` in a module of its own, and an entry here.
"""

from collections.abc import Callable
from pathlib import Path

from fastunet.pairs.formats import (
    coco,
    labelme,
    mask_per_object,
    named_folders,
    public_datasets,
    yolo,
)
from fastunet.pairs.formats.layout import Folder, Layout

LAYOUTS: tuple[Callable[[Folder], Layout | None], ...] = (
    public_datasets.pascal_voc,
    public_datasets.cityscapes,
    public_datasets.nnunet,
    public_datasets.ade20k,
    public_datasets.fastai_camvid,
    public_datasets.oxford_pets,
    public_datasets.retina,
    public_datasets.chase,
    named_folders.images_and_masks,
    named_folders.splits_of_images_and_masks,
    named_folders.carvana,
    named_folders.segnet,
    named_folders.images_around_masks,
    mask_per_object.mask_per_object,
    named_folders.one_folder,
    yolo.yolo,
    coco.coco,
    labelme.labelme,
    named_folders.unfilled,
)


def recognise(path: Path) -> Layout | None:
    """The first of these layouts that a folder, or the only folder in it, has."""
    root = Folder(path)
    for layout in LAYOUTS:
        if found := layout(root):
            return found
    if len(root.folders) == 1:
        return recognise(next(iter(root.folders.values())).path)
    return None
