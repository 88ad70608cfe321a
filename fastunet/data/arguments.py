"""What a user asks of `ImageMaskDataLoaders` beside the plan's options, and what goes together."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import torch

from fastunet._util.warn import warn
from fastunet.device import problem_with
from fastunet.errors import OptionError
from fastunet.masks.codec import MaskCodec
from fastunet.preprocess import Preprocess


def check_objects(
    codec: object, preprocess: object, num_workers: object, batch_tfms: Sequence[object]
) -> None:
    """Raise `OptionError` for what it cannot be."""
    if num_workers is not None and not isinstance(num_workers, Integral):
        raise OptionError(f"num_workers={num_workers!r}; a whole number was expected.")
    if codec is not None and not isinstance(codec, MaskCodec):
        raise OptionError(f"codec={codec!r}; a MaskCodec was expected.")
    if preprocess is not None and not isinstance(preprocess, Preprocess):
        raise OptionError(f"preprocess={preprocess!r}; a Preprocess was expected.")
    for transform in batch_tfms:
        if not callable(transform):
            raise OptionError(f"batch_tfms={transform!r} is no batch transform of fastai.")


def device_of(
    device: Any,  # a name, a device, or None
    default: torch.device,
) -> torch.device:
    """Where the batches go: the device that was asked for, or the default, if it works; or the CPU.

    Raises `OptionError` for a device that PyTorch does not know, and for one that was asked for
    and does not work; warns where the default does not.
    """
    try:
        chosen = torch.device(device) if device is not None else default
    except (RuntimeError, TypeError) as error:
        expected = '"cpu", "cuda" or "mps" was expected'
        raise OptionError(f"device={device!r} is unknown; {expected}.") from error
    problem = problem_with(str(chosen))
    if problem is None:
        return chosen
    if device is not None:
        raise OptionError(
            f'device="{device}" does not work here ({problem}). Leave it out, or say device="cpu".'
        )
    warn(f'{chosen} does not work here ({problem}); the CPU is taken. device="cpu" says so, too.')
    return torch.device("cpu")
