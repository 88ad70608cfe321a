"""What masks held before they were smoothed: by JPEG, by resizing, or by a soft brush.

Both add codes along the seams between classes. In the midst of a class the pixels and their
neighbours are alike; that is where its own code is seen.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations, islice

import numpy as np

from fastunet.masks.codes import Code, CodeKind
from fastunet.masks.raw import is_lossy
from fastunet.masks.statistics import MaskSetStats

# Measured on 750 sets of JPEG masks of 2 to 6 classes (discs, rectangles, lines, stripes; quality
# 40 to 97; with and without chroma subsampling): no patch of ringing lay farther than 32 from the
# nearest class, and none between 16 and 32 had more than 152 flat pixels. What is lost unseen is a
# class of thin shapes whose code lies between two others.
_SAME = 16  # of 255, in any channel: codes closer than this are one,
_CLOSE, _SHARE = 8, 0.1  # unless this share of the flat pixels about a code is farther from it
_FAR = 32  # nothing but a class is as far from the others
_FEW = 12  # flat pixels that are no chance there
_DOUBTFUL, _MANY = 160, 400  # flat pixels, between _SAME and _FAR: a question; a class
_UNEXPLAINED = 20  # pixels that no mixture of the classes is
_OFF = 80  # of 255, by which they differ from every mixture
_MASK_LIKE = 0.82  # of the flat pixels of a mask lie within 4 of a class; of a photo, less


@dataclass(frozen=True)
class Modes:
    """The codes about which those of lossy masks gather."""

    classes: list[Code]  # ascending
    doubtful: list[Code]  # a class, or what smoothing made: it cannot be told
    is_mask: bool  # the codes do gather, as those of a photo do not


def modes_of_jpeg(stats: MaskSetStats) -> Modes:
    """What JPEG masks held: the codes of their flat patches, apart from each other."""
    counts = Counter({code: stats.flat[code] for code in stats.flat if code in stats.codes})
    found: list[Code] = sorted(stats.exact & set(stats.codes))
    mass = dict.fromkeys(found, _MANY)
    aside = Counter[Code]()
    near = 0
    for code, count in counts.most_common():
        away = stats.kind.distances(found, code)
        if len(away) and away.min() <= _SAME:
            nearest = found[int(away.argmin())]
            mass[nearest] += count
            aside[nearest] += count if away.min() > _CLOSE else 0
            near += count if away.min() <= 4 else 0
        else:
            found.append(code)
            mass[code] = count
            near += count
    classes: list[Code] = []
    doubtful: list[Code] = []
    for code in sorted(found, key=mass.__getitem__, reverse=True):
        away = stats.kind.distances(classes, code)
        is_far = not len(away) or away.min() > _FAR
        if mass[code] >= (_FEW if is_far else _MANY):
            classes.append(code)
        elif not is_far and mass[code] >= _DOUBTFUL:
            doubtful.append(code)
    doubtful += [code for code in classes if aside[code] > _SHARE * mass[code]]
    doubtful += _unexplained(stats, classes)
    total = counts.total()
    return Modes(sorted(classes), doubtful, not total or near / total >= _MASK_LIKE)


def too_close(stats: MaskSetStats, classes: Sequence[Code]) -> list[Code]:
    """Two codes that are closer than JPEG keeps apart, where files without loss hold such."""
    for i, code in enumerate(classes):
        away = stats.kind.distances(classes[:i], code)
        if len(away) and away.min() <= _SAME:
            return [classes[int(away.argmin())], code]
    return []


def sharpened(stats: MaskSetStats, classes: Sequence[Code]) -> MaskSetStats:
    """The stats as they would be if the JPEG files had been saved without loss."""
    known = np.array(sorted(stats.counts), np.int64)
    meant = np.argmin([stats.kind.distances(known, code) for code in classes], axis=0)
    present, counts = {}, Counter[Code]()
    for file in stats.files:
        codes, pixels = stats.codes_of(file).tolist(), file.counts
        if is_lossy(file.path):
            indices = meant[np.searchsorted(known, codes)]
            codes, pixels = classes, np.bincount(indices, file.flat, len(classes)).astype(np.int64)
            pixels[pixels < _FEW] = 0
        seen = {code: n for code, n in zip(codes, pixels.tolist(), strict=True) if n}
        present[file.path] = frozenset(seen) & frozenset(classes)
        counts.update(seen)
    return replace(
        stats, codes=list(classes), present=present, counts=counts, flat=counts, lossy=False
    )


def _unexplained(stats: MaskSetStats, classes: Sequence[Code]) -> list[Code]:
    """A code of what lies far from the classes and from all that is between two of them.

    A class of thin lines has no flat patch, but a colour that no seam of the others has.
    """
    codes = np.array(sorted(stats.counts), np.int64)
    if len(classes) < 2:
        return []
    off = np.min([_off_segment(codes, a, b, stats.kind) for a, b in combinations(classes, 2)], 0)
    odd = Counter({code: stats.counts[code] for code in codes[off > _OFF].tolist()})
    for mode, _ in odd.most_common(1):
        around = stats.kind.distances(list(odd), mode) <= _SAME
        alike = sum(count for count, is_alike in zip(odd.values(), around, strict=True) if is_alike)
        return [mode] if alike >= _UNEXPLAINED else []
    return []


def nearest(modes: Sequence[Code], code: Code, kind: CodeKind) -> Code | None:
    """The mode that a code, as a user states it, is meant to be; None where it is near none."""
    away = kind.distances(modes, code)
    return modes[int(away.argmin())] if len(away) and away.min() <= _SAME else None


def before_smoothing(stats: MaskSetStats) -> list[Code]:
    """The codes that masks held before they were smoothed; empty where they were not.

    The others, two or more, are hardly ever seen but along seams, and lie between the true ones.
    """
    if stats.lossy or stats.bands or len(stats.codes) < 4:
        return []
    share = {code: stats.flat[code] / max(1, stats.counts[code]) for code in stats.codes}
    true = [code for code in stats.codes if share[code] >= 0.1]
    rim = [code for code in stats.codes if share[code] < 0.1]
    if len(true) < 2 or len(rim) < 2:
        return []
    pixels = sum(stats.counts[code] for code in rim)
    most = 0.5 if len(rim) > 10 * len(true) else 0.25  # JPEG saved again as PNG has very many
    if pixels > most * stats.counts.total():
        return []
    pairs = islice(combinations(true, 2), 500)
    between = np.min([_off_segment(rim, a, b, stats.kind) for a, b in pairs], axis=0) <= _SAME
    return true if between.mean() >= 0.8 else []


def _off_segment(
    codes: Sequence[Code] | np.ndarray, a: Code, b: Code, kind: CodeKind
) -> np.ndarray:  # (N,)
    """How far codes are, in any channel, from all mixtures of two others."""
    points, start, end = (kind.channels(some).astype(float) for some in (codes, [a], [b]))
    along = end - start
    length = float((along**2).sum())
    share = ((points - start) * along).sum(axis=1, keepdims=True) / max(length, 1e-9)
    return np.abs(points - (start + share.clip(0, 1) * along)).max(axis=1)
