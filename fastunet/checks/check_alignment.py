"""Checks of where masks lie: shifted, of another image, inverted, or no masks at all."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fastunet.checks.check import CheckContext, check
from fastunet.checks.finding import Finding
from fastunet.scan.alignment import common_offset, inverted, is_misplaced, of_another


@check(needs="pixels")
def check_mask_is_image(context: CheckContext) -> Iterator[Finding]:
    """Mask files that are the image once more."""
    images = [f.pair.mask for f in context.usable if f.mask and f.mask.is_image]
    message = "{n:mask file shows|mask files show} the image, not a mask: {files}."
    remedy = "Replace them by the masks of their images."
    yield from context.report("error", "mask-is-image", message, remedy, images)


@check(needs="pixels")
def check_placement(context: CheckContext) -> Iterator[Finding]:
    """Masks that are shifted as a whole set, and single ones that are shifted or of another."""
    seen = [f for f in context.usable if f.mask and not f.mask.is_image]
    masks = [f.pair.mask for f in seen if f.offset]
    offsets = [f.offset for f in seen if f.offset]
    if common := common_offset(offsets):
        y, x = common
        message = (
            f"The masks as a whole lie beside what they mark: moved by {abs(y)} pixels "
            f"{'down' if y > 0 else 'up'} and {abs(x)} {'right' if x > 0 else 'left'} their "
            "borders fit the edges of the images (seen in {n:pair|pairs})."
        )
        remedy = "Look at overlays, and export the masks again without the offset."
        yield from context.report("warning", "shifted", message, remedy, n=len(offsets))
        return
    shifted = [is_misplaced(offset, offsets) for offset in offsets]
    off = [mask for mask, is_off in zip(masks, shifted, strict=True) if is_off]
    message = "{n:mask lies|masks lie} beside what they mark, unlike the rest: {files}."
    remedy = "Look at their overlays; they may be shifted or of another image."
    yield from context.report("warning", "shifted-mask", message, remedy, off)
    judged = zip(masks, of_another(offsets), shifted, strict=True)
    strange = [mask for mask, is_other, is_off in judged if is_other and not is_off]
    message = (
        "{n:mask fits its|masks fit their} image no better than the other images, unlike the rest: "
        "{files}. They may be of other images, or flipped."
    )
    remedy = "Look at their overlays, and put the right masks in their place."
    yield from context.report("warning", "mask-of-another", message, remedy, strange)


@check(needs="codec")
def check_inverted(context: CheckContext) -> Iterator[Finding]:
    """Binary masks whose foreground and background have changed places."""
    if context.known_codec.task != "binary":
        return
    masks: list[Path] = []
    contrasts, shares = [], []
    for f in context.usable:
        content = context.contents.get(f.pair.mask)
        if f.mask is None or content is None or content.void or not content.classes.all():
            continue
        if f.mask.stats is None or len(f.mask.levels) != 2:
            continue
        one, other = f.mask.levels.values()  # as the codes, ascending
        is_second = f.mask.stats.counts[1] == content.classes[1]
        foreground, background = (other, one) if is_second else (one, other)
        masks.append(f.pair.mask)
        contrasts.append((foreground - background) / max(f.mask.spread, 1e-6))
        shares.append(content.classes[1] / content.classes.sum())
    odd = [masks[i] for i in np.flatnonzero(inverted(np.array(contrasts), np.array(shares)))]
    message = (
        "{n:mask seems|masks seem} inverted: foreground and background have changed places against "
        "the rest: {files}."
    )
    remedy = "Look at their overlays, and swap the two values in these masks."
    yield from context.report("warning", "inverted", message, remedy, odd)
