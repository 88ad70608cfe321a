"""What a user asks of `ImageMaskDataLoaders` beside the plan's options, and what goes together."""

from collections.abc import Sequence
from typing import Any

import torch

from fastunet._util.kinds import checked
from fastunet._util.options import types_of
from fastunet.errors import OptionError
from fastunet.masks.codec import MaskCodec
from fastunet.pairs.pair import Pair
from fastunet.plan import InputOptions, MaskOptions, SplitOptions
from fastunet.preprocess import Preprocess

_TYPES = types_of(InputOptions) | types_of(MaskOptions) | types_of(SplitOptions)


def two_sides(
    option: str,  # "size" or "patch"
    given: Any,  # (height, width), the side of a square, or None
) -> tuple[int, int] | None:
    """The (height, width) of a network's input. Raises `OptionError` where it is no such size."""
    return checked(_TYPES[option], option, given)


def check_classes(classes: object) -> None:
    """Raise `OptionError` where the classes are neither names nor name -> value."""
    checked(_TYPES["classes"], "classes", classes)


def check_options(
    *,
    codec: object,
    preprocess: object,
    num_workers: object,
    batch_tfms: Sequence[object],
    **planned: object,  # options of the plan
) -> None:
    """Raise `OptionError` for an option of a kind that it cannot be."""
    for name, value in planned.items():
        checked(_TYPES[name], name, value)
    checked(_TYPES["bs"], "num_workers", num_workers)
    for option, value, kind in (
        ("codec", codec, MaskCodec),
        ("preprocess", preprocess, Preprocess),
    ):
        if value is not None and not isinstance(value, kind):
            raise OptionError(f"{option}={value!r}; a {kind.__name__} was expected.")
    wrong = [transform for transform in batch_tfms if not callable(transform)]
    if wrong:
        raise OptionError(f"batch_tfms={wrong[0]!r} is no batch transform of fastai.")


def device_of(
    device: Any,  # a name, a device, or None
    default: torch.device,
) -> torch.device:
    """Where the batches go. Raises `OptionError` for a device that PyTorch does not know."""
    try:
        return torch.device(device) if device is not None else default
    except (RuntimeError, TypeError) as error:
        raise OptionError(
            f'device={device!r} is unknown; "cpu", "cuda" or "mps" was expected.'
        ) from error


def is_drawn(
    pairs: Sequence[Pair],
    split: Any,  # as in `from_pairs`
    fold: Any,
    test_pct: Any,
) -> bool:
    """Whether chance decides which part a pair is in."""
    SplitOptions(test_pct=test_pct, split=split, fold=fold)
    there = {pair.split for pair in pairs}
    test_is_drawn = bool(test_pct) and "test" not in there
    return fold is not None or (split is None and ("valid" not in there or test_is_drawn))
