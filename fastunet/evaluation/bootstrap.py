"""How far a score would move with other images of the same kind: bootstrap intervals.

Images, or whole groups of them, are drawn with replacement, as many as there are, and the score is
taken of the sums of what was drawn (Efron & Tibshirani 1993, An Introduction to the Bootstrap,
chapter 13: percentile intervals). It tells of the choice of images, not of that of the training.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from fastunet.errors import OptionError

Interval = tuple[float, float] | None  # None where there is none

_AT_ONCE = 64  # resamples; more of them need more memory and are no faster


@dataclass(frozen=True)
class Bootstrap:
    """How intervals are made."""

    resamples: int = 1000  # 0: no intervals
    seed: int = 0
    confidence: float = 0.95  # how many of the resamples lie within an interval

    def __post_init__(self):
        if self.resamples < 0:
            raise OptionError(f"resamples={self.resamples}; 0 or more was expected.")
        if not 0 < self.confidence < 1:
            raise OptionError(f"confidence={self.confidence}; between 0 and 1 was expected.")

    def sums(
        self,
        values: np.ndarray,  # (U, K), what each unit adds to the sums
    ) -> np.ndarray:  # (R, K) float64
        """The sums over the units of each resample; R is 0 where there is but one unit.

        Memory is a few times that of `values`, whatever the number of resamples.
        """
        n = len(values)
        rng = np.random.default_rng(self.seed)
        sums = np.empty((self.resamples if n > 1 else 0, values.shape[1]))
        for start in range(0, len(sums), _AT_ONCE):
            some = sums[start : start + _AT_ONCE]
            drawn = [np.bincount(rng.integers(n, size=n), minlength=n) for _ in some]
            np.matmul(np.array(drawn, np.float64), values, out=some)
        return sums

    def interval(
        self,
        scores: np.ndarray,  # (R,), a score of each resample; nan where it has none
    ) -> Interval:
        """The percentiles that hold `confidence` of the resamples between them.

        Resamples without the score are left out; None where all are.
        """
        scores = scores[~np.isnan(scores)]
        if not len(scores):
            return None
        tail = 50 * (1 - self.confidence)
        low, high = np.percentile(scores, (tail, 100 - tail))
        return float(low), float(high)

    def method(
        self,
        units: int,  # that are resampled
        grouped: bool,  # they are groups of images
    ) -> str:
        """How intervals are made, in a few words, or why there are none."""
        if not self.resamples:
            return "none: not asked for"
        if units < 2:
            return f"none: only one {'group of images' if grouped else 'image'}"
        return (
            f"{100 * self.confidence:g} % percentile intervals from {self.resamples} bootstrap "
            f"resamples of the {units} {'groups of ' if grouped else ''}images, seed {self.seed} "
            "(Efron & Tibshirani 1993)"
        )


def sum_by_group(
    values: np.ndarray,  # (N, K), a row per image
    groups: Sequence[Hashable],  # (N,), what each image belongs to
) -> np.ndarray:  # (U, K) float64
    """The rows of each group added up, in the order in which the groups first come."""
    row_of: dict[Hashable, int] = {}
    rows = [row_of.setdefault(group, len(row_of)) for group in groups]
    sums = np.zeros((len(row_of), values.shape[1]))
    np.add.at(sums, rows, values)
    return sums
