"""Checks of what masks hold: unknown values, empty masks, classes that are rare or missing."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from fastunet._util.text import listing, plural
from fastunet.checks.check import CheckContext, check
from fastunet.checks.finding import Finding
from fastunet.checks.understand import Content
from fastunet.pairs.pair import Pair
from fastunet.scan.pair_stats import MaskOnImage

_RARE_SHARE = 0.001  # of the pixels that count
_RARE_IMAGES = 3
_MANY = 10  # images or classes, before few of them mean something
_LISTED = 8  # unknown values that a message names


@check(needs="pixels")
def check_lossy(context: CheckContext) -> Iterator[Finding]:
    """Masks saved as JPEG, which blurs values along borders."""
    lossy = [f.pair.mask for f in context.stats if f.mask and f.mask.lossy]
    message = (
        "{n:mask is a JPEG file|masks are JPEG files}: {files}. JPEG blurs class values along "
        "borders; each pixel is read as the nearest class, so borders are uncertain by some pixels."
    )
    remedy = "Export the masks again as PNG."
    yield from context.report("warning", "lossy-mask", message, remedy, lossy)


@check(needs="codec")
def check_unknown_values(context: CheckContext) -> Iterator[Finding]:
    """Values and colours that the encoding does not know, with their pixels and files."""
    codec = context.known_codec
    pixels = Counter[str | int]()
    files: dict[str | int, list[Path]] = defaultdict(list)
    holders = []
    for pair, mask, content in _contents(context):
        if content.unknown and not mask.is_image:
            holders.append(pair.mask)
            pixels.update(content.unknown)
            for value in content.unknown:
                files[value].append(pair.mask)
    counted = ", ".join(
        f"{value} ({plural(count, 'pixel')} in {listing(context.names(files[value]), 2)})"
        for value, count in pixels.most_common(_LISTED)
    )
    more = f" and {len(pixels) - _LISTED} more {codec.kind}" if len(pixels) > _LISTED else ""
    yield from context.report(
        "error",
        "unknown-value",
        "{n:mask holds|masks hold} {kind} that stand for no class: {found}. The classes are "
        "{known}.",
        "Mend these masks; or, if the values are meant, name them with classes= or void=.",
        holders,
        kind=codec.kind,
        found=counted + more,
        known=listing(codec.to_dict()["values"], 12),
    )


@check(needs="codec")
def check_empty(context: CheckContext) -> Iterator[Finding]:
    """Masks with nothing but background, or nothing but void."""
    known = [(pair, content) for pair, _, content in _contents(context) if not content.unknown]
    void = [pair.mask for pair, content in known if content.void and not content.classes.any()]
    empty = [
        pair.mask
        for pair, content in known
        if not content.void and content.classes[0] and not content.classes[1:].any()
    ]
    message = "{n:mask holds|masks hold} nothing but {what}: {files}."
    nothing = f"{message} Nothing can be learned from them."
    remedy = "Take these pairs out, or label them."
    yield from context.report("warning", "void-mask", nothing, remedy, void, what="void")
    what = context.known_codec.classes[0]
    remedy = "Nothing, if there is nothing on these images; label them otherwise."
    yield from context.report("note", "empty-mask", message, remedy, empty, what=what)


@check(needs="codec")
def check_classes(context: CheckContext) -> Iterator[Finding]:
    """Classes with next to no pixels, in few images, in one part of the split only, or nowhere."""
    contents = _contents(context)
    if not contents:
        return
    names = context.known_codec.classes
    counts = np.array([content.classes for _, _, content in contents])
    share = counts.sum(0) / max(1, counts.sum())
    images = (counts > 0).sum(0)
    rare_share = (share < _RARE_SHARE) & (share > 0)
    smoothed = int(rare_share.sum())
    if smoothed >= _MANY and smoothed > len(names) / 2:
        message = (
            f"The masks hold {len(names)} values, {smoothed} of them in hardly any pixels: their "
            "borders were smoothed when they were resized or drawn."
        )
        remedy = (
            "Export the masks without smoothing (nearest neighbour), or name the true values with "
            "classes=."
        )
        yield from context.report("error", "too-many-values", message, remedy, n=smoothed)
        return
    absent = [name for name, count in zip(names, images, strict=True) if not count]
    message = "{n:class is|classes are} on none of the masks: {absent}."
    remedy = "Leave them out of classes=, or check their values."
    n, told = len(absent), listing(absent)
    yield from context.report("warning", "absent-class", message, remedy, n=n, absent=told)
    few = (images < _RARE_IMAGES) & (len(contents) >= _MANY)
    rare = np.flatnonzero((images > 0) & (rare_share | few))
    shares = [
        f"{names[i]} ({100 * share[i]:.2g} % of the pixels, {plural(int(images[i]), 'image')})"
        for i in rare
    ]
    yield from context.report(
        "warning",
        "rare-class",
        "{n:class is|classes are} rare: {rare}. A network hardly learns them, and their scores "
        "hang on single images.",
        "Label more of them, or merge them into another class.",
        [pair.mask for pair, _, content in contents if content.classes[rare].any()],
        len(rare),
        rare=listing(shares),
    )
    lacks = {
        part: [name for i, name in enumerate(names) if images[i] and not pixels[i]]
        for part, pixels in _pixels_by_part(context).items()
    }
    yield from context.report(
        "warning",
        "missing-class",
        "Classes are missing from a part of the split ({lacks}). What is missing from train is not "
        "learned; what is missing elsewhere has no score.",
        "Move images with these classes, or make another split.",
        n=sum(map(len, lacks.values())),
        lacks="; ".join(f"{part}: {listing(some)}" for part, some in lacks.items() if some),
    )


def class_frequencies(
    context: CheckContext,  # with a codec
) -> dict[str, dict[str, float]]:  # part (or "all") -> class -> share of the pixels that count
    """How much of each part each class takes."""
    return {
        part: {
            name: round(float(count / max(1, pixels.sum())), 6)
            for name, count in zip(context.known_codec.classes, pixels, strict=True)
        }
        for part, pixels in _pixels_by_part(context).items()
    }


def _pixels_by_part(context: CheckContext) -> dict[str, np.ndarray]:
    """Part, or "all" where nothing has been split -> pixels of each class, (C,)."""
    contents = _contents(context)
    parts = {
        part: [content.classes for pair, _, content in contents if pair.split == part]
        for part in context.splits
    }
    if not parts:
        parts = {"all": [content.classes for pair, _, content in contents]}
    return {part: np.sum(counts, axis=0) for part, counts in parts.items() if counts}


def _contents(context: CheckContext) -> Sequence[tuple[Pair, MaskOnImage, Content]]:
    """What the masks hold that could be read with the codec."""
    return [
        (one.pair, one.mask, context.contents[one.pair.mask])
        for one in context.stats
        if one.mask and one.pair.mask in context.contents
    ]
