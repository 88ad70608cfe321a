"""A weighted sum of losses, each of them logged."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from fastunet.errors import TrainingError
from fastunet.labels import VOID
from fastunet.losses.adapt_loss import AdaptedLoss
from fastunet.losses.base import Batch, Reduction, SegmentationLoss
from fastunet.losses.boundary_loss import BoundaryLoss
from fastunet.losses.class_weights import Balance
from fastunet.losses.lovasz import LovaszLoss
from fastunet.losses.pixel import PixelCrossEntropyLoss, PixelFocalLoss, TopKLoss
from fastunet.losses.region import FocalTverskyLoss, SoftDiceLoss, TverskyLoss


class CombinedLoss(SegmentationLoss):
    """A weighted sum of losses, by default cross-entropy plus soft Dice, for both tasks.

    Each weight belongs to the loss of that name with its defaults; one that is 0 is not computed.
    `others` adds any loss with settings of your own; one that is not a `SegmentationLoss` becomes
    an `AdaptedLoss`. `ignore_index` and `reduction` are those of the sum.

    After each batch `terms` holds each loss before weighting, by name: detached scalars on the
    device (with `reduction="none"`, their mean over the images). `weights` may be changed between
    batches.

    >>> CombinedLoss(dice=0.5, boundary=0.01)
    >>> CombinedLoss(dice=0, class_weights="inverse", others={"gdl": (1.0, GeneralisedDiceLoss())})

    Raises `TrainingError` where all weights are 0 or a name is taken.
    """

    def __init__(
        self,
        ce: float = 1.0,  # weight of `PixelCrossEntropyLoss`
        dice: float = 1.0,  # of `SoftDiceLoss`
        class_weights: Sequence[float] | Balance | None = None,  # for ce, focal and topk
        ignore_index: int = VOID,  # the class index that does not count
        smooth: float = 1.0,  # of dice, tversky and focal_tversky
        reduction: Reduction = "mean",
        *,
        focal: float = 0.0,  # of `PixelFocalLoss`
        topk: float = 0.0,  # of `TopKLoss`
        tversky: float = 0.0,  # of `TverskyLoss`
        focal_tversky: float = 0.0,  # of `FocalTverskyLoss`
        lovasz: float = 0.0,  # of `LovaszLoss`
        boundary: float = 0.0,  # of `BoundaryLoss`
        label_smoothing: float = 0.0,  # of ce and topk
        others: Mapping[str, tuple[float, Callable]] | None = None,  # name -> (weight, loss)
    ):
        super().__init__(ignore_index, reduction)
        built_in = {
            "ce": (ce, PixelCrossEntropyLoss(class_weights, label_smoothing)),
            "dice": (dice, SoftDiceLoss(smooth)),
            "focal": (focal, PixelFocalLoss(class_weights=class_weights)),
            "topk": (topk, TopKLoss(10, class_weights, label_smoothing)),
            "tversky": (tversky, TverskyLoss(smooth=smooth)),
            "focal_tversky": (focal_tversky, FocalTverskyLoss(smooth=smooth)),
            "lovasz": (lovasz, LovaszLoss()),
            "boundary": (boundary, BoundaryLoss()),
        }
        others = others or {}
        if taken := sorted(built_in.keys() & others.keys()):
            raise TrainingError(
                f"{', '.join(taken)}: name it otherwise in others=; it is built in."
            )
        used = {name: term for name, term in {**built_in, **others}.items() if term[0]}
        if not used:
            raise TrainingError("All weights are 0: there is no loss to train with.")
        self.weights = {name: weight for name, (weight, _) in used.items()}
        self.losses = nn.ModuleDict(
            {
                name: loss
                if isinstance(loss, SegmentationLoss)
                else AdaptedLoss(loss, ignore_index=ignore_index)
                for name, (_, loss) in used.items()
            }
        )
        self.terms: dict[str, Tensor] = {}

    def forward(self, logits: Tensor | Sequence[Tensor], target: Tensor) -> Tensor:
        values = self.reduced(self._terms, logits, target)  # (terms,) or (terms, B)
        means = values.detach().reshape(len(values), -1).mean(dim=1)
        self.terms = dict(zip(self._active(), means, strict=True))
        return self._weighted(values)

    def compute(self, batch: Batch) -> Tensor:
        return self._weighted(self._terms(batch))

    def _active(self) -> list[str]:
        return [name for name, weight in self.weights.items() if weight]

    def _terms(self, batch: Batch) -> Tensor:  # (terms,)
        return torch.stack([self.losses[name].compute(batch) for name in self._active()])

    def _weighted(self, values: Tensor) -> Tensor:
        return sum(self.weights[name] * v for name, v in zip(self._active(), values, strict=True))
