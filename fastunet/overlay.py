"""How an image and its mask are drawn: a picture of any bands, and classes or errors over it."""

from collections.abc import Iterable, Sequence

import numpy as np

from fastunet.labels import VOID
from fastunet.masks.codec import MaskCodec

_OPACITY = 0.5
_BANDS = {12: (3, 2, 1), 13: (3, 2, 1)}  # Sentinel-2: B4, B3, B2

Colour = tuple[int, int, int]

MISSED: Colour = (86, 180, 233)  # of Okabe and Ito's palette, which colour-blind readers can tell
INVENTED: Colour = (230, 159, 0)
WRONG: Colour = (213, 94, 0)
VOID_COLOUR: Colour = (255, 255, 255)  # as `MaskCodec.decode` has it
_SURE, _FAINT, _DIM = 230, 100, 130  # opacity, of 255: errors; what was found; all that is right


def picture(
    image: np.ndarray,  # (H, W, C), uint8, or float with 1 as full scale
    bands: Sequence[int] | None = None,  # one or three of the channels; None: a sensible choice
) -> np.ndarray:  # (H, W, 3) uint8
    """Any image as a picture to look at; of many bands three are shown, each stretched.

    Of 12 or 13 bands these are red, green and blue of Sentinel-2. Of others they are the first
    three; of two bands the first is shown in grey.
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


def class_layer(
    mask: np.ndarray,  # (H, W) class indices
    codec: MaskCodec,
) -> np.ndarray:  # (H, W, 4) uint8, colour and opacity
    """The classes in colour, half transparent; void is white.

    Where there are two classes, one that is drawn in black is left clear: it is the background.
    """
    colours = codec.decode(mask)
    painted = (mask == VOID) | colours.any(axis=2) | (codec.task == "multiclass")
    return np.dstack([colours, painted * np.uint8(255 * _OPACITY + 0.5)])


def error_layer(
    truth: np.ndarray,  # (H, W) class indices
    prediction: np.ndarray,  # (H, W) class indices
    codec: MaskCodec,
) -> np.ndarray:  # (H, W, 4) uint8, colour and opacity
    """Where a prediction is wrong, in bright colours; what is right is dark.

    Two classes: what was missed and what was invented have a colour each, and what was found is
    lighter than the rest. Void, which does not count, is left as it is.
    """
    shown = np.zeros((*truth.shape, 4), np.uint8)
    shown[..., 3] = _DIM
    wrong = truth != prediction
    if codec.task == "binary":
        shown[(truth == 1) & ~wrong] = (255, 255, 255, _FAINT)
        shown[(truth == 1) & wrong] = (*MISSED, _SURE)
        shown[(truth == 0) & wrong] = (*INVENTED, _SURE)
    else:
        shown[wrong] = (*WRONG, _SURE)
    shown[truth == VOID] = 0
    return shown


def over(
    base: np.ndarray,  # (H, W, 3) uint8
    layer: np.ndarray,  # (H, W, 4) uint8
) -> np.ndarray:  # (H, W, 3) uint8
    """A picture with a layer over it."""
    opacity = layer[..., 3:].astype(np.float32) / 255
    return (base * (1 - opacity) + layer[..., :3] * opacity).astype(np.uint8)


def overlay(
    image: np.ndarray,  # (H, W, C)
    mask: np.ndarray,  # (H, W) class indices
    codec: MaskCodec,
    bands: Sequence[int] | None = None,  # as in `picture`
) -> np.ndarray:  # (H, W, 3) uint8
    """The image with its classes in colour, as `class_layer` has them."""
    return over(picture(image, bands), class_layer(mask, codec))


def class_legend(
    codec: MaskCodec,
    masks: Iterable[np.ndarray],  # (H, W) class indices each
) -> list[tuple[str, Colour]]:
    """The classes that are painted in the masks and their colours, by index; void last."""
    present = set().union(*(np.unique(mask).tolist() for mask in masks))
    colours = [(int(r), int(g), int(b)) for r, g, b in codec.colours]
    entries = list(zip(codec.classes, colours, strict=True))
    shown = [
        entry
        for index, entry in enumerate(entries)
        if index in present and (any(entry[1]) or codec.task == "multiclass")
    ]
    return [*shown, ("void", VOID_COLOUR)] if VOID in present else shown


def error_legend(codec: MaskCodec) -> list[tuple[str, Colour]]:
    """What the colours of `error_layer` mean."""
    if codec.task == "binary":
        return [("missed", MISSED), ("invented", INVENTED)]
    return [("wrong class", WRONG)]
