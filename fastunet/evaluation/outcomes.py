"""What each image adds to a score: a row of numbers whose sums all scores are made of.

A row holds TP, FP and FN of each class, the pixels that count, and the image's own Dice and IoU
with whether it has them. One function scores a single image, the sum over all images and the sum
over a resample of them. The formulas are those of `fastunet.metrics.scores`.
"""

import numpy as np
import torch

from fastunet.metrics import scores
from fastunet.metrics.scores import Score

SCORES: dict[str, Score] = {
    "dice": scores.dice,
    "iou": scores.iou,
    "precision": scores.precision,
    "recall": scores.recall,
    "specificity": scores.specificity,
}
_EXTRA = 4  # columns after those of the classes: pixels, Dice, IoU, whether there are these two


def rows_of(
    outcomes: np.ndarray,  # (N, C, 3) TP, FP and FN of each image and class
    pixels: np.ndarray,  # (N,) that count
) -> np.ndarray:  # (N, 3 C + 4) float64, exact for whole numbers up to 2^53
    """The rows that are added up."""
    n, classes, _ = outcomes.shape
    rows = np.zeros((n, 3 * classes + _EXTRA))
    rows[:, :-_EXTRA] = outcomes.reshape(n, 3 * classes)
    rows[:, -4] = pixels
    own = overall(rows)
    scored = ~np.isnan(own["dice"])
    rows[scored, -3] = own["dice"][scored]
    rows[scored, -2] = own["mean_iou"][scored]
    rows[:, -1] = scored
    return rows


def by_class(
    sums: np.ndarray,  # (..., 3 C + 4)
    score: str,  # a key of `SCORES`
) -> np.ndarray:  # (..., C) float64
    """A score of each class, nan where the class is neither true nor predicted."""
    return SCORES[score](_tables(sums))[..., 1].numpy()


def overall(
    sums: np.ndarray,  # (..., 3 C + 4)
) -> dict[str, np.ndarray]:  # name -> (...) float64
    """The numbers that stand for all classes: binary of the foreground, else of all classes.

    `dice` and `mean_iou` are means over the classes, absent ones left out; those with `micro` have
    the outcomes of the classes added up first; those with `per_image` are means over the images in
    which any of the classes is true or predicted.
    """
    first = 1 if _n_classes(sums) == 2 else 0
    tables = _tables(sums)[..., first:, :, :]
    pooled = tables.sum(-3)

    def mean(score: Score) -> np.ndarray:
        return score(tables)[..., 1].nanmean(-1).numpy()

    def micro(score: Score) -> np.ndarray:
        return score(pooled)[..., 1].numpy()

    with np.errstate(invalid="ignore"):  # 0 / 0 is nan: there is no such score
        return {
            "dice": mean(scores.dice),
            "mean_iou": mean(scores.iou),
            "pixel_accuracy": sums[..., :-_EXTRA:3].sum(-1) / sums[..., -4],
            "dice_micro": micro(scores.dice),
            "iou_micro": micro(scores.iou),
            "dice_per_image": sums[..., -3] / sums[..., -1],
            "iou_per_image": sums[..., -2] / sums[..., -1],
        }


def _n_classes(sums: np.ndarray) -> int:
    return (sums.shape[-1] - _EXTRA) // 3


def _tables(sums: np.ndarray) -> torch.Tensor:
    """(..., C, 2, 2): each class (1) against all others (0), rows are the truth."""
    outcomes = sums[..., :-_EXTRA].reshape(*sums.shape[:-1], _n_classes(sums), 3)
    tp, fp, fn = np.moveaxis(outcomes, -1, 0)
    tn = sums[..., -4, None] - tp - fp - fn
    return torch.from_numpy(np.stack([tn, fp, fn, tp], -1)).unflatten(-1, (2, 2))
