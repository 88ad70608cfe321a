"""What a folder holds, and how it is to be read: the words that layouts are made of."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from fastunet.io.extensions import is_image, is_junk
from fastunet.pairs.matching import Affix, Rule, composed, split_of
from fastunet.pairs.pair import Split

Classes = Sequence[str] | Mapping[str, int | str]

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


@dataclass(frozen=True)
class Part:
    """A folder of images and the folder of their masks."""

    images: Path
    masks: Path
    split: Split = ""
    rule: Rule | None = None  # stated: other files are no concern; None: found out by the names
    beside: Affix | None = None  # both lie in one folder, and this marks a mask
    only: frozenset[str] | None = None  # the image stems that count
    splits: Mapping[str, Split] = field(default_factory=dict)  # by image stem, where `split` errs
    channels: bool = False  # files x_0000, x_0001, ... are the channels of one image


@dataclass(frozen=True)
class Layout:
    """How a folder is to be read."""

    name: str
    parts: Sequence[Part]
    classes: Classes | None = None
    void: tuple[int | str, ...] = ()
    guessed: bool = False  # by the names of folders or files alone: others may fit as well


class Folder:
    """A folder that is looked into once; names are compared composed and without case."""

    def __init__(self, path: Path):
        self.path = path

    @cached_property
    def _entries(self) -> tuple[dict[str, "Folder"], dict[str, str]]:
        with os.scandir(self.path) as found:
            entries = sorted((e.name, e.is_dir()) for e in found if not is_junk(e.name))
        folders = {_key(name): Folder(self.path / name) for name, is_dir in entries if is_dir}
        return folders, {_key(name): name for name, is_dir in entries if not is_dir}

    @property
    def folders(self) -> dict[str, "Folder"]:
        """Sub-folders by their name in lower case."""
        return self._entries[0]

    @property
    def files(self) -> dict[str, str]:
        """File names by their lower case."""
        return self._entries[1]

    @cached_property
    def splits(self) -> dict[str, Split]:
        """The sub-folders whose names say which part they are."""
        named = {name: split_of(name) for name in self.folders}
        return {name: split for name, split in named.items() if split is not None}

    @cached_property
    def has_images(self) -> bool:
        """Whether an image file lies anywhere below."""
        below = (folder.has_images for folder in self.folders.values())
        return any(map(is_image, self.files)) or any(below)

    def find(self, *names: str) -> "Folder | None":
        """The first of these sub-folders, each a/b/c, that is there."""
        for name in names:
            here: Folder | None = self
            for step in _key(name).split("/"):
                here = here and here.folders.get(step)
            if here:
                return here
        return None

    def lines(self, name: str) -> list[str]:
        """The lines of a text file in this folder, in Unicode form NFC; none if it is missing."""
        if _key(name) not in self.files:
            return []
        text = (self.path / self.files[_key(name)]).read_text("utf-8-sig", errors="replace")
        return [line.strip() for line in composed(text).splitlines() if line.strip()]


def _key(name: str) -> str:
    return composed(name).lower()


def two_folders(
    root: Folder,
    filled: bool = True,  # both must hold image files
    masks: Sequence[str] = MASKS,  # names, or paths below `root`; the first that is there
) -> tuple[Folder, Folder] | None:
    """The folder of images and that of masks."""
    sides = []
    for names in (IMAGES, masks):
        here = [folder for name in names if (folder := root.find(name))]
        sides.append(next((f for f in here if not filled or f.has_images), None))
    return (sides[0], sides[1]) if all(sides) else None


def images_and_masks(
    root: Folder, filled: bool = True, masks: Sequence[str] = MASKS
) -> Layout | None:
    """images/ + masks/, either with train/, val/, test/ inside."""
    both = two_folders(root, filled, masks)
    if not both:
        return None
    images, labels = both
    name = f"{images.path.name} + {labels.path.name}"
    if not images.splits or any(map(is_image, images.files)):
        return Layout(name, [Part(images.path, labels.path)], guessed=True)
    partners = {split: folder for folder, split in labels.splits.items()}
    parts = [
        Part(images.folders[folder].path, labels.folders[partners[split]].path, split)
        for folder, split in images.splits.items()
        if split in partners
    ]
    if not parts:
        return Layout(name, [Part(images.path, labels.path)], guessed=True)
    return Layout(f"{name} / train|val|test", parts, guessed=True)
