"""`Evaluation`: what a model scored, as plain data that can be printed, kept and compared."""

import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastunet._util.files import make_folder, write_atomically
from fastunet._util.text import plural
from fastunet.evaluation import printed
from fastunet.evaluation.bootstrap import Bootstrap, Interval
from fastunet.evaluation.outcomes import SCORES, Outcomes, ScoreRows
from fastunet.evaluation.score_types import BOUNDARY, ClassScores, Probabilities
from fastunet.evaluation.serialise import as_json, fields_in, files_in, plain
from fastunet.evaluation.spreadsheet import as_csv
from fastunet.metrics.objects import ObjectCounts

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_WORST = 3  # images that the table names
_DIGITS = 6  # of scores in dictionaries and tables of classes


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
    outcomes: Outcomes = field(repr=False)  # (N, C) int64 each, of image and class
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
    def is_binary(self) -> bool:
        """Whether there are two classes, so that scores are those of the foreground."""
        return len(self.classes) == 2

    @property
    def pixels(self) -> np.ndarray:
        """(N,) int64, those that count: each is truly of one class."""
        return self.outcomes.true.sum(1)

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
        """The numbers that stand for all classes, see `ScoreRows.overall`."""
        return {name: float(value) for name, value in self.rows.sum().overall().items()}

    @cached_property
    def intervals(self) -> dict[str, Interval]:
        """The interval of each of `overall`."""
        resampled = self._resampled.overall()
        return {name: self.bootstrap.interval(draws) for name, draws in resampled.items()}

    @cached_property
    def per_class(self) -> tuple[ClassScores, ...]:
        """The table of the classes, in the order of their index."""
        total, true = self.rows.sum(), self.outcomes.true
        columns: dict[str, Iterable[Any]] = {
            "name": self.classes,
            **{score: total.by_class(score).tolist() for score in SCORES},
            "pixels": true.sum(0).tolist(),
            "images": (true > 0).sum(0).tolist(),
        }
        for score in ("dice", "iou"):
            draws = self._resampled.by_class(score).T
            columns[f"{score}_interval"] = map(self.bootstrap.interval, draws)
        rows = zip(*columns.values(), strict=True)
        return tuple(ClassScores(**dict(zip(columns, row, strict=True))) for row in rows)

    @cached_property
    def per_image(self) -> dict[str, np.ndarray]:
        """`dice` and `iou` of each image by itself, (N,); nan where no class is true or predicted.

        Binary: of the foreground. Multiclass: the mean over the classes of the image.
        """
        own = self.rows.overall()
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
        lowest = dice.argsort(kind="stable")[:n]
        return [(self.names[i], float(dice[i])) for i in lowest if not np.isnan(dice[i])]

    @cached_property
    def rows(self) -> ScoreRows:
        """(N,) what each image adds to the scores."""
        return ScoreRows.of_images(self.outcomes)

    @property
    def units(self) -> tuple[str, ...]:
        """(N,) what is resampled as a whole: the group of an image, or the image itself.

        The names of groups and those of images are never mistaken for each other.
        """
        pairs = zip(self.names, self.groups, strict=True)
        return tuple(f"group {group}" if group else f"image {name}" for name, group in pairs)

    @cached_property
    def _resampled(self) -> ScoreRows:
        return self.rows.resampled(self.units, self.bootstrap)

    @property
    def _method(self) -> str:
        return self.bootstrap.method(len(set(self.units)), any(self.groups))

    # printed, drawn and saved

    def __str__(self) -> str:
        """A table for people."""
        worst = self.worst(_WORST) if self.images > 1 else []
        lines = [
            *printed.overall_lines(self.overall, self.intervals, self.is_binary),
            *printed.further_lines(self.probabilities, self.objects, self.boundary is not None),
            *printed.rule_lines(self.threshold, self._method, worst),
        ]
        table = printed.class_table(self.per_class, self.outlines)
        head = f"{self._title}, pixels counted over all"
        return "\n".join([head, *table, *(f"  {line}" for line in lines)])

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, with what they mean; without the images one by one."""
        document = {
            "split": self.split,
            "images": self.images,
            "resolution": "the images' own size",
            "reduction": "pixels counted over all images; "
            + ("foreground" if self.is_binary else "mean over classes"),
            "void": "left out",
            "absent_classes": "left out of means",
            "threshold": self.threshold,
            **plain(self.overall, _DIGITS),
            "intervals": {
                "method": self._method,
                **plain(self.bootstrap),
                **plain(self.intervals, _DIGITS),
            },
            "per_class": {row.pop("name"): row for row in self._class_rows()},
        }
        if self.probabilities is not None:
            error, brier = self.probabilities.calibration_error, self.probabilities.brier
            document["calibration"] = plain({"expected_error": error, "brier": brier}, _DIGITS)
        if self.objects is not None:
            document["objects"] = asdict(self.objects)
        return document

    def _class_rows(self) -> list[dict[str, Any]]:
        rows = [asdict(scores) for scores in self.per_class]
        for name, means in self.outlines.items():
            for row, mean in zip(rows, means.tolist(), strict=True):
                row[name] = mean
        return plain(rows, _DIGITS)

    def to_json(self, path: str | os.PathLike | None = None) -> str:
        """All of it as JSON, from which `load` makes it again; written to `path` if given."""
        text = as_json(self.to_dict(), vars(self))
        if path is not None:
            write_atomically(Path(path), (text + "\n").encode())
        return text

    @classmethod
    def load(
        cls,
        path: str | os.PathLike,  # what `to_json` wrote, or the folder of `save`
    ) -> "Evaluation":
        """Read an evaluation. Raises `EvaluationError` where there is none, or it is damaged."""
        return cls(**fields_in(path))

    def to_frame(self) -> "pd.DataFrame":
        """A row per image: its scores, and the pixels of each class by outcome."""
        import pandas as pd

        columns = {
            "image": self.names,
            "group": self.groups,
            "pixels": self.pixels,
            **self.per_image,
        }
        for index, name in enumerate(self.classes):
            for outcome, counts in self.outcomes._asdict().items():
                columns[f"{name} {outcome}"] = counts[:, index]
            if self.boundary is not None:
                values = zip(BOUNDARY, self.boundary[:, index].T, strict=True)
                columns |= {f"{name} {measure}": column for measure, column in values}
        return pd.DataFrame(columns)

    def per_class_frame(self) -> "pd.DataFrame":
        """A row per class: scores, intervals as two columns each, pixels, images."""
        import pandas as pd

        rows = self._class_rows()
        for row in rows:
            for name in ("dice", "iou"):
                interval = row.pop(f"{name}_interval") or (None, None)
                row[f"{name}_low"], row[f"{name}_high"] = interval
        return pd.DataFrame(rows)

    def plot(self) -> "Figure":
        """Confusion, classes, images and probabilities as one matplotlib figure."""
        from fastunet.evaluation import plots  # needs matplotlib

        dice, mean = self.per_image["dice"], self.overall["dice_per_image"]
        panels = [
            partial(plots.confusion_panel, self.confusion, self.classes),
            partial(plots.class_panel, self.per_class, self.bootstrap.confidence),
            partial(plots.image_panel, dice, mean),
        ]
        if self.probabilities is not None:
            panels.append(partial(plots.reliability_panel, self.probabilities))
            if curve := self.probabilities.threshold_dice:
                panels.append(partial(plots.threshold_panel, curve, self.threshold))
        return plots.draw(self._title, panels, height=0.22 * len(self.classes))

    @property
    def _title(self) -> str:
        return f"{self.split}: {plural(self.images, 'image')} at their own size"

    def save(
        self,
        folder: str | os.PathLike,  # made where it is missing
    ) -> Path:
        """Write evaluation.json, per_image.csv, per_class.csv and evaluation.png.

        Each is written whole or not at all.
        """
        from fastunet.evaluation.plots import as_png  # needs matplotlib

        folder = make_folder(Path(folder))
        json_file, per_image, per_class, picture = files_in(folder)
        self.to_json(json_file)
        write_atomically(per_image, as_csv(self.to_frame()))
        write_atomically(per_class, as_csv(self.per_class_frame()))
        write_atomically(picture, as_png(self.plot()))
        return folder
