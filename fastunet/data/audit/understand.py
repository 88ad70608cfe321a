"""What masks mostly hold, as a codec, and what each mask holds by it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fastunet.data import strays
from fastunet.data.audit.examine import MaskFacts
from fastunet.data.codes import Code, RawMask, carry, is_grey_code, spell
from fastunet.data.masks import VOID, MaskCodec
from fastunet.data.naming import Classes, Void

_SAMPLE = 50  # masks, and one for each value, are enough to infer the codec


@dataclass(frozen=True, slots=True)
class Content:
    """What one mask holds, by the codec."""

    classes: np.ndarray  # (C,) pixels of each class
    void: int  # pixels
    unknown: dict[str | int, int]  # pixels of values that the codec does not know, as spelled


def infer_codec(
    masks: Mapping[Path, MaskFacts],
    classes: Classes = None,
    void: Void = None,
    instances: bool = False,
) -> MaskCodec:
    """The codec of what the masks mostly hold; of `classes` and `void` strictly, where given.

    Raises `MaskValueError` where the masks cannot be understood, or are not what the user says.
    """
    usable = {path: mask for path, mask in masks.items() if not mask.is_image} or dict(masks)
    exact = {path: mask for path, mask in usable.items() if not mask.lossy} or usable
    stated = isinstance(classes, Mapping)
    mistakes = set() if instances or stated else stray_codes(list(exact.values()))
    clean = {
        path: exact[path]
        for path, codes in zip(exact, _keys(list(exact.values())), strict=True)
        if mistakes.isdisjoint(codes.tolist())
    }
    telling = _telling(clean)
    codec = MaskCodec.infer(
        telling, classes, void, sample=len(telling), instances=instances,
        # what the codec does not know becomes a finding; a list of names must fit what there is
        unknown="void" if not instances and (stated or classes is None) else "error",
    )  # fmt: skip
    return codec if instances else replace(codec, others=None)


def _telling(masks: Mapping[Path, MaskFacts]) -> list[Path]:
    """A spread sample of masks, and for each value a mask that holds it."""
    paths = list(masks)
    chosen = set(paths[:: max(1, len(paths) // _SAMPLE)])
    covered: set[Code] = set()
    for path, mask in masks.items():
        codes = mask.codes[:300].tolist()
        if not covered.issuperset(codes):
            covered.update(codes)
            chosen.add(path)
    return [path for path in paths if path in chosen]


def stray_codes(
    masks: Sequence[MaskFacts],
) -> set[Code]:  # palette indices where all masks are palette files
    """Values in so few files and pixels that they are mistakes rather than classes."""
    if any(mask.lossy or mask.bands for mask in masks):
        return set()
    files = [codes.tolist() for codes in _keys(masks)]
    pixels = Counter[Code]()
    for mask, codes in zip(masks, files, strict=True):
        for code, count in zip(codes, mask.counts.tolist(), strict=True):
            pixels[code] += count
    return strays.stray_codes(files, pixels)


def _keys(masks: Sequence[MaskFacts]) -> list[np.ndarray]:
    """The codes of each mask, of one kind: palette indices, values or colours."""
    if masks and all(mask.indices is not None for mask in masks):
        return [mask.indices for mask in masks]
    colour = any(m.colour and not all(map(is_grey_code, m.codes.tolist())) for m in masks)
    return [np.array([carry(code, mask.colour, colour) for code in mask.codes.tolist()], np.int64)
            for mask in masks]  # fmt: skip


def content(mask: MaskFacts, codec: MaskCodec) -> Content:
    """Pixels per class, of void, and of what the codec does not know."""
    if mask.lossy:
        codec = replace(codec, nearest=True)
    by_index = codec.palette == "index" and mask.indices is not None
    codes = mask.indices if by_index else mask.codes
    colour = mask.colour and not by_index
    found = codec.lookup(RawMask(codes[None], colour, bands=mask.bands))[0]
    classes = np.zeros(len(codec.classes), np.int64)
    known = (found >= 0) & (found != VOID)
    np.add.at(classes, found[known], mask.counts[known])
    unknown = {
        spell(code, colour): count
        for code, count in zip(
            codes[found < 0].tolist(), mask.counts[found < 0].tolist(), strict=True
        )
    }
    return Content(classes, int(mask.counts[found == VOID].sum()), unknown)
