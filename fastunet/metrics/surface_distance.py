"""How well the outlines agree: Hausdorff distance, surface Dice, boundary IoU. Distances in pixels.

All take (H, W) masks of class indices and give one number per class, class 0 included. Void pixels
of the truth are taken out of both masks first, so that where void begins an object ends in both.

The outline of a class is those of its pixels with a 4-neighbour that is not of it; beyond the
image there is nothing. A class that is in neither mask scores nan.
"""

from collections.abc import Callable

import cv2
import numpy as np
from scipy.spatial import KDTree

from fastunet.metrics._class_masks import class_masks


def hausdorff95(
    predicted: np.ndarray,  # (H, W) class indices
    truth: np.ndarray,  # (H, W) class indices or `VOID`
    n_classes: int,
) -> np.ndarray:  # (C,) float64, pixels
    """The 95th percentile of the distance between the outlines, the larger of both directions.

    Percentiles are interpolated linearly. A class that is in one mask only is infinitely far.
    MONAI: `compute_hausdorff_distance(percentile=95)`. Raises `SizeMismatchError`.
    """

    def score(ours: np.ndarray, theirs: np.ndarray) -> float:
        return float(max(np.percentile(each, 95) for each in _outline_distances(ours, theirs)))

    return _by_class(score, np.inf, predicted, truth, n_classes)


def surface_dice(
    predicted: np.ndarray,  # (H, W) class indices
    truth: np.ndarray,  # (H, W) class indices or `VOID`
    n_classes: int,
    tolerance: float = 2.0,  # pixels
) -> np.ndarray:  # (C,) float64, from 0 to 1
    """The share of both outlines that is no further than `tolerance` from the other one.

    The normalised surface Dice of Nikolov et al. 2018, https://arxiv.org/abs/1809.04430, with
    outline pixels for surface elements. A class that is in one mask only scores 0.
    MONAI: `compute_surface_dice(use_subvoxels=False)`. Raises `SizeMismatchError`.
    """

    def score(ours: np.ndarray, theirs: np.ndarray) -> float:
        return float(np.mean(np.concatenate(_outline_distances(ours, theirs)) <= tolerance))

    return _by_class(score, 0, predicted, truth, n_classes)


def boundary_iou(
    predicted: np.ndarray,  # (H, W) class indices
    truth: np.ndarray,  # (H, W) class indices or `VOID`
    n_classes: int,
    ratio: float = 0.02,  # width of the band by the image's diagonal
) -> np.ndarray:  # (C,) float64, from 0 to 1
    """The IoU of two bands along the inside of the outlines.

    A band is `ratio` of the diagonal wide, rounded, at least one pixel, counted in steps to any of
    the 8 neighbours. A class that is in one mask only scores 0.
    Cheng et al. 2021, https://arxiv.org/abs/2103.16562. Raises `SizeMismatchError`.
    """
    width = max(1, round(ratio * np.hypot(*truth.shape)))  # of the band, pixels

    def score(ours: np.ndarray, theirs: np.ndarray) -> float:
        ours, theirs = _band(ours, width), _band(theirs, width)
        return (ours & theirs).sum() / (ours | theirs).sum()

    return _by_class(score, 0, predicted, truth, n_classes)


def _by_class(
    score: Callable[[np.ndarray, np.ndarray], float],  # of (H, W) bool masks, none of them empty
    alone: float,  # the score of a class that is in one mask only
    predicted: np.ndarray,
    truth: np.ndarray,
    n_classes: int,
) -> np.ndarray:
    scores = np.full(n_classes, np.nan)
    for index in range(n_classes):
        ours, theirs = class_masks(predicted, truth, index)
        if ours.any() or theirs.any():
            scores[index] = score(ours, theirs) if ours.any() and theirs.any() else alone
    return scores


def _outline_distances(ours: np.ndarray, theirs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far each outline pixel of one mask is from the other's outline, both ways.

    By a k-d tree, which is exact; OpenCV's distance transform may err by 6e-4 at 1,000 pixels.
    """
    our, their = np.argwhere(_outline(ours)), np.argwhere(_outline(theirs))
    return KDTree(their).query(our)[0], KDTree(our).query(their)[0]


def _outline(mask: np.ndarray) -> np.ndarray:
    """(H, W) bool: pixels of the mask with a 4-neighbour, or the image's edge, outside it."""
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    inside = cv2.erode(mask.astype(np.uint8), cross, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return mask & (inside == 0)


def _band(mask: np.ndarray, width: int) -> np.ndarray:
    """(H, W) bool: pixels of the mask at most `width` steps from outside it or the image."""
    framed = np.pad(mask.astype(np.uint8), 1)
    steps = cv2.distanceTransform(framed, cv2.DIST_C, 3)[1:-1, 1:-1]
    return mask & (steps <= width)
