"""What the guard has seen of a fit, as plain data from which diagnoses are made."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class GradientLook:
    """The gradients of one batch, before its step."""

    batch: int  # counted from the first of the fit
    norm: float  # of all gradients together
    loss: float


@dataclass
class FitRecord:
    """What was seen of a fit so far."""

    epochs: int  # planned
    classes: Sequence[str]  # names, by their index
    monitor: str = "valid_loss"  # the value that says which epoch is the best
    training_images: int = 0  # samples of one pass over the training part; 0: not known
    rate: float = math.nan  # the highest learning rate planned
    suggested_rate: float | None = None  # by the lr_find before this fit, if there was one
    scores: list[dict[str, float]] = field(default_factory=list)  # by epoch: losses and metrics
    confusion: np.ndarray | None = None  # (C, C) pixels of the last validation, rows are the truth
    one_class: int = 0  # epochs in a row, up to the last, that predicted hardly more than one
    gradients: list[GradientLook] = field(default_factory=list)  # of some batches
    batches: int = 0  # trained so far
    images: int = 0  # training samples whose masks were looked at
    has_foreground: bool = False  # whether one of them holds a class other than the first
    ended: bool = False  # the fit is over

    def values(self, name: str) -> list[float]:
        """A recorded value by epoch; without the epochs that lack it."""
        names = (name, f"valid_{name}")  # the second where it is shown for both parts
        return [scores[n] for scores in self.scores for n in names if n in scores]

    @property
    def metrics(self) -> list[str]:
        """The names of the scores of the validation part that are no losses."""
        names = self.scores[-1] if self.scores else ()
        return [n for n in names if "loss" not in n and not n.startswith("train_")]


def predicts_one_class(
    confusion: np.ndarray,  # (C, C) pixels, rows are the truth
) -> bool:
    """Whether all but a few pixels are predicted as one class, while the truth holds others.

    A few: a hundredth of what the truth holds of other classes.
    """
    top = predicted_most(confusion)
    others = confusion.sum() - confusion[top].sum()
    return bool(others > 0 and confusion.sum() - confusion[:, top].sum() <= 0.01 * others)


def predicted_most(confusion: np.ndarray) -> int:
    """The class that most pixels are predicted as."""
    return int(confusion.sum(axis=0).argmax())


def named(scores: Sequence, names: Sequence[str]) -> dict[str, float]:
    """Recorded values as numbers by name; what is no number is left out."""
    found: dict[str, float] = {}
    for name, value in zip(names, scores, strict=False):
        try:
            found[name] = float(value)
        except (TypeError, ValueError):  # a metric that gave none, or several
            continue
    return found
