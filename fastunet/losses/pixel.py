"""Losses of each pixel alone, averaged: cross-entropy, focal, and that of the hardest pixels.

A binary task is treated as its two classes: one channel of logits x gives what the two channels
(0, x) would.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from fastunet.errors import OptionError
from fastunet.labels import VOID
from fastunet.losses.base import Batch, Reduction, SegmentationLoss
from fastunet.losses.class_weights import Balance, ClassWeights


class PixelLoss(SegmentationLoss):
    """The mean of a loss over the pixels that count, weighted by their true class.

    It is divided by the sum of the weights, as torch's cross-entropy does. `class_weights` are
    numbers, or the name of a rule in `fastunet.losses.class_weights`; then `set_class_counts` must
    be called before training. Raises `TrainingError` where it was not.
    """

    def __init__(
        self,
        class_weights: Sequence[float] | Balance | None = None,  # per class, background included
        ignore_index: int = VOID,  # the class index that does not count
        reduction: Reduction = "mean",
    ):
        super().__init__(ignore_index, reduction)
        self.class_weights = ClassWeights(class_weights)

    def compute(self, batch: Batch) -> Tensor:
        """The mean of `each`."""
        of_class = self.class_weights(batch.n_classes, like=batch.logits)
        weight = batch.counts.to(batch.logits)
        if of_class is not None:
            weight = weight * of_class[batch.known]
        return self.mean(self.each(batch, weight, of_class), weight)

    def each(
        self,
        batch: Batch,
        weight: Tensor,  # (B, H, W) of each pixel, 0 in void
        of_class: Tensor | None,  # (classes,); None: all 1
    ) -> Tensor:  # (B, H, W)
        """The loss of each pixel times its weight."""
        raise NotImplementedError

    def mean(
        self,
        each: Tensor,  # (B, H, W) weighted losses
        weight: Tensor,  # (B, H, W)
    ) -> Tensor:  # ()
        """By the sum of the weights; 0 where nothing counts."""
        return each.sum() / weight.sum().clamp(min=1e-12)


class PixelCrossEntropyLoss(PixelLoss):
    """Cross-entropy, binary for one channel: -log p of the true class.

    `label_smoothing` e gives the true class 1 - e + e / C of the truth and each other class e / C,
    as torch's does, with C = 2 for binary (segmentation_models_pytorch's `SoftBCEWithLogitsLoss`
    gives the other class e, so that its factor is half of this one). It differs from that library's
    losses in that they divide by all pixels, void included.
    """

    def __init__(
        self,
        class_weights: Sequence[float] | Balance | None = None,  # per class, background included
        label_smoothing: float = 0.0,  # 0 to 1
        ignore_index: int = VOID,  # the class index that does not count
        reduction: Reduction = "mean",
    ):
        super().__init__(class_weights, ignore_index, reduction)
        if not 0 <= label_smoothing <= 1:
            raise OptionError(f"label_smoothing={label_smoothing}; 0 to 1 was expected.")
        self.label_smoothing = label_smoothing

    def each(self, batch: Batch, weight: Tensor, of_class: Tensor | None) -> Tensor:
        """-log p, smoothed."""
        each = batch.cross_entropy * weight
        if not self.label_smoothing:
            return each
        spread = -batch.log_probs
        if of_class is not None:
            spread = spread * of_class[:, None, None]
        spread = spread.mean(dim=1) * batch.counts
        return (1 - self.label_smoothing) * each + self.label_smoothing * spread


class PixelFocalLoss(PixelLoss):
    """(1 - p)^gamma (-log p) for the probability p of the true class: easy pixels count little.

    Lin et al. 2017, https://arxiv.org/abs/1708.02002; their alpha are the class weights (binary:
    [1 - alpha, alpha]), by whose sum the mean divides here. For several classes p is the softmax's;
    segmentation_models_pytorch and the paper take a sigmoid for each class instead.
    """

    def __init__(
        self,
        gamma: float = 2.0,  # 0: cross-entropy
        class_weights: Sequence[float] | Balance | None = None,  # per class, background included
        ignore_index: int = VOID,  # the class index that does not count
        reduction: Reduction = "mean",
    ):
        super().__init__(class_weights, ignore_index, reduction)
        if gamma < 0:
            raise OptionError(f"gamma={gamma}; 0 or more was expected.")
        self.gamma = gamma

    def each(self, batch: Batch, weight: Tensor, of_class: Tensor | None) -> Tensor:
        """-log p, less of it for easy pixels."""
        missing = -torch.expm1(-batch.cross_entropy)  # 1 - p
        # a power below 1 has no slope at 0
        return missing.clamp(min=1e-8) ** self.gamma * batch.cross_entropy * weight


class TopKLoss(PixelCrossEntropyLoss):
    """Cross-entropy of the hardest pixels only: `percent` of those that count in the batch.

    Their number is rounded up. Hard is what has a large loss after weighting by class; 100 % is
    `PixelCrossEntropyLoss`. Wu et al. 2016, https://arxiv.org/abs/1605.06885; nnU-Net's TopK.
    """

    def __init__(
        self,
        percent: float = 10.0,  # above 0, up to 100
        class_weights: Sequence[float] | Balance | None = None,  # per class, background included
        label_smoothing: float = 0.0,  # 0 to 1
        ignore_index: int = VOID,  # the class index that does not count
        reduction: Reduction = "mean",
    ):
        super().__init__(class_weights, label_smoothing, ignore_index, reduction)
        if not 0 < percent <= 100:
            raise OptionError(f"percent={percent}; above 0, up to 100 was expected.")
        self.percent = percent

    def mean(self, each: Tensor, weight: Tensor) -> Tensor:
        """Of the hardest pixels."""
        # the share of all pixels has a known size; of those, the share of the counting ones is kept
        counts = weight > 0
        most = math.ceil(counts.numel() * self.percent / 100)
        kept = (counts.sum() * self.percent / 100).ceil()
        losses, where = each.masked_fill(~counts, -1).flatten().topk(most)
        chosen = torch.arange(most, device=each.device) < kept
        return super().mean(losses * chosen, weight.flatten()[where] * chosen)
