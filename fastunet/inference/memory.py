"""Whether an image fits into memory, asked before the system ends the program for it."""

import os
from math import prod

import numpy as np
import psutil

from fastunet.errors import ImageReadError
from fastunet.io.channel_files import ChannelFiles
from fastunet.io.images import image_sizes
from fastunet.io.sources import Source, as_image, name_of
from fastunet.preprocess import Preprocess

_INDEX_BYTES = 9  # of a pixel while its class is decided: an int64, then a byte


def check_memory(
    source: Source,  # of files only the headers are read
    preprocess: Preprocess,
    n_out: int,  # channels of the network's output
) -> None:
    """Raise `ImageReadError` where the probabilities of an image need more memory than is free."""
    if isinstance(source, bytes | bytearray | memoryview) or hasattr(source, "read"):
        return  # without a file there is no header to look at
    file = source[0] if isinstance(source, ChannelFiles) and source else source
    if isinstance(file, str | os.PathLike):
        height, width = image_sizes(file)[0]
    elif isinstance(source, np.ndarray) and source.ndim >= 2:
        height, width = source.shape[:2]
    else:
        height, width = as_image(source).shape[:2]
    name = name_of(source)
    seen = prod(preprocess.seen_size((height, width)))
    need = height * width * bytes_per_pixel(preprocess, n_out)
    need += 4 * seen * (preprocess.channels + n_out)  # what the network is given, and gives
    free = psutil.virtual_memory().available
    if need > free:
        raise ImageReadError(
            f"{name}: the {n_out} class probabilities of {width}x{height} pixels (width x height) "
            f"need about {_gigabytes(need)} of memory; {_gigabytes(free)} are free. Cut the image "
            "into parts, or take a machine with more memory."
        )


def bytes_per_pixel(preprocess: Preprocess, n_out: int) -> int:
    """Of the image as read and as prepared, its probabilities and its classes, all held at once."""
    image = preprocess.channels * (2 if preprocess.values == "uint8" else 8)
    copies = 1 if preprocess.sees_whole else 2  # sums over tiles, then the means
    weights = 0 if preprocess.sees_whole else 4
    return image + 4 * n_out * copies + weights + _INDEX_BYTES


def _gigabytes(n_bytes: float) -> str:
    return f"{n_bytes / 1e9:,.1f} GB"
