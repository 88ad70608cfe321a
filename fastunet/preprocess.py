"""How pixels become network input and a prediction goes back: one object for training and use.

JSON in and out, so that a bundle carries it and a model cannot be fed differently than it was
trained.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from typing import Literal, get_args

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from fastunet.data.cache import in_threads
from fastunet.data.images import full_scale, is_grey, refuse_not_finite, with_channels
from fastunet.data.sources import Source, as_image, name_of
from fastunet.terminal import shown

Policy = Literal["resize", "patch"]
Scaling = Literal["auto", "dtype", "percentile"]

_PIXELS = 65_536  # of each image looked at go into the statistics
_PERCENTILES = (0.5, 99.5)


@dataclass(frozen=True)
class _Glance:
    """What one image says about a data set, small enough to keep many."""

    name: str
    pixels: np.ndarray  # (1, N, C) float32, values as they are in the file
    dtype: np.dtype
    grey: bool

    @classmethod
    def at(cls, source: Source, size: tuple[int, int] | None) -> "_Glance":
        image, name = as_image(source), name_of(source)
        refuse_not_finite(image, name)
        seen = resize(image.astype(np.float32), size) if size else image
        pixels = seen.reshape(1, -1, image.shape[2])
        step = -(-pixels.shape[1] // _PIXELS)
        return cls(name, pixels[:, ::step].astype(np.float32), image.dtype, is_grey(image))

    @property
    def full(self) -> float:
        """Full scale of the type: 255, 65535, and 1 of floats."""
        return float(np.iinfo(self.dtype).max) if self.dtype.kind in "iu" else 1.0


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
    ) -> "Preprocess":
        """Channels, value range, mean and standard deviation, from a look at the images.

        Scaling by "dtype" takes the largest value of an integer type as 1 and leaves floats alone;
        by "percentile" 0 and 1 are the 0.5th and 99.5th percentile of each channel, so that few
        very bright pixels do not press the others together.
        """
        size = (size, size) if isinstance(size, int) else tuple(size)
        paths = list(image_paths)[:: max(1, len(image_paths) // sample)]
        glance = partial(_Glance.at, size=size if policy == "resize" else None)
        glances = list(in_threads(glance, paths, "Reading images", progress))
        if channels is None:
            widest = max(glance.pixels.shape[2] for glance in glances)
            channels = 1 if widest <= 3 and all(glance.grey for glance in glances) else widest
        values = "uint8" if all(glance.dtype == np.uint8 for glance in glances) else "float"
        pixels = [with_channels(g.pixels, channels, g.name)[0].astype(np.float64) for g in glances]
        low, high = (), ()
        if scaling == "percentile" or (scaling == "auto" and values == "float"):
            low, high = np.percentile(np.concatenate(pixels), _PERCENTILES, axis=0)
            high = np.where(high > low, high, low + 1)
            values = "float"
            pixels = [(p - low) / (high - low) for p in pixels]
        else:
            pixels = [p / g.full for p, g in zip(pixels, glances, strict=True)]
        every = np.concatenate(pixels)
        spread = np.std(every, axis=0)
        std = np.where(spread > 0, spread, 1)
        mean = np.mean(every, axis=0)
        return cls(size, channels, values, mean, std, policy, scale, tuple(low), tuple(high))

    # images on their way in

    def prepare(
        self,
        source: Source,  # a file, bytes, a PIL image, a tensor or an array; see `as_image`
        name: object = None,  # of it in messages; None: its path
    ) -> np.ndarray:  # (H, W, channels) at its own size, uint8 or float32 as `values` says
        """An image with the channels and the value range of the training set.

        Where the training images have 8 bits, floats between 0 and 1 are multiplied by 255, and
        floats up to 255 are taken as they are.

        Raises `ImageReadError`, naming the file, where it cannot be read, has other channels or
        values, or holds pixels that are NaN or infinite.
        """
        image, name = as_image(source), name or name_of(source)
        refuse_not_finite(image, name)
        image = with_channels(image, self.channels, name)
        if not self.low:
            return full_scale(image, self.values, name)
        low, high = np.array(self.low, np.float32), np.array(self.high, np.float32)
        return (image.astype(np.float32) - low) / (high - low)

    def seen_size(
        self,
        size: tuple[int, int],  # (height, width) of an image
    ) -> tuple[int, int]:
        """The (height, width) at which the network looks at the whole of such an image."""
        if self.policy == "resize":
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
            return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in data.items()})
        except TypeError as error:
            raise ValueError(f"A field of the preprocessing is damaged ({error}).") from error


def resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(H, W, C) to (*size, C): by area where it shrinks, linear where it grows."""
    height, width = size
    if image.shape[:2] == (height, width):
        return image
    shrinks = height < image.shape[0] or width < image.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    groups = [  # OpenCV resizes up to four channels at a time
        cv2.resize(image[..., i : i + 4], (width, height), interpolation=how)
        for i in range(0, image.shape[2], 4)
    ]
    return np.concatenate([g[:, :, None] if g.ndim == 2 else g for g in groups], axis=2)
