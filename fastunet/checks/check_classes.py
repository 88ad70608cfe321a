"""Checks of what masks say: unknown values, empty masks, classes that are rare or missing."""

from collections import Counter, defaultdict
from collections.abc import Iterator

import numpy as np

from fastunet._util.text import listing, plural
from fastunet.checks.examine import Facts
from fastunet.checks.finding import Finding, Material
from fastunet.checks.understand import Content

_RARE_SHARE = 0.001  # of the pixels that count
_RARE_IMAGES = 3
_MANY = 10  # images or classes, before few of them mean something

Read = list[tuple[Facts, Content]]


def check_values(material: Material) -> Iterator[Finding]:
    """Values and colours that the encoding does not know, with their pixels and files."""
    holders = []
    pixels, files = Counter[str | int](), defaultdict(list)
    for facts, content in _read(material):
        if content.unknown and not facts.mask.is_image:
            holders.append(facts.pair.mask)
            pixels.update(content.unknown)
            for value in content.unknown:
                files[value].append(facts.pair.mask)
    if not holders:
        return
    kind = material.codec.kind
    spelled = listing(
        [
            f"{value} ({plural(count, 'pixel')} in {listing(material.names(files[value]), 2)})"
            for value, count in pixels.most_common(8)
        ],
        8,
    )
    more = f" and {len(pixels) - 8} more {kind}" if len(pixels) > 8 else ""
    known = listing(material.codec.to_dict()["values"], 12)
    yield material.find(
        "error", "unknown-value",
        f"{plural(len(holders), 'mask holds', 'masks hold')} {kind} that stand for no class: "
        f"{spelled}{more}. The classes are {known}.",
        "Mend these masks; or, if the values are meant, name them with classes= or void=.",
        holders,
    )  # fmt: skip


def check_lossy(material: Material) -> Iterator[Finding]:
    """Masks saved as JPEG, whose borders ring."""
    lossy = [f.pair.mask for f in material.facts if f.mask and f.mask.lossy]
    if lossy:
        yield material.find(
            "warning", "lossy-mask",
            "{n} of the masks are JPEG files, which blur class values along borders: {files}. Each "
            "pixel is read as the nearest class, so borders are uncertain by some pixels.",
            "Export the masks again as PNG.", lossy,
        )  # fmt: skip


def check_empty(material: Material) -> Iterator[Finding]:
    """Masks with nothing but background, or nothing but void."""
    empty, void = [], []
    for facts, content in _read(material):
        if not content.classes.any():
            if content.void and not content.unknown:
                void.append(facts.pair.mask)
        elif not content.classes[1:].any() and not content.void and not content.unknown:
            empty.append(facts.pair.mask)
    if void:
        yield material.find(
            "warning", "void-mask",
            "{n} of the masks hold nothing but void: {files}. Nothing can be learned from them.",
            "Take these pairs out, or label them.", void,
        )  # fmt: skip
    if empty:
        name = material.codec.classes[0]
        yield material.find(
            "note", "empty-mask",
            f"{{n}} of the masks hold nothing but {name}: {{files}}.",
            "Nothing, if there is nothing on these images; label them otherwise.", empty,
        )  # fmt: skip


def check_classes(material: Material) -> Iterator[Finding]:
    """Classes with next to no pixels, in few images, in one part of the split only, or nowhere."""
    read = _read(material)
    if not read:
        return
    names = material.codec.classes
    counts = np.array([content.classes for _, content in read])
    share = counts.sum(0) / max(1, counts.sum())
    images = (counts > 0).sum(0)
    rare_share = (share < _RARE_SHARE) & (share > 0)
    if rare_share.sum() >= _MANY and rare_share.sum() > len(names) / 2:
        yield material.find(
            "error", "too-many-values",
            f"The masks hold {len(names)} values, {int(rare_share.sum())} of them in hardly any "
            "pixels: their borders were smoothed when they were resized or drawn.",
            "Export the masks without smoothing (nearest neighbour), or name the true values with "
            "classes=.", count=int(rare_share.sum()),
        )  # fmt: skip
        return
    absent = np.flatnonzero(images == 0)
    if len(absent):
        yield material.find(
            "warning", "absent-class",
            f"{plural(len(absent), 'class is', 'classes are')} on none of the masks: "
            f"{listing([names[i] for i in absent])}.",
            "Leave them out of classes=, or check their values.", count=len(absent),
        )  # fmt: skip
    few = (images < _RARE_IMAGES) & (len(read) >= _MANY)
    rare = np.flatnonzero((images > 0) & (rare_share | few))
    if len(rare):
        told = listing(
            [f"{names[i]} ({100 * share[i]:.2g} % of the pixels, {plural(int(images[i]), 'image')})"
             for i in rare]
        )  # fmt: skip
        yield material.find(
            "warning", "rare-class",
            f"{plural(len(rare), 'class is', 'classes are')} rare: {told}. A network hardly learns "
            "them, and their scores hang on single images.",
            "Label more of them, or merge them into another class.",
            [f.pair.mask for (f, c) in read if c.classes[rare].any()], len(rare),
        )  # fmt: skip
    yield from _missing(material, read)


def _missing(material: Material, read: Read) -> Iterator[Finding]:
    """Classes that a part of the split lacks."""
    everywhere = sum(content.classes for _, content in read) > 0
    lacks = {}
    for part in material.splits:
        of_part = [content.classes for facts, content in read if facts.pair.split == part]
        if of_part:
            absent = np.flatnonzero(everywhere & (np.sum(of_part, axis=0) == 0))
            if len(absent):
                lacks[part] = [material.codec.classes[i] for i in absent]
    if lacks:
        told = "; ".join(f"{part}: {listing(missing)}" for part, missing in lacks.items())
        yield material.find(
            "warning", "missing-class",
            f"Classes are missing from a part of the split ({told}). What is missing from train is "
            "not learned; what is missing elsewhere has no score.",
            "Move images with these classes, or make another split.",
            count=sum(map(len, lacks.values())),
        )  # fmt: skip


def class_frequencies(
    material: Material,
) -> dict[str, dict[str, float]]:  # part (or "all") -> class -> share of the pixels that count
    """How much of each part each class takes."""
    read = _read(material)
    frequencies = {}
    for part in material.splits or [""]:
        of_part = [content.classes for facts, content in read if facts.pair.split == part]
        if of_part:
            total = np.sum(of_part, axis=0)
            shares = total / max(1, total.sum())
            frequencies[part or "all"] = {
                name: round(float(value), 6)
                for name, value in zip(material.codec.classes, shares, strict=True)
            }
    return frequencies


def _read(material: Material) -> Read:
    """The masks that could be read with a codec, and what they hold."""
    return [(facts, material.contents[facts.pair.mask]) for facts in material.facts
            if facts.mask and facts.pair.mask in material.contents]  # fmt: skip
