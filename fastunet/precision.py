"""Which number format is fast on a device: asked by training and by inference alike."""

import time
from contextlib import AbstractContextManager, nullcontext
from functools import cache

import torch
from torch import nn
from torch.nn.functional import conv2d

from fastunet.choices import Precision
from fastunet.errors import OptionError

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
_TIMES = 8  # the first one warms up


def choose_dtype(device: str | torch.device, precision: Precision = "auto") -> torch.dtype:
    """The dtype of convolutions and matrix products.

    "auto" is bfloat16 on CUDA that computes in it (Ampere and newer), float16 on older CUDA, and
    float32 elsewhere, but bfloat16 on CPUs that are faster in it. That is measured once in a
    process, on a convolution of some milliseconds: with AMX it is several times as fast, and with
    AVX512-BF16 alone twice as fast on some processors and half as fast on others. Raises
    `OptionError` where the precision is unknown.
    """
    if precision in _DTYPES:
        return _DTYPES[precision]
    if precision != "auto":
        raise OptionError(f"precision={precision!r}; expected auto, {', '.join(_DTYPES)}.")
    kind = torch.device(device).type
    if kind == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if native else torch.float16
    if kind == "cpu" and cpu_computes_bf16() and cpu_is_faster_in_bf16():
        return torch.bfloat16
    return torch.float32


def training_dtype(
    model: nn.Module, device: str | torch.device, precision: Precision = "auto"
) -> torch.dtype:
    """The dtype to train `model` in: that of `choose_dtype`, but float32 where bfloat16 is slower.

    That is on CPUs for networks of depthwise convolutions (EfficientNet, MobileNet), whose
    gradients PyTorch computes slower in bfloat16; prediction is faster in it all the same.
    """
    if precision == "auto" and torch.device(device).type == "cpu" and _is_depthwise(model):
        return torch.float32
    return choose_dtype(device, precision)


def _is_depthwise(model: nn.Module) -> bool:
    convolutions = (m for m in model.modules() if isinstance(m, nn.Conv2d))
    return any(m.groups == m.in_channels > 1 for m in convolutions)


def cpu_computes_bf16() -> bool:
    """Whether this CPU has instructions for bfloat16 products, not only a way to emulate them."""
    features = torch.cpu.get_capabilities()
    return bool(features.get("amx_bf16") or features.get("avx512_bf16"))


@cache
def cpu_is_faster_in_bf16() -> bool:
    """Whether a convolution of a U-Net takes less time in bfloat16 than in float32 here."""
    return _seconds(torch.bfloat16) < 0.9 * _seconds(torch.float32)


@torch.no_grad()
def _seconds(dtype: torch.dtype) -> float:
    """The shortest of some runs. Draws no random numbers."""
    pixels = torch.ones(4, 64, 32, 32, dtype=dtype).contiguous(memory_format=torch.channels_last)
    kernel = torch.ones(64, 64, 3, 3, dtype=dtype).contiguous(memory_format=torch.channels_last)
    taken = []
    for _ in range(_TIMES):
        start = time.perf_counter()
        conv2d(pixels, kernel, padding=1)
        taken.append(time.perf_counter() - start)
    return min(taken)


def autocast(device: str | torch.device, dtype: torch.dtype) -> AbstractContextManager:
    """A context in which PyTorch computes in `dtype` where that is safe; nothing for float32."""
    if dtype == torch.float32:
        return nullcontext()
    return torch.autocast(torch.device(device).type, dtype=dtype)
