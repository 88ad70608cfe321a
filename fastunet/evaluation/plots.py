"""Scores as one picture, a panel for each question: where pixels go, classes, images, and so on.

Colours are of Okabe and Ito's palette, which colour-blind readers can tell apart.
"""

import io
from collections.abc import Callable, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fastunet.evaluation.score_types import ClassScores, Probabilities

_BLUE, _ORANGE, _GREY = "#0072B2", "#D55E00", "#7f7f7f"
_NUMBERED = 12  # with more classes the cells of the confusion have no numbers


def draw(
    title: str,
    panels: Sequence[Callable[[Axes], None]],
    height: float = 4.0,  # of a panel, inches; 4 at least
) -> Figure:
    """The panels in two or three columns."""
    columns = 2 if len(panels) == 4 else 3
    rows = -(-len(panels) // columns)
    figsize = (5 * columns, max(4.0, height) * rows)
    figure, axes = plt.subplots(rows, columns, figsize=figsize, squeeze=False, layout="constrained")
    for panel, axis in zip(panels, axes.flat, strict=False):
        panel(axis)
    for axis in axes.flat[len(panels) :]:
        axis.set_axis_off()
    figure.suptitle(title)
    return figure


def as_png(figure: Figure) -> bytes:
    """The picture as a file; the figure is closed."""
    picture = io.BytesIO()
    figure.savefig(picture, dpi=100, format="png")
    plt.close(figure)
    return picture.getvalue()


def confusion_panel(
    counts: np.ndarray,  # (C, C) pixels, rows are the truth
    names: Sequence[str],  # of the classes
    axis: Axes,
) -> None:
    """Where the pixels of a true class go: rows sum to 1; a class that is never true is blank."""
    shares = counts / np.where(counts.sum(1) > 0, counts.sum(1), np.nan)[:, None]
    axis.imshow(shares, cmap="cividis", vmin=0, vmax=1)
    ticks = range(len(names))
    axis.set_xticks(ticks, names, rotation=90 if len(names) > 2 else 0)
    axis.set_yticks(ticks, names)
    axis.set(xlabel="predicted", ylabel="true", title="Share of the true pixels")
    if len(names) > _NUMBERED:
        return
    size = 11 - 0.5 * len(names)
    for row, column in np.argwhere(~np.isnan(shares)).tolist():
        share = shares[row, column]
        colour = "black" if share > 0.5 else "white"
        text = f"{share:.2f}"
        axis.text(column, row, text, ha="center", va="center", color=colour, fontsize=size)


def class_panel(
    classes: Sequence[ClassScores],
    confidence: float,  # of the intervals
    axis: Axes,
) -> None:
    """The IoU of each class with its interval."""
    heights = range(len(classes))
    axis.barh(heights, [np.nan_to_num(row.iou) for row in classes], color=_BLUE)
    title = "IoU by class"
    for height, row in zip(heights, classes, strict=True):
        if row.iou_interval is not None:
            axis.plot(row.iou_interval, (height, height), color=_ORANGE, linewidth=2.5)
            title = f"IoU by class, {100 * confidence:g} % intervals"
        if np.isnan(row.iou):
            axis.text(0.01, height, "absent", va="center", color=_GREY)
    axis.set_yticks(heights, [row.name for row in classes])
    axis.invert_yaxis()
    axis.set(xlim=(0, 1), xlabel="IoU", title=title)


def image_panel(
    dice: np.ndarray,  # (N,) of each image; nan where it has none
    mean: float,  # nan: none has any
    axis: Axes,
) -> None:
    """How the images spread."""
    axis.hist(dice[~np.isnan(dice)], bins=20, range=(0, 1), color=_BLUE)
    if not np.isnan(mean):
        axis.axvline(mean, color=_ORANGE, label="mean")
        axis.legend()
    axis.set(xlabel="Dice of an image", ylabel="images", title="Images one by one")


def reliability_panel(probabilities: Probabilities, axis: Axes) -> None:
    """Confidence against accuracy, bin by bin; empty bins are passed over."""
    points = np.array([probabilities.bin_confidence, probabilities.bin_accuracy], float)
    axis.plot((0, 1), (0, 1), color=_GREY, linestyle="--", label="as probable as right")
    confidence, accuracy = points[:, ~np.isnan(points[0])]
    axis.plot(confidence, accuracy, color=_BLUE, marker="o", label="this model")
    title = f"Reliability: expected error {probabilities.calibration_error:.4f}"
    axis.set(xlabel="confidence of a pixel", ylabel="share right", title=title)
    axis.set(xlim=(0, 1.02), ylim=(0, 1.02))
    axis.legend(loc="upper left")


def threshold_panel(
    dice: Sequence[float | None],  # at 0, 1/n, ... (n - 1)/n; None: there is no foreground
    threshold: float | None,  # that is in use
    axis: Axes,
) -> None:
    """What Dice another threshold would give."""
    axis.plot(np.arange(len(dice)) / len(dice), np.array(dice, float), color=_BLUE)
    if threshold is not None:
        axis.axvline(threshold, color=_ORANGE, label=f"in use: {threshold:g}")
        axis.legend()
    axis.set(xlim=(0, 1), ylim=(0, 1), xlabel="threshold", ylabel="Dice", title="Threshold")
