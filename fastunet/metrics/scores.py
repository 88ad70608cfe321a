"""Scores as pure functions of confusion counts, in float64.

`counts` is (..., C, C), rows the truth, columns the prediction; any leading dimensions are carried
through. For each class against all others, TP, FP, FN and TN are the pixels that are rightly of it,
wrongly of it, wrongly of another and rightly of another.

A class that is neither in the truth nor predicted is *absent*: every score of it is nan, and means
leave it out. Precision of a class that is never predicted and recall of one that is never true are
0, as in scikit-learn and torchmetrics.
"""

from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor

from fastunet.errors import OptionError

Score = Callable[[Tensor], Tensor]  # (..., C, C) counts to (..., C) float64
Average = Literal["macro", "micro", "foreground", "per_image"]
Empty = Literal["skip", "one"]


def dice(counts: Tensor) -> Tensor:
    """2 TP / (2 TP + FP + FN) per class: Dice, also called F1. scikit-learn: `f1_score`."""
    tp, fp, fn, _ = _outcomes(counts)
    return 2 * tp / (2 * tp + fp + fn)


def iou(counts: Tensor) -> Tensor:
    """TP / (TP + FP + FN) per class: intersection over union. scikit-learn: `jaccard_score`."""
    tp, fp, fn, _ = _outcomes(counts)
    return tp / (tp + fp + fn)


def precision(counts: Tensor) -> Tensor:
    """TP / (TP + FP) per class: how much of what is predicted is right; 0 where nothing is.

    scikit-learn: `precision_score(zero_division=0)`.
    """
    tp, fp, _, _ = _outcomes(counts)
    return _unless_absent(tp / (tp + fp).clamp(min=1), counts)


def recall(counts: Tensor) -> Tensor:
    """TP / (TP + FN) per class: how much of the truth is found; 0 where it has none.

    Also called sensitivity. scikit-learn: `recall_score(zero_division=0)`.
    """
    tp, _, fn, _ = _outcomes(counts)
    return _unless_absent(tp / (tp + fn).clamp(min=1), counts)


def specificity(counts: Tensor) -> Tensor:
    """TN / (TN + FP) per class: how much of the rest is left alone; nan where there is no rest.

    torchmetrics: `MulticlassSpecificity`, which gives 0 where there is no rest.
    """
    _, fp, _, tn = _outcomes(counts)
    return _unless_absent(tn / (tn + fp), counts)


def accuracy(counts: Tensor) -> Tensor:
    """(...) float64, the share of all pixels that are right; nan where none were counted.

    scikit-learn: `accuracy_score`. torchmetrics: `MulticlassAccuracy(average="micro")`.
    """
    counts = counts.double()
    return counts.diagonal(dim1=-2, dim2=-1).sum(-1) / counts.sum((-2, -1))


def mean_score(
    score: Score,  # `dice`, `iou`, `precision`, `recall` or `specificity`
    counts: Tensor,  # (..., C, C), and (..., N, C, C) of N images for "per_image"
    average: Average = "macro",
    include_background: bool | None = None,  # None: only for more than two classes
    empty: Empty = "skip",
) -> Tensor:  # (...) float64
    """One number from the classes: for two classes that of the foreground unless said.

    - "macro": the mean over the classes, absent ones left out; nan where all are. scikit-learn and
      torchmetrics: `average="macro"`.
    - "foreground": the same without class 0, whatever `include_background` says.
    - "micro": TP, FP, FN and TN are added up over the classes, and the score is taken once.
    - "per_image": the mean over the images of each image's "macro". `empty` says what becomes of
      an image in which none of the classes is true or predicted: "skip" leaves it out, "one" counts
      it as right. An image without any pixel that counts is always left out.

    Raises `OptionError` on other values of `average` or `empty`.
    """
    check_reduction(average, empty)
    if include_background is None:
        include_background = counts.shape[-1] > 2
    first = 1 if average == "foreground" or not include_background else 0
    if average == "micro":
        return score(_against_others(counts)[..., first:, :, :].sum(-3))[..., 1]
    means = score(counts)[..., first:].nanmean(-1)
    if average != "per_image":
        return means
    if empty == "one":
        means = means.masked_fill(_is_empty(counts, first), 1)
    return means.nanmean(-1)


def check_reduction(average: str, empty: str) -> None:
    """Raise `OptionError` unless `mean_score` knows both."""
    for name, value, kind in (("average", average, Average), ("empty", empty, Empty)):
        if value not in get_args(kind):
            raise OptionError(f"{name}={value!r}; one of {get_args(kind)} was expected.")


def _outcomes(counts: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """TP, FP, FN and TN, each (..., C) float64."""
    counts = counts.double()
    tp = counts.diagonal(dim1=-2, dim2=-1)
    fp, fn = counts.sum(-2) - tp, counts.sum(-1) - tp
    return tp, fp, fn, counts.sum((-2, -1)).unsqueeze(-1) - tp - fp - fn


def _unless_absent(score: Tensor, counts: Tensor) -> Tensor:
    return score.masked_fill(counts.sum(-1) + counts.sum(-2) == 0, torch.nan)


def _against_others(counts: Tensor) -> Tensor:
    """(..., C, 2, 2): for each class the table of itself (1) against all others (0)."""
    tp, fp, fn, tn = _outcomes(counts)
    return torch.stack([tn, fp, fn, tp], dim=-1).unflatten(-1, (2, 2))


def _is_empty(counts: Tensor, first: int) -> Tensor:
    """(...) whether pixels were counted, and none is or was predicted of class `first` or above."""
    met = counts.sum(-1) + counts.sum(-2)
    return (met.sum(-1) > 0) & (met[..., first:].sum(-1) == 0)
