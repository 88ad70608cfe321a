"""The Lovasz loss: the Jaccard index itself, made continuous in the errors of the pixels.

Source: Berman, Triki, Blaschko: The Lovasz-Softmax loss (CVPR 2018,
https://arxiv.org/abs/1705.08790).
"""

import torch
from torch import Tensor

from fastunet.losses.base import Batch
from fastunet.losses.region import RegionLoss


class LovaszLoss(RegionLoss):
    """The Lovasz extension of 1 - IoU: hinge errors for one channel, softmax errors for more.

    The error of a pixel is max(0, 1 - x) or max(0, 1 + x) for a logit x whose truth is 1 or 0, and
    |t - p| for several classes. It sorts all pixels, which takes longer than the other losses. A
    class without a true pixel has no term, for one channel too, where the authors' code (and
    segmentation_models_pytorch's) counts the largest error.
    """

    def each(self, batch: Batch) -> Tensor:
        """The area under the steps of 1 - IoU as errors grow."""
        if batch.is_binary:
            errors = (1 - batch.logits * (2 * batch.truth - 1)).relu()
        else:
            errors = (batch.truth - batch.probs).abs()
        # an error of 0 adds nothing wherever it is sorted in
        errors = self._pixels(errors.masked_fill(~batch.counts[:, None], 0))
        errors, order = errors.sort(dim=-1, descending=True)
        truth = self._pixels(batch.truth).bool().gather(-1, order)
        return (errors * _jaccard_steps(truth)).sum(dim=-1)

    def _pixels(
        self,
        values: Tensor,  # (B, C, H, W)
    ) -> Tensor:  # (rows, C, pixels)
        if self.per_image:
            return values.flatten(2)
        return values.movedim(1, 0).flatten(1)[None]


def _jaccard_steps(
    truth: Tensor,  # (..., N) bool, whether a pixel is of the class, by descending error
) -> Tensor:  # (..., N) float
    """What 1 - IoU grows by as pixel after pixel is mispredicted (the paper's equation 9).

    With i pixels wrong it is i / union, the union being the true pixels and the false positives.
    Another miss leaves the union and adds 1 / union; another false positive grows it and adds
    i / union - (i - 1) / (union - 1). As a difference of numbers near 1 that would be lost in
    float32; it is found / (union (union - 1)), with the true pixels that are not yet missed.
    """
    missed = truth.cumsum(dim=-1, dtype=torch.int32)
    found = missed[..., -1:] - missed
    wrong = torch.arange(1, truth.shape[-1] + 1, dtype=torch.int32, device=truth.device)
    union = (wrong + found).float()
    return torch.where(truth, 1, found / (union - 1).clamp(min=1)) / union
