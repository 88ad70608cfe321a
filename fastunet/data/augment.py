"""Random training views: one warp for crop, scale, rotation, shear and flip; then light."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Literal, get_args

import cv2
import numpy as np

from fastunet.choices import Preset
from fastunet.errors import TrainingError
from fastunet.io.resizing import resize
from fastunet.labels import VOID

_BORDERS = {"reflect": cv2.BORDER_REFLECT_101, "constant": cv2.BORDER_CONSTANT}


RandomNumbers = random.Random | ModuleType  # the module `random` is what fastai's `set_seed` seeds


@dataclass(frozen=True)
class Augment:
    """How far a training view may differ from the picture.

    `Augment.preset("scene")` suits pictures with an up and a down (photos, streets, X-rays),
    `"free"` those without one (microscopy, aerial), `"light"` changes little, `"none"` nothing.
    """

    flip_lr: float = 0.5  # probability of a mirror image
    flip_ud: float = 0.0  # probability of turning upside down; for scenes without an up: 0.5
    rotate: float = 15.0  # degrees either way
    scale: tuple[float, float] = (0.75, 1.4)  # magnification; above 1 crops at a random place
    shear: float = 0.0  # degrees either way
    brightness: float = 0.15  # gain, relative, either way: dark pictures keep their detail
    contrast: float = 0.15  # about the picture's own mean, relative, either way
    gamma: float = 0.15  # exponent from 1 - gamma to 1 / (1 - gamma)
    noise: float = 0.0  # standard deviation up to this share of full scale
    blur: float = 0.0  # Gaussian sigma up to this many pixels
    border: Literal["reflect", "constant"] = "reflect"  # the image outside the picture; constant: 0
    rare: float = 1 / 3  # of patches: share centred on a class that is not the image's largest

    def __post_init__(self):
        if self.border not in _BORDERS:
            raise TrainingError(f"border={self.border!r}; {' or '.join(_BORDERS)} was expected.")
        if not 0 < self.scale[0] <= self.scale[1]:
            raise TrainingError(f"scale={self.scale}; (least, most) above 0 was expected.")

    @classmethod
    def none(cls) -> "Augment":
        """Only what the network's input size asks for; patches still lie anywhere."""
        return cls(0, 0, 0, (1, 1), 0, 0, 0, 0)

    @classmethod
    def preset(cls, name: Preset) -> "Augment":
        """What suits a kind of picture; raises `TrainingError` for a name that is none."""
        presets = {
            "none": cls.none(),
            "light": cls(rotate=5, scale=(0.9, 1.1), brightness=0.1, contrast=0.1, gamma=0),
            "scene": cls(),
            "free": cls(flip_ud=0.5, rotate=180),
        }
        if name not in presets:
            raise TrainingError(f"augment={name!r}; one of {', '.join(presets)} was expected.")
        return presets[name]

    def draw(self, rng: RandomNumbers = random) -> "View":
        """A random view."""
        return View(
            flip_lr=rng.random() < self.flip_lr,
            flip_ud=rng.random() < self.flip_ud,
            angle=math.radians(rng.uniform(-self.rotate, self.rotate)),
            scale=math.exp(rng.uniform(*map(math.log, self.scale))),
            place=(rng.random(), rng.random()),
            brightness=1 + rng.uniform(-self.brightness, self.brightness),
            contrast=1 + rng.uniform(-self.contrast, self.contrast),
            gamma=math.exp(rng.uniform(-1, 1) * -math.log1p(-self.gamma)),
            shear=math.radians(rng.uniform(-self.shear, self.shear)) if self.shear else 0.0,
            noise=rng.uniform(0, self.noise) if self.noise else 0.0,
            blur=rng.uniform(0, self.blur) if self.blur else 0.0,
            seed=rng.getrandbits(31) if self.noise else 0,
            border=self.border,
        )

    def __call__(
        self,
        image: np.ndarray,  # (H, W, C) uint8 or float32
        mask: np.ndarray,  # (H, W) class indices
        size: tuple[int, int],  # (height, width) of the view
        fit: bool = True,  # True: the whole picture, resized; False: a patch, pixel for pixel
        centre: tuple[int, int] | None = None,  # source (row, column) to have near the middle
        rng: RandomNumbers = random,
    ) -> tuple[np.ndarray, np.ndarray]:  # (*size, C), (*size)
        """A random view of both."""
        view = self.draw(rng)
        matrix = view.matrix(mask.shape, size, fit, centre)
        return view.warp_image(image, size, matrix), view.warp_mask(mask, size, matrix)


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
    shear: float = 0.0  # radians
    noise: float = 0.0  # standard deviation, share of full scale
    blur: float = 0.0  # sigma, pixels of the view
    seed: int = 0  # of the noise
    border: Literal["reflect", "constant"] = "reflect"

    def matrix(
        self,
        source: tuple[int, int],  # (height, width) of the picture
        target: tuple[int, int],  # (height, width) of the view
        fit: bool = True,  # the whole picture fills the view at scale 1; else pixel for pixel
        centre: tuple[int, int] | None = None,  # source (row, column) to have in the middle, or
        # as near to it as keeps the view inside the picture
    ) -> np.ndarray:  # (2, 3) float64, source pixel -> target pixel
        """The affine map about the centre of both, with pixel centres at half integers.

        Plain arithmetic: numpy would take longer over six numbers than OpenCV over the warp.
        """
        (src_h, src_w), (dst_h, dst_w) = source, target
        zoom_x, zoom_y = (dst_w / src_w, dst_h / src_h) if fit else (1.0, 1.0)
        cos, sin = math.cos(self.angle) * self.scale, math.sin(self.angle) * self.scale
        lean = math.tan(self.shear)
        x = zoom_x * (1 - 2 * self.flip_lr)  # first mirrored and zoomed, then sheared, then turned
        y = zoom_y * (1 - 2 * self.flip_ud)
        xx, xy = cos * x, (cos * lean - sin) * y
        yx, yy = sin * x, (sin * lean + cos) * y
        if centre is not None:  # of an even side the pixel right of the middle
            from_x = _inside(centre[1] + dst_w % 2 / 2, dst_w / (self.scale * zoom_x), src_w)
            from_y = _inside(centre[0] + dst_h % 2 / 2, dst_h / (self.scale * zoom_y), src_h)
            to_x, to_y = dst_w / 2, dst_h / 2
        else:
            from_x, from_y = src_w / 2, src_h / 2
            slack_x = self.scale * zoom_x * src_w - dst_w  # negative where the view shows more
            slack_y = self.scale * zoom_y * src_h - dst_h
            to_x = dst_w / 2 + (0.5 - self.place[0]) * slack_x
            to_y = dst_h / 2 + (0.5 - self.place[1]) * slack_y
        move_x = to_x - 0.5 - xx * (from_x - 0.5) - xy * (from_y - 0.5)
        move_y = to_y - 0.5 - yx * (from_x - 0.5) - yy * (from_y - 0.5)
        if not fit and (abs(xx), xy, yx, abs(yy)) == (1, 0, 0, 1):
            move_x, move_y = round(move_x), round(move_y)  # pixels stay as they are
        return np.array([[xx, xy, move_x], [yx, yy, move_y]])

    def warp_image(
        self, image: np.ndarray, size: tuple[int, int], matrix: np.ndarray | None = None
    ) -> np.ndarray:
        """(H, W, C) to (*size, C), linear, in this view's light."""
        matrix = self.matrix(image.shape[:2], size) if matrix is None else matrix
        view = _warp(image, matrix, size, cv2.INTER_LINEAR, _BORDERS[self.border], 0)
        return self._noisy(self._light(view.reshape(*size, image.shape[2])))

    def warp_mask(
        self, mask: np.ndarray, size: tuple[int, int], matrix: np.ndarray | None = None
    ) -> np.ndarray:
        """(H, W) class indices to `size`, nearest; outside the picture is void."""
        matrix = self.matrix(mask.shape, size) if matrix is None else matrix
        return _warp(mask, matrix, size, cv2.INTER_NEAREST, cv2.BORDER_CONSTANT, VOID)

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

    def _noisy(self, image: np.ndarray) -> np.ndarray:
        """Blurred, then with noise: as a lens and then a sensor would."""
        if self.blur > 0.1:  # below, the kernel is one pixel
            image = cv2.GaussianBlur(image, (0, 0), self.blur).reshape(image.shape)
        if self.noise:
            grain = np.random.default_rng(self.seed).standard_normal(image.shape, np.float32)
            if image.dtype == np.uint8:
                grainy = np.rint(image + grain * (255 * self.noise))
                return np.clip(grainy, 0, 255).astype(np.uint8)
            image = image + grain * (self.noise * float(image.max() - image.min()))
        return image


