"""What masks mostly hold, as a codec, and what each mask holds by it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fastunet.labels import VOID
from fastunet.masks.classes import Classes, Void, unused_void
from fastunet.masks.codec import MaskCodec
from fastunet.masks.raw import RawMask
from fastunet.masks.statistics import MaskSetStats, MaskStats
from fastunet.scan.pair_stats import MaskOnImage


@dataclass(frozen=True, slots=True)
class Content:
    """What one mask holds, by the codec."""

    classes: np.ndarray  # (C,) pixels of each class
    void: int  # pixels
    unknown: dict[str | int, int]  # pixels of values that the codec does not know, as spelled


def infer_codec(
    masks: Mapping[Path, MaskOnImage],
    classes: Classes = None,
    void: Void = None,
    instances: bool = False,
) -> tuple[MaskCodec, str]:
    """The codec of what the masks mostly hold, strictly of `classes` and `void` where given.

    With it, a sentence where `void` is found in no mask; else nothing. Raises `MaskValueError`
    where the masks cannot be understood, or are not what the user says.
    """
    usable = [mask.stats for mask in masks.values() if mask.stats and not mask.is_image]
    stats = MaskSetStats.of_stats(usable or [mask.stats for mask in masks.values() if mask.stats])
    stated = isinstance(classes, Mapping)
    unused = unused_void(stats, void)
    if not instances and not stated:
        mistakes = set(stats.outliers())
        clean = [file for file in stats.files if mistakes.isdisjoint(stats.present[file.path])]
        stats = MaskSetStats.of_stats(clean)
    codec = MaskCodec.from_stats(
        stats,
        classes,
        void,
        instances,
        # what the codec does not know becomes a finding; a list of names must fit what there is
        unknown="void" if not instances and (stated or classes is None) else "error",
    )
    return codec if instances else replace(codec, unknown="error"), unused


def content(mask: MaskStats, lossy: bool, codec: MaskCodec) -> Content:
    """Pixels per class, of void, and of what the codec does not know."""
    if lossy:
        codec = replace(codec, nearest=True)
    ordered = np.argsort(-mask.counts, kind="stable")
    counts, table = mask.counts[ordered], None
    if mask.table is not None:
        table = np.zeros(256, np.int64)
        table[mask.codes] = mask.table
    raw = RawMask(mask.codes[ordered][None], mask.kind, table, mask.bands, mask.one_bit, lossy)
    found = codec.lookup(raw)[0]
    classes = np.zeros(len(codec.classes), np.int64)
    known = (found >= 0) & (found != VOID)
    np.add.at(classes, found[known], counts[known])
    shown = raw.by_index if codec.palette == "index" else raw
    values = shown.codes_of(shown.kind)[0]
    unknown = {shown.kind.format(int(values[i])): int(counts[i]) for i in np.flatnonzero(found < 0)}
    return Content(classes, int(counts[found == VOID].sum()), unknown)
