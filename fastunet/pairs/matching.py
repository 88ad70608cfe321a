"""Which file names belong together: what two folders hold, paired by a rule."""

import os
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path

from fastunet._util.text import listing
from fastunet.errors import PairingError
from fastunet.io.extensions import is_image, is_junk
from fastunet.pairs.pair import Split

Listing = dict[str, list[str]]  # the file names in each sub-folder ("" is the folder itself)
Affix = tuple[str, str]  # what a stem has before and behind the part that tells files apart
Place = tuple[str, str]  # sub-folder and file name


_SPLITS: dict[str, Split] = {
    **dict.fromkeys(("train", "training", "tr", "trn"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "vld", "dev", "development"), "valid"),
    **dict.fromkeys(("test", "testing", "tst", "holdout", "hold-out", "held-out"), "test"),
}


def split_of(name: str) -> Split | None:
    """The part that a folder's or a table's word stands for: `Val` is "valid"."""
    return _SPLITS.get(name.strip().lower())


def composed(name: str) -> str:
    """A name in the form in which names are compared: NFC, `ü` as one character.

    macOS and some archives write it as two, `u` and a mark, which look the same.
    """
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def stem_of(name: str) -> str:
    """The name without its extension, in the form in which names are compared."""
    return composed(name[: name.rindex(".")])


def as_on_disk(path: Path) -> Path:
    """The path as the file system spells it, where that composes the name in another way."""
    if str(path).isascii() or path.exists():
        return path
    here = Path(path.anchor)
    for step in path.parts[len(here.parts) :]:
        if not step.isascii() and not (here / step).exists() and here.is_dir():
            step = _spellings(here, here.stat().st_mtime_ns).get(composed(step), step)
        here /= step
    return here


@lru_cache(maxsize=64)
def _spellings(folder: Path, changed: int) -> dict[str, str]:
    """The names in a folder by their composed form; `changed` tells an older listing apart."""
    return {composed(entry.name): entry.name for entry in folder.iterdir()}


def path_of(folder: Path | str, place: Place) -> Path:
    inner, name = place
    return Path(f"{folder}/{inner}/{name}" if inner else f"{folder}/{name}")


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


def _is_file(entry: os.DirEntry) -> bool:
    """Not a pipe, a socket or a device, which would be waited for; a broken link is told later."""
    return entry.is_file() or not os.path.exists(entry.path)  # noqa: PTH110 - called for millions


def apart(files: Listing, affix: Affix) -> tuple[Listing, Listing]:
    """Images and masks that lie in one folder; a mask has the affix."""
    before, behind = affix
    images, masks = {}, {}
    for inner, names in files.items():
        marked = [stem_of(n).startswith(before) and stem_of(n).endswith(behind) for n in names]
        images[inner] = [name for name, is_mask in zip(names, marked, strict=True) if not is_mask]
        masks[inner] = [name for name, is_mask in zip(names, marked, strict=True) if is_mask]
    return images, masks


# --- pairing by a rule --------------------------------------------------------------------------


@dataclass(frozen=True)
class Rule:
    """What stems have around the part that an image and its mask share."""

    image: Affix = ("", "")
    mask: Affix = ("", "")

    @property
    def length(self) -> int:
        return sum(map(len, (*self.image, *self.mask)))

    def swapped(self) -> "Rule":
        return Rule(self.mask, self.image)


def core_of(stem: str, affix: Affix) -> str | None:
    """The stem without its affix; None where it does not have it."""
    before, behind = affix
    if not (before or behind):
        return stem
    if len(stem) <= len(before) + len(behind):
        return None
    if not (stem.startswith(before) and stem.endswith(behind)):
        return None
    return stem[len(before) : len(stem) - len(behind)]


@dataclass
class Matches:
    """What a rule makes of two listings."""

    pairs: list[tuple[str, str, str, str]] = field(default_factory=list)  # image, mask: as `Place`s
    lone_images: list[Place] = field(default_factory=list)
    lone_masks: list[Place] = field(default_factory=list)
    double_images: list[list[Place]] = field(default_factory=list)  # several claim one place
    double_masks: list[list[Place]] = field(default_factory=list)


def pair_up(
    images: Listing,
    masks: Listing,
    rule: Rule,
    others: bool = True,  # count files without the rule's affix among those left over
) -> Matches:
    """Pair files of mirrored sub-folders, in the order of the images."""
    found = Matches()
    image_folders, mask_folders = by_composed_name(images), by_composed_name(masks)
    for key in dict.fromkeys((*image_folders, *mask_folders)):
        inner, inner_of_masks = image_folders.get(key, key), mask_folders.get(key, key)
        by_core, strange, doubles = _by_core(masks.get(inner_of_masks, ()), rule.mask)
        found.double_masks += ([(inner_of_masks, name) for name in names] for names in doubles)
        mask_strangers = strange if others else []
        here, strange, doubles = _by_core(images.get(inner, ()), rule.image)
        found.double_images += ([(inner, name) for name in names] for names in doubles)
        lone = strange if others else []
        for core, image in here.items():
            mask = by_core.pop(core, None)
            if mask is None:
                lone.append(image)
            else:
                found.pairs.append((inner, image, inner_of_masks, mask))
        found.lone_images += ((inner, name) for name in sorted(lone))
        found.lone_masks += (
            (inner_of_masks, name) for name in sorted([*by_core.values(), *mask_strangers])
        )
    return found


def by_composed_name(folders: Iterable[str]) -> dict[str, str]:
    """Sub-folders by the form of their name that is compared."""
    found: dict[str, str] = {}
    for folder in folders:
        first = found.setdefault(composed(folder), folder)
        if first != folder:
            raise PairingError(
                f"Two folders have one name, which is written in two ways: "
                f"{listing([first, folder])}. Rename one of them, or put their files together."
            )
    return found


def _by_core(
    names: Iterable[str], affix: Affix
) -> tuple[dict[str, str], list[str], list[list[str]]]:
    """Names by the core of their stem; those that have none; and those that share one."""
    by_core: dict[str, str] = {}
    strangers: list[str] = []
    doubles: dict[str, list[str]] = {}
    for name in names:
        core = core_of(stem_of(name), affix)
        if core is None:
            strangers.append(name)
        elif by_core.setdefault(core, name) is not name:
            doubles.setdefault(core, [by_core[core]]).append(name)
    return by_core, strangers, list(doubles.values())


def nearest(name: str, candidates: Sequence[str]) -> str | None:
    """The candidate that looks most like a name, among at most 1000 of them."""
    pool = candidates[:: max(1, len(candidates) // 1000)]
    return next(iter(get_close_matches(name, pool, n=1, cutoff=0.5)), None)
