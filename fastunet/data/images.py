"""Any image file as an upright (H, W, C) array."""

import os
from pathlib import Path

import numpy as np

from fastunet.errors import ImageReadError

try:
    import cv2
except ImportError as error:  # opencv-python without libGL, or a broken install
    raise ImportError(
        f"OpenCV does not import ({error}). On a machine without a screen, "
        "`pip install --force-reinstall opencv-python-headless` mends it."
    ) from error


def read_image(
    path: str | os.PathLike,  # PNG, JPEG, TIFF, BMP, WebP, GIF, ... or .npy
    upright: bool = True,  # apply the EXIF orientation; False: pixels as they are stored
) -> np.ndarray:  # (H, W, C): C is 1 for grey, 3 for RGB, more for many-band TIFF and .npy
    """Decode an image. Depth is kept (uint8, uint16, float); an alpha channel is dropped.

    Raises `ImageReadError` naming the file where it is missing, cut short or no image.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ImageReadError(f"{path}: cannot be opened ({error.strerror}).") from error
    suffix = path.suffix.lower()
    if suffix == ".npy":
        image = _read_npy(path)
    else:
        image = _decode(data, upright)
        if image is None and suffix in (".tif", ".tiff"):
            image = _read_many_bands(path)
    if image is None:
        raise ImageReadError(
            f"{path}: cannot be decoded ({len(data):,} bytes). It is cut short or not an image; "
            "replace it or take it out of the folder."
        )
    if image.ndim not in (2, 3):
        raise ImageReadError(
            f"{path}: an array of shape {image.shape} is not an image (H, W[, C])."
        )
    return image[:, :, None] if image.ndim == 2 else image


def _decode(data: bytes, upright: bool) -> np.ndarray | None:
    flags = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR
    if not upright:
        flags |= cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:  # an empty file
        return None
    if image is not None and image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    return image


def _read_npy(path: Path) -> np.ndarray:
    try:
        return np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ImageReadError(
            f"{path}: not an array that can be loaded safely ({error})."
        ) from error


def _read_many_bands(path: Path) -> np.ndarray | None:
    """A TIFF with more bands than OpenCV takes, by tifffile."""
    try:
        import tifffile
    except ImportError:
        raise ImageReadError(
            f"{path}: OpenCV cannot decode this TIFF. tifffile reads files of many bands: "
            '`pip install "fastunet[tiff]"`.'
        ) from None
    try:
        with tifffile.TiffFile(path) as file:
            page = file.pages[0]
            bands_first = page.axes.startswith("S")
            return np.moveaxis(page.asarray(), 0, -1) if bands_first else page.asarray()
    except (tifffile.TiffFileError, ValueError):
        return None


def as_image(
    source: str | os.PathLike | np.ndarray,  # a file, or (H, W) / (H, W, C) in RGB order
) -> np.ndarray:  # (H, W, C)
    """A photo in any form a user holds one: a path, an array, anything numpy can read (PIL)."""
    if isinstance(source, str | os.PathLike):
        return read_image(source)
    image = np.asarray(source)
    if image.ndim == 2:
        image = image[:, :, None]
    if image.ndim != 3 or 0 in image.shape:
        raise ImageReadError(
            f"An array of shape {image.shape} is not an image (H, W) or (H, W, C)."
        )
    if image.dtype == bool:
        image = image.astype(np.uint8) * 255
    return image


def is_grey(image: np.ndarray) -> bool:  # image: (H, W, C)
    """Whether a picture holds no colour, also where grey is stored as RGB."""
    return image.shape[2] == 1 or (
        image.shape[2] == 3
        and np.array_equal(image[..., 0], image[..., 1])
        and np.array_equal(image[..., 0], image[..., 2])
    )


def with_channels(
    image: np.ndarray,  # (H, W, C)
    channels: int,  # how many are wanted
    name: object = "the image",  # for the error message
) -> np.ndarray:  # (H, W, channels)
    """Grey to colour, colour to grey, alpha dropped; anything else is an `ImageReadError`."""
    have = image.shape[2]
    if have == channels:
        return image
    if have == 1:
        return np.repeat(image, channels, axis=2)
    if have in (3, 4) and channels == 1:
        grey = image[..., :3] @ np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
        if np.issubdtype(image.dtype, np.integer):
            grey = np.rint(grey)
        return grey.astype(image.dtype)[:, :, None]
    if have == 4 and channels == 3:
        return np.ascontiguousarray(image[..., :3])
    raise ImageReadError(f"{name}: {have} channels were found where {channels} are expected.")


def full_scale(image: np.ndarray, to: str) -> np.ndarray:
    """The same picture as "uint8" (0..255) or "float" (integers divided by their maximum)."""
    if to == "uint8":
        if image.dtype == np.uint8:
            return image
        if np.issubdtype(image.dtype, np.integer):
            return (image.astype(np.float32) * (255 / np.iinfo(image.dtype).max) + 0.5).astype(
                np.uint8
            )
        raise ImageReadError(
            f"A {image.dtype} image was given where 8-bit ones are expected; scale it to 0..255."
        )
    if np.issubdtype(image.dtype, np.integer):
        return image.astype(np.float32) / np.iinfo(image.dtype).max
    return image.astype(np.float32)
