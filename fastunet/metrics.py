"""Metrics as one streaming confusion count: what a number means does not depend on the batches.

`DiceScore`, `MeanIoU` and `PixelAccuracy` count pixels over the whole validation set, void left
out, and divide once at the end. Metrics that share a `Confusion` count only once.
"""

import weakref

import torch
from fastai.learner import Metric
from torch import Tensor

from fastunet.data.masks import VOID
from fastunet.losses import decide


class Confusion:
    """Pixels by (true class, predicted class), summed over everything it was shown."""

    def __init__(self):
        self.reset()

    def reset(self) -> None:
        self.counts: Tensor | None = None  # (C, C) int64, rows are the truth
        self._seen = None

    def update(
        self,
        predicted: Tensor,  # (...) class indices
        target: Tensor,  # (...) class indices of the same shape
        n_classes: int,
    ) -> None:
        """Add a batch. Void pixels of the target are left out."""
        counts = target != VOID
        cells = (target[counts] * n_classes + predicted[counts]).view(-1)
        batch = torch.bincount(cells, minlength=n_classes**2).view(n_classes, n_classes)
        self.counts = batch if self.counts is None else self.counts + batch

    def update_from_logits(self, logits: Tensor, target: Tensor) -> None:
        """Add a batch of (B, C, H, W) logits; the same batch a second time is passed over."""
        if self._seen is not None and self._seen() is logits:
            return
        self._seen = weakref.ref(logits)
        plain, truth = logits.detach().as_subclass(Tensor), target.as_subclass(Tensor)
        predicted = decide(plain, threshold=0)
        self.update(predicted, truth, max(2, plain.shape[1]))

    def dice(self) -> Tensor:
        """(C,) float64: 2 TP / (2 TP + FP + FN) per class, nan for a class nowhere to be seen."""
        hits, truth, predicted = self._marginals()
        return 2 * hits / (truth + predicted)

    def iou(self) -> Tensor:
        """(C,) float64: TP / (TP + FP + FN) per class, nan for a class nowhere to be seen."""
        hits, truth, predicted = self._marginals()
        return hits / (truth + predicted - hits)

    def accuracy(self) -> float:
        """The share of pixels that are right; nan where none were counted."""
        hits, truth, _ = self._marginals()
        return (hits.sum() / truth.sum()).item()

    def mean_dice(self, include_background: bool | None = None) -> float:
        """The mean of `dice` over classes; see `DiceScore`."""
        return self._macro(self.dice(), include_background)

    def mean_iou(self, include_background: bool | None = None) -> float:
        """The mean of `iou` over classes; see `MeanIoU`."""
        return self._macro(self.iou(), include_background)

    def _marginals(self) -> tuple[Tensor, Tensor, Tensor]:
        counts = (torch.zeros(2, 2) if self.counts is None else self.counts).cpu().double()
        return counts.diagonal(), counts.sum(dim=1), counts.sum(dim=0)

    @staticmethod
    def _macro(per_class: Tensor, include_background: bool | None) -> float:
        if include_background is None:
            include_background = len(per_class) > 2
        return per_class[0 if include_background else 1 :].nanmean().item()


class _ConfusionMetric(Metric):
    def __init__(
        self,
        include_background: bool | None = None,  # None: only for more than two classes
        confusion: Confusion | None = None,  # share the count with other metrics
    ):
        self.include_background = include_background
        self.confusion = confusion or Confusion()

    def reset(self):
        self.confusion.reset()

    def accumulate(self, learn):
        self.confusion.update_from_logits(learn.pred, *learn.yb)


class DiceScore(_ConfusionMetric):
    """Dice (F1) score of the whole validation set, from 0 to 1.

    Binary: of the foreground. Multiclass: the mean over all classes, class 0 included. With
    `include_background` both take class 0 in or leave it out. A class that is neither in the masks
    nor predicted is left out of the mean; where all are, the value is nan.
    scikit-learn: `f1_score(average="macro")` over the same classes.
    """

    name = "dice"

    @property
    def value(self) -> float:
        return self.confusion.mean_dice(self.include_background)


class MeanIoU(_ConfusionMetric):
    """Intersection over union (Jaccard index) of the whole validation set, from 0 to 1.

    Classes and absent classes as in `DiceScore`: binary means the foreground's IoU unless
    `include_background=True`. scikit-learn: `jaccard_score(average="macro")`.
    """

    name = "mean_iou"

    @property
    def value(self) -> float:
        return self.confusion.mean_iou(self.include_background)


class PixelAccuracy(_ConfusionMetric):
    """The share of pixels of the whole validation set that are right, background included."""

    name = "pixel_accuracy"

    @property
    def value(self) -> float:
        return self.confusion.accuracy()


def default_metrics() -> list[Metric]:
    """Dice, IoU and accuracy on one shared count."""
    confusion = Confusion()
    return [metric(confusion=confusion) for metric in (DiceScore, MeanIoU, PixelAccuracy)]
