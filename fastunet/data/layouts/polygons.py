"""Annotations that are outlines: drawn once, as masks, into the user's cache folder.

A drawn mask is an 8-bit PNG of class indices: 0 is background, 255 does not count. Small objects
are drawn last, so that none is hidden.
"""

import hashlib
import json
import shutil
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from fastunet.data.cache import in_threads
from fastunet.data.images import read_image
from fastunet.errors import PairingError, listing
from fastunet.files import cache_folder, explained, make_folder

BACKGROUND, VOID = 0, 255

_VERSION = 1  # of the drawing; a change of it is a change of the masks
_FINE = 5  # an outline is drawn this much finer than the pixels whose centres it then decides
_MOST = 1 << 21  # pixels of an object that is drawn finely; in larger ones nobody sees it
_SHIFT = 4  # fractional bits of the points that OpenCV is given


@dataclass(frozen=True)
class Shape:
    """One object: the union of its polygons, or a bitmap."""

    value: int
    polygons: tuple[np.ndarray, ...] = ()  # (N, 2) x, y; the first pixel reaches from 0 to 1
    bitmap: np.ndarray | None = None  # (H, W) bool
    corner: tuple[int, int] = (0, 0)  # row and column of the bitmap in the mask

    @property
    def area(self) -> float:
        if self.bitmap is not None:
            return float(np.count_nonzero(self.bitmap))
        return sum(_area(polygon) for polygon in self.polygons)


@dataclass(frozen=True)
class Outlined:
    """An image and what is outlined in it."""

    image: Path
    shapes: Callable[[tuple[int, int]], list[Shape]]  # of (height, width); read when it is drawn
    size: tuple[int, int] | None = None  # (height, width); None: look into the image


@dataclass(frozen=True)
class Drawn:
    """The folders that polygons became."""

    parts: list[tuple[Path, Path, str, frozenset[str] | None]]  # images, masks, split, only these
    classes: Mapping[str, int]
    void: tuple[int, ...]


