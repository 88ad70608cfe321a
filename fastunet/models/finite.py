"""Weights that are not finite (nan or infinity), found by name."""

from collections.abc import Mapping

import torch
from torch import Tensor


def first_nonfinite(
    tensors: Mapping[str, object],  # a state dict; tensors on the meta device are passed over
) -> str | None:
    """The name of the first tensor that holds nan or infinity; None: all are finite."""
    floats = {
        name: tensor.detach()
        for name, tensor in tensors.items()
        if isinstance(tensor, Tensor) and tensor.is_floating_point() and not tensor.is_meta
    }
    if not floats:
        return None
    device = next(iter(floats.values())).device
    finite = torch.stack([tensor.isfinite().all().to(device) for tensor in floats.values()])
    return next((n for n, good in zip(floats, finite.tolist(), strict=True) if not good), None)