def _inside(middle: float, width: float, length: int) -> float:
    """A window's middle, moved so that the window lies inside, or the middle of what is smaller."""
    if width >= length:
        return length / 2
    return min(max(middle, width / 2), length - width / 2)


def _warp(
    picture: np.ndarray, matrix: np.ndarray, size: tuple[int, int], how: int, border: int, fill: int
) -> np.ndarray:
    """`cv2.warpAffine` of the part of a picture that the view shows.

    OpenCV's limit is 32,767 pixels a side, and a patch of a large file on disk should read no more
    than itself.
    """
    top, left, bottom, right = _shown(matrix, picture.shape[:2], size)
    if (top, left) != (0, 0):
        matrix = matrix.copy()
        matrix[:, 2] += matrix[:, :2] @ [left, top]
    seen = picture[top:bottom, left:right]
    sides = size[::-1]
    return cv2.warpAffine(seen, matrix, sides, flags=how, borderMode=border, borderValue=fill)


def _shown(
    matrix: np.ndarray, source: tuple[int, int], target: tuple[int, int]
) -> tuple[int, int, int, int]:  # top, left, bottom, right
    """The box of the source that a view needs, with what is mirrored at the picture's edges."""
    (xx, xy, move_x), (yx, yy, move_y) = matrix.tolist()
    det = xx * yy - xy * yx
    xs, ys = (-0.5, target[1] - 0.5), (-0.5, target[0] - 0.5)
    corners = [(x - move_x, y - move_y) for x in xs for y in ys]
    left, right = _reach([(yy * x - xy * y) / det for x, y in corners], source[1])
    top, bottom = _reach([(xx * y - yx * x) / det for x, y in corners], source[0])
    return top, left, bottom, right


