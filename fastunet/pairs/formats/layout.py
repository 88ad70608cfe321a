"""What a layout is, and the folder that is compared with it."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from fastunet.io.extensions import is_image, is_junk
from fastunet.pairs.file_names import nfc, split_named, stem_of
from fastunet.pairs.matching import Affix, Rule
from fastunet.pairs.pair import Split

Classes = Sequence[str] | Mapping[str, int | str]


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

    def split_of(self, image: Path) -> Split:
        """The part that an image belongs to."""
        return self.splits.get(stem_of(image.name), self.split)


@dataclass(frozen=True)
class Layout:
    """How a folder is to be read."""

    name: str
    parts: Sequence[Part]
    classes: Classes | None = None
    void: tuple[int | str, ...] = ()
    guessed: bool = False  # by the names of folders or files alone: others may fit as well


class Folder:
    """A folder that is listed once; names are compared in Unicode form NFC, without case."""

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
        return {name: split for name in self.folders if (split := split_named(name))}

    @property
    def split_folders(self) -> list[tuple["Folder", Split]]:
        """The sub-folders that are a part of the data set, each with the part."""
        return [(self.folders[name], split) for name, split in self.splits.items()]

    @cached_property
    def has_images(self) -> bool:
        """Whether an image file lies anywhere below."""
        return any(map(is_image, self.files)) or any(f.has_images for f in self.folders.values())

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
        return [line.strip() for line in nfc(text).splitlines() if line.strip()]


def _key(name: str) -> str:
    return nfc(name).lower()
