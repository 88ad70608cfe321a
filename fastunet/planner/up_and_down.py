"""Whether pictures have an up and a down: streets do, microscopy does not.

What is alike at the top of all pictures and unlike their bottom tells upright pictures from those
turned upside down. Each picture is compared with the mean of the others, once as it is and once
upside down. The mean is mirrored left to right: a sky stays above a street, while pictures of one
and the same place, such as the slices of a stack, are alike only where nothing is mirrored.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from fastunet.io.channels import is_grey

_SIDE = 16  # pixels, to which pictures are brought
_LEAST = 5  # pictures, with less of which chance may say anything
_CLEAR = 0.8  # share that must be told right
_CHANCE = 0.01  # probability at most that as many are told right by chance
_STRONG = 0.25  # of street scenes it is 1.4, of cars in a studio 0.46, of slices of a stack 0.12


@dataclass(frozen=True)
class Upright:
    """How clearly pictures were told from themselves upside down."""

    told: int  # pictures
    of: int
    difference: float  # by how much they correlate less with the others upside down, 0 to 2

    @property
    def too_few(self) -> bool:
        """Whether there are too few pictures to tell anything."""
        return self.of < _LEAST

    @property
    def has_up(self) -> bool:
        """Whether the pictures have an up and a down; True also where too few are there to tell."""
        if self.too_few:
            return True
        by_chance = sum(math.comb(self.of, k) for k in range(self.told, self.of + 1)) / 2**self.of
        seldom = by_chance <= _CHANCE or self.told == self.of
        return self.told >= _CLEAR * self.of and seldom and self.difference >= _STRONG

    def __str__(self) -> str:
        if self.too_few:
            return f"{self.of} images are too few to tell an up from a down"
        if self.has_up:
            return f"{self.told} of {self.of} images are told from themselves upside down"
        return "upside down they look like the others, too"


def told_upright(
    features: Sequence[np.ndarray],  # (K, h, w) each, as `features_of` makes them
) -> Upright:
    """Compare each with the others."""
    every = np.array(features)
    total = every.sum(0)
    told, differences = 0, []
    for one in every:
        others = np.stack([_unit(plane) for plane in (total - one)[..., ::-1]])
        each = (one * others).sum((1, 2)) - (one[:, ::-1] * others).sum((1, 2))
        told += bool(each.sum() > 0)
        differences.append(each)
    strongest = float(np.max(np.mean(differences, axis=0))) if differences else 0.0
    return Upright(told, len(every), strongest)


def features_of(
    image: np.ndarray,  # (H, W, C)
    mask: np.ndarray,  # (H, W) class indices
    classes: int,
) -> np.ndarray:  # (1 + classes, 16, 16) float64
    """What is compared: brightness, and where each class is, each of mean 0 and length 1."""
    brightness = image[..., :1] if is_grey(image) else image
    planes = [_shrunk(brightness.astype(np.float32).mean(2))]
    for index in range(classes):
        planes.append(_shrunk((mask == index).astype(np.float32)))
    return np.stack([_unit(plane) for plane in planes])


def _shrunk(plane: np.ndarray) -> np.ndarray:
    return cv2.resize(plane, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float64)


def _unit(plane: np.ndarray) -> np.ndarray:
    centred = plane - plane.mean()
    length = np.linalg.norm(centred)
    return centred / length if length > 0 else centred
