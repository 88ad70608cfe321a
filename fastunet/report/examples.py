"""The images that a reader should see: the worst, the median and the best, at full resolution."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from fastunet.labels import VOID
from fastunet.masks.codec import MaskCodec
from fastunet.overlay import Colour, class_layer, class_legend, error_layer, picture

Rank = Literal["worst", "median", "best", "suspected"]

_WHOLE = 2_500_000  # pixels of an image that is shown as a whole
_SIDE = 1024  # pixels a side of the window that is shown of others
_BYTES = 2_700_000  # of all pictures together; as text in the page they are a third more
_QUALITIES = (88, 75, 60)  # of the picture as WebP, from good to sufficient
_LEAST = 64  # pixels a side that are always left
_LOSSLESS = 101  # for WebP in OpenCV
_LEGEND = 30  # classes
_HIGH, _DARK, _MOST = 99.5, 100, 20  # percentile; a picture in which it is below; times at most


@dataclass(frozen=True)
class Example:
    """One image: the picture once, and three layers to lie over it."""

    rank: Rank
    name: str
    said: str  # of it, such as its Dice
    size: tuple[int, int]  # height and width of what is shown
    picture: str  # data URL, as the layers
    truth: str
    prediction: str
    errors: str
    note: str  # what is not shown of it; "" where all is
    legend: Sequence[tuple[str, Colour]]
    more_classes: int  # that the legend has no room for


def chosen(
    dice: np.ndarray,  # (N,) of each image; nan where it has none
    counts: tuple[int, int, int] = (3, 2, 2),  # of the worst, the median and the best, at most
) -> list[tuple[Rank, int]]:
    """Which images are shown: the ranks and indices, the very worst, median and best first."""
    order = [int(i) for i in dice.argsort(kind="stable") if not np.isnan(dice[i])]
    middle = sorted(order, key=lambda i: abs(order.index(i) - (len(order) - 1) / 2))
    wanted: dict[Rank, list[int]] = {"worst": order, "median": middle, "best": order[::-1]}
    taken: dict[int, Rank] = {}
    for turn in range(max(counts)):
        for (rank, candidates), count in zip(wanted.items(), counts, strict=True):
            free = [i for i in candidates if i not in taken]
            if turn < count and free:
                taken[free[0]] = rank
    return [(rank, index) for index, rank in taken.items()]


def draw(
    rank: Rank,
    name: str,
    said: str,  # such as its Dice
    image: np.ndarray,  # (H, W, C)
    truth: np.ndarray,  # (H, W) class indices
    prediction: np.ndarray,  # (H, W) class indices
    codec: MaskCodec,
    bytes_each: int = _BYTES // 7,  # that the pictures may have
) -> Example:
    """The example of an image. Of a large one the window with the most errors is shown."""
    height, width = truth.shape
    rows, columns = _window((truth != prediction) & (truth != VOID))
    image, truth, prediction = (a[rows, columns] for a in (image, truth, prediction))
    notes = []
    if truth.shape != (height, width):
        notes.append(
            f"is the part of {truth.shape[0]} x {truth.shape[1]} pixels with the most errors, from "
            f"row {rows.start} and column {columns.start}, of {height} x {width}"
        )
    layers = [
        class_layer(truth, codec),
        class_layer(prediction, codec),
        error_layer(truth, prediction, codec),
    ]
    base, times = _brightened(picture(image))
    if times > 1:
        notes.append(f"{times:.1f} times as bright as in the file")
    shown, scale = _encoded(base, layers, bytes_each)
    if scale < 1:
        notes.append(f"at {100 * scale:.0f} % of its resolution")
    legend = class_legend(codec, [truth, prediction])
    seen, true, predicted, wrong = map(_as_url, shown)
    return Example(
        rank,
        name,
        said,
        size=truth.shape,
        picture=seen,
        truth=true,
        prediction=predicted,
        errors=wrong,
        note="Shown " + ", ".join(notes) + "." if notes else "",
        legend=legend[:_LEGEND],
        more_classes=max(0, len(legend) - _LEGEND),
    )


def _brightened(
    base: np.ndarray,  # (H, W, 3) uint8
) -> tuple[np.ndarray, float]:
    """A dark picture so that something is seen, and by how much it was multiplied."""
    high = float(np.percentile(base[::4, ::4], _HIGH))
    if not 0 < high < _DARK:
        return base, 1.0
    times = 255 / max(high, 255 / _MOST)
    return np.clip(base * np.float32(times), 0, 255).astype(np.uint8), times


def _window(
    wrong: np.ndarray,  # (H, W) bool
) -> tuple[slice, slice]:
    """All rows and columns, or of a large image those of the window with the most errors."""
    height, width = wrong.shape
    if wrong.size <= _WHOLE:
        return slice(0, height), slice(0, width)
    height, width = min(height, _SIDE), min(width, _SIDE)
    sums = cv2.integral(wrong.astype(np.uint8))
    step = 16  # pixels between the windows that are compared
    tops = np.arange(0, wrong.shape[0] - height + 1, step)[:, None]
    lefts = np.arange(0, wrong.shape[1] - width + 1, step)[None]
    inside = (
        sums[tops + height, lefts + width]
        - sums[tops, lefts + width]
        - sums[tops + height, lefts]
        + sums[tops, lefts]
    )
    row, column = np.unravel_index(int(inside.argmax()), inside.shape)
    top, left = int(row) * step, int(column) * step
    return slice(top, top + height), slice(left, left + width)


def around(
    row: int,
    column: int,
    shape: tuple[int, ...],  # (H, W, ...) of an image
    side: int = 256,  # pixels
) -> tuple[slice, slice]:
    """The rows and columns of a square about a place, as far as the image goes."""
    top = min(max(row - side // 2, 0), max(shape[0] - side, 0))
    left = min(max(column - side // 2, 0), max(shape[1] - side, 0))
    return slice(top, top + side), slice(left, left + side)


def _encoded(
    base: np.ndarray,  # (H, W, 3) uint8
    layers: Sequence[np.ndarray],  # (H, W, 4) uint8 each
    limit: int,  # bytes
) -> tuple[list[bytes], float]:
    """The picture and its layers as files, and the share of their resolution that these have.

    The picture loses quality before any of them loses resolution.
    """
    scale = 1.0
    while True:
        flat = [_webp(_resized(one, scale, cv2.INTER_NEAREST), _LOSSLESS) for one in layers]
        small = _resized(base, scale, cv2.INTER_AREA)
        for quality in _QUALITIES:
            files = [_webp(small, quality), *flat]
            if sum(map(len, files)) <= limit or min(small.shape[:2]) < _LEAST:
                return files, scale
        scale *= 0.75


def _resized(pixels: np.ndarray, scale: float, how: int) -> np.ndarray:
    if scale == 1:
        return pixels
    return cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=how)


def _webp(
    pixels: np.ndarray,  # (H, W, 3 or 4) uint8, RGB(A)
    quality: int,
) -> bytes:
    order = [2, 1, 0, 3][: pixels.shape[2]]
    data = cv2.imencode(".webp", pixels[..., order], [cv2.IMWRITE_WEBP_QUALITY, quality])[1]
    return data.tobytes()


def _as_url(data: bytes) -> str:
    return "data:image/webp;base64," + base64.b64encode(data).decode()
