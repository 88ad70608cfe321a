"""A weighted sum of losses, each of them logged."""

import inspect
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from fastunet._util.text import listing
from fastunet.errors import OptionError
from fastunet.labels import VOID
from fastunet.losses.adapt_loss import AdaptedLoss
from fastunet.losses.base import Batch, Reduction, SegmentationLoss, weighted_sum
from fastunet.losses.boundary_loss import BoundaryLoss
from fastunet.losses.class_weights import Balance
from fastunet.losses.lovasz import LovaszLoss
from fastunet.losses.pixel import PixelCrossEntropyLoss, PixelFocalLoss, TopKLoss
from fastunet.losses.region import FocalTverskyLoss, SoftDiceLoss, TverskyLoss

# what a weight of `CombinedLoss` may be for, in the order of the sum
LOSSES: dict[str, type[SegmentationLoss]] = {
    "ce": PixelCrossEntropyLoss,
    "dice": SoftDiceLoss,
    "focal": PixelFocalLoss,
    "topk": TopKLoss,
    "tversky": TverskyLoss,
    "focal_tversky": FocalTverskyLoss,
    "lovasz": LovaszLoss,
    "boundary": BoundaryLoss,
}


class CombinedLoss(SegmentationLoss):
    """A weighted sum of losses, by default cross-entropy plus soft Dice, for both tasks.

    Each weight belongs to the loss of that name in `LOSSES`, with its defaults: `ce`, `dice`,
    `focal`, `topk`, `tversky`, `focal_tversky`, `lovasz` or `boundary`. One that is 0 is not
    computed. `others` adds any loss with settings of your own; one that is not ours becomes an
    `AdaptedLoss`. `ignore_index` and `reduction` are those of the sum.

    After each batch `terms` holds each loss before weighting, by name: detached scalars on the
    device (with `reduction="none"`, their mean over the images). `weights` may be changed between
    batches.

    >>> CombinedLoss(dice=0.5, boundary=0.01)
    >>> CombinedLoss(dice=0, class_weights="inverse", others={"gdl": (1.0, GeneralisedDiceLoss())})

    Raises `OptionError` where all weights are 0 or a name in `others` is taken, and `TypeError`
    where a weight is for no loss.
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
        label_smoothing: float = 0.0,  # of ce and topk
        others: Mapping[str, tuple[float, Callable]] | None = None,  # name -> (weight, loss)
        **weights: float,  # of further ones, by their names in `LOSSES`
    ):
        super().__init__(ignore_index, reduction)
        weights, others = {"ce": ce, "dice": dice, **weights}, others or {}
        if unknown := sorted(weights.keys() - LOSSES.keys()):
            raise TypeError(f"Unknown: {listing(unknown)}; expected one of {listing([*LOSSES])}.")
        if taken := sorted(LOSSES.keys() & others.keys()):
            raise OptionError(f"{listing(taken)}: name it otherwise in others=; it is built in.")
        settings = dict(smooth=smooth, class_weights=class_weights, label_smoothing=label_smoothing)
        terms: dict[str, tuple[float, Callable]] = {
            name: (weights[name], _made(kind, settings))
            for name, kind in LOSSES.items()
            if weights.get(name)
        }
        terms |= {name: term for name, term in others.items() if term[0]}
        if not terms:
            raise OptionError("All weights are 0: there is no loss to train with.")
        self.weights = {name: weight for name, (weight, _) in terms.items()}
        self.losses = nn.ModuleDict()
        for name, (_, loss) in terms.items():
            if not isinstance(loss, SegmentationLoss):
                loss = AdaptedLoss(loss, ignore_index=ignore_index)
            self.losses[name] = loss
        self.terms: dict[str, Tensor] = {}

    def forward(self, logits: Tensor | Sequence[Tensor], target: Tensor) -> Tensor:
        """As every loss; keeps the `terms`."""
        values = self.reduced(self._terms, logits, target)  # (terms,) or (terms, B)
        means = values.detach().reshape(len(values), -1).mean(dim=1)
        self.terms = dict(zip(self._active(), means, strict=True))
        return self._weighted(values)

    def compute(self, batch: Batch) -> Tensor:
        """The weighted sum."""
        return self._weighted(self._terms(batch))

    def _active(self) -> dict[str, float]:
        return {name: weight for name, weight in self.weights.items() if weight}

    def _terms(self, batch: Batch) -> Tensor:  # (terms,)
        losses: Mapping[str, SegmentationLoss] = self.losses  # type: ignore[assignment]  # Modules
        return torch.stack([losses[name].compute(batch) for name in self._active()])

    def _weighted(self, values: Tensor) -> Tensor:
        return weighted_sum(self._active().values(), values)


def _made(kind: Callable[..., SegmentationLoss], settings: Mapping) -> SegmentationLoss:
    """A loss with those of the settings that it takes."""
    taken = inspect.signature(kind).parameters
    return kind(**{name: value for name, value in settings.items() if name in taken})
