"""Masks that name no classes: instance maps, which number objects, and pictures."""

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from fastunet.data.codes import Code, read_mask, spell
from fastunet.data.survey import MAX_CLASSES, VOID, Survey, peaks
from fastunet.errors import MaskValueError

_FEW = 15  # with fewer values they are taken for classes
_FILES = 8  # that are looked at again, spread over the sample
_OBJECTS = 30  # in each of them
_FEW_BESIDE_SEAMS = 30  # codes that may well be classes, however rare


def looks_like_instances(survey: Survey) -> bool:
    """Whether the values number objects: 1..N in each file, N its own, each value one blob.

    Classes are different: a file leaves some of them out, the highest is the same in many files,
    and a class lies in several places.
    """
    if survey.lossy or (survey.colour and not survey.indices):
        return False
    seen = survey.by_index() if survey.colour else survey
    numbers = {path: sorted(codes - {0, VOID}) for path, codes in seen.present.items()}
    numbers = {path: codes for path, codes in numbers.items() if codes}
    if len(set().union(*numbers.values())) < _FEW:
        return False
    counted = [codes == list(range(1, len(codes) + 1)) for codes in numbers.values()]
    highest = {codes[-1] for codes in numbers.values()}
    if np.mean(counted) < 2 / 3 or len(highest) < min(3, len(numbers)) or len(numbers) < 2:
        return False
    rich = sorted(numbers, key=lambda path: -len(numbers[path]))
    some = rich[:: -(-len(rich) // _FILES)]
    shares = [_share_of_blobs(path, numbers[path], seen) for path in some]
    return float(np.mean(shares)) > 0.8


def refuse_what_numbers_objects_or_is_a_picture(survey: Survey) -> None:
    """Raise a `MaskValueError` that says what such masks are and how to go on."""
    n = len(survey.codes)
    if looks_like_instances(survey):
        raise MaskValueError(
            f"The masks hold up to {n} {survey.kind} that count 1, 2, 3, ... anew in each file, "
            "mostly one patch each: an instance map, which numbers objects. Pass instances=True to "
            "tell objects from background; if they are classes after all, name them with classes=."
        )
    if true := _below_smoothing(survey):
        share = sum(survey.counts[code] for code in true) / survey.counts.total()
        raise MaskValueError(
            f"The masks hold {n} different {survey.kind}, but {survey.spell(true)} make up "
            f"{share:.1%} of the pixels: they seem to have been resized or saved with smoothing. "
            "Save them again without, or name those that are classes in a dict, "
            f'classes={{"name": {spell(true[0], survey.colour)!r}, ...}}, and pass unknown="void" '
            "to leave the rest out."
        )
    if n > MAX_CLASSES + 1:
        raise MaskValueError(
            f"The masks hold {n} different {survey.kind} ({survey.spell(survey.codes, 5)}); at "
            f"most {MAX_CLASSES} classes can be trained. Is this an instance map, or a picture "
            "instead of a mask? For an instance map pass instances=True: 0 is background, all else "
            "foreground."
        )


def _below_smoothing(survey: Survey) -> list[Code]:
    """The few codes that masks held before they were smoothed; empty where they were not.

    Smoothing adds many codes along the seams, each of them rare.
    """
    if len(survey.codes) <= _FEW_BESIDE_SEAMS or survey.lossy:
        return []
    true = peaks(survey.counts, survey.colour, share=0.01)
    covered = sum(survey.counts[code] for code in true) / survey.counts.total()
    return sorted(true) if 1 < len(true) < len(survey.codes) / 4 and covered > 0.9 else []


def _share_of_blobs(path: Path, numbers: Iterable[Code], survey: Survey) -> float:
    """How many of the values lie in one connected patch."""
    mask = read_mask(path, survey.palette)
    codes = mask.codes if mask.table is None else mask.table[mask.codes] & 255  # a grey palette
    numbers = list(numbers)[:: -(-len(list(numbers)) // _OBJECTS)]
    blobs = [
        cv2.connectedComponents((codes == number).astype(np.uint8), connectivity=8)[0] == 2
        for number in numbers
    ]
    return float(np.mean(blobs))
