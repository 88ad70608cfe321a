"""What the numbers in images mean: the full scale of each type, and values that stand for no data.

Training, prediction and the audit ask here, so that one image means the same in all three.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fastunet._util.text import listing

FULL_SCALES = (1, 255, 1023, 4095, 16_383, 65_535)  # of floats; of 8, 10, 12, 14 and 16 bits
_ABOVE = 1.001  # of full scale, that resampling may leave

# GDAL's and ESRI's usual ones; those of floats are the lowest float32 and others as extreme.
_NODATA = (-999, -9999, -99_999, -999_999, -32_767, -32_768, -(2**31))
_HUGE = 1e30
_TOP = 99.5  # percentile that is called an image's brightest value: few hot pixels do not count
_PIXELS = 65_536  # of an image that statistics are made of
_DARK = 16  # times darker than the others: black beside them
_GAP = 8  # between the brightest values of two kinds of files, with no file in between


# --- no data --------------------------------------------------------------------------------------


def nodata_values(
    image: np.ndarray,  # (H, W, C), finite
    stated: float | None = None,  # by the file, as GDAL writes it
) -> dict[float, int]:  # value -> pixels that hold it
    """Values that are no measurement: stated ones, and single values far away from all others.

    A usual one (-9999, -32768, -3.4e38, ...) has to be a fifth of the others' range away from them.
    Any other whole number below -99 has to be ten times their range away and fill a thousandth of
    the image, one above 999 a hundred times. In 8-bit images, and in unsigned ones where the file
    does not state it, nothing is: black and white are colours there.
    """
    if image.dtype == np.uint8:
        return {}
    found: dict[float, int] = {}
    rest = image
    if stated is not None and (value := _as_type(stated, image.dtype)) is not None:
        rest = _take_out(rest, value, found)
    if image.dtype.kind == "u":
        return found
    for _ in range(len(_NODATA)):
        if not rest.size:
            break
        low, high = rest.min(), rest.max()
        outlier = next((end for end in (low, high) if _is_far(end, rest, low, high)), None)
        if outlier is None:
            break
        rest = _take_out(rest, outlier, found)
    return found


def _as_type(value: float, dtype: np.dtype) -> np.generic | None:
    """A number in a type of pixels; None where that cannot hold it."""
    if not np.isfinite(value):
        return None
    if dtype.kind in "iu" and not np.iinfo(dtype).min <= value <= np.iinfo(dtype).max:
        return None
    with np.errstate(over="ignore"):
        return np.array([value]).astype(dtype)[0]


def _take_out(rest: np.ndarray, value: np.generic, found: dict[float, int]) -> np.ndarray:
    keep = rest != value
    count = keep.size - int(np.count_nonzero(keep))
    if count:
        found[float(value)] = count
    return rest[keep] if count else rest


def _is_far(end: np.generic, rest: np.ndarray, low: np.generic, high: np.generic) -> bool:
    value = float(end)
    usual = value in _NODATA or abs(value) >= _HUGE
    if low == high:  # nothing else is there
        return usual
    if not usual and (-99 < value < 999 or value != np.rint(value)):
        return False
    inner = rest != end
    others = rest[inner]
    least, most = float(others.min()), float(others.max())
    span = most - least
    gap = least - value if value < least else value - most
    if usual:
        return gap > 0 and gap >= span / 5
    full = rest.dtype.kind == "i" and value == np.iinfo(rest.dtype).max  # saturated, not missing
    count = inner.size - np.count_nonzero(inner)
    return (
        not full
        and span > 0
        and gap >= (10 if value < 0 else 100) * span
        and (count >= max(2, inner.size / 1000))
    )


def is_nodata(image: np.ndarray, values: Sequence[float]) -> np.ndarray:  # (H, W, C) bool
    """Where an image holds one of these values."""
    hit = np.zeros(image.shape, bool)
    for value in values:
        if (same := _as_type(value, image.dtype)) is not None:
            hit |= image == same
    return hit


def without_nodata(
    image: np.ndarray,  # (H, W, C)
    missing: np.ndarray,  # (H, W, C) bool
) -> np.ndarray:
    """The image with its least value where it has no data."""
    if not missing.any():
        return image
    there = image[~missing]
    return np.where(missing, there.min() if there.size else image.dtype.type(0), image)


# --- full scale -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ImageValues:
    """The type and the range of one image, without its pixels of no data."""

    name: str
    dtype: str
    low: float  # NaN, as the next two, where there are no other pixels than of no data
    high: float
    top: float  # 99.5th percentile
    fractions: bool  # not whole numbers alone
    nodata: dict[float, int] = field(default_factory=dict)  # value -> pixels

    @classmethod
    def of(
        cls,
        image: np.ndarray,  # (H, W, C); what is not finite is left out
        name: object,
        stated: float | None = None,  # the value of no data, by the file
    ) -> "ImageValues":
        """Look at the pixels of one image."""
        if image.dtype.kind == "f" and not (finite := np.isfinite(image)).all():
            image = image[finite]
        nodata = nodata_values(image, stated)
        pixels = image[~is_nodata(image, tuple(nodata))] if nodata else image.ravel()
        if not pixels.size:
            nan = float("nan")
            return cls(str(name), image.dtype.name, nan, nan, nan, False, nodata)
        some = some_of(pixels)
        fractions = image.dtype.kind == "f" and bool((some != np.rint(some)).any())
        top = top_value(some)
        low, high = float(pixels.min()), float(pixels.max())
        return cls(str(name), image.dtype.name, low, high, top, fractions, nodata)

    @property
    def varies(self) -> bool:
        """Whether it holds more than one value."""
        return self.high > self.low


def some_of(
    pixels: np.ndarray,  # (N, ...)
    count: int = _PIXELS,  # at most
) -> np.ndarray:
    """Some of the pixels, spread evenly."""
    return pixels[:: max(1, -(-len(pixels) // count))]


def top_value(pixels: np.ndarray) -> float:
    """The 99.5th percentile of some of the values that are there."""
    return float(np.nanpercentile(some_of(pixels.ravel(), _PIXELS // 4), _TOP))


@dataclass(frozen=True)
class Reading:
    """How the numbers of a data set are understood."""

    full_scale: dict[str, float]  # type -> what is full brightness; the most common type first
    question: str = ""  # two readings fit, or none; the answers to choose from
    warning: str = ""  # what was decided that may be wrong
    odd: tuple[str, ...] = ()  # names of the files that question and warning are about


def read_values(
    images: Sequence[ImageValues],
    scaling: str = "auto",  # "dtype": by type alone; "percentile": numbers mean the same in all
) -> Reading:
    """The full scale of each type of the images, and whether that is sure.

    Images of several types are the same picture in other numbers (each type has its own full scale)
    or the same numbers in other types. The first is taken where pictures are about equally bright
    by it, the second where they are so as they are and a type has no full scale.
    """
    types = Counter(one.dtype for one in images)
    in_order = [kind for kind, _ in types.most_common()]
    groups = {
        kind: [one for one in images if one.dtype == kind and one.varies] for kind in in_order
    }
    if scaling == "dtype":
        return Reading({kind: largest(kind) for kind in groups})
    own = {kind: _full_scale(kind, some) for kind, some in groups.items()}
    same = dict.fromkeys(groups, next(iter(own.values())))
    if scaling == "percentile":
        return Reading(same)
    if len(groups) == 1:
        return _one_type(groups, own)
    varied = {kind: some for kind, some in groups.items() if some}
    tops = {kind: float(np.median([one.top for one in some])) for kind, some in varied.items()}
    odd = tuple(one.name for one in images if one.dtype != in_order[0])
    kinds = ", ".join(f"{types[kind]} of {kind}, up to {_reach(groups[kind])}" for kind in in_order)
    found = f"The images have numbers of different types ({kinds}); {_names(odd)}"
    found += " differs from the most." if len(odd) == 1 else " differ from the most."
    if all(own.values()) and _alike([tops[kind] / own[kind] for kind in tops], _DARK):
        scales = ", ".join(f"{own[kind]:g} of {kind}" for kind in own)
        return Reading(
            own,
            warning=f"{found} Each type is scaled by its own full brightness ({scales}). If the "
            f"numbers mean the same in all files instead: {_SAME_NUMBERS}.",
            odd=odd,
        )
    if not all(own.values()) and _alike(list(tops.values()), 4):
        return Reading(
            same,
            warning=f"{found} Their numbers are taken to mean the same in all files.",
            odd=odd,
        )
    return Reading(
        own,
        question=f"{found} By the full scale of its type or as it is, one kind would be black "
        f"beside the other. Save all with one type and range; or say how they are meant: {_BY_TYPE}"
        f" where the largest number of each type is white, {_SAME_NUMBERS} where numbers mean the "
        "same in all files.",
        odd=odd,
    )


_SAME_NUMBERS = 'scaling="percentile"'
_BY_TYPE = 'scaling="dtype"'


def _one_type(groups: Mapping[str, Sequence[ImageValues]], own: dict[str, float]) -> Reading:
    """Files of one type, that may hold two kinds of numbers: 0..1 and 0..255, 12 and 16 bits."""
    kind, some = next(iter(groups.items()))
    two = _two_kinds(some) if kind != "uint8" else None
    if two is None:
        return Reading(own)
    below, above = two
    fewer, others = sorted((below, above), key=len)
    odd = tuple(one.name for one in fewer)
    found = (
        f"The images have numbers of different ranges: {len(below)} reach to {_reach(below)} and "
        f"{len(above)} to {_reach(above)}, none in between ({_names(odd)} against "
        f"{_names([one.name for one in others], 1)})."
    )
    unit = [one for one in below if one.fractions and one.high <= _ABOVE]
    if len(unit) == len(below) and min(one.low for one in some) >= 0:
        return Reading(
            own,
            question=f"{found} 0..1 may be the same brightness as 0..{limit_of(_highest(above)):g} "
            "in the others, or almost black. Save all with one range; or, if the numbers mean the "
            f"same in all files: {_SAME_NUMBERS}.",
            odd=odd,
        )
    return Reading(
        own,
        warning=f"{found} The first are almost black beside the others. If they are not meant to "
        "be, such as 12-bit files among 16-bit ones, save all with one range.",
        odd=odd,
    )


def _two_kinds(
    some: Sequence[ImageValues],
) -> tuple[list[ImageValues], list[ImageValues]] | None:
    """Images far apart in their brightest value, at least two of each but for 0..1."""
    bright = sorted((one for one in some if one.high > 0), key=lambda one: one.high)
    highs = np.array([one.high for one in bright])
    if len(highs) < 2 or not (highs[1:] >= _GAP * highs[:-1]).any():
        return None
    cut = int((highs[1:] / highs[:-1]).argmax()) + 1
    below, above = bright[:cut], bright[cut:]
    unit = _highest(below) <= _ABOVE and above[0].high >= 16 and below[-1].fractions
    return (below, above) if unit or min(len(below), len(above)) >= 2 else None


def largest(kind: str) -> float:
    """The largest number of an integer type; 1 of floats."""
    dtype = np.dtype(kind)
    return float(np.iinfo(dtype).max) if dtype.kind in "iu" else 1.0


def _full_scale(kind: str, some: Sequence[ImageValues]) -> float:
    """What is full brightness in images of one type; 0 where they have no such thing."""
    if kind == "uint8" or not some:
        return largest(kind)
    high = _highest(some)
    if min(one.low for one in some) < 0:
        return 0.0
    if np.dtype(kind).kind in "iu":
        return limit_of(max(high, 255))
    return 0.0 if _ABOVE < high < 16 else limit_of(high / _ABOVE)


def limit_of(high: float) -> float:
    """The smallest full scale that holds a value; 0 above 16 bits."""
    return float(next((limit for limit in FULL_SCALES if high <= limit), 0))


def _names(paths: Sequence[str], limit: int = 3) -> str:
    return listing([Path(path).name for path in paths], limit)


def _highest(some: Sequence[ImageValues]) -> float:
    return max(one.high for one in some)


def _reach(some: Sequence[ImageValues]) -> str:
    return f"{_highest(some):g}" if some else "one value alone"


def _alike(tops: Sequence[float], factor: float) -> bool:
    return len(tops) < 2 or 0 < max(tops) <= factor * min(tops)


def nodata_counts(images: Sequence[ImageValues]) -> dict[float, int]:  # value -> images
    """The values of no data, the most common first, and how many images hold each."""
    return dict(Counter(value for one in images for value in one.nodata).most_common())


def tell_nodata(images: Sequence[ImageValues]) -> str:
    """`-9999 in 8 images, -32768 in 1`."""
    counts = nodata_counts(images)
    said = [f"{value:g} in {count}" for value, count in counts.items()]
    if said:
        said[0] += " image" if next(iter(counts.values())) == 1 else " images"
    return ", ".join(said)
