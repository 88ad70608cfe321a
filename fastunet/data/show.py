"""How an image and its mask are drawn: overlays, grids and a legend of the classes."""

from collections.abc import Sequence

import numpy as np

from fastunet.data.masks import VOID, MaskCodec

_OPACITY = 0.5
_MAX_LEGEND = 24
_BANDS = {12: (3, 2, 1), 13: (3, 2, 1)}  # Sentinel-2: B4, B3, B2


def picture(
    image: np.ndarray,  # (H, W, C), uint8, or float with 1 as full scale
    bands: Sequence[int] | None = None,  # one or three of the channels; None: a sensible choice
) -> np.ndarray:  # (H, W, 3) uint8
    """Any image as something to look at; of many bands three, each stretched.

    Of 12 or 13 bands these are red, green and blue of Sentinel-2; otherwise the first three, or
    the first where there are two.
    """
    channels = image.shape[2]
    if bands is not None:
        image = image[..., list(bands)]
    elif channels not in (1, 3):
        image = image[..., list(_BANDS.get(channels, (0, 1, 2) if channels > 3 else (0,)))]
    if image.dtype != np.uint8 or channels not in (1, 3):
        image = image.astype(np.float32)
        if channels > 3 or image.min() < 0 or image.max() > 1:
            low, high = np.nanpercentile(image, (2, 98), axis=(0, 1))
            image = (image - low) / np.maximum(high - low, 1e-6)
        image = (np.clip(np.nan_to_num(image), 0, 1) * 255 + 0.5).astype(np.uint8)
    return np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image


def overlay(
    image: np.ndarray,  # (H, W, C)
    mask: np.ndarray,  # (H, W) class indices
    codec: MaskCodec,
    bands: Sequence[int] | None = None,  # as in `picture`
) -> np.ndarray:  # (H, W, 3) uint8
    """The image with its classes in colour. A class drawn in black is left clear; void is white."""
    base = picture(image, bands)
    colours = codec.decode(mask)
    painted = (mask == VOID) | colours.any(axis=2)
    mixed = base * (1 - _OPACITY) + colours * _OPACITY
    return np.where(painted[..., None], mixed, base).astype(np.uint8)


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
        Patch(facecolor=np.array(colour) / 255, edgecolor="grey", label=name)
        for index, (name, colour) in enumerate(zip(codec.classes, codec.colours, strict=True))
        if index in present
    ][:_MAX_LEGEND]
    if VOID in present:
        entries.append(Patch(facecolor="white", edgecolor="grey", label="void"))
    figure.legend(handles=entries, loc="outside lower center", ncols=min(6, len(entries)))
