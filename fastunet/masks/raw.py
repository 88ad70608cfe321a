"""A mask file as codes: one integer per pixel, whatever the file's encoding.

A code is the grey value, or 0xRRGGBB for colour (0xAARRGGBB with the alpha inverted, so that opaque
colours are plain RGB).
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from fastunet.errors import ImageReadError, MaskValueError
from fastunet.io import tiff
from fastunet.io.images import MAX_PIXELS, open_lazily, read_image, read_npy, too_large
from fastunet.masks.one_hot import band_indices, is_stack

Code = int
Colour = tuple[int, int, int]
Value = int | str | Sequence[int]  # how a user writes a code: 11, "#ff0000", (255, 0, 0)
Palette = Literal["colour", "index"]  # how palette files are read

_LOSSY = (".jpg", ".jpeg", ".jfif")

NOWHERE: Code = -(2**62)  # no mask holds it
TRANSPARENT: Code = 0xFF000000  # a pixel that is not there, whatever its colour


@dataclass(frozen=True)
class RawMask:
    """A mask file as it is: one code per pixel."""

    codes: np.ndarray  # (H, W) integers; where `table` is given, indices into it
    colour: bool  # the codes are colours (0xRRGGBB), not values
    table: np.ndarray | None = None  # (256,) colour codes of a palette
    bands: int = 0  # of a stack with one band per class; the codes are band indices
    one_bit: bool = False  # a pixel is set or not, and its number (1, 255) says nothing more
    lossy: bool = False  # of a JPEG: the codes are not quite those that were saved


def read_mask(path: str | os.PathLike, palette: Palette = "colour") -> RawMask:
    """Read a mask file; a palette file by its colours, or by its indices where they mean nothing.

    Raises `ImageReadError` naming the file where it cannot be decoded.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return from_array(_npy(path), path)
    if suffix in tiff.SUFFIXES:
        pages = tiff.pages(path)
        if len(pages) > 1 or (pages and not pages[0].suits_pillow):
            return from_array(read_image(path), path, pages=len(pages) > 1)
    mode, array, table = _decode(path)
    if mode == "1":
        return RawMask(array, colour=False, one_bit=True)
    if mode != "P":
        raw = from_array(array, path, colours=True)
        return replace(raw, lossy=True) if is_lossy(path) else raw
    if palette == "index":
        return RawMask(array, colour=False)
    return RawMask(array, colour=True, table=table)


def is_lossy(path: Path) -> bool:
    """Whether the file is a JPEG, whose values are not those that were saved."""
    return path.suffix.lower() in _LOSSY


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
        return RawMask(_whole(array, path), colour=False, one_bit=array.dtype == bool)
    if (colours and array.dtype == np.uint8 and array.shape[2] in (3, 4)) or not is_stack(array):
        return RawMask(colour_codes(array), colour=True)
    if array.shape[2] in (3, 4) and _is_grey(array):
        return RawMask(_whole(array[..., 0], path), colour=False)
    return RawMask(band_indices(array, path, pages), colour=False, bands=array.shape[2])


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


def colour_codes(rgb: np.ndarray) -> np.ndarray:
    """(H, W, 3 or 4) uint8 to (H, W) uint32; a fully transparent pixel has one code for any RGB."""
    opaque = rgb.shape[2] == 3
    to_bgra = cv2.COLOR_RGB2BGRA if opaque else cv2.COLOR_RGBA2BGRA
    codes = cv2.cvtColor(np.ascontiguousarray(rgb), to_bgra).view("<u4")[..., 0]
    codes ^= np.uint32(0xFF000000)
    if not opaque:
        codes[rgb[..., 3] == 0] = TRANSPARENT
    return codes


def runs(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The code and the length of each run of equal codes, row after row.

    Classes lie in patches: a mask has far fewer runs than pixels, and what is slow is done once
    per run.
    """
    flat = codes.ravel()
    starts = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1])
    return flat[starts], np.diff(starts, append=len(flat))


def pixel_counts(codes: np.ndarray) -> dict[Code, int]:
    """Pixels per code, in ascending order."""
    if codes.dtype == np.uint8:
        counts = np.bincount(codes.ravel(), minlength=256)
        values = np.flatnonzero(counts)
        counts = counts[values]
    else:
        values, counts = np.unique(codes, return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


def is_grey_code(code: Code) -> bool:
    return code == (code & 255) * 0x010101


def convert_code(code: Code, from_colour: bool, to_colour: bool) -> Code:
    """A code of one kind in the other; `NOWHERE` where it has no counterpart."""
    if from_colour == to_colour:
        return code
    if to_colour:
        return code * 0x010101 if 0 <= code < 256 else NOWHERE
    return code & 255 if is_grey_code(code) else NOWHERE


def distances(codes: np.ndarray, code: Code, colour: bool) -> np.ndarray:
    """How far codes are apart: the largest difference of any channel, 0..255."""
    if not colour:
        return np.abs(codes - code)
    shifts = np.array([16, 8, 0])
    return np.abs((codes[:, None] >> shifts & 255) - (code >> shifts & 255)).max(axis=1)


# --- as a user reads and writes them --------------------------------------------------------------


def rgb(code: Code) -> Colour:
    return (code >> 16) & 255, (code >> 8) & 255, code & 255


def format_value(code: Code, colour: bool) -> str | int:
    """A code as JSON and messages show it: 7, "#ff0000", "#ff000080"."""
    if not colour:
        return code
    hidden = code >> 24
    return f"#{code & 0xFFFFFF:06x}" + (f"{255 - hidden:02x}" if hidden else "")


def parse_value(value: Value) -> tuple[Code, bool]:
    """A value or colour as a user writes it: its code, and whether it is a colour.

    `11`, `"11"`, `"#ff0000"`, `"#ff0000ff"`, `(255, 0, 0)`.
    """
    if isinstance(value, str) and value.startswith("#"):
        digits = value[1:]
        if len(digits) not in (6, 8) or any(d not in "0123456789abcdefABCDEF" for d in digits):
            raise MaskValueError(f"{value!r} is no colour; write #rrggbb, for example #ff0000.")
        channels = bytes.fromhex(digits)
    elif isinstance(value, str):
        if not value.strip().removeprefix("-").isdigit():
            raise MaskValueError(
                f"{value!r} is neither a value (11) nor a colour (#ff0000), nor the name of a "
                "class in classes=."
            )
        return int(value), False
    elif isinstance(value, Sequence):
        if len(value) not in (3, 4) or not all(0 <= v <= 255 for v in value):
            raise MaskValueError(f"{value!r} is no colour; write (r, g, b) with 0..255.")
        channels = bytes(value)
    else:
        return int(value), False
    return int(colour_codes(np.frombuffer(channels, np.uint8).reshape(1, 1, -1))[0, 0]), True
