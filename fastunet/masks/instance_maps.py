"""Whether mask values number objects rather than name classes."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import lgamma
from pathlib import Path

import cv2
import numpy as np

from fastunet.labels import VOID
from fastunet.masks.codes import TRANSPARENT, Code, CodeKind
from fastunet.masks.raw import is_lossy, read_mask
from fastunet.masks.statistics import MaskSetStats

_FILES = 8  # that are looked at again, spread over all
_OBJECTS = 30  # in each of them
_BLOBS = 0.8  # of the values lie in one patch each
_MANY = 15  # different values, which classes seldom count up to
_SOME = 6  # different values, where the files count to at least _HEIGHTS different numbers
_HEIGHTS = 4
_CHANCE = 1e-4  # that the objects of all files came by accident in the order of their rows


@dataclass(frozen=True)
class Numbering:
    """How the values number objects, and what shows it."""

    how: str  # for a sentence that begins with "values that"
    n: int  # different values


def numbering(stats: MaskSetStats) -> Numbering | None:
    """Whether the values number objects: each is one patch, and every file has numbers of its own.

    Classes are different: a file leaves some of them out, the highest is the same in many files,
    and a class lies in several places. Numbers count 1, 2, 3, ... anew in each file, or go on from
    file to file, or are random colours.
    """
    if stats.bands or any(is_lossy(file.path) for file in stats.files):
        return None
    seen = stats.by_index() if stats.indices else stats
    colours = seen.kind is CodeKind.COLOUR
    background = {0, TRANSPARENT} if colours else {0, VOID}
    objects = {path: sorted(codes - background) for path, codes in seen.present.items()}
    objects = {path: codes for path, codes in objects.items() if codes}
    if len(objects) < 2:
        return None
    how = "" if colours else _count_anew(objects)
    if how and _distinct(objects) < _MANY and not _rows_or_heights(objects, seen):
        return None
    how = how or _unique(objects)
    if not how or _share_of_blobs(objects, seen) <= _BLOBS:
        return None
    return Numbering(how, _distinct(objects))


def _distinct(objects: Mapping[Path, list[Code]]) -> int:
    return len(set().union(*objects.values()))


def _count_anew(objects: Mapping[Path, list[Code]]) -> str:
    counted = [codes == list(range(1, len(codes) + 1)) for codes in objects.values()]
    highest = {codes[-1] for codes in objects.values()}
    if np.mean(counted) < 2 / 3 or len(highest) < min(3, len(objects)):
        return ""
    return "count 1, 2, 3, ... anew in each file"


def _unique(objects: Mapping[Path, list[Code]]) -> str:
    """Many values, nearly all of which one file alone holds."""
    held = Counter(code for codes in objects.values() for code in codes)
    alone = sum(times == 1 for times in held.values())
    if len(objects) < 3 or len(held) < max(_SOME, 2 * len(objects)) or alone < 0.8 * len(held):
        return ""
    return "differ from file to file"


def _rows_or_heights(objects: Mapping[Path, list[Code]], stats: MaskSetStats) -> bool:
    """Whether few values are numbers: the files count far, or as labelling goes, row by row."""
    heights = {codes[-1] for codes in objects.values()}
    if len(heights) >= _HEIGHTS and _distinct(objects) >= _SOME:
        return True
    if len(heights) < 3:
        return False
    chance, ordered = 0.0, 0
    several = [path for path, codes in objects.items() if len(codes) > 1][:_FILES]
    for path in several:
        first = [int(np.argmax(_codes(path, stats).ravel() == code)) for code in objects[path]]
        chance -= lgamma(len(first) + 1)  # one order of n! ones
        ordered += first == sorted(first)
    return bool(several) and ordered == len(several) and chance < np.log(_CHANCE)


def _share_of_blobs(objects: Mapping[Path, list[Code]], stats: MaskSetStats) -> float:
    """How many of the values lie in one connected patch, in the files that hold the most."""
    rich = sorted(objects, key=lambda path: -len(objects[path]))
    shares = []
    for path in rich[:: -(-len(rich) // _FILES)]:
        codes = _codes(path, stats)
        some = objects[path][:: -(-len(objects[path]) // _OBJECTS)]
        shares.append(np.mean([_is_blob(codes == code) for code in some]))
    return float(np.mean(shares))


def _is_blob(where: np.ndarray) -> bool:
    return cv2.connectedComponents(where.astype(np.uint8), connectivity=8)[0] == 2


def _codes(path: Path, stats: MaskSetStats) -> np.ndarray:
    """The codes of a file as the stats have them."""
    raw = read_mask(path)
    return (raw.by_index if stats.palette == "index" else raw).codes_of(stats.kind)
