"""How fast a network trains on this machine, by a step or two of it."""

import time
from collections.abc import Callable

import torch

from fastunet.choices import Precision
from fastunet.models.build import build
from fastunet.precision import autocast, training_dtype

_SIDE, _BATCH = 128, 4  # pixels and images of a trial step
_STEPS, _SECONDS = 3, 0.8  # steps after the first, and about so long at most


def pixels_a_second(
    arch: str | Callable,  # as `build` takes it
    channels: int,
    n_out: int,
    device: torch.device,
    precision: Precision = "auto",
    options: dict | None = None,  # of the network
) -> float:
    """Pixels of network input that go forward and back a second, weights at random."""
    with torch.random.fork_rng(devices=[]):
        model = build(arch, channels, n_out, (_SIDE, _SIDE), weights=False, options=options)
    model = model.to(device).to(memory_format=torch.channels_last)
    dtype = training_dtype(model, device, precision)
    pixels = torch.zeros(_BATCH, channels, _SIDE, _SIDE, device=device)
    pixels = pixels.contiguous(memory_format=torch.channels_last)
    times: list[float] = []
    begun = time.perf_counter()
    while len(times) <= _STEPS and (len(times) < 2 or time.perf_counter() - begun < _SECONDS):
        start = time.perf_counter()
        with autocast(device, dtype):
            logits = model(pixels)
        logits.float().square().mean().backward()
        model.zero_grad(set_to_none=True)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - start)
    return _BATCH * _SIDE**2 / min(times[1:])
