"""Where the tiles of a large image lie.

Validation counts each pixel once; prediction blends the tiles where they overlap.
"""

import math

import cv2
import numpy as np


def starts(
    length: int,  # of the image, pixels
    tile: int,  # of a tile, pixels
    overlap: float = 0.0,  # share of a tile, at least, that its neighbour covers too
) -> list[int]:
    """Where tiles begin along one side, evenly spread; one at 0 where the image is smaller."""
    if length <= tile:
        return [0]
    step = max(1, int(tile * (1 - overlap)))
    count = math.ceil((length - tile) / step) + 1
    return [round(i * (length - tile) / (count - 1)) for i in range(count)]


def grid(
    size: tuple[int, int],  # (height, width) of the image
    tile: tuple[int, int],  # (height, width) of a tile
    overlap: float = 0.0,
) -> list[tuple[int, int, int, int]]:  # top, left; bottom, right of the part that is its own
    """Tiles that cover an image, row by row. Their own parts cover it without overlap."""
    rows, columns = (starts(*sides, overlap) for sides in zip(size, tile, strict=True))
    return [
        (top, left, bottom, right)
        for top, bottom in zip(rows, [*rows[1:], size[0]], strict=True)
        for left, right in zip(columns, [*columns[1:], size[1]], strict=True)
    ]


def pad(
    image: np.ndarray,  # (H, W, C)
    missing: tuple[int, int],  # rows below, columns to the right
) -> np.ndarray:
    """The image continued by its mirror image, as training views see it beyond the edge."""
    if not any(missing):
        return image
    down, right = missing
    whole = np.ascontiguousarray(image)
    padded = cv2.copyMakeBorder(whole, 0, down, 0, right, cv2.BORDER_REFLECT_101)
    return padded.reshape(*padded.shape[:2], -1)
