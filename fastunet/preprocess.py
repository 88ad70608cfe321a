"""How pixels become network input and a prediction goes back: one object for training and use.

JSON in and out, so that a bundle carries it and a model cannot be fed differently than it was
trained.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any, Literal, get_args

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from fastunet._util.terminal import shown
from fastunet._util.text import listing
from fastunet._util.warn import warn
from fastunet.choices import Orientation, Scaling
from fastunet.io.channels import full_scale, with_channels
from fastunet.io.images import refuse_not_finite
from fastunet.io.pixel_values import (
    is_nodata,
    largest,
    limit_of,
    nodata_values,
    top_value,
    without_nodata,
)
from fastunet.io.resizing import resize
from fastunet.io.sources import Source, as_image, name_of
from fastunet.scan.image_stats import factor_between, measure_images

Policy = Literal["resize", "patch"]

_OTHER_RANGE = 4  # times darker or brighter than any training image


@dataclass(frozen=True)
class Preprocess:
    """How an image enters the network: resized or cut, scaled to 0..1, normalised per channel.

    With the policy "resize" the whole image is resized to `size`. With "patch" the network sees
    `size` pixels of the image at `scale` times its own resolution at a time: random patches in
    training, overlapping tiles in prediction.
    """

    size: tuple[int, int] = (256, 256)  # (height, width) of the network's input, pixels
    channels: int = 3  # 1 for grey, 3 for RGB
    values: Literal["uint8", "float"] = "uint8"  # 8-bit pixels, or floats for deeper images
    mean: tuple[float, ...] = (0.5,)  # per channel, of pixels scaled to 0..1
    std: tuple[float, ...] = (0.25,)
    policy: Policy = "resize"
    scale: float = 1.0  # of "patch": 0.5 halves the image before patches are cut
    low: tuple[float, ...] = ()  # of "float", per channel: the value that becomes 0
    high: tuple[float, ...] = ()  # and the one that becomes 1; neither: full scale of the type
    channel_files: int = 1  # files that made one image of the training set: x_0000, x_0001, ...
    nodata: tuple[float, ...] = ()  # values that are no measurement: they become 0
    full_scale: tuple[tuple[str, float], ...] = ()  # of each type in the training set, the most
    # common first, in whose numbers `low` and `high` are; 0: it has none; (): not known
    brightest: tuple[float, ...] = ()  # scaled, of the darkest and of the brightest training image
    orientation: Orientation = "upright"  # how photos with an EXIF orientation enter the network

    def __post_init__(self):
        height, width = self.size
        if height < 1 or width < 1:
            raise ValueError(f"size={self.size}: height and width of at least 1 pixel are needed.")
        if self.policy not in get_args(Policy):
            raise ValueError(f"policy={self.policy!r}; one of {get_args(Policy)} was expected.")
        if self.scale <= 0:
            raise ValueError(f"scale={self.scale}; a number above 0 was expected.")
        for name in ("mean", "std", "low", "high"):
            values = tuple(float(f"{value:.6g}") for value in getattr(self, name))
            values = values * self.channels if len(values) == 1 else values
            if len(values) != self.channels and not (name in ("low", "high") and not values):
                raise ValueError(f"{name} has {len(values)} entries for {self.channels} channels.")
            object.__setattr__(self, name, values)
        scales = tuple((str(kind), float(full)) for kind, full in self.full_scale)
        object.__setattr__(self, "full_scale", scales)
        object.__setattr__(self, "nodata", tuple(float(value) for value in self.nodata))
        object.__setattr__(self, "brightest", tuple(float(top) for top in self.brightest))
        if self.orientation not in get_args(Orientation):
            raise ValueError(
                f"orientation={self.orientation!r}; one of {get_args(Orientation)} was expected."
            )

    @classmethod
    def infer(
        cls,
        image_paths: Sequence[Source],  # of the training part
        size: int | tuple[int, int] = 256,  # network input; an int is a square
        channels: int | None = None,  # None: 1 where all pictures are grey, else what they have
        policy: Policy = "resize",  # the whole image, or patches of it
        scale: float = 1.0,  # of "patch"
        scaling: Scaling = "auto",  # "percentile" for pixels deeper than 8 bit, else "dtype"
        sample: int = 100,  # how many files are looked at, spread over the list
        progress: bool = False,  # show a progress bar
        orientation: Orientation = "upright",  # as `choose_orientation` found it
        read: Callable[[Source], np.ndarray] = as_image,  # (H, W, C), upright
    ) -> "Preprocess":
        """Channels, value range, mean and standard deviation, from a look at the images.

        Scaling by "dtype" takes the largest value of an integer type as 1 and leaves floats alone;
        by "percentile" 0 and 1 are the 0.5th and 99.5th percentile of each channel, so that few
        very bright pixels do not press the others together. Where types are mixed, "auto" scales
        each by its own full scale first, and "percentile" takes the numbers as they are.

        Raises `ImageReadError` where two readings of the values fit, or an image cannot be read.
        Warns of what was decided on mixed types and ranges, and of values of no data.
        """
        sides = (size, size) if isinstance(size, int) else (size[0], size[1])
        found = measure_images(
            image_paths,
            sides if policy == "resize" else None,
            channels,
            scaling,
            sample,
            progress,
            read,
        )
        own = {field.name: getattr(found, field.name) for field in fields(found)}
        return cls(sides, policy=policy, scale=scale, orientation=orientation, **own)

    @property
    def sees_whole(self) -> bool:
        """Whether the network sees the whole image, resized; else parts of it, pixel by pixel."""
        return self.policy == "resize"

    def describe(self) -> str:
        """Which numbers become 0 and 1: `uint16 values 310..60123 become 0..1`."""
        types = " and ".join(kind for kind, _ in self.full_scale) or "deep"
        if self.values == "uint8":
            said = "8-bit values"
        elif not self.low:
            said = f"{types} values, scaled by the largest of their type"
        else:
            said = f"{types} values {self._range()} become 0..1"
            if len(self.full_scale) > 1:
                said += f", in numbers of {self.full_scale[0][0]}"
        if self.nodata:
            said += f"; {listing([f'{value:g}' for value in self.nodata])} is no data"
        return said

    def _range(self) -> str:
        return "0..255" if not self.low else f"{min(self.low):g}..{max(self.high):g}"

    # images on their way in

    def prepare(
        self,
        source: Source,  # a file, bytes, a PIL image, a tensor or an array; see `as_image`
        name: object = None,  # of it in messages; None: its path
    ) -> np.ndarray:  # (H, W, channels) at its own size, uint8 or float32 as `values` says
        """An image with the channels and the value range of the training set.

        Pixels of no data become 0. Where the training images have 8 bits, floats between 0 and 1
        are multiplied by 255, and floats up to 255 are taken as they are; where they have more,
        images of 8 bits, and floats between 0 and 1, are brought to the same full scale. Warns,
        once for all images, where the range of an image is not that of any training image.

        Raises `ImageReadError`, naming the file, where it cannot be read, has other channels or
        values, or holds pixels that are NaN or infinite.
        """
        image, name = as_image(source), name or name_of(source)
        refuse_not_finite(image, name)
        missing = self._missing(image, name)
        if missing is not None:
            image = without_nodata(image, missing)
        wide = with_channels(image, self.channels, name)
        if not self.low:
            pixels = full_scale(wide, self.values, name)
        else:
            low, high = np.array(self.low, np.float32), np.array(self.high, np.float32)
            factor = self._to_training_numbers(image, name)
            pixels = wide.astype(np.float32)
            pixels = ((pixels * factor if factor != 1 else pixels) - low) / (high - low)
        if image.dtype != np.uint8 or self.values != "uint8":
            self._compare(image, pixels, name)
            self._tell_black_and_white(image, name)
        if missing is not None:
            same = missing.shape == pixels.shape
            gone = missing if same else missing.any(axis=2, keepdims=True)
            pixels = np.where(gone, 0, pixels)
            return pixels.astype(np.uint8 if self.values == "uint8" else np.float32)
        return pixels

    # what an image holds against what the training images held

    def _missing(self, image: np.ndarray, name: object) -> np.ndarray | None:
        """Where an image has no data, (H, W, C) bool; None: nowhere."""
        if image.dtype == np.uint8:
            return None
        found = nodata_values(image)
        new = {value: count for value, count in found.items() if value not in self.nodata}
        if new:
            told = ", ".join(f"{value:g} in {count:,} of them" for value, count in new.items())
            self._warn(
                "nodata",
                f"{name}: values far away from those of its other pixels ({told}), which no "
                "training image has. They are taken for pixels without data.",
            )
        values = (*self.nodata, *new)
        missing = is_nodata(image, values) if values else None
        return missing if missing is not None and missing.any() else None

    def _to_training_numbers(self, image: np.ndarray, name: object) -> float:
        """By what the values of an image are multiplied to be in the numbers of `low`, `high`."""
        full = dict(self.full_scale)
        kind = image.dtype.name
        unit = next(iter(full.values()), 0.0)
        if not full or kind in full:
            return factor_between(unit, full.get(kind, 0.0))
        if image.dtype.kind == "f":
            own = 1.0 if unit > 1 and image.min() >= 0 and 0 < image.max() <= 1 else 0.0
        else:
            own = largest(kind) if kind in ("uint8", "uint16") else 0.0
        if own and unit:
            how = f"its full scale, {own:g}, is taken for theirs, {unit:g}"
        elif image.dtype.kind == "f" or image.dtype.itemsize > 1:
            return 1.0  # the same numbers in another type
        else:
            how = "its numbers are taken as they are"
        self._warn(
            "type", f"{name}: {kind} values; the training images had {' and '.join(full)}: {how}."
        )
        return factor_between(unit, own)

    def _compare(self, image: np.ndarray, pixels: np.ndarray, name: object) -> None:
        """Warn where an image is by far darker or brighter than all training images."""
        low, high = float(image.min()), float(image.max())
        if not self.brightest or low == high:
            return
        top = top_value(pixels) / (255 if self.values == "uint8" else 1)
        darker = top < self.brightest[0] / _OTHER_RANGE
        if not darker and top <= self.brightest[1] * _OTHER_RANGE:
            return
        end = limit_of(high)
        limit = f" If {end:g} is white in it, scale it to the range of the training images." * (
            0 < end < largest(image.dtype.name) and darker
        )
        self._warn(
            "range",
            f"{name}: its values, {low:g}..{high:g} ({image.dtype.name}), are far "
            f"{'below' if darker else 'above'} those of the training images, {self._range()}: it "
            f"is {'darker' if darker else 'brighter'} than any of them, and its mask may be "
            f"wrong.{limit}",
        )

    def _tell_black_and_white(self, image: np.ndarray, name: object) -> None:
        whole = self.values == "uint8" and image.dtype.kind == "f" and image.max() == 1
        if whole and ((image == 0) | (image == 1)).all():
            self._warn(
                "type",
                f"{name}: {image.dtype} values that are 0 and 1 alone. 1 is taken for white, not "
                "for the second of 256 grey levels.",
            )

    @cached_property
    def _told(self) -> set[str]:
        """What `prepare` has warned of."""
        return set()

    def _warn(self, kind: str, message: str) -> None:
        """Once for all images: a folder may hold thousands of the kind."""
        if kind not in self._told:
            self._told.add(kind)
            warn(f"{message} (Other images like it are not named.)")

    def seen_size(
        self,
        size: tuple[int, int],  # (height, width) of an image
    ) -> tuple[int, int]:
        """The (height, width) at which the network looks at the whole of such an image."""
        if self.sees_whole:
            return self.size
        height, width = (max(1, round(side * self.scale)) for side in size)
        return height, width

    def resize(
        self,
        image: np.ndarray,  # (H, W, C)
        size: tuple[int, int] | None = None,  # (height, width); None: as the network looks at it
    ) -> np.ndarray:
        """The image at another size: by area where it shrinks, linear where it grows."""
        return resize(image, size or self.seen_size(image.shape[:2]))

    def resize_mask(self, mask: np.ndarray, size: tuple[int, int] | None = None) -> np.ndarray:
        """(H, W) class indices at another size, by nearest neighbour."""
        height, width = size or self.seen_size(mask.shape)
        if mask.shape == (height, width):
            return mask
        return cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)

    def to_tensor(self, image: np.ndarray) -> torch.Tensor:
        """A prepared image as network input, (1, C, height, width) float32."""
        pixels = torch.from_numpy(np.ascontiguousarray(self.resize(image)))
        return self.normalise(self.scale_values(pixels.permute(2, 0, 1)[None]))

    # batches; these run on the device

    def scale_values(self, pixels: torch.Tensor) -> torch.Tensor:
        """Pixels to float, full scale to 1."""
        return pixels * (1 / 255) if self.values == "uint8" else pixels.float()

    def normalise(self, images: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) in 0..1 to mean 0, standard deviation 1 of the training set."""
        mean, std = self._stats(images)
        return torch.addcmul(-mean / std, images, 1 / std)  # one pass over the batch

    def denormalise(self, images: torch.Tensor) -> torch.Tensor:
        """The inverse of `normalise`, for pictures."""
        mean, std = self._stats(images)
        return torch.addcmul(mean, images, std)

    def _stats(self, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mean, std = (like.new_tensor(v).view(1, -1, 1, 1) for v in (self.mean, self.std))
        return mean, std

    # predictions on their way out

    def restore(
        self,
        scores: torch.Tensor,  # (B, C, h, w) as the network gives them
        size: tuple[int, int],  # (height, width) of the image they belong to
    ) -> torch.Tensor:  # (B, C, height, width)
        """Scores at the image's own size, linear in between."""
        if scores.shape[-2:] == size:
            return scores
        return F.interpolate(scores, size, mode="bilinear", align_corners=False)

    def to_dict(self) -> dict:
        """Plain JSON values; `from_dict` makes the same object of them."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping) -> "Preprocess":
        """What `to_dict` wrote. Raises `ValueError` where a field is unknown or not what it was."""
        if unknown := sorted(data.keys() - {field.name for field in fields(cls)}):
            raise ValueError(f"{', '.join(map(shown, unknown))}: unknown to this fastunet.")
        try:
            own: dict[str, Any] = {
                k: tuple(v) if isinstance(v, list) else v for k, v in data.items()
            }
            return cls(**own)
        except TypeError as error:
            raise ValueError(f"A field of the preprocessing is damaged ({error}).") from error
