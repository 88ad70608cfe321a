"""What a TIFF holds, from its header: pages, bands, depth. Then its bands as one array."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fastunet.errors import ImageReadError
from fastunet.io.extensions import TIFF

# Tags of the TIFF 6.0 specification.
_WIDTH, _HEIGHT, _BITS, PHOTOMETRIC, _ORIENTATION = 256, 257, 258, 262, 274
_DESCRIPTION, _BANDS, _PLANAR, _EXTRA, _FORMAT = 270, 277, 284, 338, 339
_INKS, _NODATA = 332, 42113  # the latter as GDAL writes it, a number as text
_PILLOW_PIXELS = 89_000_000  # of a compressed TIFF; Pillow warns of more and then refuses
_GREY, _RGB, _ALPHA, _UNSIGNED = (0, 1), 2, (1, 2), 1
WHITE_IS_0, _PALETTE, _SEPARATED, _CMYK = 0, 3, 5, 1


@dataclass(frozen=True)
class Page:
    """One picture of a TIFF file, as its header describes it."""

    height: int  # as stored
    width: int
    bands: int
    bits: int  # per band
    grey: bool  # the bands are values, not red, green, blue or a palette
    alpha: bool  # the last band is transparency
    planar: bool  # stored band after band
    unsigned: bool
    orientation: int  # as in EXIF, 1..8
    shape: tuple[int, ...] = ()  # of the array that tifffile was given, where it says so
    nodata: str = ""  # the value of pixels without data, as GDAL writes it
    white_is_0: bool = False
    recoded: bool = False  # colours that have to be translated: a palette, CMYK, YCbCr, Lab
    cmyk: bool = False

    @property
    def suits_opencv(self) -> bool:
        """Grey or RGB, or four bands of which none is alpha."""
        usual = self.bands == 1 if self.grey else self.bands in (1, 3, 4)
        return usual and not self.planar and not self.alpha and not self.cmyk

    @property
    def suits_pillow(self) -> bool:
        """Bytes or bits, of which Pillow knows the palette and the transparency."""
        usual = self.bands - self.alpha == 1 if self.grey else self.bands <= 4
        small = self.height * self.width <= _PILLOW_PIXELS
        upright = self.orientation not in (5, 6, 7, 8)  # Pillow 13 garbles others, uncompressed
        return usual and small and upright and self.unsigned and self.bits <= 8

    @classmethod
    def of(cls, tags: Mapping[int, Any]) -> "Page":
        """A page by its TIFF tags."""
        bands = tags.get(_BANDS, 1)
        colours = tags.get(PHOTOMETRIC, 1)
        return cls(
            height=int(tags[_HEIGHT]),
            width=int(tags[_WIDTH]),
            bands=bands,
            bits=tags.get(_BITS, (1,))[0],
            grey=colours in _GREY,
            alpha=tags.get(_EXTRA, (0,))[-1] in _ALPHA,
            planar=bands > 1 and tags.get(_PLANAR, 1) == 2,
            unsigned=tags.get(_FORMAT, (_UNSIGNED,))[0] == _UNSIGNED,
            orientation=tags.get(_ORIENTATION, 1),
            shape=_shape(tags.get(_DESCRIPTION, "")),
            nodata=str(tags.get(_NODATA, "")).strip("\0 "),
            white_is_0=colours == WHITE_IS_0,
            recoded=colours not in (*_GREY, _RGB),
            cmyk=colours == _SEPARATED and tags.get(_INKS, _CMYK) == _CMYK and bands >= 4,
        )


def _shape(description: str) -> tuple[int, ...]:
    """`(40, 48, 13)` of `{"shape": [40, 48, 13]}`."""
    if not str(description).startswith('{"shape": '):
        return ()
    return tuple(json.loads(description)["shape"])


def pages(path: Path) -> list[Page]:
    """The pages that belong together: all, where they are of one size, else the first.

    Files of several sizes hold a picture and its previews. Empty where the file is no TIFF.
    """
    try:
        every = list(_pages(path))
    except (OSError, ValueError, SyntaxError, KeyError, TypeError, IndexError):
        return []  # no TIFF, or one that is cut short: the decoder says it better
    stacked = every and every[0].bands == 1 and all(_alike(every[0], page) for page in every)
    if stacked and _by_rows(every[0].shape) and len(every) == every[0].shape[0]:
        height, width, bands = every[0].shape
        return [replace(every[0], height=height, width=width, bands=bands, planar=True)]
    return every if stacked else every[:1]


def nodata(path: Path) -> float | None:
    """The value that stands for no data, where the file is a TIFF that says so."""
    if path.suffix.lower() not in TIFF:
        return None
    said = next((page.nodata for page in pages(path)), "")
    try:
        return float(said)
    except ValueError:  # it says nothing, or no number
        return None


def _alike(page: Page, other: Page) -> bool:
    return replace(page, shape=()) == replace(other, shape=())


def _by_rows(shape: tuple[int, ...]) -> bool:
    """Whether an array was (H, W, C): tifffile writes many channels as a page for each row."""
    return len(shape) == 3 and shape[2] < min(shape[:2])


def _pages(path: Path) -> Iterator[Page]:
    import struct

    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    with path.open("rb") as file:
        header = file.read(8)
        if header[2:3] == b"\x2b" or header[3:4] == b"\x2b":  # BigTIFF
            header += file.read(8)
        try:
            directory = ImageFileDirectory_v2(header)
            seen: set[int] = set()
            while directory.next and directory.next not in seen:
                seen.add(directory.next)
                file.seek(directory.next)
                directory.load(file)
                yield Page.of(directory)
        except struct.error as error:
            raise ValueError(error) from error


def as_seen(
    bands: np.ndarray,  # (H, W[, C]) numbers as they are stored
    page: Page,
) -> np.ndarray:  # (H, W[, C])
    """Black as 0, and colours as RGB instead of inks."""
    if page.white_is_0 and page.unsigned:
        bands = ~bands if bands.dtype == bool else bands.dtype.type(2**page.bits - 1) - bands
    if page.cmyk:
        full = 2**page.bits - 1
        paper = full - bands[..., 3:4].astype(np.float64)
        bands = np.concatenate(
            [paper - np.rint(bands[..., :3] * paper / full), bands[..., 4:]], axis=2
        ).astype(bands.dtype)
    return bands


def read_bands(path: str | os.PathLike) -> np.ndarray:
    """A page with as many bands as it has, (H, W) or (H, W, C), by tifffile; a palette as RGB.

    Raises `ImageReadError` naming the file where tifffile is missing or cannot decode it.
    """
    try:
        import tifffile
    except ImportError:
        raise ImageReadError(
            f"{path}: OpenCV cannot decode this TIFF. tifffile reads files of many bands and of "
            'unusual types: `pip install "fastunet[tiff]"`.'
        ) from None
    try:
        with tifffile.TiffFile(path) as file:
            first = file.pages[0]
            if _by_rows(_shape(first.description)):
                return file.series[0].asarray()
            shapes = {page.shape for page in file.pages}
            if len(file.pages) > 1 and len(shapes) == 1 and len(first.shape) == 2:
                return np.stack([page.asarray() for page in file.pages], axis=-1)
            if first.photometric == _PALETTE and first.colormap is not None:
                return (first.colormap.T[first.asarray()] >> 8).astype(np.uint8)
            bands_first = first.axes.startswith("S")
            return np.moveaxis(first.asarray(), 0, -1) if bands_first else first.asarray()
    except Exception as error:  # of any type, where a file is damaged
        if "imagecodecs" in str(error):
            raise ImageReadError(
                f"{path}: this TIFF is compressed in a way that needs one more package "
                f"({error}): `pip install imagecodecs`, or save it with Deflate compression."
            ) from error
        raise ImageReadError(
            f"{path}: cannot be decoded ({error}). It is cut short or damaged; replace it or take "
            "it out of the folder."
        ) from error
