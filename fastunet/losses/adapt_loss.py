"""Any other loss as a `SegmentationLoss`: of fastai, torch, a library, or the user's own function.

`fastunet.losses.calling` finds out how it wants logits and truth.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from fastunet._util.warn import warn
from fastunet.errors import TrainingError
from fastunet.labels import VOID
from fastunet.losses.base import Batch, Reduction, SegmentationLoss
from fastunet.losses.calling import Way, call, find_way, leaves_void_alone, map_tensors, name_of


class AdaptedLoss(SegmentationLoss):
    """A loss of another kind with what ours have: void left out, float32, activation, decoding.

    Void is taken out before the loss sees a batch. The pixels that count are then one row, logits
    (1, C, K, 1) and truth (1, K, 1), so that a loss that needs the picture's shape gets it only
    where a batch holds no void, or where the loss has our `ignore_index` and leaves void alone.
    A batch of nothing but void costs 0. What is not a scalar is averaged, and a loss that adds up
    (`reduction="sum"`) is set to average, since its size would change with the void.

    A binary task is one channel of logits x; a loss that wants a channel per class sees (0, x).

    >>> AdaptedLoss(nn.CrossEntropyLoss())
    >>> AdaptedLoss(lambda logits, truth: F.binary_cross_entropy_with_logits(logits, truth))

    Raises `TrainingError` where no way of calling it tells right logits from wrong ones.
    """

    def __init__(
        self,
        loss: Callable,  # of logits and truth
        n_out: int | None = None,  # channels of the logits; None: known with the first batch
        ignore_index: int = VOID,  # the class index that does not count
        reduction: Reduction = "mean",
        device: str | torch.device = "cpu",  # where the loss is tried if it does not run on a CPU
    ):
        super().__init__(ignore_index, reduction)
        self.loss = _without_flattening(loss)
        if getattr(self.loss, "reduction", None) == "sum":
            warn(
                f'{name_of(loss)} adds up its losses (reduction="sum"); their mean is taken, which '
                "does not grow with the batch."
            )
            self.loss.reduction = "mean"
        self.way: Way | None = None  # how logits and truth are given
        self._sees_void = False
        self._device: torch.device | None = None
        if n_out is not None:
            self.find_way(n_out, device)

    def find_way(
        self,
        n_out: int,  # channels of the logits
        device: str | torch.device = "cpu",
    ) -> Way:
        """Find how the loss is called for logits of `n_out` channels, by trying."""
        void = self.ignore_index
        self.way, loss = find_way(self.loss, n_out, device)
        has_ours = getattr(self.loss, "ignore_index", None) == void
        self._sees_void = has_ours and leaves_void_alone(loss, self.way, n_out, void)
        return self.way

    def compute(self, batch: Batch) -> Tensor:
        """The loss of the pixels that count; 0 where none does."""
        way = self.way or self.find_way(batch.logits.shape[1], batch.logits.device)
        if self._device != batch.logits.device:  # fastai moves losses only when a fit starts
            self._device = batch.logits.device
            self.to(self._device)
        logits, target = batch.logits.contiguous(), batch.known
        if not batch.counts.all():
            if not batch.counts.any():
                return batch.logits.sum() * 0
            if self._sees_void:
                target = batch.target
            else:  # as one row of the pixels that count
                row = logits.movedim(1, -1)[batch.counts].T.contiguous()
                logits, target = row[None, :, :, None], target[batch.counts][None, :, None]
        return call(self.loss, way, logits, target)

    def _apply(self, fn, recurse=True):
        super()._apply(fn, recurse)
        map_tensors(self.loss, fn)
        return self

    def extra_repr(self) -> str:
        """The loss and how it is called."""
        called = "" if isinstance(self.loss, nn.Module) else f"{name_of(self.loss)}, "
        return called + (" and ".join(self.way) if self.way else "not tried yet")


def adapt_loss(
    loss: Callable | type,  # a loss, or a class of losses that needs no arguments
    n_out: int,  # channels of the logits
    device: str | torch.device = "cpu",  # where it will be computed
) -> SegmentationLoss:
    """`loss` as it is where it is one of ours, an `AdaptedLoss` of it otherwise.

    Raises `TrainingError` where it is no loss, or one that does not fit logits and class indices.
    """
    if isinstance(loss, type):
        try:
            loss = loss()
        except TypeError as error:
            raise TrainingError(
                f"loss_func={loss.__name__} is a class, which cannot be made without arguments "
                f"({error}). Pass a loss made of it: loss_func={loss.__name__}(...)."
            ) from error
    if not callable(loss):
        raise TrainingError(
            f"loss_func={loss!r}: a loss was expected, such as CombinedLoss() or any function of "
            "logits and class indices."
        )
    if not isinstance(loss, SegmentationLoss):
        return AdaptedLoss(loss, n_out, device=device)
    for module in loss.modules():
        if isinstance(module, AdaptedLoss):
            module.find_way(n_out, device)
    return loss


def _without_flattening(loss: Any) -> Any:
    """The loss inside fastai's `BaseLoss`, which only reshapes what it gets."""
    names = {(c.__module__, c.__name__): c for c in type(loss).__mro__}
    base = names.get(("fastai.losses", "BaseLoss"))
    flattens = base is not None and type(loss).__call__ is base.__call__
    return loss.func if flattens else loss