def draw_all(
    folder: Path,  # that the images lie below
    outlined: Sequence[Outlined],
    key: str,  # of all that the masks depend on
    label: str = "Drawing polygons",  # of the progress bar
) -> Path:
    """A folder of masks that mirrors the images' one; drawn where it is not there yet."""
    done = cache_folder() / "polygons" / f"{key[:32]}-v{_VERSION}"
    if done.is_dir():
        return done
    make_folder(done.parent)
    with explained(done):
        partial = Path(tempfile.mkdtemp(prefix=f".{done.name}-", dir=done.parent))

    def write(one: Outlined) -> None:
        size = one.size or _size_of(one.image)
        file = (partial / one.image.relative_to(folder)).with_suffix(".png")
        with explained(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(cv2.imencode(".png", draw(one.shapes(size), size))[1].tobytes())

    try:
        for _ in in_threads(write, outlined, label):
            pass
        partial.rename(done)
    except BaseException as error:
        shutil.rmtree(partial, ignore_errors=True)
        if not (isinstance(error, OSError) and done.is_dir()):  # another process was faster
            raise
    return done


def _size_of(image: Path) -> tuple[int, int]:
    """(height, width) of an image as it is seen, from its header where that can be read."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(image) as file:
            width, height = file.size
            lies_on_its_side = file.getexif().get(0x0112, 1) in (5, 6, 7, 8)
    except (UnidentifiedImageError, OSError):
        return read_image(image).shape[:2]
    return (width, height) if lies_on_its_side else (height, width)


def checked_names(names: Sequence[str], source: object) -> dict[str, int]:
    """Class values by name: background is 0, the others follow in their order."""
    others = [name for name in dict.fromkeys(names) if not is_background(name)]
    if not others:
        raise PairingError(f"{source} names no classes; there is nothing to draw.")
    if len(others) > VOID - 2:
        raise PairingError(
            f"{source} names {len(others)} classes; at most {VOID - 2} beside the background can "
            "be trained. Merge or leave out some of them."
        )
    return {"background": BACKGROUND, **{name: i + 1 for i, name in enumerate(others)}}


def is_background(name: str) -> bool:
    return name.strip("_").lower() == "background"


def read_json(path: Path) -> object:
    """A JSON file. Raises `PairingError` saying where it is broken."""
    try:
        return json.loads(path.read_bytes())
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}: {error.msg}"
    except UnicodeDecodeError as error:
        where = str(error)
    raise PairingError(
        f"{path} is not valid JSON ({where}). Export it again, or take it out of the folder."
    )


def key_of(files: Sequence[Path], settings: object) -> str:
    """A name for what is drawn of these files: where they lie, their size and time of change."""
    stats = [(str(f.absolute()), f.stat().st_size, f.stat().st_mtime_ns) for f in files]
    return hashlib.sha256(json.dumps([stats, settings]).encode()).hexdigest()


def warn_of_missing(what: str, names: Sequence[object]) -> None:
    if names:
        warnings.warn(f"{what} are left out ({len(names)}): {listing(names)}", stacklevel=2)


# --- drawing ------------------------------------------------------------------------------------


def draw(
    shapes: Sequence[Shape],
    size: tuple[int, int],  # (height, width)
) -> np.ndarray:  # (H, W) uint8
    """Class indices. What does not count goes below all, then the large, then the small."""
    mask = np.full(size, BACKGROUND, np.uint8)
    for shape in sorted(shapes, key=lambda shape: (shape.value != VOID, -shape.area)):
        if shape.bitmap is not None:
            _stamp(mask, shape.bitmap, shape.corner, shape.value)
        for polygon in shape.polygons:
            _fill(mask, polygon, shape.value)
    return mask


def _stamp(mask: np.ndarray, bitmap: np.ndarray, corner: tuple[int, int], value: int) -> None:
    top, left = max(0, corner[0]), max(0, corner[1])
    inside = bitmap[top - corner[0] :, left - corner[1] :]
    window = mask[top : top + inside.shape[0], left : left + inside.shape[1]]
    window[inside[: window.shape[0], : window.shape[1]]] = value


def _fill(mask: np.ndarray, polygon: np.ndarray, value: int) -> None:
    """Fill the pixels whose centres lie inside; what reaches out of the picture is cut off.

    OpenCV fills every pixel that the line touches, which makes objects half a pixel too large all
    around. Drawn on a finer grid, of which only the centres are kept, a tenth of that is left.
    """
    height, width = mask.shape
    left, top = np.clip(np.floor(polygon.min(0)), 0, (width, height)).astype(int)
    right, bottom = np.clip(np.ceil(polygon.max(0)), 0, (width, height)).astype(int)
    if right <= left or bottom <= top:
        return
    fine = _FINE if (right - left) * (bottom - top) <= _MOST else 1
    canvas = np.zeros(((bottom - top) * fine, (right - left) * fine), np.uint8)
    limit = 4 * max(height, width)  # far outside, where an integer might overflow
    points = (np.clip(polygon, -limit, limit) - (left, top)) * fine - 0.5
    cv2.fillPoly(canvas, [np.rint(points * (1 << _SHIFT)).astype(np.int32)], 1, shift=_SHIFT)
    mask[top:bottom, left:right][canvas[fine // 2 :: fine, fine // 2 :: fine] > 0] = value


def _area(polygon: np.ndarray) -> float:
    x, y = polygon.T
    return abs(float(x @ np.roll(y, 1) - y @ np.roll(x, 1))) / 2


def polygon_of(numbers: Sequence[float], where: str) -> np.ndarray:
    """x1, y1, x2, y2, ... as (N, 2) points. Raises `PairingError` where they are none."""
    try:
        flat = np.asarray(numbers, np.float64).ravel()
    except (TypeError, ValueError) as error:
        raise PairingError(f"{where}: coordinates that are no numbers ({error}).") from error
    if len(flat) % 2 or len(flat) < 6:
        raise PairingError(
            f"{where}: {len(flat)} coordinates; x and y of at least 3 points were expected, an "
            "even number. Mend the annotation or take it out."
        )
    if not np.isfinite(flat).all():
        raise PairingError(f"{where}: a coordinate is not finite. Mend the annotation.")
    return flat.reshape(-1, 2)


def bitmap_of(
    rle: Mapping,  # COCO's {"size": [height, width], "counts": [...] or "..."}
    where: str,
) -> np.ndarray:  # (H, W) bool
    """Decode COCO's run lengths: background and object in turns, column by column."""
    try:
        height, width = (int(side) for side in rle["size"])
        counts = rle["counts"]
        runs = np.array(_unpacked(counts) if isinstance(counts, str | bytes) else counts, np.int64)
        if len(runs) and runs.min() < 0:
            raise ValueError("a run is negative")
        if runs.sum() != height * width:
            raise ValueError(f"{runs.sum()} pixels for {height}x{width}")
        return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(width, height).T
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise PairingError(
            f"{where}: run lengths that do not fill the image ({type(error).__name__}: {error}). "
            "Export the annotation again or take it out."
        ) from error


def _unpacked(text: str | bytes) -> list[int]:
    """COCO's compressed counts: 5 bits a character, from the third on as differences."""
    runs: list[int] = []
    value = shift = 0
    for character in text.encode("ascii") if isinstance(text, str) else text:
        bits = character - 48
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:  # the number goes on
            continue
        if bits & 16:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value = shift = 0
    return runs
