"""Whether a device works, by one small training step on it: that it is there does not say so."""

from functools import cache

import torch
from torch.nn.functional import conv2d, interpolate

from fastunet.precision import autocast, choose_dtype


@cache
def problem_with(
    device: str,  # as PyTorch writes it: "cuda:0"
) -> str | None:
    """What goes wrong in a small training step there; None where it works.

    Tried once in a process: a convolution in the number format that training takes, an enlargement,
    and the gradients of both. A CPU is not tried, so that a machine without another device does not
    wait. Here CUDA and MPS could be tried only where they fail; that they are accepted where they
    work was seen with a CPU in their place.
    """
    if torch.device(device).type == "cpu":
        return None
    try:
        _step(torch.device(device))
    except Exception as error:  # drivers raise anything
        first = next(iter(str(error).strip().splitlines()), "no message")
        return f"{type(error).__name__}: {first[:200]}"
    return None


def _step(device: torch.device) -> None:
    """Draws no random numbers."""
    kernel = torch.ones(4, 3, 3, 3, device=device, requires_grad=True)
    with autocast(device, choose_dtype(device)):
        maps = conv2d(torch.ones(2, 3, 8, 8, device=device), kernel, padding=1)
        logits = interpolate(maps, scale_factor=2, mode="bilinear", align_corners=False)
    (gradient,) = torch.autograd.grad(logits.float().mean(), kernel)
    if not float(gradient.abs().sum()) > 0:  # reading it waits for the device
        raise RuntimeError("a convolution has no gradients there")
