"""Mask values that are mistakes rather than classes: in next to no files, or next to no pixels.

A single 77 among 0 and 255 must not make a third class. An encoding that is regular (two values,
or indices that follow each other) shows what does not belong; elsewhere only what is next to
nothing is taken for a mistake.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from fastunet.labels import VOID
from fastunet.masks.codes import Code

_FEW_FILES = 0.02  # an outlier is in no more of the files, or in one of five and more,
_FEW_PIXELS = 0.005  # and in less of all pixels; or,
_NEXT_TO_NOTHING = 1e-4  # in however many files, in less than this; without a rule, both


def outlier_codes(
    files: Sequence[Collection[Code]],  # the codes that each file holds
    pixels: Mapping[Code, int],  # of each code, in all files
) -> set[Code]:
    """The codes that do not belong; none where half of the files or more hold one of them."""
    held = Counter(code for codes in files for code in codes)
    total = sum(pixels.values())
    few = max(1, _FEW_FILES * len(files)) if len(files) >= 5 else 0
    seldom = {code for code in held if held[code] <= few and pixels[code] < _FEW_PIXELS * total}
    tiny = {code for code in held if pixels[code] < _NEXT_TO_NOTHING * total}
    rare = seldom | tiny
    common = held.keys() - rare
    if len(common) < 2:
        return set()
    run = _run(common, rare)
    if run:
        outliers = rare - run
    elif len(common) == 2:
        outliers = rare if max(common) <= VOID else seldom  # two colours show no rule
    else:
        outliers = seldom & tiny
    spoiled = sum(not outliers.isdisjoint(codes) for codes in files)
    return outliers if spoiled <= len(files) / 2 else set()


def _run(common: set[Code], rare: set[Code]) -> set[Code]:
    """The indices that follow each other, with 255, where the common values are such."""
    values = (common | rare) - {VOID}
    indices = common - {VOID}
    if len(indices) < 2:
        return set()
    low, high = min(indices), max(indices)
    if high - low >= len(values) or not values.issuperset(range(low, high + 1)):
        return set()
    while low - 1 in values:
        low -= 1
    while high + 1 in values:
        high += 1
    return {*range(low, high + 1), VOID}
