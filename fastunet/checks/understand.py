"""What masks mostly hold, as a codec, and what each mask holds by it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fastunet.checks.examine import MaskFacts
from fastunet.labels import VOID
from fastunet.masks.classes import Classes, Void, unused_void
from fastunet.masks.codec import MaskCodec
from fastunet.masks.codes import CodeKind
from fastunet.masks.raw import RawMask
from fastunet.masks.statistics import MaskSetStats


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
) -> tuple[MaskCodec, str]:
    """The codec of what the masks mostly hold, strictly of `classes` and `void` where given.

    With it, a sentence where `void` is found in no mask; else nothing. Raises `MaskValueError`
    where the masks cannot be understood, or are not what the user says.
    """
    usable = [mask.tally for mask in masks.values() if not mask.is_image]
    survey = MaskSetStats.of_stats(usable or [mask.tally for mask in masks.values()])
    stated = isinstance(classes, Mapping)
    unused = unused_void(survey, void)
    if not instances and not stated:
        mistakes = set(survey.outliers())
        clean = [file for file in survey.files if mistakes.isdisjoint(survey.present[file.path])]
        survey = MaskSetStats.of_stats(clean)
    codec = MaskCodec.from_stats(
        survey,
        classes,
        void,
        instances,
        # what the codec does not know becomes a finding; a list of names must fit what there is
        unknown="void" if not instances and (stated or classes is None) else "error",
    )
    return codec if instances else replace(codec, unknown="error"), unused


def content(mask: MaskFacts, codec: MaskCodec) -> Content:
    """Pixels per class, of void, and of what the codec does not know."""
    if mask.lossy:
        codec = replace(codec, nearest=True)
    by_index = codec.palette == "index" and mask.indices is not None
    codes = mask.indices if by_index else mask.codes
    kind = CodeKind.COLOUR if mask.colour and not by_index else CodeKind.VALUE
    found = codec.lookup(
        RawMask(codes[None], kind, bands=mask.bands, one_bit=mask.tally.one_bit, lossy=mask.lossy)
    )[0]
    classes = np.zeros(len(codec.classes), np.int64)
    known = (found >= 0) & (found != VOID)
    np.add.at(classes, found[known], mask.counts[known])
    unknown = {
        kind.format(code): count
        for code, count in zip(
            codes[found < 0].tolist(), mask.counts[found < 0].tolist(), strict=True
        )
    }
    return Content(classes, int(mask.counts[found == VOID].sum()), unknown)
