"""Masks as stacks of bands, one per class: which band is set becomes one value per pixel."""

from pathlib import Path

import numpy as np

from fastunet.errors import MaskValueError
from fastunet.labels import VOID

NO_BAND = VOID  # the value of a pixel that no band claims
MAX_BANDS = 254


def is_stack(array: np.ndarray) -> bool:
    """Whether a 3-D array is a stack of bands rather than colours.

    Three or four bands of bytes are colours, unless they are 0 and 1 with a pixel in one band only.
    """
    if array.shape[2] not in (3, 4) or array.dtype != np.uint8:
        return True
    return array.max() == 1 and bool((array.sum(axis=2) == 1).any())


def band_indices(
    bands: np.ndarray,  # (H, W, N): bool, 0 and 1, or 0 and one other value
    path: Path,  # for the error message
    pages: bool = False,  # the bands are the pages of a TIFF
) -> np.ndarray:  # (H, W) uint8, `NO_BAND` where no band is set
    """The band that is set at each pixel.

    Raises `MaskValueError` where several are set, or where the bands hold more than two values.
    """
    n, high = bands.shape[2], bands.max()
    advice = _cut_into_pages(path, n) if pages else _CUT_INTO_ARRAYS
    if n > MAX_BANDS or bands.min() < 0 or not np.isin(bands, (0, high)).all():
        raise MaskValueError(
            f"{path}: a {bands.dtype} array of shape {bands.shape} with values "
            f"{bands.min()}..{high} is not a mask. Expected: (H, W) class values, (H, W, 3) 8-bit "
            f"colours, or one band per class with 0 and 1 ({MAX_BANDS} bands at most). {advice}"
        )
    is_set = bands > 0
    times = is_set.sum(axis=2, dtype=np.uint8)
    if times.max() > 1:
        what = "pages" if pages else "bands"
        raise MaskValueError(
            f"{path}: {np.count_nonzero(times > 1)} pixels are set in several of the {n} {what}, "
            f"so they are not one class each. {advice} If the {what} are "
            "classes, decide which lies on top, and save that."
        )
    return np.where(times == 0, np.uint8(NO_BAND), is_set.argmax(axis=2).astype(np.uint8))


_CUT_INTO_ARRAYS = (
    "If these are slices of a stack, save each slice as a file of its own, and its image alike."
)


def _cut_into_pages(path: Path, n: int) -> str:
    """What to do with a stack of slices in one file."""
    return (
        f"This looks like a stack of {n} slices. Cut it, and its image alike, into one file per "
        f'slice: python -m fastunet.io.cut_stack "{path}" cut/masks (the image '
        "into cut/images); then use cut."
    )
