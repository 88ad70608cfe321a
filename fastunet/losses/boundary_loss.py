"""The boundary loss: wrong pixels cost by their distance from the true outline.

Source: Kervadec et al.: Boundary loss for highly unbalanced segmentation (MIDL 2019,
https://arxiv.org/abs/1812.07032).
"""

import math

import cv2
import numpy as np
import torch
from torch import Tensor

from fastunet.losses.base import Batch, SegmentationLoss


class BoundaryLoss(SegmentationLoss):
    """The mean over pixels and channels of d (p - t), d the signed distance from the outline.

    d is negative inside a class and positive outside, as in `signed_distance`, divided by the
    image's diagonal so that the loss does not grow with the image. The term d t, which the paper
    drops because no gradient passes through it, makes a perfect prediction cost 0. A class that an
    image does not hold, or that fills it, has no outline there and no term.

    It says little about small errors: use it with another loss, as the paper does. The distances
    are computed on the CPU, for each image and class, so that a GPU waits for them.
    """

    def compute(self, batch: Batch) -> Tensor:
        """The mean of d (p - t)."""
        distance = _distances(batch).to(batch.logits)
        n_pixels = batch.counts.sum().clamp(min=1) * batch.logits.shape[1]
        return (distance * (batch.probs - batch.truth)).sum() / n_pixels


@torch.no_grad()
def _distances(batch: Batch) -> Tensor:  # (B, C, H, W) float32, in diagonals, 0 in void
    truth, counts = batch.truth.bool().cpu().numpy(), batch.counts.cpu().numpy()
    maps = [
        [signed_distance(inside, pixels) for inside in image]
        for image, pixels in zip(truth, counts, strict=True)
    ]
    return torch.from_numpy(np.array(maps) / np.float32(math.hypot(*truth.shape[2:])))


def signed_distance(
    inside: np.ndarray,  # (H, W) bool, pixels of the class
    counts: np.ndarray,  # (H, W) bool, pixels that are not void
) -> np.ndarray:  # (H, W) float32, pixels
    """Distance to the nearest pixel of the class; inside, 1 minus that to the nearest of another.

    So it is 0 on the innermost side of the outline, 1 just outside, as in the authors' code. Void
    is neither inside nor outside: distances reach across it, and it has distance 0 itself. All is 0
    where there is nothing inside, or nothing outside.
    """
    outside = counts & ~inside
    if not inside.any() or not outside.any():
        return np.zeros(inside.shape, np.float32)
    return np.where(inside, 1 - _to_nearest(outside), _to_nearest(inside)) * counts


def _to_nearest(pixels: np.ndarray) -> np.ndarray:
    """(H, W) bool to the Euclidean distance from each pixel to the nearest of them."""
    return cv2.distanceTransform((~pixels).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
