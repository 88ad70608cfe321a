"""Layouts that the names of folders tell: images/ + masks/, train/ + train_masks/ and the like."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from fastunet.io.extensions import is_image
from fastunet.pairs.affixes import infer_rule
from fastunet.pairs.file_names import stem_of
from fastunet.pairs.formats.layout import Folder, Layout, Part
from fastunet.pairs.matching import list_files, pair_up, separate

IMAGES = (
    *("images", "image", "imgs", "img", "inputs", "input", "jpegimages", "photos", "pictures"),
    *("originals", "original", "frames", "scans", "rgb", "raw"),
)
MASKS = (
    *("masks", "mask", "labels", "label", "annotations", "annotation", "annots", "annot"),
    *("gt", "gts", "groundtruth", "ground_truth", "ground-truth", "groundtruths", "ground_truths"),
    *("segmentation", "segmentations", "seg", "segs", "segmentationclass", "segmentation_class"),
    *("targets", "target", "trimaps", "trimap", "outputs", "output"),
)

MASK_WORD = (
    r"mask|masks|label|labels|labelled|seg|segm|segmentation|annotation|annot|annotated|gt|"
    r"groundtruth|ground_truth|ground-truth|target|trimap|manual"
)
MASK_AFFIX = re.compile(rf"^((?:{MASK_WORD})[-_. ])|([-_. ](?:{MASK_WORD}))$", re.IGNORECASE)


def two_folders(
    root: Folder,
    filled: bool = True,  # both must hold image files
    masks: Sequence[str] = MASKS,  # names, or paths below `root`; the first that is there
) -> tuple[Folder, Folder] | None:
    """The folder of images and that of masks."""

    def first(names: Sequence[str]) -> Folder | None:
        found = [folder for name in names if (folder := root.find(name))]
        return next((folder for folder in found if not filled or folder.has_images), None)

    images, labels = first(IMAGES), first(masks)
    return (images, labels) if images and labels else None


def images_and_masks(
    root: Folder, filled: bool = True, masks: Sequence[str] = MASKS
) -> Layout | None:
    """images/ + masks/, either with train/, val/, test/ inside."""
    both = two_folders(root, filled, masks)
    if not both:
        return None
    images, labels = both
    name = f"{images.path.name} + {labels.path.name}"
    partners = {split: folder for folder, split in labels.split_folders}
    parts = [
        Part(folder.path, partners[split].path, split)
        for folder, split in images.split_folders
        if split in partners
    ]
    if not parts or any(map(is_image, images.files)):
        return Layout(name, [Part(images.path, labels.path)], guessed=True)
    return Layout(f"{name} / train|val|test", parts, guessed=True)


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
    found = [(two_folders(folder, masks=masks), split) for folder, split in root.split_folders]
    parts = [Part(both[0].path, both[1].path, split) for both, split in found if both]
    if not parts:
        return None
    inside = f"{parts[0].images.name} + {parts[0].masks.name}"
    return Layout(f"train|val|test / {inside}", parts, guessed=True)


def _suffixed(root: Folder, tails: Sequence[str]) -> Layout | None:
    for tail in tails:
        parts = [
            Part(root.folders[name].path, root.folders[name + tail].path, split)
            for name, split in root.splits.items()
            if name + tail in root.folders
        ]
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
    parts = []
    for folder, split in root.split_folders or [(root, "")]:
        inside = [inner for name in masks if (inner := folder.find(name)) and inner.has_images]
        if inside and any(map(is_image, folder.files)):
            parts.append(Part(folder.path, inside[0].path, split))
    return Layout(f"x + {parts[0].masks.name}/x", parts, guessed=True) if parts else None


def one_folder(root: Folder) -> Layout | None:
    """img1.jpg and img1_mask.png lie side by side, in one folder or in train/, val/, test/."""
    parts, examples = [], []
    for folder, split in root.split_folders or [(root, "")]:
        files = list_files(folder.path)
        stems = (stem_of(name) for names in files.values() for name in names)
        marks = Counter(found.groups() for stem in stems if (found := MASK_AFFIX.search(stem)))
        for (before, behind), _ in marks.most_common(3):
            affix = (before or "", behind or "")
            images, masks = separate(files, affix)
            if pair_up(images, masks, infer_rule(images, masks)).pairs:
                parts.append(Part(folder.path, folder.path, split, beside=affix))
                examples.append("x".join(affix))
                break
    return Layout(f"x + {examples[0]} in one folder", parts, guessed=True) if parts else None


def unfilled(root: Folder) -> Layout | None:
    """images/ + masks/ of which one is empty: the error names it."""
    return images_and_masks(root, filled=False)
