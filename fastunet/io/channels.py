"""How many channels an image has, and in which number type."""

from typing import Literal

import numpy as np

from fastunet.errors import ImageReadError

_WHITE = 255  # of 8 bits


def channels_last(array: np.ndarray) -> np.ndarray:
    """(C, H, W) as (H, W, C), where the first side is by far the shortest."""
    if array.ndim == 3 and 4 * array.shape[0] <= min(array.shape[1:]):
        return np.moveaxis(array, 0, -1)
    return array


def plain(image: np.ndarray) -> np.ndarray:  # (H, W[, C])
    """(H, W, C) in memory order, in a number type of this machine that OpenCV resizes."""
    if image.dtype == bool:
        image = image.astype(np.uint8) * _WHITE
    elif image.dtype == np.float16:
        image = image.astype(np.float32)
    if image.ndim == 2:
        image = image[:, :, None]
    return np.ascontiguousarray(image, image.dtype.newbyteorder("="))


def is_grey(image: np.ndarray) -> bool:  # image: (H, W, C)
    """Whether a picture holds no colour, also where grey is stored as RGB."""
    return image.shape[2] == 1 or (
        image.shape[2] == 3
        and np.array_equal(image[..., 0], image[..., 1])
        and np.array_equal(image[..., 0], image[..., 2])
    )


def with_channels(
    image: np.ndarray,  # (H, W, C)
    channels: int,  # how many are wanted
    name: object = "the image",  # for the error message
) -> np.ndarray:  # (H, W, channels)
    """Grey to colour, colour to grey, alpha dropped; anything else is an `ImageReadError`."""
    have = image.shape[2]
    if have == channels:
        return image
    if have == 1 and channels == 3:
        return np.repeat(image, 3, axis=2)
    if have in (3, 4) and channels == 1:
        grey = image[..., :3] @ np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
        if np.issubdtype(image.dtype, np.integer):
            grey = np.rint(grey)
        return grey.astype(image.dtype)[:, :, None]
    if have == 4 and channels == 3:
        return np.ascontiguousarray(image[..., :3])
    first = image.shape[0] == channels and image.shape[0] < min(image.shape[1:])
    raise ImageReadError(
        f"{name}: {have} channels were found where {channels} are expected."
        + (" Do they come first? np.moveaxis(image, 0, -1) puts them last." if first else "")
    )


def full_scale(
    image: np.ndarray,  # (H, W, C)
    to: Literal["uint8", "float"],  # 0..255, or 1 for full scale
    name: object = "the image",  # for the error message
) -> np.ndarray:
    """The same picture in another number type.

    Integers of 8 and 16 bits have the largest value of their type as full scale. To "uint8",
    floats between 0 and 1 have 1; floats up to 255, and integers of more bits, are 0..255 already
    and rounded. Raises `ImageReadError` for any other values, whose full scale nobody can know.
    """
    integer = np.issubdtype(image.dtype, np.integer)
    if to == "float":
        pixels = image.astype(np.float32)
        return pixels / np.iinfo(image.dtype).max if integer else pixels
    if image.dtype == np.uint8:
        return image
    low, high = float(image.min()), float(image.max())
    if integer and image.dtype.itemsize <= 2 and low >= 0:
        per_level = _WHITE / np.iinfo(image.dtype).max
        return (image.astype(np.float32) * per_level + 0.5).astype(np.uint8)
    rounding = 0 if integer else 0.001  # of resampling and the like
    if low < -rounding or high > _WHITE * (1 + rounding):
        raise ImageReadError(
            f"{name}: a {image.dtype} image with values {low:g}..{high:g} was given where 8-bit "
            "ones are expected. Scale it to 0..255"
            + ("." if integer else ", or to 0..1. Is it normalised already? fastunet does that.")
        )
    scale = _WHITE if not integer and high <= 1 + rounding else 1
    return np.clip(np.rint(image.astype(np.float32) * scale), 0, _WHITE).astype(np.uint8)
