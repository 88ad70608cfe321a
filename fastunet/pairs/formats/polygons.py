"""Outlines of objects: their numbers checked, and the pixels inside them filled.

The first pixel of a picture reaches from 0 to 1, its centre is at 0.5. Small objects are drawn
last, so that none is hidden.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from fastunet.errors import PairingError
from fastunet.labels import BACKGROUND, VOID

_FINE = 5  # an outline is drawn this much finer than the pixels whose centres it then decides
_MOST = 1 << 21  # pixels of an object that is drawn finely; in larger ones nobody sees it
_FARTHEST = 1e7  # pixels; no picture is as large
_SHIFT = 4  # fractional bits of the points that OpenCV is given

Size = tuple[int, int]  # (height, width)
Numbers = Sequence[float] | Sequence[str] | np.ndarray


@dataclass(frozen=True)
class Shape:
    """One object: the union of its polygons, or a bitmap."""

    value: int
    polygons: tuple[np.ndarray, ...] = ()  # (N, 2) x, y
    bitmap: np.ndarray | None = None  # (H, W) bool
    corner: tuple[int, int] = (0, 0)  # row and column of the bitmap in the mask
    where: str = "An outline"  # the file and the number in it, for messages

    @property
    def area(self) -> float:
        """The area in pixels, before anything is cut off."""
        if self.bitmap is not None:
            return float(np.count_nonzero(self.bitmap))
        return sum(_area(polygon) for polygon in self.polygons)

    def share_inside(self, size: Size) -> float:
        """The share of the box around the object that lies inside the picture, 0 to 1."""
        if self.bitmap is not None:
            low = np.array(self.corner[::-1], np.float64)
            high = low + self.bitmap.shape[::-1]
        else:
            points = np.concatenate(self.polygons)
            low, high = points.min(0), points.max(0)
        limit = size[::-1]
        seen = np.clip(high, 0, limit) - np.clip(low, 0, limit)
        flat = high <= low  # without width or without height
        inside = (low >= 0) & (low <= limit)
        shares = np.where(flat, inside, seen / np.where(flat, 1, high - low))
        return float(shares.prod())

    def scaled(
        self,
        before: Size,  # of the picture that the outlines were drawn on
        after: Size,
    ) -> "Shape":
        """The same object in the picture after its size was changed."""
        y, x = after[0] / before[0], after[1] / before[1]
        if self.bitmap is None:
            return replace(self, polygons=tuple(polygon * (x, y) for polygon in self.polygons))
        (top, left), (height, width) = self.corner, self.bitmap.shape
        corner = round(top * y), round(left * x)
        rows = max(1, round((top + height) * y) - corner[0])
        columns = max(1, round((left + width) * x) - corner[1])
        level = self.bitmap.astype(np.float32)
        small = cv2.resize(level, (columns, rows), interpolation=cv2.INTER_AREA)
        least = min(0.5, float(small.max()))  # of a thin object, what is left of it
        return replace(self, bitmap=(small >= least) & (small > 0), corner=corner)


def draw(shapes: Sequence[Shape], size: Size) -> np.ndarray:  # (H, W) uint8
    """Class indices. What does not count goes below all, then the large, then the small.

    Raises `PairingError` for a shape that marks no pixel at all.
    """
    mask = np.full(size, BACKGROUND, np.uint8)
    for shape in sorted(shapes, key=lambda shape: (shape.value != VOID, -shape.area)):
        if shape.bitmap is not None:
            marked = _stamp(mask, shape.bitmap, shape.corner, shape.value)
        else:
            marked = any([_fill(mask, polygon, shape.value) for polygon in shape.polygons])
        if not marked:
            raise PairingError(
                f"{shape.where} marks no pixel: it is empty, or outside the picture of "
                f"{size[0]}x{size[1]} (height x width). Mend the annotation or take it out."
            )
    return mask


def _stamp(mask: np.ndarray, bitmap: np.ndarray, corner: tuple[int, int], value: int) -> bool:
    top, left = np.maximum(corner, 0)
    inside = bitmap[top - corner[0] :, left - corner[1] :]
    window = mask[top : top + inside.shape[0], left : left + inside.shape[1]]
    inside = inside[: window.shape[0], : window.shape[1]]
    window[inside] = value
    return bool(inside.any())


def _fill(mask: np.ndarray, polygon: np.ndarray, value: int) -> bool:
    """Fill the pixels whose centres lie inside; what reaches out of the picture is cut off.

    OpenCV fills every pixel that the line touches, which makes objects half a pixel too large all
    around. Drawn on a finer grid, of which only the centres are kept, a tenth of that is left.

    Returns whether a pixel was marked.
    """
    height, width = mask.shape
    left, top = np.clip(np.floor(polygon.min(0)), 0, (width, height)).astype(int)
    right, bottom = np.clip(np.ceil(polygon.max(0)), 0, (width, height)).astype(int)
    if right <= left or bottom <= top:
        return _trace(mask, polygon, value)
    fine = _FINE if (right - left) * (bottom - top) <= _MOST else 1
    canvas = np.zeros(((bottom - top) * fine, (right - left) * fine), np.uint8)
    points = (_near(polygon, mask) - (left, top)) * fine - 0.5
    cv2.fillPoly(canvas, [np.rint(points * (1 << _SHIFT)).astype(np.int32)], 1, shift=_SHIFT)
    inside = canvas[fine // 2 :: fine, fine // 2 :: fine] > 0
    if not inside.any():
        return _trace(mask, polygon, value)
    mask[top:bottom, left:right][inside] = value
    return True


def _trace(mask: np.ndarray, polygon: np.ndarray, value: int) -> bool:
    """Mark the pixels that an outline runs through, for objects too small to hold a centre."""
    height, width = mask.shape
    if (polygon >= -1).all() and (polygon <= (width + 1, height + 1)).all():
        polygon = np.clip(polygon, 0, (width - 1e-6, height - 1e-6))  # a point on the very border
    traced = np.zeros_like(mask)
    points = np.floor(_near(polygon, mask)).astype(np.int32)
    cv2.polylines(traced, [points], isClosed=True, color=1)
    mask[traced > 0] = value
    return bool(traced.any())


def _near(polygon: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The points, none of them so far outside that an integer might overflow."""
    limit = 4 * max(mask.shape)
    return np.clip(polygon, -limit, limit)


