"""What each image adds to a score: a row of numbers whose sums all scores are made of.

One function scores a single image, the sum over all images and the sum over a resample of them. The
formulas are those of `fastunet.metrics.scores`.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from fastunet.evaluation.bootstrap import Bootstrap, sum_by_group
from fastunet.metrics import scores
from fastunet.metrics.scores import Score

_FORMULAS = (scores.dice, scores.iou, scores.precision, scores.recall, scores.specificity)
SCORES: dict[str, Score] = {formula.__name__: formula for formula in _FORMULAS}
_PIXELS, _DICE, _IOU, _SCORED = range(-4, 0)  # columns of `ScoreRows` after those of the classes


class Outcomes(NamedTuple):
    """Pixels of each class by outcome; any leading dimensions."""

    tp: np.ndarray  # (..., C) of the class and predicted as it
    fp: np.ndarray  # (..., C) of another class and predicted as this one
    fn: np.ndarray  # (..., C) of the class and predicted as another

    @classmethod
    def of(
        cls,
        confusion: np.ndarray,  # (C, C), rows are the truth
    ) -> "Outcomes":
        """The outcomes of a table of pixels."""
        tp = confusion.diagonal()
        return cls(tp, confusion.sum(0) - tp, confusion.sum(1) - tp)

    @property
    def true(self) -> np.ndarray:
        """(..., C) pixels that are truly of the class."""
        return self.tp + self.fn


@dataclass(frozen=True, eq=False)
class ScoreRows:
    """A row for each image, or for each sum of images; or one row alone.

    Each holds TP, FP and FN of each class in turn, the pixels that count, the image's own Dice and
    IoU, and 1 if it has them. A sum of rows has the sums of these.
    """

    values: np.ndarray  # (..., 3 C + 4) float64, exact for whole numbers up to 2^53

    @classmethod
    def of_images(
        cls,
        outcomes: Outcomes,  # (N, C)
    ) -> "ScoreRows":
        """(N,) rows of images."""
        n, classes = outcomes.tp.shape
        counts = np.stack(outcomes, axis=-1).reshape(n, 3 * classes)
        pixels, unknown = outcomes.true.sum(1), np.zeros((n, 3))
        own = cls(np.column_stack([counts, pixels, unknown])).overall()
        dice, iou = (np.nan_to_num(own[name]) for name in ("dice", "mean_iou"))
        return cls(np.column_stack([counts, pixels, dice, iou, ~np.isnan(own["dice"])]))

    @property
    def outcomes(self) -> Outcomes:
        """(..., C) each."""
        return Outcomes(*(self.values[..., first:_PIXELS:3] for first in range(3)))

    def sum(self) -> "ScoreRows":
        """One row, of all together."""
        return ScoreRows(self.values.sum(0))

    def resampled(self, units: Sequence[Hashable], bootstrap: Bootstrap) -> "ScoreRows":
        """(R,) sums over resamples of the (N,) units that the rows belong to."""
        return ScoreRows(bootstrap.sums(sum_by_group(self.values, units)))

    def by_class(
        self,
        score: str,  # a key of `SCORES`
    ) -> np.ndarray:  # (..., C) float64
        """A score of each class, nan where the class is neither true nor predicted."""
        return SCORES[score](self._tables())[..., 1].numpy()

    def overall(self) -> dict[str, np.ndarray]:  # name -> (...) float64
        """The numbers that stand for all classes: binary of the foreground, else of all classes.

        `dice` and `mean_iou` are means over the classes, absent ones left out; those with `micro`
        have the outcomes of the classes added up first; those with `per_image` are means over the
        images in which any of the classes is true or predicted.
        """
        tables, values = self._tables(), self.values
        if tables.shape[-3] == 2:
            tables = tables[..., 1:, :, :]
        pooled = tables.sum(-3)
        with np.errstate(invalid="ignore"):  # 0 / 0 is nan: there is no such score
            return {
                "dice": scores.dice(tables)[..., 1].nanmean(-1).numpy(),
                "mean_iou": scores.iou(tables)[..., 1].nanmean(-1).numpy(),
                "pixel_accuracy": self.outcomes.tp.sum(-1) / values[..., _PIXELS],
                "dice_micro": scores.dice(pooled)[..., 1].numpy(),
                "iou_micro": scores.iou(pooled)[..., 1].numpy(),
                "dice_per_image": values[..., _DICE] / values[..., _SCORED],
                "iou_per_image": values[..., _IOU] / values[..., _SCORED],
            }

    def _tables(self) -> torch.Tensor:
        """(..., C, 2, 2): each class (1) against all others (0), rows are the truth."""
        tp, fp, fn = self.outcomes
        tn = self.values[..., _PIXELS, None] - tp - fp - fn
        return torch.from_numpy(np.stack([tn, fp, fn, tp], -1)).unflatten(-1, (2, 2))
