"""Codes: one integer for each value or colour of a mask, and how a user writes it.

A code is the grey value, or 0xRRGGBB for colour (0xAARRGGBB with the alpha inverted, so that opaque
colours are plain RGB).
"""

from collections.abc import Sequence
from enum import Enum

import cv2
import numpy as np

from fastunet.errors import MaskValueError

Code = int
Colour = tuple[int, int, int]
Value = int | str | Sequence[int]  # how a user writes a code: 11, "#ff0000", (255, 0, 0)

NOWHERE: Code = -(2**62)  # no mask holds it
TRANSPARENT: Code = 0xFF000000  # a pixel that is not there, whatever its colour
WHITE: Code = 0xFFFFFF


class CodeKind(Enum):
    """What codes are; `str` gives the plural for messages."""

    VALUE = "values"
    COLOUR = "colours"

    def __str__(self) -> str:
        return self.value

    def format(self, code: Code) -> int | str:
        """A code as JSON and messages show it: 7, "#ff0000", "#ff000080"."""
        if self is CodeKind.VALUE:
            return code
        hidden = code >> 24
        return f"#{code & 0xFFFFFF:06x}" + (f"{255 - hidden:02x}" if hidden else "")

    def convert(self, code: Code, to: "CodeKind") -> Code:
        """The code of the other kind that means the same grey; `NOWHERE` where there is none."""
        if self is to:
            return code
        if self is CodeKind.VALUE:
            return code * 0x010101 if 0 <= code < 256 else NOWHERE
        return code & 255 if is_grey_code(code) else NOWHERE

    def channels(self, codes: Sequence[Code] | np.ndarray) -> np.ndarray:  # (N, 1 or 3) int64
        """A value, or red, green and blue."""
        column = np.asarray(codes, np.int64).reshape(-1, 1)
        return column if self is CodeKind.VALUE else column >> np.array([16, 8, 0]) & 255

    def distances(self, codes: Sequence[Code] | np.ndarray, code: Code) -> np.ndarray:  # (N,)
        """How far codes are from one of them: the largest difference of any channel."""
        return np.abs(self.channels(codes) - self.channels([code])).max(axis=1)


def parse_value(value: Value) -> tuple[Code, CodeKind]:
    """A value or colour as a user writes it: `11`, `"11"`, `"#ff0000"`, `(255, 0, 0)`.

    Raises `MaskValueError` where it is neither.
    """
    if isinstance(value, str):
        if value.startswith("#"):
            return _colour_code(_hex_digits(value)), CodeKind.COLOUR
        if not value.strip().removeprefix("-").isdigit():
            raise MaskValueError(
                f"{value!r} is neither a value (11) nor a colour (#ff0000), nor the name of a "
                "class in classes=."
            )
        return int(value), CodeKind.VALUE
    if isinstance(value, int | float | np.number):
        return int(value), CodeKind.VALUE
    if len(value) not in (3, 4) or not all(0 <= v <= 255 for v in value):
        raise MaskValueError(f"{value!r} is no colour; write (r, g, b) with 0..255.")
    return _colour_code(bytes(value)), CodeKind.COLOUR


def _hex_digits(written: str) -> bytes:
    digits = written[1:]
    if len(digits) not in (6, 8) or any(d not in "0123456789abcdefABCDEF" for d in digits):
        raise MaskValueError(f"{written!r} is no colour; write #rrggbb, for example #ff0000.")
    return bytes.fromhex(digits)


def _colour_code(channels: bytes) -> Code:
    return int(colour_codes(np.frombuffer(channels, np.uint8).reshape(1, 1, -1))[0, 0])


def rgb(code: Code) -> Colour:
    """Red, green and blue of a colour."""
    return (code >> 16) & 255, (code >> 8) & 255, code & 255


def is_grey_code(code: Code) -> bool:
    """Whether a colour is an opaque grey."""
    return code == (code & 255) * 0x010101


# --- of many pixels -------------------------------------------------------------------------------


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


def unique_counts(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # (K,), (K,) int64
    """The codes that occur, ascending, and the pixels of each."""
    if codes.dtype == np.uint8:
        counts = np.bincount(codes.ravel(), minlength=256)
        found = np.flatnonzero(counts)
        return found, counts[found]
    found, counts = np.unique(codes, return_counts=True)
    return found.astype(np.int64), counts


def pixel_counts(codes: np.ndarray) -> dict[Code, int]:
    """Pixels per code, in ascending order."""
    found, counts = unique_counts(codes)
    return dict(zip(found.tolist(), counts.tolist(), strict=True))


def converted(codes: np.ndarray, kind: CodeKind, to: CodeKind) -> np.ndarray:
    """Codes of any shape as those of another kind."""
    if kind is to:
        return codes
    found, inverse = np.unique(codes, return_inverse=True)
    table = np.array([kind.convert(code, to) for code in found.tolist()])
    return table[inverse].reshape(codes.shape)
