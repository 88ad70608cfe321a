"""How an image and its mask are drawn: overlays, grids and a legend of the classes."""

from collections.abc import Sequence

import numpy as np

from fastunet.labels import VOID
from fastunet.masks.codec import MaskCodec
from fastunet.overlay import overlay, picture

_MAX_LEGEND = 24


def show_pairs(
    images: Sequence[np.ndarray],  # (H, W, C) each
    masks: Sequence[np.ndarray],  # (H, W) class indices each
    codec: MaskCodec,
    columns: int | None = None,
    figsize: tuple[float, float] | None = None,  # inches
    bands: Sequence[int] | None = None,  # as in `picture`
):
    """A grid of overlays with a legend. Returns the matplotlib figure."""
    columns = columns or min(4, len(images))
    rows = -(-len(images) // columns)
    figure, axes = _grid(rows, columns, figsize)
    for axis, image, mask in zip(axes.flat, images, masks, strict=False):
        axis.imshow(overlay(image, mask, codec, bands))
    _legend(figure, codec, masks)
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
    """Image, ground truth and prediction side by side, a row each, with a legend.

    Returns the matplotlib figure.
    """
    figure, axes = _grid(len(images), 3, figsize)
    for axis, title in zip(axes[0], ("image", "ground truth", "prediction"), strict=True):
        axis.set_title(title)
    for row, image, truth, prediction in zip(axes, images, truths, predictions, strict=True):
        row[0].imshow(picture(image, bands))
        row[1].imshow(overlay(image, truth, codec, bands))
        row[2].imshow(overlay(image, prediction, codec, bands))
    for axis, loss in zip(axes[:, 2], losses or (), strict=False):
        axis.set_title(f"{axis.get_title()}\nloss {loss:.4f}".strip())
    _legend(figure, codec, [*truths, *predictions])
    return figure


def _grid(rows: int, columns: int, figsize):
    import matplotlib.pyplot as plt

    figsize = figsize or (3 * columns, 3 * rows + 0.5)
    figure, axes = plt.subplots(rows, columns, figsize=figsize, squeeze=False, layout="constrained")
    for axis in axes.flat:
        axis.set_axis_off()
    return figure, axes


def _legend(figure, codec: MaskCodec, masks: Sequence[np.ndarray]) -> None:
    from matplotlib.patches import Patch

    present = set().union(*(np.unique(mask).tolist() for mask in masks))
    entries = [
        Patch(facecolor=tuple(np.array(colour) / 255), edgecolor="grey", label=name)
        for index, (name, colour) in enumerate(zip(codec.classes, codec.colours, strict=True))
        if index in present
    ][:_MAX_LEGEND]
    if VOID in present:
        entries.append(Patch(facecolor="white", edgecolor="grey", label="void"))
    figure.legend(handles=entries, loc="outside lower center", ncols=min(6, len(entries)))
