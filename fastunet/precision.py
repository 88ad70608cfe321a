"""Which number format is fast on a device: asked by training and by inference alike."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn

from fastunet.choices import Precision
from fastunet.errors import OptionError

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}


def choose_dtype(device: str | torch.device, precision: Precision = "auto") -> torch.dtype:
    """The dtype of convolutions and matrix products.

    "auto" is bfloat16 on CUDA and CPUs that compute in it (Ampere and newer; AMX or AVX512-BF16),
    float16 on older CUDA, float32 elsewhere. A CPU that only emulates bfloat16 is several times
    slower with it than with float32, so it gets float32. Raises `OptionError` where the precision
    is unknown.
    """
    if precision in _DTYPES:
        return _DTYPES[precision]
    if precision != "auto":
        raise OptionError(f"precision={precision!r}; expected auto, {', '.join(_DTYPES)}.")
    kind = torch.device(device).type
    if kind == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if native else torch.float16
    if kind == "cpu" and cpu_computes_bf16():
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


def autocast(device: str | torch.device, dtype: torch.dtype) -> AbstractContextManager:
    """A context in which PyTorch computes in `dtype` where that is safe; nothing for float32."""
    if dtype == torch.float32:
        return nullcontext()
    return torch.autocast(torch.device(device).type, dtype=dtype)
