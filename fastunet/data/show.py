"""How pairs and predictions are drawn: rows of images beside their overlays, and a legend."""

from collections.abc import Sequence

import numpy as np
import torch

from fastunet.labels import VOID
from fastunet.masks.codec import MaskCodec
from fastunet.metrics import scores
from fastunet.overlay import Colour, class_legend, overlay, picture

_MAX_LEGEND = 24
_DPI = 80  # of the pictures that a run writes; a pixel of the image is one of the figure
_LEAST, _MOST = 2.5, 8.0  # inches of a panel
_TITLE = 0.4  # inches of a title
_LETTER, _SWATCH, _LINE = 0.09, 0.5, 0.25  # inches in a legend


def show_pairs(
    images: Sequence[np.ndarray],  # (H, W, C) each
    masks: Sequence[np.ndarray],  # (H, W) class indices each
    codec: MaskCodec,
    columns: int | None = None,  # pairs beside each other
    figsize: tuple[float, float] | None = None,  # inches
    bands: Sequence[int] | None = None,  # as in `picture`
):
    """A grid of images, each with its overlay beside it, and a legend. Returns the figure."""
    columns = columns or min(2, len(images))
    rows = -(-len(images) // columns)
    legend = class_legend(codec, masks)
    figure, axes = _grid(rows, 2 * columns, figsize, images, legend)
    pairs = axes.reshape(-1, 2)
    for (left, right), image, mask in zip(pairs, images, masks, strict=False):
        left.imshow(picture(image, bands))
        right.imshow(overlay(image, mask, codec, bands))
    return figure


def show_predictions(
    images: Sequence[np.ndarray],  # (H, W, C) each
    truths: Sequence[np.ndarray],  # (H, W) class indices each
    predictions: Sequence[np.ndarray],  # (H, W) class indices each
    codec: MaskCodec,
    figsize: tuple[float, float] | None = None,  # inches
    bands: Sequence[int] | None = None,  # as in `picture`
    losses: Sequence[float] | None = None,  # of each prediction, to be written over it
):
    """Image, ground truth and prediction side by side, a row each with its Dice, and a legend.

    Dice is that of the foreground, or the mean over the classes of the row where there are more
    than two. Returns the matplotlib figure.
    """
    legend = class_legend(codec, [*truths, *predictions])
    figure, axes = _grid(len(images), 3, figsize, images, legend, above=_TITLE)
    for axis, title in zip(axes[0], ("image", "ground truth", "prediction"), strict=True):
        axis.set_title(title)
    for row, image, truth, prediction in zip(axes, images, truths, predictions, strict=True):
        row[0].imshow(picture(image, bands))
        row[1].imshow(overlay(image, truth, codec, bands))
        row[2].imshow(overlay(image, prediction, codec, bands))
    written = [f"loss {loss:.4f}, " for loss in losses] if losses else [""] * len(images)
    for axis, loss, truth, prediction in zip(
        axes[:, 2], written, truths, predictions, strict=False
    ):
        dice = _dice(truth, prediction, len(codec.classes))
        scored = "nothing to find" if np.isnan(dice) else f"Dice {dice:.3f}"
        axis.set_title(f"{axis.get_title()}\n{loss}{scored}".strip())
    return figure


def _dice(truth: np.ndarray, prediction: np.ndarray, classes: int) -> float:
    """As `Evaluation.per_image` has it; nan where no class that counts is true or predicted."""
    counted = (truth != VOID) & (prediction != VOID)
    cells = truth[counted].astype(np.int64) * classes + prediction[counted]
    counts = torch.from_numpy(np.bincount(cells, minlength=classes**2)).view(classes, classes)
    each = scores.dice(counts)
    return float((each[1:] if classes == 2 else each).nanmean())


def _grid(
    rows: int,
    columns: int,
    figsize: tuple[float, float] | None,
    images: Sequence[np.ndarray],  # what the panels are to hold
    legend: Sequence[tuple[str, Colour]],
    above: float = 0.1,  # inches over a panel
):
    """Panels as large as the images, pixel by pixel as far as that is sensible, over a legend."""
    import matplotlib.pyplot as plt
    from matplotlib.patches import Patch

    height = max(image.shape[0] for image in images)
    width = max(image.shape[1] for image in images)
    wide = min(max(width / _DPI, _LEAST), _MOST)
    shown = [(name, tuple(np.array(colour) / 255)) for name, colour in legend[:_MAX_LEGEND]]
    if len(legend) > _MAX_LEGEND:
        shown.append((f"and {len(legend) - _MAX_LEGEND} more", (0.0, 0.0, 0.0, 0.0)))
    longest = max((len(name) for name, _ in shown), default=0)
    across = figsize[0] if figsize else wide * columns
    beside = max(1, min(6, int(across / (_SWATCH + _LETTER * longest))))
    lines = -(-len(shown) // beside)
    figsize = figsize or (across, (wide * height / width + above) * rows + _LINE * lines + 0.2)
    figure, axes = plt.subplots(rows, columns, figsize=figsize, squeeze=False, layout="constrained")
    for axis in axes.flat:
        axis.set_axis_off()
    entries = [Patch(facecolor=colour, edgecolor="grey", label=name) for name, colour in shown]
    figure.legend(handles=entries, loc="outside lower center", ncols=beside)
    return figure, axes
