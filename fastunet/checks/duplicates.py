"""Pictures that are there twice: equal pixels, and pictures that look the same.

Two pictures look the same when their fine structure agrees: of thumbnails, what is left without the
coarse shades, with the contrast made equal all over, so that a bright rim or a common vignette
counts no more than its area. How much of that any two pictures of a data set have in common (all
retinas are discs) is learnt from the set itself, and what two pictures share beyond it decides.
"""

from collections.abc import Sequence

import cv2
import numpy as np

_FINE, _COARSE = 0.7, 3.0  # standard deviations of the blurs between which structure is looked at
_FLOOR = 0.1  # of the thumbnail's contrast; below it is noise, which is not made larger
_SHARED = 0.6  # of what two usual pictures do not have in common, copies share as much
_LEAST = 0.5  # correlation of copies; see benchmarks/false_alarms.py for the rates
_SURE = 0.97  # correlation above which pictures are the same in any data set
_USUAL = 0.9  # share of the others that a picture is usually less like than this
_SAMPLE = 500  # pictures with which each is compared to know what is usual
_BLOCK = 256  # pictures compared with all others at once


def structure(
    thumb: np.ndarray,  # (64, 64) uint8
) -> np.ndarray:  # (4096,) float32 of length 1: the product of two is their correlation
    """The fine structure of a picture with one contrast all over; zeros where there is none."""
    level = thumb.astype(np.float32)
    level = (level - level.mean()) / max(float(level.std()), 1e-6)
    detail = cv2.GaussianBlur(level, (0, 0), _FINE) - cv2.GaussianBlur(level, (0, 0), _COARSE)
    contrast = np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), _COARSE))
    even = (detail / (contrast + _FLOOR)).ravel()
    even -= even.mean()
    return even / max(float(np.linalg.norm(even)), 1e-6)


def near_duplicates(
    thumbs: Sequence[np.ndarray],  # (64, 64) uint8 each
) -> list[tuple[int, int]]:  # indices, the smaller first
    """Pairs of pictures that look the same."""
    telling = np.array([i for i, thumb in enumerate(thumbs) if thumb.any()], int)
    if len(telling) < 2:
        return []
    every = np.array([structure(thumbs[i]) for i in telling])
    usual = _usual_likeness(every)
    found: list[tuple[int, int]] = []
    for start in range(0, len(every), _BLOCK):
        block = slice(start, start + _BLOCK)
        like = every[block] @ every[start:].T
        common = np.maximum(usual[block, None], usual[None, start:])
        same = (like >= np.maximum(_LEAST, common + _SHARED * (1 - common))) | (like >= _SURE)
        rows, columns = np.nonzero(np.triu(same, 1))
        one, two = telling[rows + start], telling[columns + start]
        found += zip(one.tolist(), two.tolist(), strict=True)
    return found


def _usual_likeness(every: np.ndarray) -> np.ndarray:
    """What each picture has in common with most others: the correlation that 9 of 10 stay below."""
    if len(every) < 3:
        return np.zeros(len(every), np.float32)
    chosen = np.unique(np.linspace(0, len(every) - 1, _SAMPLE).astype(int))
    like = every @ every[chosen].T
    like[chosen, np.arange(len(chosen))] = -1  # the picture itself
    like.sort(axis=1)
    return np.maximum(like[:, 1 + int(_USUAL * (len(chosen) - 2))], 0)


def groups_of(pairs: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Pictures that are linked by duplicates, each group in ascending order."""
    from scipy.cluster.hierarchy import DisjointSet  # slow to import

    sets = DisjointSet(i for pair in pairs for i in pair)
    for one, two in pairs:
        sets.merge(one, two)
    return sorted(map(sorted, sets.subsets()))
