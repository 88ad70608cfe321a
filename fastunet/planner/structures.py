"""How wide the things in masks are."""

import cv2
import numpy as np

from fastunet.labels import VOID

_SIDE = 1024  # pixels a side, of what is measured at most: larger masks are thinned out


def measure_structures(
    mask: np.ndarray,  # (H, W) class indices
    classes: int,
) -> tuple[np.ndarray, np.ndarray]:  # (classes,) pixels, and (classes,) sums of distances
    """Pixels of each class, and the sum over them of the distance to the nearest other class.

    Four times the mean distance is the width of a strip, and two thirds of a disc's diameter. What
    leaves the picture goes on behind its border.
    """
    step = max(1, -(-max(mask.shape) // _SIDE))
    seen = mask[::step, ::step]
    pixels, sums = np.zeros(classes), np.zeros(classes)
    for index in np.unique(seen):
        if index >= classes or index == VOID:
            continue
        inside = ((seen == index) | (seen == VOID)).astype(np.uint8)
        if inside.all():
            distance = np.full(seen.shape, min(seen.shape) / 2)
        else:
            distance = cv2.distanceTransform(inside, cv2.DIST_L2, 3)
        own = seen == index
        pixels[index] = own.sum() * step**2
        sums[index] = distance[own].sum() * step**3
    return pixels, sums
