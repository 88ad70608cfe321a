"""Losses on logits and class indices, with void left out; and what logits mean.

Binary is one channel and a sigmoid, multiclass C channels and a softmax. `activate` and `decide`
say so once, for losses, metrics, fastai and inference alike.
"""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fastunet.data.masks import VOID


def activate(logits: Tensor) -> Tensor:
    """(B, C, H, W) logits to probabilities: sigmoid for one channel, softmax for more."""
    return logits.sigmoid() if logits.shape[1] == 1 else logits.softmax(dim=1)


def decide(scores: Tensor, threshold: float = 0.5) -> Tensor:
    """(B, C, H, W) probabilities to (B, H, W) int64 class indices.

    One channel: foreground above `threshold` (0 where logits are given). More: the largest.
    """
    return (scores[:, 0] > threshold).long() if scores.shape[1] == 1 else scores.argmax(dim=1)


class CombinedLoss(nn.Module):
    """`ce` times cross-entropy plus `dice` times soft Dice loss, for both tasks.

    Cross-entropy (binary for one channel) is averaged over the pixels that count, weighted by
    class. The Dice term is 1 - (2 sum p t + smooth) / (sum p + sum t + smooth), with sums over the
    whole batch for each class that occurs in it, averaged over those classes (binary: foreground
    only); V-Net, https://arxiv.org/abs/1606.04797, without its squares. A class absent from the
    batch has no Dice term. Pixels of `ignore_index` count nowhere; a batch of nothing else has
    loss 0 and zero gradients. Computed in float32 under mixed precision.

    `reduction` is "mean" (as above), "sum" (that times the batch size) or "none" (one loss per
    image, each as if it were a batch of its own).
    """

    def __init__(
        self,
        ce: float = 1.0,  # weight of the cross-entropy
        dice: float = 1.0,  # weight of the Dice loss
        class_weights: Sequence[float] | None = None,  # one per class, background included
        ignore_index: int = VOID,  # the class index that does not count
        smooth: float = 1.0,  # pixels added to both sides of the Dice fraction
        reduction: Literal["mean", "sum", "none"] = "mean",
    ):
        super().__init__()
        self.ce, self.dice, self.ignore_index, self.smooth = ce, dice, ignore_index, smooth
        self.reduction = reduction
        weights = None if class_weights is None else torch.as_tensor(class_weights).float()
        self.register_buffer("class_weights", weights)

    def forward(
        self,
        logits: Tensor,  # (B, C, H, W)
        target: Tensor,  # (B, H, W) class indices
    ) -> Tensor:  # () or (B,)
        with torch.autocast(logits.device.type, enabled=False):
            logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
            target = target.long()
            if self.reduction == "none":
                images = zip(logits.split(1), target.split(1), strict=True)
                return torch.stack([self._loss(*image) for image in images])
            loss = self._loss(logits, target)
            return loss * len(logits) if self.reduction == "sum" else loss

    def _loss(self, logits: Tensor, target: Tensor) -> Tensor:
        counts = target != self.ignore_index
        known = target.masked_fill(~counts, 0)
        loss = logits.sum() * 0  # keeps the graph where nothing counts
        if self.ce:
            loss = loss + self.ce * self._cross_entropy(logits, known, counts)
        if self.dice:
            loss = loss + self.dice * self._dice(logits, known, counts)
        return loss

    def _cross_entropy(self, logits: Tensor, known: Tensor, counts: Tensor) -> Tensor:
        if logits.shape[1] == 1:
            each = F.binary_cross_entropy_with_logits(
                logits[:, 0], known.to(logits), reduction="none"
            )
        else:
            each = F.cross_entropy(logits, known, reduction="none")
        weight = counts.to(logits)
        if self.class_weights is not None:
            weight = weight * self.class_weights[known].to(logits)
        return (each * weight).sum() / weight.sum().clamp(min=1e-12)

    def _dice(self, logits: Tensor, known: Tensor, counts: Tensor) -> Tensor:
        probs = activate(logits) * counts[:, None]
        if logits.shape[1] == 1:
            truth = known[:, None].to(logits)
        else:
            truth = F.one_hot(known, logits.shape[1]).movedim(-1, 1).to(logits)
        truth = truth * counts[:, None]
        overlap = (probs * truth).sum(dim=(0, 2, 3))  # (C,)
        total = probs.sum(dim=(0, 2, 3)) + truth.sum(dim=(0, 2, 3))
        each = 1 - (2 * overlap + self.smooth) / (total + self.smooth)
        present = truth.amax(dim=(0, 2, 3))
        return (each * present).sum() / present.sum().clamp(min=1)

    # what fastai asks a loss for

    def activation(self, logits: Tensor) -> Tensor:
        """(B, C, H, W) probabilities, as `get_preds` returns them; C is 1 for binary."""
        return activate(logits)

    def decodes(self, probabilities: Tensor) -> Tensor:
        """(B, H, W) class indices of what `activation` gave."""
        return decide(probabilities)
