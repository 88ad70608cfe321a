"""Losses of whole regions: how far the predicted one and the true one overlap, class by class.

All of them are made of three sums over the pixels that count: of p t (overlap), p (predicted) and
t (true), for probabilities p and truth t in {0, 1}.
"""

import torch
from torch import Tensor

from fastunet.errors import OptionError
from fastunet.labels import VOID
from fastunet.losses.base import Batch, Reduction, SegmentationLoss

_TINY = 1e-7  # below every sum that a pixel makes; where there is none, 0 / 0 becomes 0


class RegionLoss(SegmentationLoss):
    """The mean of a loss over the classes that occur (binary: foreground only).

    The sums run over the whole batch; with `per_image` over each image, and the mean is then that
    of the images. A class that the truth of the batch (or image) does not hold has no term, so
    that a batch without any has loss 0: false positives of an absent class are left to the terms of
    the classes that are there, or to cross-entropy.
    """

    def __init__(
        self,
        per_image: bool = False,  # sums over each image rather than the batch
        ignore_index: int = VOID,  # the class index that does not count
        reduction: Reduction = "mean",
    ):
        super().__init__(ignore_index, reduction)
        self.per_image = per_image

    def compute(self, batch: Batch) -> Tensor:
        """The mean of `each` over the classes that are there."""
        each = self.each(batch)
        present = (self.rows(batch.true) > 0).to(each)
        return ((each * present).sum(dim=1) / present.sum(dim=1).clamp(min=1)).mean()

    def each(self, batch: Batch) -> Tensor:  # (rows, C)
        """The loss of each class in each row; rows are images, or one for the batch."""
        raise NotImplementedError

    def rows(
        self,
        sums: Tensor,  # (B, C) of each image
    ) -> Tensor:  # (B, C) or (1, C)
        """The sums of each row."""
        return sums if self.per_image else sums.sum(dim=0, keepdim=True)

    def sums(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Overlap, predicted and true, (rows, C) each."""
        return self.rows(batch.overlap), self.rows(batch.predicted), self.rows(batch.true)


class SoftDiceLoss(RegionLoss):
    """1 - (2 overlap + smooth) / (predicted + true + smooth), averaged over the classes.

    `squared` sums p^2 and t^2 in the denominator, as V-Net does: https://arxiv.org/abs/1606.04797.
    segmentation_models_pytorch's `DiceLoss` has this formula with half our `smooth`, but counts an
    absent class as a perfect one in its mean.
    """

    def __init__(
        self,
        smooth: float = 1.0,  # pixels added to both sides of the fraction
        squared: bool = False,  # probabilities in the denominator
        per_image: bool = False,  # sums over each image rather than the batch
        ignore_index: int = VOID,  # the class index that does not count
        reduction: Reduction = "mean",
    ):
        super().__init__(per_image, ignore_index, reduction)
        self.smooth, self.squared = smooth, squared

    def each(self, batch: Batch) -> Tensor:
        """One minus the soft Dice of each class."""
        predicted = batch.total(batch.probs.square()) if self.squared else batch.predicted
        total = self.rows(predicted + batch.true) + self.smooth
        return 1 - (2 * self.rows(batch.overlap) + self.smooth) / total.clamp(min=_TINY)


class GeneralisedDiceLoss(RegionLoss):
    """1 - 2 sum_c w_c overlap_c / sum_c w_c (predicted_c + true_c), with w_c = 1 / true_c^2.

    Sudre et al. 2017, https://arxiv.org/abs/1707.03237: one fraction for all classes, in which each
    counts alike whatever its size. Binary has the two classes of the paper, background included;
    an absent class has weight 0 rather than infinity.
    """

    def compute(self, batch: Batch) -> Tensor:
        """One fraction for all classes."""
        overlap, predicted, true = self.sums(batch)
        if batch.is_binary:  # the background's sums beside the foreground's
            pixels = self.rows(batch.counts.sum(dim=(1, 2))[:, None])
            neither = pixels - predicted - true + overlap
            overlap = torch.cat([neither, overlap], dim=1)
            predicted = torch.cat([pixels - predicted, predicted], dim=1)
            true = torch.cat([pixels - true, true], dim=1)
        weight = torch.where(true > 0, true.clamp(min=1) ** -2, 0)
        total = (weight * (predicted + true)).sum(dim=1)  # 0 where nothing counts
        missed = (weight * (predicted + true - 2 * overlap)).sum(dim=1)
        return (missed / torch.where(total > 0, total, 1)).mean()


class TverskyLoss(RegionLoss):
    """1 - (overlap + smooth) / (overlap + alpha fp + beta fn + smooth), averaged over the classes.

    False positives are predicted - overlap, false negatives true - overlap. Salehi et al. 2017,
    https://arxiv.org/abs/1706.05721, whose best alpha and beta are the defaults: recall before
    precision. Both 0.5 is Dice with half its `smooth`. segmentation_models_pytorch's `TverskyLoss`
    is this, but counts an absent class as a perfect one in its mean.
    """

    def __init__(
        self,
        alpha: float = 0.3,  # cost of a false positive
        beta: float = 0.7,  # cost of a false negative
        smooth: float = 1.0,  # pixels added to both sides of the fraction
        per_image: bool = False,  # sums over each image rather than the batch
        ignore_index: int = VOID,  # the class index that does not count
        reduction: Reduction = "mean",
    ):
        super().__init__(per_image, ignore_index, reduction)
        self.alpha, self.beta, self.smooth = alpha, beta, smooth

    def each(self, batch: Batch) -> Tensor:
        """Dice with a cost for each kind of error."""
        overlap, predicted, true = self.sums(batch)
        wrong = self.alpha * (predicted - overlap) + self.beta * (true - overlap)
        return 1 - (overlap + self.smooth) / (overlap + wrong + self.smooth).clamp(min=_TINY)


class FocalTverskyLoss(TverskyLoss):
    """The Tversky loss of each class to the power of 1 / gamma, which favours classes that fail.

    Abraham and Khan 2018, https://arxiv.org/abs/1810.07842, with their gamma of 4/3 (and their
    alpha and beta swapped, to mean what they mean in `TverskyLoss`). Below 1e-7 the loss is flat:
    the power has no slope at 0. segmentation_models_pytorch's `gamma` is 1 / gamma, and its power
    is that of the mean over the classes.
    """

    def __init__(
        self,
        gamma: float = 4 / 3,  # 1 is the Tversky loss; the paper tries 1 to 3
        alpha: float = 0.3,  # cost of a false positive
        beta: float = 0.7,  # cost of a false negative
        smooth: float = 1.0,  # pixels added to both sides of the fraction
        per_image: bool = False,  # sums over each image rather than the batch
        ignore_index: int = VOID,  # the class index that does not count
        reduction: Reduction = "mean",
    ):
        super().__init__(alpha, beta, smooth, per_image, ignore_index, reduction)
        if gamma <= 0:
            raise OptionError(f"gamma={gamma}; a number above 0 was expected.")
        self.gamma = gamma

    def each(self, batch: Batch) -> Tensor:
        """The Tversky loss to a power."""
        return super().each(batch).clamp(min=1e-7) ** (1 / self.gamma)
