"""What the training images hold: channels, range, mean and deviation, from a look at some."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from fastunet._util.threads import in_threads
from fastunet._util.warn import warn
from fastunet.choices import Scaling
from fastunet.errors import ImageReadError
from fastunet.io.channels import is_grey, with_channels
from fastunet.io.images import refuse_not_finite
from fastunet.io.pixel_values import (
    ImageValues,
    is_nodata,
    nodata_counts,
    read_values,
    some_of,
    tell_nodata,
    top_value,
)
from fastunet.io.resizing import resize
from fastunet.io.sources import Source, as_image, name_of, stated_nodata

_PERCENTILES = (0.5, 99.5)


@dataclass(frozen=True)
class ImageSample:
    """What one image says about a data set, small enough to keep many."""

    name: str
    pixels: np.ndarray  # (1, N, C) float32, values as they are in the file; NaN: no data
    values: ImageValues
    grey: bool

    @classmethod
    def at(
        cls,
        source: Source,
        size: tuple[int, int] | None,
        read: Callable[[Source], np.ndarray],
    ) -> "ImageSample":
        """Read an image; raises `ImageReadError` where it cannot be, or holds what is no number."""
        image, name = read(source), name_of(source)
        refuse_not_finite(image, name)
        values = ImageValues.of(image, name, stated_nodata(source, image.dtype))
        seen = image.astype(np.float32)
        if values.nodata:  # resizing would mix it with the pixels beside it
            seen[is_nodata(image, tuple(values.nodata))] = np.nan
        elif size:
            seen = resize(seen, size)
        pixels = some_of(seen.reshape(-1, image.shape[2]))
        return cls(name, pixels[None].copy(), values, is_grey(image))


@dataclass(frozen=True)
class ImageSetStats:
    """What images hold together. The fields are those of `Preprocess`, which explains them."""

    channels: int
    values: Literal["uint8", "float"]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    nodata: tuple[float, ...]
    full_scale: tuple[tuple[str, float], ...]
    brightest: tuple[float, ...]


def measure_images(
    sources: Sequence[Source],
    size: tuple[int, int] | None,  # (height, width) to which they are resized; None: their own
    channels: int | None,  # None: 1 where all pictures are grey, else what they have
    scaling: Scaling,
    sample: int,  # how many files are looked at, spread over the list
    progress: bool,  # show a progress bar
    read: Callable[[Source], np.ndarray] = as_image,  # (H, W, C), upright
) -> ImageSetStats:
    """The statistics of some of the images. Raises and warns as `Preprocess.infer` says."""
    some = list(sources)[:: max(1, len(sources) // sample)]
    look = partial(ImageSample.at, size=size, read=read)
    images = list(in_threads(look, some, "Reading images", progress))
    if channels is None:
        channels = common_channels([(image.pixels.shape[2], image.grey) for image in images])
    found = [image.values for image in images]
    full = _full_scale_of_types(found, scaling)
    unit = next(iter(full.values()))
    eight_bit = list(full) == ["uint8"]
    by_type = scaling == "dtype" or (scaling == "auto" and eight_bit)
    pixels = []
    for image in images:
        own = full[image.values.dtype]
        wide = with_channels(image.pixels, channels, image.name)[0].astype(np.float64)
        pixels.append(wide / own if by_type else wide * factor_between(unit, own))
    low = high = np.empty(0)
    if not by_type:
        low, high = np.nanpercentile(np.concatenate(pixels), _PERCENTILES, axis=0)
        high = np.where(high > low, high, low + 1)
        pixels = [(one - low) / (high - low) for one in pixels]
    mean, spread = _mean_and_std(pixels)
    varies = spread > 1e-12 * np.abs(mean)  # by more than rounding
    tops = [top_value(one) for one in pixels if np.isfinite(one).any()]
    return ImageSetStats(
        channels,
        "uint8" if eight_bit and by_type else "float",
        tuple(mean.tolist()),
        tuple(np.where(varies, spread, 1).tolist()),
        tuple(low.tolist()),
        tuple(high.tolist()),
        tuple(nodata_counts(found)),
        tuple(full.items()),
        (min(tops), max(tops)),
    )


def common_channels(
    images: Sequence[tuple[int, bool]],  # channels of each, and whether it is grey
) -> int:
    """Of a network's input for all of them: 1 where all pictures are grey, else what they have."""
    widest = max(channels for channels, _ in images)
    return 1 if widest <= 3 and all(grey for _, grey in images) else widest


def _mean_and_std(
    images: Sequence[np.ndarray],  # (N, C) float64 each; NaN: no data
) -> tuple[np.ndarray, np.ndarray]:  # (C,) each
    """Of all pixels together, an image at a time: no copy of all of them is made."""

    def filled(value: float | np.ndarray) -> Iterator[np.ndarray]:
        for one in images:
            yield np.where(np.isnan(one), value, one) if np.isnan(one.sum()) else one

    count = sum(np.count_nonzero(~np.isnan(one), axis=0) for one in images)
    mean = sum(np.ones(len(one)) @ one for one in filled(0)) / count
    away = (one - mean for one in filled(mean))
    return mean, np.sqrt(sum(np.einsum("nc,nc->c", one, one) for one in away) / count)


def _full_scale_of_types(found: Sequence[ImageValues], scaling: Scaling) -> dict[str, float]:
    """The full scale of each type. Raises or warns where that is not sure."""
    if all(np.isnan(one.high) for one in found):
        raise ImageReadError(
            f"{found[0].name} and all other images hold nothing but {tell_nodata(found)}, which "
            "stands for no data. Export them again."
        )
    reading = read_values(found, scaling)
    if reading.question:
        raise ImageReadError(reading.question)
    if reading.warning:
        warn(reading.warning)
    if any(one.nodata for one in found):
        looked = f" (of {len(found)} that were looked at)" if len(found) > 1 else ""
        warn(
            f"No data: {tell_nodata(found)}{looked}. These pixels are left out of the range and "
            "the statistics, and are black to the network; their class stays as the mask has it."
        )
    return reading.full_scale


def factor_between(unit: float, own: float) -> float:
    """From numbers of one full scale to those of another; 1 where either has none."""
    return unit / own if unit and own else 1.0
