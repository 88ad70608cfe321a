"""Checks of where masks lie: shifted, of another image, turned inside out, or no masks at all."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fastunet.checks.alignment import common_offset, inverted, is_misplaced, of_another
from fastunet.checks.finding import Finding, Material


def check_placement(material: Material) -> Iterator[Finding]:
    """Masks that are shifted, turned inside out, or no masks at all."""
    pictures = [f.pair.mask for f in material.usable if f.mask.is_image]
    if pictures:
        yield material.find(
            "error", "mask-is-image",
            "{n} of the mask files show the image, not a mask: {files}.",
            "Replace them by the masks of their images.", pictures,
        )  # fmt: skip
    seen = [f for f in material.usable if f.offset and not f.mask.is_image]
    offsets = [f.offset for f in seen]
    common = common_offset(offsets)
    if common:
        y, x = common
        yield material.find(
            "warning", "shifted",
            f"The masks as a whole lie beside what they mark: moved by {abs(y)} pixels "
            f"{'down' if y > 0 else 'up'} and {abs(x)} {'right' if x > 0 else 'left'} their "
            f"borders fit the edges of the images (seen in {len(offsets)} pairs).",
            "Look at overlays, and export the masks again without the offset.",
            count=len(offsets),
        )  # fmt: skip
        yield from _inverted(material)
        return
    shifted = [is_misplaced(offset, offsets) for offset in offsets]
    off = [f.pair.mask for f, is_off in zip(seen, shifted, strict=True) if is_off]
    if off:
        yield material.find(
            "warning", "shifted-mask",
            "{n} of the masks lie beside what they mark, unlike the rest: {files}.",
            "Look at their overlays; they may be shifted or of another image.", off,
        )  # fmt: skip
    judged = zip(seen, of_another(offsets), shifted, strict=True)
    strange = [f.pair.mask for f, is_other, is_off in judged if is_other and not is_off]
    if strange:
        yield material.find(
            "warning", "mask-of-another",
            "{n} of the masks fit their image no better than the other images, unlike the rest: "
            "{files}. They may be of other images, or flipped.",
            "Look at their overlays, and put the right masks in their place.", strange,
        )  # fmt: skip
    yield from _inverted(material)


def _inverted(material: Material) -> Iterator[Finding]:
    if material.codec is None or material.codec.task != "binary":
        return
    masks: list[Path] = []
    contrasts, shares = [], []
    for f in material.usable:
        content = material.contents.get(f.pair.mask)
        if content is None or not content.classes.all() or not len(f.mask.levels) or content.void:
            continue
        if len(f.mask.codes) != 2:
            continue
        high = int(f.mask.counts[0] == content.classes[1])  # codes are ordered by their pixels
        foreground, background = f.mask.levels[1 - high], f.mask.levels[high]
        masks.append(f.pair.mask)
        contrasts.append((foreground - background) / max(f.mask.spread, 1e-6))
        shares.append(content.classes[1] / content.classes.sum())
    if not masks:
        return
    odd = np.flatnonzero(inverted(np.array(contrasts), np.array(shares)))
    if len(odd):
        yield material.find(
            "warning", "inverted",
            "{n} of the masks seem turned inside out: foreground and background have changed "
            "places against the rest: {files}.",
            "Look at their overlays, and swap the two values in these masks.",
            [masks[i] for i in odd],
        )  # fmt: skip
