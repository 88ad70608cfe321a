"""Random training views: crop, scale, rotation, flip in one warp of image and mask, then light."""

import math
import random
from dataclasses import dataclass

import cv2
import numpy as np

from fastunet.data.masks import VOID


@dataclass(frozen=True)
class Augment:
    """How far a training view may differ from the picture. `Augment.none()` only resizes."""

    flip_lr: float = 0.5  # probability of a mirror image
    flip_ud: float = 0.0  # probability of turning upside down; for scenes without an up: 0.5
    rotate: float = 15.0  # degrees either way
    scale: tuple[float, float] = (0.75, 1.4)  # magnification; above 1 crops at a random place
    brightness: float = 0.15  # gain, relative, either way: dark pictures keep their detail
    contrast: float = 0.15  # about the picture's own mean, relative, either way
    gamma: float = 0.15  # exponent from 1 - gamma to 1 / (1 - gamma)

    @classmethod
    def none(cls) -> "Augment":
        return cls(0, 0, 0, (1, 1), 0, 0, 0)

    def draw(self) -> "View":
        """A random view, from the generator that fastai's `set_seed` seeds."""
        return View(
            flip_lr=random.random() < self.flip_lr,
            flip_ud=random.random() < self.flip_ud,
            angle=math.radians(random.uniform(-self.rotate, self.rotate)),
            scale=math.exp(random.uniform(*map(math.log, self.scale))),
            place=(random.random(), random.random()),
            brightness=1 + random.uniform(-self.brightness, self.brightness),
            contrast=1 + random.uniform(-self.contrast, self.contrast),
            gamma=math.exp(random.uniform(-1, 1) * -math.log1p(-self.gamma)),
        )


@dataclass(frozen=True)
class View:
    """One drawn view: the same for the image and its mask."""

    flip_lr: bool
    flip_ud: bool
    angle: float  # radians
    scale: float
    place: tuple[float, float]  # where the crop lies, 0..1 of the slack in x and y
    brightness: float
    contrast: float
    gamma: float

    def matrix(
        self,
        source: tuple[int, int],  # (height, width) of the picture
        target: tuple[int, int],  # (height, width) of the view
    ) -> np.ndarray:  # (2, 3) float64, source pixel -> target pixel
        """The affine map about the centre of both, with pixel centres at half integers."""
        (src_h, src_w), (dst_h, dst_w) = source, target
        cos, sin = math.cos(self.angle) * self.scale, math.sin(self.angle) * self.scale
        turn = np.array([[cos, -sin], [sin, cos]])
        mirror = np.diag([1 - 2 * self.flip_lr, 1 - 2 * self.flip_ud])
        linear = turn @ mirror @ np.diag([dst_w / src_w, dst_h / src_h])
        slack = (
            (self.scale - 1) / 2 * np.array([dst_w, dst_h])
        )  # negative where the view shows more
        shift = (1 - 2 * np.array(self.place)) * slack
        centre = np.array([dst_w, dst_h]) / 2 + shift
        offset = centre - linear @ (np.array([src_w, src_h]) / 2)
        offset += linear @ [0.5, 0.5] - 0.5
        return np.column_stack([linear, offset])

    def warp_image(self, image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """(H, W, C) to (*size, C), linear; outside the picture it is mirrored."""
        view = cv2.warpAffine(
            image, self.matrix(image.shape[:2], size), size[::-1],
            flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101,
        )  # fmt: skip
        return self._light(view.reshape(*size, image.shape[2]))

    def warp_mask(self, mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """(H, W) class indices to `size`, nearest; outside the picture is void."""
        return cv2.warpAffine(
            mask, self.matrix(mask.shape, size), size[::-1],
            flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=VOID,
        )  # fmt: skip

    def _light(self, image: np.ndarray) -> np.ndarray:
        if (self.brightness, self.contrast, self.gamma) == (1, 1, 1):
            return image
        if image.dtype == np.uint8:
            levels = np.arange(256, dtype=np.float32) / 255
            table = self._curve(levels, float(image.mean()) / 255)
            return cv2.LUT(image, (table * 255 + 0.5).astype(np.uint8)).reshape(image.shape)
        low, high = float(image.min()), float(image.max())
        if high <= low:
            return image
        unit = (image - low) / (high - low)
        return self._curve(unit, float(unit.mean())) * (high - low) + low

    def _curve(self, values: np.ndarray, mean: float) -> np.ndarray:
        """Gamma and gain, then contrast about the mean, of values in 0..1."""
        lit = np.clip(values, 0, 1) ** self.gamma * self.brightness
        middle = mean**self.gamma * self.brightness
        return np.clip((lit - middle) * self.contrast + middle, 0, 1)
