"""`Evaluation`: what a model scored, as plain data that can be printed, kept and compared."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fastunet.evaluation.bootstrap import Bootstrap, sum_by_group
from fastunet.evaluation.outcomes import SCORES, by_class, overall, rows_of
from fastunet.metrics.objects import ObjectCounts

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

Interval = tuple[float, float] | None  # None where there is none
BOUNDARY = ("hd95", "surface_dice", "boundary_iou")  # measures of outlines, in this order


@dataclass(frozen=True)
class Probabilities:
    """What the probabilities were worth, beyond the class that was decided by them."""

    calibration_error: float  # expected, see `fastunet.metrics.Calibration`
    brier: float
    bin_pixels: tuple[int, ...]  # of a reliability diagram
    bin_confidence: tuple[float | None, ...]  # None: no pixel fell into the bin
    bin_accuracy: tuple[float | None, ...]
    threshold_dice: tuple[float | None, ...] = ()  # binary: at 0, 1/1024, ...; None: no foreground


@dataclass(frozen=True)
class ClassScores:
    """A row of the table: one class over all images. Without any pixel of it scores are nan."""

    name: str
    dice: float
    iou: float
    precision: float
    recall: float
    specificity: float
    pixels: int  # that are truly of the class
    images: int  # in which there are such pixels
    dice_interval: Interval
    iou_interval: Interval


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Scores from pixels counted over all images, void left out; `print` it, plot it, save it.

    Images are kept as a few whole numbers each, so two evaluations of the same images can be
    compared later: `fastunet.compare`. Intervals are bootstrapped over the images, or over whole
    groups of them where they have groups.
    """

    split: str  # the part of the data
    classes: tuple[str, ...]
    names: tuple[str, ...]  # (N,), of the images
    groups: tuple[str, ...]  # (N,), what belongs together; "" for an image on its own
    outcomes: np.ndarray = field(repr=False)  # (N, C, 3) int64: TP, FP and FN of image and class
    pixels: np.ndarray = field(repr=False)  # (N,) int64, those that count
    confusion: np.ndarray = field(repr=False)  # (C, C) int64 over all images, rows are the truth
    threshold: float | None = None  # of the foreground; None: the most probable class
    probabilities: Probabilities | None = field(default=None, repr=False)
    objects: ObjectCounts | None = None  # of the foreground
    boundary: np.ndarray | None = field(default=None, repr=False)  # (N, C, 3), as `BOUNDARY`
    bootstrap: Bootstrap = field(default_factory=Bootstrap)

    @property
    def images(self) -> int:
        """How many."""
        return len(self.names)

    @property
    def dice(self) -> float:
        """Binary: of the foreground. Multiclass: the mean over classes; absent ones left out."""
        return self.overall["dice"]

    @property
    def mean_iou(self) -> float:
        """As `dice`, of the intersection over union."""
        return self.overall["mean_iou"]

    @cached_property
    def overall(self) -> dict[str, float]:
        """The numbers that stand for all classes, see `fastunet.evaluation.outcomes.overall`."""
        return {name: float(value) for name, value in overall(self.rows.sum(0)).items()}

    @cached_property
    def intervals(self) -> dict[str, Interval]:
        """The interval of each of `overall`."""
        return {name: self.bootstrap.interval(scores)
                for name, scores in overall(self._resampled).items()}  # fmt: skip

    @cached_property
    def per_class(self) -> tuple[ClassScores, ...]:
        """The table of the classes, in the order of their index."""
        total = self.rows.sum(0)
        values = {name: by_class(total, name).tolist() for name in SCORES}
        spread = {f"{name}_interval": by_class(self._resampled, name) for name in ("dice", "iou")}
        true = self.outcomes[..., 0] + self.outcomes[..., 2]  # (N, C)
        return tuple(
            ClassScores(
                name,
                **{score: column[index] for score, column in values.items()},
                **{score: self.bootstrap.interval(draws[:, index])
                   for score, draws in spread.items()},
                pixels=int(true[:, index].sum()),
                images=int((true[:, index] > 0).sum()),
            )
            for index, name in enumerate(self.classes)
        )  # fmt: skip

    @cached_property
    def per_image(self) -> dict[str, np.ndarray]:
        """`dice` and `iou` of each image by itself, (N,); nan where no class is true or predicted.

        Binary: of the foreground. Multiclass: the mean over the classes of the image.
        """
        own = overall(self.rows)
        return {"dice": own["dice"], "iou": own["mean_iou"]}

    @cached_property
    def outlines(self) -> dict[str, np.ndarray]:
        """Measures of the outlines by class, (C,): means over the images that have them.

        Empty where they were not asked for. An image has the distance `hd95`, in pixels, of a
        class where the class is both true and predicted, the other two where it is either.
        """
        if self.boundary is None:
            return {}
        known = ~np.isnan(self.boundary)
        with np.errstate(invalid="ignore"):  # 0 / 0 is nan: no image has the measure
            means = np.nansum(self.boundary, axis=0) / known.sum(0)
        return dict(zip(BOUNDARY, means.T, strict=True))

    def worst(self, n: int = 5) -> list[tuple[str, float]]:
        """The images with the lowest Dice, the lowest first."""
        dice = self.per_image["dice"]
        return [(self.names[i], float(dice[i]))
                for i in dice.argsort(kind="stable")[:n] if not np.isnan(dice[i])]  # fmt: skip

    @cached_property
    def rows(self) -> np.ndarray:
        """(N, 3 C + 4), what each image adds to the scores, see `fastunet.evaluation.outcomes`."""
        return rows_of(self.outcomes, self.pixels)

    @property
    def units(self) -> tuple[str, ...]:
        """(N,) what is resampled as a whole: the group of an image, or the image itself."""
        return units_of(self.names, self.groups)

    @cached_property
    def _resampled(self) -> np.ndarray:
        return self.bootstrap.sums(sum_by_group(self.rows, self.units))

    # telling about it

    def __str__(self) -> str:
        """A table for people."""
        from fastunet.evaluation.printed import as_text

        return as_text(self)

    def to_dict(self) -> dict:
        """Plain JSON values, with what they mean; without the images one by one."""
        from fastunet.evaluation.serialise import summary

        return summary(self)

    def to_json(self, path: str | os.PathLike | None = None) -> str:
        """All of it as JSON, from which `load` makes it again; written to `path` if given."""
        from fastunet.evaluation.serialise import as_json

        return as_json(self, path)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike,  # what `to_json` wrote, or the folder of `save`
    ) -> "Evaluation":
        """Read an evaluation. Raises `EvaluationError` where there is none, or it is damaged."""
        from fastunet.evaluation.serialise import load

        return load(path)

    def to_frame(self) -> "pd.DataFrame":
        """A row per image: its scores, and the pixels of each class by outcome."""
        from fastunet.evaluation.serialise import image_table

        return image_table(self)

    def per_class_frame(self) -> "pd.DataFrame":
        """A row per class: scores, intervals, pixels, images."""
        from fastunet.evaluation.serialise import class_table

        return class_table(self)

    def plot(self) -> "Figure":
        """Confusion, classes, images and probabilities as one matplotlib figure."""
        from fastunet.evaluation.plots import plot

        return plot(self)

    def save(
        self,
        folder: str | os.PathLike,  # made where it is missing
    ) -> Path:
        """Write evaluation.json, per_image.csv, per_class.csv and evaluation.png."""
        from fastunet.evaluation.serialise import save

        return save(self, folder)


def units_of(names: Iterable[str], groups: Iterable[str]) -> tuple[str, ...]:
    """A name for each image's group, or for the image where it has none; never mistaken."""
    return tuple(f"group {group}" if group else f"image {name}"
                 for name, group in zip(names, groups, strict=True))  # fmt: skip
