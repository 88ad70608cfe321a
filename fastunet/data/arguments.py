"""What a user asks of `ImageMaskDataLoaders`, checked before anything is read."""

import re
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import get_args

import torch

from fastunet.data.cache import Cache
from fastunet.errors import MaskValueError, SplitError, TrainingError
from fastunet.io.conventions import Orientation, Scaling
from fastunet.masks.codec import MaskCodec
from fastunet.pairs.pair import Pair
from fastunet.preprocess import Preprocess


def two_sides(
    option: str,  # how the user calls it
    given: object,  # (height, width), the side of a square, or None
) -> tuple[int, int] | None:
    """The (height, width) of a network's input. Raises `TrainingError` where it is no such size."""
    if given is None:
        return None
    sides = (given, given) if isinstance(given, Integral) else given
    is_pair = isinstance(sides, Sequence) and not isinstance(sides, str) and len(sides) == 2
    if not is_pair or not all(isinstance(side, Integral) and side >= 1 for side in sides):
        raise TrainingError(
            f"{option}={given!r}; pixels were expected, one whole number or (height, width)."
        )
    return int(sides[0]), int(sides[1])


def check_classes(classes: object) -> None:
    """Raise `MaskValueError` where the classes are neither names nor name -> value."""
    listed = isinstance(classes, Sequence) and not isinstance(classes, str)
    names = list(classes) if listed or isinstance(classes, Mapping) else None
    if classes is not None and (names is None or not all(isinstance(n, str) for n in names)):
        raise MaskValueError(
            f'classes={classes!r}; names were expected, ["background", "cell"], or a dict of '
            'name: value, {"background": 0, "cell": 255}.'
        )


def check_options(
    *,
    bs: object,
    scale: object,
    groups: object,
    cache: object,
    scaling: object,
    orientation: object,
    codec: object,
    preprocess: object,
    num_workers: object,
    batch_tfms: Sequence[object],
) -> None:
    """Raise `TrainingError`, or `SplitError`, for an option of a kind that it cannot be."""
    for option, value in {"bs": bs, "num_workers": num_workers}.items():
        if value is not None and not isinstance(value, Integral):
            raise SplitError(f"{option}={value!r}; a whole number was expected.")
    if not isinstance(scale, Real) or not scale > 0:
        raise TrainingError(f"scale={scale!r}; a number above 0 was expected, 0.5 for half.")
    if not (groups is None or isinstance(groups, str | re.Pattern) or callable(groups)):
        raise SplitError(f'groups={groups!r}; "auto", an expression or a function was expected.')
    for option, value, known in (
        ("cache", cache, (*get_args(Cache), None)),
        ("scaling", scaling, get_args(Scaling)),
        ("orientation", orientation, (*get_args(Orientation), None)),
    ):
        if value not in known:
            raise TrainingError(f"{option}={value!r}; one of {known} was expected.")
    for option, value, kind in (
        ("codec", codec, MaskCodec),
        ("preprocess", preprocess, Preprocess),
    ):
        if value is not None and not isinstance(value, kind):
            raise TrainingError(f"{option}={value!r}; a {kind.__name__} was expected.")
    wrong = [transform for transform in batch_tfms if not callable(transform)]
    if wrong:
        raise TrainingError(f"batch_tfms={wrong[0]!r} is no batch transform of fastai.")


def device_of(
    device: object,  # a name, a device, or None
    default: torch.device,
) -> torch.device:
    """Where the batches go. Raises `TrainingError` for a device that PyTorch does not know."""
    try:
        return torch.device(device) if device is not None else default
    except (RuntimeError, TypeError) as error:
        raise TrainingError(
            f'device={device!r} is unknown; "cpu", "cuda" or "mps" was expected.'
        ) from error


def is_drawn(
    pairs: Sequence[Pair],
    split: object,  # as in `from_pairs`
    fold: object,
    test_pct: object,
) -> bool:
    """Whether chance decides which part a pair is in. Raises `SplitError` for contradictions."""
    if split is not None and fold is not None:
        raise SplitError("split= and fold= were both given; one of them says who validates.")
    if test_pct and (split is not None or fold is not None):
        raise SplitError(
            "test_pct= draws a test part, which split= and fold= do not. Name its images in "
            "split={'valid': [...], 'test': [...]}."
        )
    if fold is not None:
        whole = isinstance(fold, Sequence) and all(isinstance(number, Integral) for number in fold)
        if not whole or len(fold) != 2:
            raise SplitError(f"fold={fold!r}; (which, of how many) was expected, (0, 5) for one.")
        return True
    there = {pair.split for pair in pairs}
    test_is_drawn = bool(test_pct) and "test" not in there
    return split is None and ("valid" not in there or test_is_drawn)
