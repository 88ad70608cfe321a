"""What all losses share: void, float32, reductions, deep supervision and what fastai asks for.

A loss is a formula on a `Batch`, its method `compute`. The batch keeps what several formulas need,
so that a sum of losses takes the softmax once.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fastunet.errors import OptionError, TrainingError
from fastunet.labels import VOID
from fastunet.logits import activate, decide
from fastunet.losses.class_weights import ClassWeights, Counts

Reduction = Literal["mean", "sum", "none"]


class Batch:
    """Logits and truth of some images, and what the losses need of them, each computed once."""

    def __init__(
        self,
        logits: Tensor,  # (B, C, H, W) float32 or float64
        target: Tensor,  # (B, H, W) int64 class indices
        ignore_index: int,  # the class index that does not count
    ):
        self.logits, self.target = logits, target
        self.counts = target != ignore_index  # (B, H, W) bool
        self.known = target.masked_fill(~self.counts, 0)  # (B, H, W) an index at every pixel

    @property
    def is_binary(self) -> bool:
        """Whether the logits are one channel."""
        return self.logits.shape[1] == 1

    @property
    def n_classes(self) -> int:
        """Classes, background included: 2 for binary."""
        return max(2, self.logits.shape[1])

    @cached_property
    def log_probs(self) -> Tensor:  # (B, n_classes, H, W)
        """Logarithm of the probability of each class, background included."""
        if self.is_binary:
            return F.logsigmoid(torch.cat([-self.logits, self.logits], dim=1))
        return self.logits.log_softmax(dim=1)

    @cached_property
    def cross_entropy(self) -> Tensor:  # (B, H, W)
        """Minus the log-probability of the true class; of class 0 where a pixel is void."""
        if self.is_binary:
            scores, truth = self.logits[:, 0], self.truth[:, 0]
            return F.binary_cross_entropy_with_logits(scores, truth, reduction="none")
        return F.nll_loss(self.log_probs, self.known, reduction="none")

    @cached_property
    def probs(self) -> Tensor:  # (B, C, H, W)
        """As `activate` gives them, void included."""
        return self.logits.sigmoid() if self.is_binary else self.log_probs.exp()

    @cached_property
    def truth(self) -> Tensor:  # (B, C, H, W)
        """1 where the channel's class is the true one, 0 elsewhere and in void."""
        if self.is_binary:
            return self.known[:, None].to(self.logits)
        # scattered, since `F.one_hot` makes eight bytes of each and ignores channels_last
        counts = self.counts[:, None].to(self.logits)
        return torch.zeros_like(self.logits).scatter_(1, self.known[:, None], counts)

    # sums over the counting pixels of an image, (B, C)

    @cached_property
    def overlap(self) -> Tensor:
        """Of the probability at the true pixels."""
        return (self.probs * self.truth).sum(dim=(2, 3))

    @cached_property
    def predicted(self) -> Tensor:
        """Of the probability."""
        return self.total(self.probs)

    @cached_property
    def true(self) -> Tensor:
        """Of the truth: how many pixels are of the class."""
        return self.truth.sum(dim=(2, 3))

    def total(
        self,
        values: Tensor,  # (B, C, H, W)
    ) -> Tensor:  # (B, C)
        """The sum over the pixels that count."""
        return (values * self.counts[:, None].to(values)).sum(dim=(2, 3))


class SegmentationLoss(nn.Module):
    """A loss on logits and class indices; a subclass says its formula in `compute`.

    Pixels of `ignore_index` count nowhere: their gradient is exactly 0, and a batch of nothing else
    has loss 0. Computed in float32 (or float64, if the logits are) under mixed precision.

    `reduction`, which may be set later, is "mean" (the formula on the whole batch), "sum" (that
    times the batch size) or "none" (one loss per image, each as if it were a batch of its own).

    A list of logits is deep supervision: all at the size of the target, the finest first. The loss
    is their mean with weights 1, 1/2, 1/4...; nnU-Net, https://doi.org/10.1038/s41592-020-01008-z.

    Raises `TrainingError` where logits and target do not fit together, `OptionError` for another
    reduction.
    """

    threshold: float = 0.5  # binary: `decodes` takes what is more probable than this for foreground
    y_int = True  # fastai's MixUp then mixes the losses of both targets, not class indices

    def __init__(self, ignore_index: int = VOID, reduction: Reduction = "mean"):
        super().__init__()
        self.ignore_index, self.reduction = ignore_index, reduction

    def forward(
        self,
        logits: Tensor | Sequence[Tensor],  # (B, C, H, W) raw scores; several: finest first
        target: Tensor,  # (B, H, W) class indices
    ) -> Tensor:  # (), or (B,) if `reduction` is "none"
        """The loss of a batch."""
        return self.reduced(self.compute, logits, target)

    def compute(self, batch: Batch) -> Tensor:  # ()
        """The formula."""
        raise NotImplementedError

    def reduced(
        self,
        formula: Callable[[Batch], Tensor],  # a batch to (...)
        logits: Tensor | Sequence[Tensor],  # as in `forward`
        target: Tensor,  # (B, H, W)
    ) -> Tensor:  # (...), or (..., B) if `reduction` is "none"
        """`formula` in float32, with this loss's reduction, over one or several logits."""
        if self.reduction not in get_args(Reduction):
            raise OptionError(
                f"reduction={self.reduction!r}; one of {get_args(Reduction)} was expected."
            )
        levels = [logits] if isinstance(logits, Tensor) else logits
        weights = [2.0**-i for i in range(len(levels))]
        with torch.autocast(target.device.type, enabled=False):
            each = [self._of_one(formula, level, target) for level in levels]
            return weighted_sum([w / sum(weights) for w in weights], each)

    def _of_one(self, formula: Callable[[Batch], Tensor], logits: Tensor, target: Tensor) -> Tensor:
        if logits.ndim != 4 or logits.shape[:1] + logits.shape[2:] != target.shape:
            raise TrainingError(
                f"Logits {tuple(logits.shape)} and target {tuple(target.shape)} do not fit: "
                "(B, C, H, W) and (B, H, W) were expected."
            )
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        target = target.long()
        if self.reduction == "none":
            images = zip(logits.split(1), target.split(1), strict=True)
            each = [formula(Batch(*image, self.ignore_index)) for image in images]
            return torch.stack(each, dim=-1)
        loss = formula(Batch(logits, target, self.ignore_index))
        return loss * len(logits) if self.reduction == "sum" else loss

    # class weights that are made from the training data

    @property
    def needs_counts(self) -> bool:
        """Whether `set_class_counts` must be called before training."""
        return any(weights.needs_counts for weights in self._class_weights())

    def set_class_counts(
        self,
        counts: Counts,  # (classes,) pixels of each class, background included
    ) -> None:
        """Make the class weights that were asked for by name; weights in numbers stay."""
        for weights in self._class_weights():
            weights.set_counts(counts)

    def _class_weights(self) -> list[ClassWeights]:
        return [module for module in self.modules() if isinstance(module, ClassWeights)]

    # what fastai asks a loss for

    def activation(self, logits: Tensor) -> Tensor:
        """(B, C, H, W) probabilities, as `get_preds` returns them; C is 1 for binary."""
        return activate(logits)

    def decodes(self, probabilities: Tensor) -> Tensor:
        """(B, H, W) class indices of what `activation` gave."""
        return decide(probabilities, self.threshold)


def weighted_sum(weights: Iterable[float], losses: Iterable[Tensor]) -> Tensor:
    """The sum of the losses, each times its weight."""
    first, *rest = (weight * loss for weight, loss in zip(weights, losses, strict=True))
    return sum(rest, first)
