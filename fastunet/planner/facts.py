"""What the plan rests on: facts of the data, of the machine, and of the time there is."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from fastunet._util.threads import in_threads
from fastunet.checks.resolution import measure
from fastunet.data.prepare import Understood
from fastunet.io.channels import is_grey
from fastunet.pairs.pair import Pair
from fastunet.planner.structures import measure_structures
from fastunet.planner.up_and_down import Upright, features_of, told_upright
from fastunet.preprocess import Preprocess
from fastunet.scan.image_stats import common_channels

_LOOKED_AT = 40  # training pairs, spread over the data
_PIXELS = 60_000_000  # of them at most


@dataclass(frozen=True)
class DataFacts:
    """What the training images and masks are like."""

    images: int  # to train on
    size: tuple[int, int]  # (height, width), of the image in the middle by its pixels
    channels: int  # as the network would get them
    classes: tuple[str, ...]
    shares: tuple[float, ...]  # of the pixels that count, by class
    widths: tuple[float, ...]  # pixels of the image, by class: of its strips and discs; nan: none
    upright: Upright
    pool: int = 0  # images that may be dealt into folds; 0: the data have a split of their own
    masks: tuple[tuple[Path, np.ndarray], ...] = field(default=(), repr=False)  # (H, W) indices

    @classmethod
    def of(cls, data: Understood, channels: int | None = None) -> "DataFacts":
        """Look at some of the training pairs."""
        train = data.parts["train"]
        some = _some(train, data)

        def look(pair: Pair) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple, bool]:
            image = data.files.image(pair.image_files)
            mask = data.files.class_indices(pair.mask, data.codec)
            features = features_of(image, mask, len(data.codec.classes))
            pixels = measure_structures(mask, len(data.codec.classes))
            return features, np.stack(pixels), mask, image.shape, is_grey(image)

        looks = list(in_threads(look, some, "Looking for a plan", progress=True))
        features, structures, masks, shapes, grey = zip(*looks, strict=True)
        pixels, sums = np.sum(structures, axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            widths = 4 * sums / pixels
        middle = sorted(shapes, key=lambda shape: shape[0] * shape[1])[len(shapes) // 2]
        if channels is None:
            of_images = zip((shape[2] for shape in shapes), grey, strict=True)
            channels = common_channels(list(of_images))
        return cls(
            images=len(train),
            size=(middle[0], middle[1]),
            channels=channels,
            classes=tuple(data.codec.classes),
            shares=tuple((pixels / max(1, pixels.sum())).tolist()),
            widths=tuple(widths.tolist()),
            upright=told_upright(features),
            pool=len(data.shown) if data.drawn else 0,
            masks=tuple(zip((pair.mask for pair in some), masks, strict=True)),
        )

    @property
    def pixels(self) -> int:
        """Of the image in the middle."""
        return self.size[0] * self.size[1]

    @cached_property
    def measured(self) -> tuple[int, ...]:
        """The classes that scores are about: the foreground, or all that are in the masks.

        Where masks that were looked at hold none of these it is what they hold.
        """
        there = tuple(i for i, share in enumerate(self.shares) if share > 0)
        return (1,) if len(self.classes) == 2 and 1 in there else there

    @property
    def things(self) -> tuple[int, ...]:
        """The same without the class that fills most of the pictures, unless it is alone."""
        largest = int(np.argmax(self.shares))
        return tuple(i for i in self.measured if i != largest) or self.measured

    @property
    def width(self) -> float:
        """Of what is to be found, in pixels: the median over its classes."""
        return float(np.median([self.widths[i] for i in self.things] or [math.inf]))

    def best_dice(self, preprocess: Preprocess) -> float:
        """The mean Dice that the masks allow where the network sees images so; see `resolution`."""
        left = measure(self.masks, self.classes, preprocess)
        return float(np.mean([left.best_dice[i] for i in self.measured] or [1.0]))


def _some(train: Sequence[Pair], data: Understood) -> list[Pair]:
    """Pairs from all over the training part, fewer where they are large."""
    first = data.files.class_indices(train[0].mask, data.codec)
    count = min(len(train), _LOOKED_AT, max(4, _PIXELS // max(1, first.size)))
    return [train[i * len(train) // count] for i in range(min(count, len(train)))]


@dataclass(frozen=True)
class MachineFacts:
    """What trains, and how long."""

    device: str  # cpu, cuda, mps
    seconds: float | None  # for the training; None: nobody said
    weights: str | None = None  # the encoder whose pretrained weights are at hand
    weights_are: str = ""  # installed, cached
    speed: Callable[[str], float] = lambda arch: math.nan  # pixels a second that go through a
    # network in training, by its arch
    processes: int = 1  # that train together
