"""How an image and its mask are drawn: a picture of any bands, and classes in colour over it."""

from collections.abc import Sequence

import numpy as np

from fastunet.labels import VOID
from fastunet.masks.codec import MaskCodec

_OPACITY = 0.5
_BANDS = {12: (3, 2, 1), 13: (3, 2, 1)}  # Sentinel-2: B4, B3, B2


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
