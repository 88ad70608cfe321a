"""Weights against class imbalance, given in numbers or made from pixel counts."""

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from fastunet.errors import OptionError, TrainingError

Balance = Literal["inverse", "effective"]
Counts = Sequence[float] | Tensor  # NumPy arrays too


def class_weights(
    counts: Counts,  # (classes,) pixels of each class, background included
    how: Balance = "inverse",
    beta: float | None = None,  # of "effective", 0 to 1; None: 1 - 1 / (mean of the counts > 0)
) -> Tensor:  # (classes,) float32
    """A weight for each class, the rarer the larger; their mean over the classes there are is 1.

    "inverse" is 1 / n for n pixels. "effective" is (1 - beta) / (1 - beta^n), one over the
    effective number of samples (Cui et al. 2019, https://arxiv.org/abs/1901.05555): alike for
    classes of far more than 1 / (1 - beta) pixels, 1 / n for those of far fewer. Their beta of
    0.999 to 0.9999 is meant for images; pixels are many more, hence the default.

    A class without pixels has weight 0: there is nothing to learn it from, and 1 / 0 would drown
    the others.

    >>> class_weights([900, 100])  # tensor([0.2000, 1.8000])

    Raises `TrainingError` where nothing was counted, `OptionError` for another `how` or `beta`.
    """
    pixels = torch.as_tensor(counts, dtype=torch.float64)
    present = pixels > 0
    if pixels.ndim != 1 or not present.any() or (pixels < 0).any():
        raise TrainingError(
            f"Class weights need the pixels of each class, some above 0; {counts} was found."
        )
    if how not in get_args(Balance):
        raise OptionError(f"how={how!r}; one of {get_args(Balance)} was expected.")
    if beta is None:
        beta = 1 - 1 / max(2.0, pixels[present].mean().item())
    if not 0 <= beta < 1:
        raise OptionError(f"beta={beta}; a number from 0 to below 1 was expected.")
    number = pixels if how == "inverse" else (1 - beta**pixels) / (1 - beta)
    weights = torch.where(present, 1 / number, 0)
    return (weights * present.sum() / weights.sum()).float()


class ClassWeights(nn.Module):
    """How much a pixel of each class counts: given, made from counts that come later, or 1.

    Raises `OptionError` for an unknown rule, and `TrainingError` where it is used before counts
    came, or for another number of classes.
    """

    def __init__(
        self,
        weights: Sequence[float] | Balance | None,  # one per class, background included
    ):
        super().__init__()
        self.how = weights if isinstance(weights, str) else None
        if self.how is not None and self.how not in get_args(Balance):
            raise OptionError(
                f"class_weights={weights!r}; one of {get_args(Balance)} or a number for each class "
                "was expected."
            )
        given = None if weights is None or self.how else torch.as_tensor(weights).float()
        self.register_buffer("values", given)

    @property
    def needs_counts(self) -> bool:
        """Whether they are made from counts."""
        return self.how is not None

    def set_counts(self, counts: Counts) -> None:
        """Make the weights, unless they were given in numbers."""
        if self.how is not None:
            self.values = class_weights(counts, self.how)

    def forward(
        self,
        n_classes: int,  # background included
        like: Tensor,  # of the device and type that are wanted
    ) -> Tensor | None:  # (n_classes,); None: all count alike
        """The weights for a batch."""
        if self.values is None:
            if self.how is None:
                return None
            raise TrainingError(
                f'class_weights="{self.how}" needs the pixels of each class in the training masks. '
                "Call set_class_counts(counts) on the loss before training."
            )
        if len(self.values) != n_classes:
            raise TrainingError(
                f"There are {len(self.values)} class weights for {n_classes} classes. Give one for "
                "each class, background included (two for a binary task)."
            )
        return self.values.to(like)