def _reach(places: list[float], length: int) -> tuple[int, int]:
    """The range of one side that holds some places, and as much more as they lie outside."""
    low, high = math.floor(min(places)) - 2, math.ceil(max(places)) + 3
    beyond = max(0, -low, high - length)
    low = min(max(low - beyond, 0), length - 1)
    return low, max(min(high + beyond, length), low + 1)


class Albumentations:
    """Any `albumentations`-style callable as `augment=`: class indices and void stay what they are.

    >>> import albumentations as A
    >>> augment = Albumentations(A.Compose([A.ElasticTransform(p=0.5), A.RandomRotate90()]))
    >>> dls = ImageMaskDataLoaders.from_folder("data", augment=augment)

    The transform gets views of the network's input size, and what it makes of another size is
    resized to it: the image by area or linearly, the mask by nearest neighbour. What it brings into
    a mask from outside the picture (`fill_mask=0`, the default there) becomes void. Leave
    normalisation to fastunet.
    """

    def __init__(
        self,
        transform: Callable[..., dict],  # called with image= (H, W, C) and mask= (H, W)
        first: Augment | None = None,  # what is done before; None: only resize or cut the patch
    ):
        self.transform, self.first = transform, first or Augment.none()
        self.rare = self.first.rare

    def __call__(
        self, image: np.ndarray, mask: np.ndarray, size: tuple[int, int], **how
    ) -> tuple[np.ndarray, np.ndarray]:
        """As `Augment.__call__`.

        Raises `TrainingError` where the transform cannot be applied to a view, or returns other
        channels, number types, or image and mask of different sizes.
        """
        image, mask = self.first(image, mask, size, **how)
        try:  # one up, void becomes 0: what their transforms fill masks with
            made = self.transform(image=image, mask=mask + np.uint8(1))
        except Exception as error:  # of any type: it is somebody else's code
            raise TrainingError(
                f"The transform given as augment= fails on a picture of {size[0]}x{size[1]} pixels "
                f"(height x width; the network's size, to which pictures are brought first): "
                f"{error}"
            ) from error
        new, shifted = np.asarray(made["image"]), np.asarray(made["mask"])
        for what, array, like in (("image", new, image), ("mask", shifted, mask)):
            same_kind = array.ndim == like.ndim and array.shape[2:] == like.shape[2:]
            if not same_kind or array.dtype != like.dtype or 0 in array.shape:
                raise TrainingError(
                    f"The transform made a {array.dtype} {what} of shape {array.shape} of a "
                    f"{like.dtype} one of shape {like.shape}. Number type and channels must stay: "
                    "leave normalisation and tensors to fastunet."
                )
        if new.shape[:2] != shifted.shape:
            raise TrainingError(
                f"The transform made an image of {new.shape[0]}x{new.shape[1]} pixels and a mask "
                f"of {shifted.shape[0]}x{shifted.shape[1]}; one size was expected."
            )
        if shifted.shape != size:
            new = resize(new, size)
            shifted = cv2.resize(shifted, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
        return np.ascontiguousarray(new), shifted - np.uint8(1)


Augmentation = Preset | Augment | Albumentations | Callable[..., dict]


def augmentation_of(
    given: "Preset | Augment | Albumentations | Callable[..., dict] | None",  # None: the defaults
) -> "Augment | Albumentations":
    """Augmentation as a user states it: a preset, ours, or anything called as Albumentations are.

    Raises `TrainingError` for a name that is no preset, and for what is no augmentation.
    """
    if given is None:
        return Augment()
    if isinstance(given, Augment | Albumentations):
        return given
    if isinstance(given, str):
        return Augment.preset(given)
    module = type(given).__module__
    if isinstance(given, list | tuple):
        advice = "Wrap transforms of Albumentations in A.Compose([...])"
    elif isinstance(given, type):
        advice = f"Make one of it: {given.__name__}()"
    elif callable(given) and not module.startswith(("fastai.", "fasttransform.", "torchvision.")):
        return Albumentations(given)
    else:
        advice = "fastai's transforms go to batch_tfms="
    raise TrainingError(
        f"augment={given!r} is no augmentation: a preset ({', '.join(get_args(Preset))}), an "
        f"Augment, or a transform of Albumentations was expected. {advice}."
    )
