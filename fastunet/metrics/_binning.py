"""Pixels counted into bins on the device, without waiting for it, and shared across processes.

What `Confusion`, `Calibration` and `ThresholdCurve` have in common.
"""

from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor
from torch.distributed import all_gather_object, get_world_size, is_available, is_initialized

from fastunet.errors import MaskValueError
from fastunet.labels import VOID

Value = TypeVar("Value")


@dataclass(frozen=True)
class Bins:
    """Bins for pixels of known classes, and two after them: for void, and for what is no class.

    That of void is never read; the last is looked at when the counts are. So nothing is copied from
    the device, and no kernel dies of a bad mask.
    """

    number: int  # without the last two
    n_classes: int

    def assign(
        self,
        bins: Tensor,  # (B, ...) int64, the bin of each pixel if its target is a class
        target: Tensor,  # (B, ...) int64 class indices or `VOID`
    ) -> Tensor:  # (B, N) int64, 0..number + 1
        """The bin of each pixel."""
        is_class = (target >= 0) & (target < self.n_classes)
        bins = torch.where(is_class, bins, self.number + 1)
        return bins.masked_fill_(target == VOID, self.number).flatten(1)

    def count(
        self,
        bins: Tensor,  # (B, N) int64, as `assign` gives them
        values: Tensor | None = None,  # (B, N) int64, what each pixel adds; None: 1
    ) -> Tensor:  # (B, number + 2) int64
        """What falls into each bin, one row per image.

        `scatter_add_` rather than `bincount`, which waits for the device to learn its largest
        value.
        """
        if values is None:
            values = bins.new_ones(1, 1).expand_as(bins)
        return bins.new_zeros(len(bins), self.number + 2).scatter_add_(1, bins, values)

    def read(
        self,
        counts: Tensor,  # (..., number + 2) int64, as `count` gives them
    ) -> Tensor:  # (..., number) int64, on the CPU
        """The counts of classes; waits for the device.

        Raises `MaskValueError` where pixels were met that are neither a class nor void.
        """
        counts = counts.cpu()
        unknown = int(counts[..., -1].sum())
        if unknown:
            raise MaskValueError(
                f"{unknown} pixels of the masks or predictions that were counted are no class: 0 "
                f"to {self.n_classes - 1}, or {VOID} for void in a mask, was expected. Encode the "
                "masks with a MaskCodec, and check the number of classes."
            )
        return counts[..., : self.number]


def processes() -> int:
    """How many processes share this run: 1 unless `torch.distributed` is at work."""
    return get_world_size() if is_available() and is_initialized() else 1


def across_processes(
    value: Value,  # plain values, or tensors on the CPU
) -> list[Value]:
    """What each process of a distributed run holds, in the order of their ranks.

    All processes must call it.
    """
    values = [value] * processes()
    if len(values) > 1:
        all_gather_object(values, value)
    return values
