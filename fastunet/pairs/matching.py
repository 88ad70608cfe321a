"""Which file names belong together: what two folders hold, paired by a rule."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from fastunet._util.text import listing
from fastunet.errors import PairingError
from fastunet.io.extensions import is_image, is_junk
from fastunet.pairs.file_names import nfc, stem_of

Listing = dict[str, list[str]]  # the file names in each sub-folder ("" is the folder itself)
Affix = tuple[str, str]  # what a stem has before and behind the part that tells files apart
SubPath = tuple[str, str]  # sub-folder and file name: Path(folder, *sub_path) is the file


def list_files(
    folder: Path,
    wanted: Callable[[str], bool] = is_image,  # of the name
) -> Listing:
    """The files below a folder, in the order of their names. Strings only: there may be millions.

    Links are followed, each target once, so that a loop ends.
    """
    found: Listing = {}
    seen = {os.path.realpath(folder)}
    waiting = [""]
    while waiting:
        inner = waiting.pop()
        names, folders = [], []
        with os.scandir(f"{folder}/{inner}") as entries:
            for entry in entries:
                if is_junk(entry.name):
                    continue
                if entry.is_dir():
                    if entry.is_symlink():
                        target = os.path.realpath(entry.path)
                        if target in seen:
                            continue
                        seen.add(target)
                    folders.append(f"{inner}/{entry.name}" if inner else entry.name)
                elif wanted(entry.name) and _is_file(entry):
                    names.append(entry.name)
        if names:
            found[inner] = sorted(names)
        waiting += sorted(folders, reverse=True)
    return found


def sub_paths(files: Listing) -> list[SubPath]:
    """The listed files, one by one."""
    return [(inner, name) for inner, names in files.items() for name in names]


def _is_file(entry: os.DirEntry) -> bool:
    """Not a pipe, a socket or a device: they have no end. A broken link is refused later."""
    return entry.is_file() or not os.path.exists(entry.path)  # noqa: PTH110, called for millions


def separate(files: Listing, affix: Affix) -> tuple[Listing, Listing]:
    """The images and the masks of one folder; a mask has the affix."""
    images: Listing = {inner: [] for inner in files}
    masks: Listing = {inner: [] for inner in files}
    for inner, name in sub_paths(files):
        stem = stem_of(name)
        is_mask = stem.startswith(affix[0]) and stem.endswith(affix[1])
        (masks if is_mask else images)[inner].append(name)
    return images, masks


# --- pairing by a rule --------------------------------------------------------------------------


@dataclass(frozen=True)
class Rule:
    """The affixes of images and of masks; what is left of the stems is equal."""

    image: Affix = ("", "")
    mask: Affix = ("", "")

    @property
    def length(self) -> int:
        """How many characters it adds."""
        return len("".join(self.image + self.mask))


def without_affix(stem: str, affix: Affix) -> str | None:
    """The stem without its affix; None where it does not have it."""
    before, behind = affix
    core = stem[len(before) : len(stem) - len(behind)]
    return core if core and before + core + behind == stem else None


class Match(NamedTuple):
    """An image and its mask."""

    image: SubPath
    mask: SubPath


@dataclass
class Matches:
    """What a rule makes of two listings."""

    pairs: list[Match] = field(default_factory=list)
    unpaired_images: list[SubPath] = field(default_factory=list)
    unpaired_masks: list[SubPath] = field(default_factory=list)
    duplicate_images: list[list[SubPath]] = field(default_factory=list)  # that share one mask
    duplicate_masks: list[list[SubPath]] = field(default_factory=list)  # that share one image


def pair_up(
    images: Listing,
    masks: Listing,
    rule: Rule,
    unmarked: bool = True,  # count files without the rule's affix among those left over
) -> Matches:
    """Pair files of mirrored sub-folders, in the order of the images."""
    found = Matches()
    image_folders, mask_folders = by_nfc_name(images), by_nfc_name(masks)
    for key in dict.fromkeys((*image_folders, *mask_folders)):
        image_folder, mask_folder = image_folders.get(key, key), mask_folders.get(key, key)
        of_images = _ByCore(images.get(image_folder, ()), rule.image)
        of_masks = _ByCore(masks.get(mask_folder, ()), rule.mask)
        found.duplicate_images += of_images.duplicates_in(image_folder)
        found.duplicate_masks += of_masks.duplicates_in(mask_folder)
        for core in [core for core in of_images.names if core in of_masks.names]:
            image, mask = of_images.names.pop(core), of_masks.names.pop(core)
            found.pairs.append(Match((image_folder, image), (mask_folder, mask)))
        found.unpaired_images += of_images.left_in(image_folder, unmarked)
        found.unpaired_masks += of_masks.left_in(mask_folder, unmarked)
    return found


def by_nfc_name(folders: Iterable[str]) -> dict[str, str]:
    """Sub-folders by their name in Unicode form NFC."""
    found: dict[str, str] = {}
    for folder in folders:
        first = found.setdefault(nfc(folder), folder)
        if first != folder:
            raise PairingError(
                f"Two folders have one name, which is written in two ways: "
                f"{listing([first, folder])}. Rename one of them, or put their files together."
            )
    return found


class _ByCore:
    """The names in a folder by their core: the stem without its affix."""

    def __init__(self, names: Iterable[str], affix: Affix):
        self.names: dict[str, str] = {}  # the first of each core
        self.unmarked: list[str] = []  # without the affix
        self._duplicates: dict[str, list[str]] = {}  # of one core
        for name in names:
            core = without_affix(stem_of(name), affix)
            if core is None:
                self.unmarked.append(name)
            elif self.names.setdefault(core, name) is not name:
                self._duplicates.setdefault(core, [self.names[core]]).append(name)

    def left_in(self, folder: str, unmarked: bool) -> list[SubPath]:
        names = [*self.names.values(), *(self.unmarked if unmarked else ())]
        return [(folder, name) for name in sorted(names)]

    def duplicates_in(self, folder: str) -> list[list[SubPath]]:
        return [[(folder, name) for name in names] for names in self._duplicates.values()]


def nearest(name: str, candidates: Sequence[str]) -> str | None:
    """The candidate that looks most like a name, among at most 1000 of them."""
    pool = candidates[:: max(1, len(candidates) // 1000)]
    return next(iter(get_close_matches(name, pool, n=1, cutoff=0.5)), None)
