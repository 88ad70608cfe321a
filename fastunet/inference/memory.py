"""Whether an image fits into memory, asked before the system ends the program for it."""

import os

import psutil

from fastunet.data.images import image_sizes
from fastunet.errors import ImageReadError
from fastunet.preprocess import Preprocess, Source

_INDEX_BYTES = 9  # of a pixel while its class is decided: an int64, then a byte


def check_memory(
    source: Source,  # files, of which only headers are read, or an array
    preprocess: Preprocess,
    n_out: int,  # channels of the network's output
) -> None:
    """Raise `ImageReadError` where the probabilities of an image need more memory than is free."""
    files = [source] if isinstance(source, str | os.PathLike) else source
    if isinstance(files, list | tuple) and files and isinstance(files[0], str | os.PathLike):
        name, (height, width) = files[0], image_sizes(files[0])[0]
    elif len(shape := getattr(source, "shape", ())) >= 2:
        name, (height, width) = "The image", shape[:2]
    else:
        return
    need = height * width * bytes_per_pixel(preprocess, n_out)
    free = psutil.virtual_memory().available
    if need > free:
        raise ImageReadError(
            f"{name}: the {n_out} class probabilities of {width}x{height} pixels (width x height) "
            f"need about {_spell(need)} of memory; {_spell(free)} are free. Cut the image into "
            "parts, or take a machine with more memory."
        )


def bytes_per_pixel(preprocess: Preprocess, n_out: int) -> int:
    """What is held at the same time: the image as read and prepared, its probabilities, classes."""
    image = preprocess.channels * (2 if preprocess.values == "uint8" else 8)
    copies = 1 if preprocess.policy == "resize" else 2  # sums over tiles, then the means
    weights = 0 if preprocess.policy == "resize" else 4
    return image + 4 * n_out * copies + weights + _INDEX_BYTES


def _spell(n_bytes: float) -> str:
    return f"{n_bytes / 1e9:,.1f} GB"