def _area(polygon: np.ndarray) -> float:
    x, y = polygon.T
    return abs(float(x @ np.roll(y, 1) - y @ np.roll(x, 1))) / 2


# --- reading ------------------------------------------------------------------------------------


def polygon_of(
    numbers: Numbers,  # x1, y1, x2, y2, ...
    where: str,
) -> np.ndarray:  # (N, 2)
    """The points of a polygon. Raises `PairingError` where the numbers make no polygon."""
    flat = numbers_of(numbers, where)
    if len(flat) % 2 or len(flat) < 6:
        raise PairingError(
            f"{where}: {len(flat)} coordinates; x and y of at least 3 points were expected, an "
            "even number. Mend the annotation or take it out."
        )
    return flat.reshape(-1, 2)


def numbers_of(numbers: Numbers, where: str) -> np.ndarray:
    """Coordinates as a flat array. Raises `PairingError` where they cannot be coordinates."""
    try:
        flat = np.asarray(numbers, np.float64).ravel()
    except (TypeError, ValueError, OverflowError) as error:
        raise PairingError(
            f"{where}: coordinates that are no numbers ({error}). Mend the annotation."
        ) from error
    if not np.isfinite(flat).all():
        raise PairingError(f"{where}: a coordinate is not finite. Mend the annotation.")
    farthest = np.abs(flat).max(initial=0)
    if farthest > _FARTHEST:
        raise PairingError(
            f"{where}: a coordinate of {farthest:.3g} is outside any picture. Mend the annotation."
        )
    return flat


def refuse_shares(coordinates: np.ndarray, size: Size, where: str) -> None:
    """Raise `PairingError` for coordinates that are shares of the picture instead of pixels."""
    if min(size) > 4 and len(coordinates) and coordinates.min() >= 0 and coordinates.max() <= 1:
        raise PairingError(
            f"{where}: all coordinates lie between 0 and 1; pixels were expected, in a picture of "
            f"{size[0]}x{size[1]} (height x width). If they are shares of the picture, multiply "
            "them by its width and height."
        )


def bitmap_of(
    rle: Mapping,  # COCO's {"size": [height, width], "counts": [...] or "..."}
    size: Size,  # of the image
    where: str,
) -> np.ndarray:  # (H, W) bool
    """Decode COCO's run lengths: background and object in turns, column by column."""
    try:
        height, width = (int(side) for side in rle["size"])
        counts = rle["counts"]
        runs = _unpacked(counts) if isinstance(counts, str | bytes) else counts
        if not all(isinstance(run, int) and run >= 0 for run in runs):
            raise ValueError("a run is no number, or negative")
        if sum(runs) != height * width:
            raise ValueError(f"{sum(runs)} pixels for {height}x{width}")
    except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
        raise PairingError(
            f"{where}: run lengths that do not fill the image ({type(error).__name__}: {error}). "
            "Export the annotation again or take it out."
        ) from error
    if (height, width) != size:
        raise PairingError(
            f"{where} is of {height}x{width} pixels (height x width), its image of "
            f"{size[0]}x{size[1]}. Export the annotation again for this image."
        )
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(width, height).T


def _unpacked(text: str | bytes) -> list[int]:
    """COCO's compressed counts: 5 bits a character, from the third on as differences."""
    runs: list[int] = []
    value = shift = 0
    for character in text.encode("ascii") if isinstance(text, str) else text:
        bits = character - 48
        if not 0 <= bits < 64 or shift > 60:
            raise ValueError(f"{chr(character)!r} where counts were expected")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:  # the number goes on
            continue
        if bits & 16:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value = shift = 0
    if shift:
        raise ValueError("the counts end within a number")
    return runs
