"""An evaluation as one picture: confusion, classes, images, and what the probabilities are worth.

Colours are of Okabe and Ito's palette, which colour-blind readers can tell apart.
"""

from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fastunet.evaluation.result import Evaluation

_BLUE, _ORANGE, _GREY = "#0072B2", "#D55E00", "#7f7f7f"
_NUMBERED = 12  # classes, up to which the cells of the confusion carry numbers


def plot(evaluation: Evaluation) -> Figure:
    """A panel for each question that the evaluation can answer."""
    panels: list[Callable[[Evaluation, Axes], None]] = [_confusion, _classes, _images]
    if evaluation.probabilities is not None:
        panels.append(_reliability)
        if evaluation.probabilities.threshold_dice:
            panels.append(_thresholds)
    columns = 2 if len(panels) == 4 else 3
    rows = -(-len(panels) // columns)
    height = max(4.0, 0.22 * len(evaluation.classes))
    figure, axes = plt.subplots(
        rows, columns, figsize=(5 * columns, height * rows), squeeze=False, layout="constrained"
    )
    for panel, axis in zip(panels, axes.flat, strict=False):
        panel(evaluation, axis)
    for axis in axes.flat[len(panels) :]:
        axis.set_axis_off()
    several = "" if evaluation.images == 1 else "s"
    figure.suptitle(f"{evaluation.split}: {evaluation.images} image{several} at their own size")
    return figure


def _confusion(evaluation: Evaluation, axis: Axes) -> None:
    """Where the pixels of a true class go: rows sum to 1; a class that is never true is blank."""
    counts = evaluation.confusion
    shares = counts / np.where(counts.sum(1) > 0, counts.sum(1), np.nan)[:, None]
    axis.imshow(shares, cmap="cividis", vmin=0, vmax=1)
    names, places = evaluation.classes, range(len(evaluation.classes))
    axis.set_xticks(places, names, rotation=90 if len(names) > 2 else 0)
    axis.set_yticks(places, names)
    axis.set(xlabel="predicted", ylabel="true", title="Share of the true pixels")
    if len(names) <= _NUMBERED:
        for (row, column), share in np.ndenumerate(shares):
            if not np.isnan(share):
                colour = "black" if share > 0.5 else "white"
                axis.text(column, row, f"{share:.2f}", ha="center", va="center", color=colour,
                          fontsize=11 - 0.5 * len(names))  # fmt: skip


def _classes(evaluation: Evaluation, axis: Axes) -> None:
    rows = evaluation.per_class
    places = np.arange(len(rows))
    axis.barh(places, [0 if np.isnan(row.iou) else row.iou for row in rows], color=_BLUE)
    for place, row in zip(places, rows, strict=True):
        if row.iou_interval is not None:
            axis.plot(row.iou_interval, (place, place), color=_ORANGE, linewidth=2.5)
        if np.isnan(row.iou):
            axis.text(0.01, place, "absent", va="center", color=_GREY)
    axis.set_yticks(places, [row.name for row in rows])
    axis.invert_yaxis()
    spread = any(row.iou_interval is not None for row in rows)
    title = "IoU by class" + (
        f", {100 * evaluation.bootstrap.confidence:g} % intervals" if spread else ""
    )
    axis.set(xlim=(0, 1), xlabel="IoU", title=title)


def _images(evaluation: Evaluation, axis: Axes) -> None:
    dice = evaluation.per_image["dice"]
    axis.hist(dice[~np.isnan(dice)], bins=20, range=(0, 1), color=_BLUE)
    if not np.isnan(evaluation.overall["dice_per_image"]):
        axis.axvline(evaluation.overall["dice_per_image"], color=_ORANGE, label="mean")
        axis.legend()
    axis.set(xlabel="Dice of an image", ylabel="images", title="Images one by one")


def _reliability(evaluation: Evaluation, axis: Axes) -> None:
    found = evaluation.probabilities
    known = [i for i, value in enumerate(found.bin_confidence) if value is not None]
    axis.plot((0, 1), (0, 1), color=_GREY, linestyle="--", label="as probable as right")
    axis.plot(
        [found.bin_confidence[i] for i in known],
        [found.bin_accuracy[i] for i in known],
        color=_BLUE, marker="o", label="this model",
    )  # fmt: skip
    axis.set(
        xlim=(0, 1.02), ylim=(0, 1.02), xlabel="confidence of a pixel", ylabel="share right",
        title=f"Reliability: expected error {found.calibration_error:.4f}",
    )  # fmt: skip
    axis.legend(loc="upper left")


def _thresholds(evaluation: Evaluation, axis: Axes) -> None:
    dice = [np.nan if value is None else value for value in evaluation.probabilities.threshold_dice]
    axis.plot(np.arange(len(dice)) / len(dice), dice, color=_BLUE)
    if evaluation.threshold is not None:
        axis.axvline(
            evaluation.threshold, color=_ORANGE, label=f"in use: {evaluation.threshold:g}"
        )  # fmt: skip
        axis.legend()
    axis.set(xlim=(0, 1), ylim=(0, 1), xlabel="threshold", ylabel="Dice", title="Threshold")
