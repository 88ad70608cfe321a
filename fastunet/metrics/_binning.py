"""Pixels counted into bins on the device, without waiting for it, and shared across processes.

What `Confusion`, `Calibration` and `ThresholdCurve` have in common: pixels fall into bins, void
into a bin that is never read, and values that are no class into one that is looked at when the
counts are. So nothing is copied from the device, and no kernel dies of a bad mask.
"""

from typing import TypeVar

import torch
from torch import Tensor
from torch.distributed import all_gather_object, get_world_size, is_available, is_initialized

from fastunet.errors import MaskValueError
from fastunet.labels import VOID

ASIDE = 2  # bins after those that are read: void, then values that are no class

Part = TypeVar("Part")


def place(
    bins: Tensor,  # (B, ...) int64, the bin of each pixel if its target is a class
    target: Tensor,  # (B, ...) int64 class indices or `VOID`
    n_classes: int,
    n_bins: int,
) -> Tensor:  # (B, N) int64, 0..n_bins + 1
    """The bin of each pixel, with void and what is no class set aside in two bins of their own."""
    is_class = (target >= 0) & (target < n_classes)
    return torch.where(is_class, bins, n_bins + 1).masked_fill_(target == VOID, n_bins).flatten(1)


def tally(
    bins: Tensor,  # (B, N) int64, as `place` gives them
    n_bins: int,
    values: Tensor | None = None,  # (B, N) int64, what each pixel adds; None: 1
) -> Tensor:  # (B, n_bins + 2) int64
    """What falls into each bin, one row per image.

    `scatter_add_` rather than `bincount`, which waits for the device to learn its largest value.
    """
    if values is None:
        values = bins.new_ones(1, 1).expand_as(bins)
    return bins.new_zeros(len(bins), n_bins + ASIDE).scatter_add_(1, bins, values)


def read(
    bins: Tensor,  # (..., n_bins + 2) int64, as `tally` gives them
    n_classes: int,
) -> Tensor:  # (..., n_bins) int64, on the CPU
    """The counts without the bins that were set aside; waits for the device.

    Raises `MaskValueError` where pixels were met that are neither a class nor void.
    """
    bins = bins.cpu()
    strays = int(bins[..., -1].sum())
    if strays:
        raise MaskValueError(
            f"{strays} pixels of the masks or predictions that were counted are no class: 0 to "
            f"{n_classes - 1}, or {VOID} for void in a mask, was expected. Encode the masks with a "
            "MaskCodec, and check the number of classes."
        )
    return bins[..., :-ASIDE]


def processes() -> int:
    """How many processes share this run: 1 unless `torch.distributed` is at work."""
    return get_world_size() if is_available() and is_initialized() else 1


def across_processes(part: Part) -> list[Part]:
    """What each process of a distributed run holds, in the order of their ranks.

    All processes must call it. The parts are plain values or tensors on the CPU.
    """
    parts: list = [part] * processes()
    if len(parts) > 1:
        all_gather_object(parts, part)
    return parts
