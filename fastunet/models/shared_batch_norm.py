"""Batch norm over the images of all processes of a distributed run, on any device.

PyTorch's `SyncBatchNorm` is for CUDA only. Here the sums of all processes are added up, with their
gradients, so that the statistics are those of one process with the whole batch.
"""

from collections.abc import Callable
from functools import partial

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def share_batch_norm(
    network: nn.Module,
) -> Callable[[], None]:
    """Let its batch norms take the statistics of all processes; what is given back undoes it."""
    norms = [
        module
        for module in network.modules()
        if isinstance(module, _BatchNorm) and not isinstance(module, nn.SyncBatchNorm)
    ]
    for norm in norms:
        vars(norm)["forward"] = partial(_forward, norm)

    def undo() -> None:
        for norm in norms:
            vars(norm).pop("forward", None)

    return undo


class _AddedUp(torch.autograd.Function):
    """The sum over all processes; each one's gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx, own: Tensor) -> Tensor:
        total = own.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return _AddedUp.forward(ctx, gradient)


def _forward(norm: _BatchNorm, x: Tensor) -> Tensor:  # (B, C, ...)
    if not norm.training:
        return type(norm).forward(norm, x)
    wide = x.float()
    dims = [0, *range(2, x.ndim)]
    count = wide.new_full((1,), x.numel() / x.shape[1])
    total = _AddedUp.apply(torch.cat([wide.sum(dims), count]))
    count = total[-1].detach()
    mean = total[:-1] / count
    shape = [1, -1] + [1] * (x.ndim - 2)
    centred = wide - mean.view(shape)
    variance = _AddedUp.apply(centred.square().sum(dims)) / count
    _track(norm, mean.detach(), variance.detach() * count / (count - 1).clamp(min=1), count)
    y = centred * (variance + norm.eps).rsqrt().view(shape)
    if norm.affine:
        y = y * norm.weight.view(shape) + norm.bias.view(shape)
    y = y.to(x.dtype)
    for also in ("drop", "act"):  # timm's batch norm is followed by its activation
        if isinstance(module := getattr(norm, also, None), nn.Module):
            y = module(y)
    return y


@torch.no_grad()
def _track(norm: _BatchNorm, mean: Tensor, variance: Tensor, count: Tensor) -> None:
    """The running statistics, as PyTorch keeps them."""
    if not norm.track_running_stats or norm.running_mean is None or norm.running_var is None:
        return
    assert norm.num_batches_tracked is not None
    norm.num_batches_tracked.add_(1)
    share = norm.momentum
    if share is None:
        share = 1 / float(norm.num_batches_tracked)
    norm.running_mean.lerp_(mean.to(norm.running_mean), share)
    norm.running_var.lerp_(variance.to(norm.running_var), share)
