"""Pictures that are there twice: equal pixels, and pictures that look the same.

A picture looks the same as another when their perceptual hashes (the signs of the low frequencies
of a thumbnail's cosine transform) are close and the thumbnails themselves agree. The hash keeps
pictures with nothing but the lighting in common apart, the thumbnails pictures with like hashes.
"""

from collections.abc import Iterable, Sequence

import cv2
import numpy as np

_SIDE = 32
_BITS = 63  # the lowest frequencies but the mean
_HAMMING = 12  # bits that may differ; among true copies at most 12 did, half had 2
_CORRELATION = 0.98  # of thumbnails; views of one scene that are not copies stay below 0.95
_BLOCK = 2048  # pictures compared with all others at once


def thumbnail(
    grey: np.ndarray,  # (H, W)
) -> np.ndarray:  # (32, 32) uint8, stretched to the full scale
    """What is kept of a picture to compare it with others."""
    small = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    low, high = small.min(), small.max()
    if high - low < 1e-6:
        return np.zeros((_SIDE, _SIDE), np.uint8)
    return ((small - low) * (255 / (high - low)) + 0.5).astype(np.uint8)


def hashes(
    thumbs: np.ndarray,  # (N, 32, 32) uint8
) -> np.ndarray:  # (N, 63) float32 of -1 and 1
    """Perceptual hashes, as signs: the distance of two is (63 - their product) / 2."""
    waves = np.array([cv2.dct(thumb.astype(np.float32))[:8, :8].ravel()[1:] for thumb in thumbs])
    return np.where(waves > np.median(waves, axis=1, keepdims=True), 1, -1).astype(np.float32)


def near_duplicates(
    thumbs: Sequence[np.ndarray],  # (32, 32) uint8 each
) -> list[tuple[int, int]]:  # indices, the smaller first
    """Pairs of pictures that look the same."""
    every = np.array(thumbs, np.uint8).reshape(-1, _SIDE, _SIDE)
    telling = np.flatnonzero(every.any(axis=(1, 2)))
    if len(telling) < 2:
        return []
    every = every[telling]
    signs = hashes(every)
    found = []
    for start in range(0, len(signs), _BLOCK):
        block = signs[start : start + _BLOCK]
        rows, columns = np.nonzero(block @ signs[start:].T >= _BITS - 2 * _HAMMING)
        later = columns > rows
        rows, columns = rows[later] + start, columns[later] + start
        agree = _agree(every, rows, columns)
        one, two = telling[rows[agree]], telling[columns[agree]]
        found += zip(one.tolist(), two.tolist(), strict=True)
    return found


def _agree(thumbs: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Which pairs of thumbnails agree, (P,) bool."""
    agree = np.zeros(len(rows), bool)
    for start in range(0, len(rows), _BLOCK):
        part = slice(start, start + _BLOCK)
        one, two = (thumbs[index[part]].astype(np.float32) for index in (rows, columns))
        agree[part] = _correlation(one, two) >= _CORRELATION
    return agree


def _correlation(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Of pictures, (P, 32, 32) each, pair by pair."""
    one, two = (x.reshape(len(x), -1) - x.mean(axis=(1, 2))[:, None] for x in (one, two))
    norm = np.sqrt((one * one).sum(1) * (two * two).sum(1))
    return (one * two).sum(1) / np.maximum(norm, 1e-6)


def groups_of(
    pairs: Iterable[tuple[int, int]],
) -> list[list[int]]:
    """Pictures that are linked by duplicates, each group in ascending order."""
    parent: dict[int, int] = {}

    def root(i: int) -> int:
        while parent.setdefault(i, i) != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for one, two in pairs:
        parent[root(two)] = root(one)
    groups: dict[int, list[int]] = {}
    for i in sorted(parent):
        groups.setdefault(root(i), []).append(i)
    return sorted(groups.values())
