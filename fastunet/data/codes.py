"""A mask file as codes: one integer per pixel, whatever the file's encoding.

A code is the grey value, or 0xRRGGBB for colour (0xAARRGGBB with the alpha inverted, so that opaque
colours are plain RGB).
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from fastunet.data.images import read_image
from fastunet.errors import ImageReadError, MaskValueError

Code = int
Colour = tuple[int, int, int]
Value = int | str | Sequence[int]  # how a user writes a code: 11, "#ff0000", (255, 0, 0)
Palette = Literal["colour", "index"]  # how palette files are read


@dataclass(frozen=True)
class RawMask:
    """A mask file as it is: one code per pixel."""

    codes: np.ndarray  # (H, W) integers; where `table` is given, indices into it
    colour: bool  # the codes are colours (0xRRGGBB), not values
    table: np.ndarray | None = None  # (256,) colour codes of a palette


def read_mask(path: str | os.PathLike, palette: Palette = "colour") -> RawMask:
    """Read a mask file; a palette file by its colours, or by its indices where they mean nothing.

    Raises `ImageReadError` naming the file where it cannot be decoded.
    """
    path = Path(path)
    if path.suffix.lower() == ".npy":
        array = read_image(path)
        return from_array(array[..., 0] if array.shape[2] == 1 else array, path)
    mode, array, table = _decode(path)
    if mode != "P":
        return from_array(array, path)
    if palette == "index":
        return RawMask(array, colour=False)
    return RawMask(array, colour=True, table=table)


def _decode(path: Path) -> tuple[str, np.ndarray, np.ndarray | None]:
    """Pillow's mode, the pixels and, for mode P, the palette as 256 colour codes."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(path) as file:
            mask = ImageOps.exif_transpose(file)
            if mask.mode in ("1", "L", "RGB", "RGBA", "P") or mask.mode.startswith("I"):
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
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
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


def from_array(array: np.ndarray, path: Path) -> RawMask:
    if array.ndim == 2:
        if array.dtype == bool:
            array = array.astype(np.uint8)
        if not np.issubdtype(array.dtype, np.integer):
            whole = array.astype(np.int64)
            if not np.array_equal(whole, array):
                raise MaskValueError(
                    f"{path}: the mask holds fractions; whole class values are expected."
                )
            array = whole
        return RawMask(array, colour=False)
    if array.ndim == 3 and array.shape[2] in (3, 4) and array.dtype == np.uint8:
        return RawMask(colour_codes(array), colour=True)
    raise ImageReadError(f"{path}: a {array.dtype} array of shape {array.shape} is not a mask.")


def colour_codes(rgb: np.ndarray) -> np.ndarray:
    """(H, W, 3 or 4) uint8 to (H, W) uint32; a fully transparent pixel has one code for any RGB."""
    r, g, b = (rgb[..., i].astype(np.uint32) for i in range(3))
    codes = (r << 16) | (g << 8) | b
    if rgb.shape[2] == 4:
        hidden = 255 - rgb[..., 3].astype(np.uint32)
        codes = np.where(hidden == 255, np.uint32(0), codes) | (hidden << 24)
    return codes


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


def carry(code: Code, from_colour: bool, to_colour: bool) -> Code:
    """A code of one kind in the other; -1 where it has no counterpart."""
    if from_colour == to_colour:
        return code
    if to_colour:
        return code * 0x010101 if 0 <= code < 256 else -1
    return code & 255 if is_grey_code(code) else -1


def distances(codes: np.ndarray, code: Code, colour: bool) -> np.ndarray:
    """How far codes are apart: the largest difference of any channel, 0..255."""
    if not colour:
        return np.abs(codes - code)
    shifts = np.array([16, 8, 0])
    return np.abs((codes[:, None] >> shifts & 255) - (code >> shifts & 255)).max(axis=1)


# --- as a user reads and writes them --------------------------------------------------------------


def rgb(code: Code) -> Colour:
    return (code >> 16) & 255, (code >> 8) & 255, code & 255


def spell(code: Code, colour: bool) -> str | int:
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
        if not value.strip().isdigit():
            raise MaskValueError(f"{value!r} is neither a value (11) nor a colour (#ff0000).")
        return int(value), False
    elif isinstance(value, Sequence):
        if len(value) not in (3, 4) or not all(0 <= v <= 255 for v in value):
            raise MaskValueError(f"{value!r} is no colour; write (r, g, b) with 0..255.")
        channels = bytes(value)
    else:
        return int(value), False
    return int(colour_codes(np.frombuffer(channels, np.uint8).reshape(1, 1, -1))[0, 0]), True
