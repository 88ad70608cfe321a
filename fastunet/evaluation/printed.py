"""Scores as text for a terminal: every number with what it means."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from fastunet.evaluation.bootstrap import Interval
from fastunet.evaluation.score_types import ClassScores, Probabilities
from fastunet.metrics.objects import ObjectCounts

_TITLES = {"hd95": "HD95", "surface_dice": "surf. Dice", "boundary_iou": "bound. IoU"}


def shown(value: float | None, interval: Interval = None) -> str:
    """`0.8123 [0.7911, 0.8301]`; what does not exist is absent."""
    if value is None or value != value:
        return "absent"
    return f"{value:.4f}" + (f" [{interval[0]:.4f}, {interval[1]:.4f}]" if interval else "")


def columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines of a table; the first column is aligned left, the rest right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *rest in rows:
        cells = [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
        yield "  " + "  ".join([first.ljust(widths[0]), *cells])


def class_table(
    classes: Sequence[ClassScores],
    outlines: Mapping[str, np.ndarray],  # name of a measure -> (C,); may be empty
) -> Iterator[str]:
    """A line for each class."""
    titles = ["class", "Dice", "IoU", "prec.", "recall", "spec.", "pixels", "images"]
    rows = [[*titles, *(_TITLES[name] for name in outlines)]]
    for index, row in enumerate(classes):
        rows.append(
            [
                row.name,
                shown(row.dice, row.dice_interval),
                shown(row.iou, row.iou_interval),
                *map(shown, (row.precision, row.recall, row.specificity)),
                f"{row.pixels:,}",
                str(row.images),
                *(shown(means[index]) for means in outlines.values()),
            ]
        )
    return columns(rows)


def overall_lines(
    overall: Mapping[str, float], intervals: Mapping[str, Interval], binary: bool
) -> Iterator[str]:
    """The numbers that stand for all classes, and over what each is a mean."""
    values = {name: shown(value, intervals[name]) for name, value in overall.items()}
    mean = "foreground" if binary else "mean over classes"
    yield f"Dice {values['dice']}, mean IoU {values['mean_iou']} ({mean})"
    yield f"pixel accuracy {values['pixel_accuracy']}"
    if not binary:
        yield f"Dice {values['dice_micro']}, IoU {values['iou_micro']} (classes added up: micro)"
    yield f"Dice {values['dice_per_image']}, IoU {values['iou_per_image']} (mean over images)"


def further_lines(
    probabilities: Probabilities | None, objects: ObjectCounts | None, outlines: bool
) -> Iterator[str]:
    """What else was measured."""
    if probabilities is not None:
        yield (
            f"expected calibration error {shown(probabilities.calibration_error)}, "
            f"Brier score {shown(probabilities.brier)}"
        )
    if objects is not None:
        yield (
            f"objects: {objects.found} of {objects.true} found, {objects.merged} merged, "
            f"{objects.split} split; {objects.invented} of {objects.predicted} invented"
        )
    if outlines:
        yield "outlines: means over images, HD95 in pixels where a class is true and predicted"


def rule_lines(
    threshold: float | None,  # None: the most probable class is taken
    method: str,  # of the intervals
    worst: Sequence[tuple[str, float]],  # images and their Dice
) -> Iterator[str]:
    """How it was decided and counted, and where to look first."""
    decision = "the most probable class"
    if threshold is not None:
        decision = f"foreground above the threshold {threshold:g}"
    yield f"void left out; absent classes left out of means; {decision}"
    yield f"intervals: {method}"
    if worst:
        yield "worst Dice: " + ", ".join(f"{name} {dice:.4f}" for name, dice in worst)
