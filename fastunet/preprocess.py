"""How pixels become network input and a prediction goes back: one object for training and use.

JSON in and out, so that a bundle carries it and a model cannot be fed differently than it was
trained.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from fastunet.data.cache import in_threads
from fastunet.data.images import as_image, full_scale, is_grey, read_image, with_channels

_PIXELS = 65_536  # of each image looked at go into the statistics


@dataclass(frozen=True)
class _Glance:
    """What one image says about a data set, small enough to keep many."""

    path: Path
    pixels: np.ndarray  # (1, N, C) float32 as the network will see them, full scale 1
    dtype: np.dtype
    grey: bool

    @classmethod
    def at(cls, path: str | os.PathLike, size: tuple[int, int]) -> "_Glance":
        image = read_image(path)
        pixels = resize(full_scale(image, "float"), size).reshape(1, -1, image.shape[2])
        step = -(-pixels.shape[1] // _PIXELS)
        return cls(Path(path), pixels[:, ::step].copy(), image.dtype, is_grey(image))


@dataclass(frozen=True)
class Preprocess:
    """The whole image, resized to `size`, scaled to 0..1 and normalised per channel."""

    size: tuple[int, int] = (256, 256)  # (height, width) of the network's input, pixels
    channels: int = 3  # 1 for grey, 3 for RGB
    values: Literal["uint8", "float"] = "uint8"  # 8-bit pixels, or floats for deeper images
    mean: tuple[float, ...] = (0.5,)  # per channel, of pixels scaled to 0..1
    std: tuple[float, ...] = (0.25,)

    def __post_init__(self):
        height, width = self.size
        if height < 1 or width < 1:
            raise ValueError(f"size={self.size}: height and width of at least 1 pixel are needed.")
        for name in ("mean", "std"):
            values = tuple(float(f"{value:.6g}") for value in getattr(self, name))
            values = values * self.channels if len(values) == 1 else values
            if len(values) != self.channels:
                raise ValueError(f"{name} has {len(values)} entries for {self.channels} channels.")
            object.__setattr__(self, name, values)

    @classmethod
    def infer(
        cls,
        image_paths: Sequence[str | os.PathLike],  # of the training part
        size: int | tuple[int, int] = 256,  # network input; an int is a square
        channels: int | None = None,  # None: 1 where all pictures are grey, else what they have
        sample: int = 100,  # how many files are looked at, spread over the list
        progress: bool = False,  # show a progress bar
    ) -> "Preprocess":
        """Channels, value range, mean and standard deviation, from a look at the images."""
        size = (size, size) if isinstance(size, int) else tuple(size)
        paths = list(image_paths)[:: max(1, len(image_paths) // sample)]
        glance = partial(_Glance.at, size=size)
        glances = list(in_threads(glance, paths, "Reading images", progress))
        if channels is None:
            widest = max(glance.pixels.shape[2] for glance in glances)
            channels = 1 if widest <= 3 and all(glance.grey for glance in glances) else widest
        values = "uint8" if all(glance.dtype == np.uint8 for glance in glances) else "float"
        pixels = np.concatenate([
            with_channels(glance.pixels, channels, glance.path)[0] for glance in glances
        ]).astype(np.float64)  # fmt: skip
        spread = pixels.std(0)
        std = np.where(spread > 0, spread, 1)
        return cls(size, channels, values, tuple(pixels.mean(0)), tuple(std))

    # images on their way in

    def prepare(
        self,
        source: str | os.PathLike | np.ndarray,  # a file, or (H, W) / (H, W, C) pixels in RGB order
    ) -> np.ndarray:  # (H, W, channels) at its own size, uint8 or float32 as `values` says
        """An image with the channels and the value range of the training set."""
        name = source if isinstance(source, str | os.PathLike) else "the image"
        return full_scale(with_channels(as_image(source), self.channels, name), self.values)

    def resize(
        self,
        image: np.ndarray,  # (H, W, C)
        size: tuple[int, int] | None = None,  # (height, width); None: the network's
    ) -> np.ndarray:
        """The image at another size: by area where it shrinks, linear where it grows."""
        return resize(image, size or self.size)

    def resize_mask(self, mask: np.ndarray, size: tuple[int, int] | None = None) -> np.ndarray:
        """(H, W) class indices at another size, by nearest neighbour."""
        height, width = size or self.size
        if mask.shape == (height, width):
            return mask
        return cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)

    def to_tensor(self, image: np.ndarray) -> torch.Tensor:
        """A prepared image as network input, (1, C, height, width) float32."""
        pixels = torch.from_numpy(np.ascontiguousarray(self.resize(image)))
        return self.normalise(self.scale(pixels.permute(2, 0, 1)[None]))

    # batches; these run on the device

    def scale(self, pixels: torch.Tensor) -> torch.Tensor:
        """Pixels to float, full scale to 1."""
        return pixels.float() / 255 if self.values == "uint8" else pixels.float()

    def normalise(self, images: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) in 0..1 to mean 0, standard deviation 1 of the training set."""
        mean, std = self._stats(images)
        return (images - mean) / std

    def denormalise(self, images: torch.Tensor) -> torch.Tensor:
        """The inverse of `normalise`, for pictures."""
        mean, std = self._stats(images)
        return images * std + mean

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
        return {"policy": "resize", **asdict(self)}

    @classmethod
    def from_dict(cls, data: Mapping) -> "Preprocess":
        fields = {key: value for key, value in data.items() if key != "policy"}
        fields = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
        return cls(**fields)


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
