"""A mask file as codes: one integer per pixel, whatever the file's encoding."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from fastunet.errors import ImageReadError, MaskValueError
from fastunet.io import tiff
from fastunet.io.extensions import JPEG, TIFF
from fastunet.io.images import MAX_PIXELS, open_lazily, read_image, read_npy, too_large
from fastunet.masks.codes import CodeKind, colour_codes, converted
from fastunet.masks.one_hot import band_indices, is_stack

Palette = Literal["colour", "index"]  # how palette files are read


@dataclass(frozen=True)
class RawMask:
    """A mask file as it is: one code per pixel."""

    codes: np.ndarray  # (H, W) integers; where `table` is given, indices into it
    kind: CodeKind = CodeKind.VALUE  # of the codes, or of those in `table`
    table: np.ndarray | None = None  # (256,) colour codes of a palette
    bands: int = 0  # of a stack with one band per class; the codes are band indices
    one_bit: bool = False  # a pixel is set or not, and its number (1, 255) says nothing more
    lossy: bool = False  # of a JPEG: the codes are not quite those that were saved

    @property
    def by_index(self) -> "RawMask":
        """A palette file with its indices as values; any other mask as it is."""
        return self if self.table is None else RawMask(self.codes)

    def codes_of(self, kind: CodeKind) -> np.ndarray:  # (H, W)
        """The codes as those of a kind; a palette file's are its colours."""
        codes = self.codes if self.table is None else self.table[self.codes]
        return converted(codes, self.kind, kind)


def read_mask(path: str | os.PathLike) -> RawMask:
    """Read a mask file.

    Raises `ImageReadError` naming the file where it cannot be decoded, `MaskValueError` where it
    holds no mask.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return from_array(_npy(path), path)
    if suffix in TIFF:
        pages = tiff.pages(path)
        if len(pages) > 1 or (pages and not pages[0].suits_pillow):
            return from_array(read_image(path), path, pages=len(pages) > 1)
    mode, array, table = _decode(path)
    if mode == "1":
        return RawMask(array, one_bit=True)
    if mode != "P":
        raw = from_array(array, path, colours=True)
        return replace(raw, lossy=True) if is_lossy(path) else raw
    return RawMask(array, CodeKind.COLOUR, table)


def is_lossy(path: Path) -> bool:
    """Whether the file is a JPEG, whose values are not those that were saved."""
    return path.suffix.lower() in JPEG


def _npy(path: Path) -> np.ndarray:
    try:
        array = read_npy(path)
    except OSError as error:
        raise ImageReadError(f"{path}: cannot be opened ({error.strerror}).") from error
    bands_first = array.ndim == 3 and array.shape[2] > 4 and array.shape[0] < array.shape[2]
    return np.moveaxis(array, 0, -1) if bands_first else array


def _decode(path: Path) -> tuple[str, np.ndarray, np.ndarray | None]:
    """Pillow's mode, the pixels and, for mode P, the palette as 256 colour codes."""
    from PIL import ImageOps

    try:
        with open_lazily(path) as file:
            if file.width * file.height > MAX_PIXELS:
                raise ImageReadError(too_large(path, file.height, file.width))
            mask = ImageOps.exif_transpose(file)
            if mask.mode == "1":
                array = np.asarray(mask.convert("L"))
            elif mask.mode in ("L", "RGB", "RGBA", "P", "F") or mask.mode.startswith("I"):
                array = np.asarray(mask)
            elif mask.mode in ("LA", "PA", "CMYK", "La", "RGBa"):
                array = np.asarray(mask.convert("RGBA"))
            else:
                raise ImageReadError(
                    f"{path}: a mask of Pillow mode {mask.mode} is not understood."
                )
            table = _palette(mask) if mask.mode == "P" else None
    except FileNotFoundError:
        raise ImageReadError(f"{path}: the mask does not exist.") from None
    except ImageReadError:
        raise
    except Exception as error:  # of any type, where a file is damaged
        raise ImageReadError(
            f"{path}: the mask cannot be decoded ({error}). Replace it or take it out."
        ) from error
    return mask.mode, array, table


def _palette(mask) -> np.ndarray:
    rgba = np.zeros((256, 4), np.uint8)
    rgba[:, 3] = 255
    colours = np.frombuffer(bytes(mask.getpalette("RGBA")), np.uint8).reshape(-1, 4)
    rgba[: len(colours)] = colours
    return colour_codes(rgba[None])[0]


def from_array(
    array: np.ndarray,
    path: Path,  # for the error message
    colours: bool = False,  # three or four bands of bytes are colours, whatever they hold
    pages: bool = False,  # its bands are the pages of a TIFF; for the error message
) -> RawMask:
    """An array as a mask: (H, W) values, (H, W, 3 or 4) colours, or a stack of one band per class.

    Raises `MaskValueError` naming the file where it is none of these.
    """
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.ndim not in (2, 3) or 0 in array.shape or array.dtype.kind not in "buif":
        raise MaskValueError(f"{path}: a {array.dtype} array of shape {array.shape} is not a mask.")
    if array.ndim == 2:
        return RawMask(_whole(array, path), one_bit=array.dtype == bool)
    if (colours and array.dtype == np.uint8 and array.shape[2] in (3, 4)) or not is_stack(array):
        return RawMask(colour_codes(array), CodeKind.COLOUR)
    if array.shape[2] in (3, 4) and _is_grey(array):
        return RawMask(_whole(array[..., 0], path))
    return RawMask(band_indices(array, path, pages), bands=array.shape[2])


def _is_grey(array: np.ndarray) -> bool:
    """Values that were saved three times over, as 16-bit RGB for example."""
    rest = array[..., 1:3] == array[..., :1]
    return bool(array.any()) and bool(rest.all())


def _whole(values: np.ndarray, path: Path) -> np.ndarray:
    """Values as integers of this machine's byte order."""
    if values.dtype == bool:
        return values.astype(np.uint8)
    if values.dtype.kind in "iu":
        return values.astype(values.dtype.newbyteorder("="), copy=False)
    odd = np.count_nonzero(~np.isfinite(values))
    if odd:
        raise MaskValueError(
            f"{path}: {odd} pixels are NaN or infinite; whole class values are expected. Write a "
            "value there that no class has, 255 for example, and pass it as void=."
        )
    whole = values.astype(np.int64)
    if not np.array_equal(whole, values):
        raise MaskValueError(
            f"{path}: the mask holds fractions ({values.min():g}..{values.max():g}); whole class "
            "values are expected. Are these probabilities? Save the class of each pixel."
        )
    return whole
