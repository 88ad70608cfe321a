"""One pair of files looked at once: a record that is small enough to keep for every pair."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from fastunet.checks.alignment import Offset, find_offset, grey_levels
from fastunet.checks.duplicates import thumbnail
from fastunet.checks.orientation import Agreement, compare
from fastunet.errors import FastunetError, ImageReadError, MaskValueError
from fastunet.io.channels import is_grey
from fastunet.io.images import (
    as_stored,
    image_sizes,
    non_finite,
    orientation_of,
    read_image,
    refuse_not_finite,
)
from fastunet.io.pixel_values import ImageValues, is_nodata, without_nodata
from fastunet.io.sources import stated_nodata
from fastunet.masks.codes import CodeKind, pixel_counts, rgb
from fastunet.masks.raw import RawMask, is_lossy, read_mask
from fastunet.masks.statistics import MaskStats
from fastunet.pairs.pair import Pair
from fastunet.preprocess import Orientation

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_STRIPS, _STRIP_LENGTHS, _TILES, _TILE_LENGTHS = 273, 279, 324, 325  # tags of a TIFF

_MAX_CODES = 4096  # kept of one mask; more is a picture
_GLANCE = 256  # pixels a side, of what is compared by value


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a file cannot be used."""

    kind: Literal["empty-file", "truncated", "unreadable", "not-a-mask", "size-mismatch"]
    file: Path
    reason: str


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What an image holds."""

    size: tuple[int, int]  # (height, width), upright
    channels: int
    dtype: np.dtype
    grey: bool  # no colour, also where grey is stored as RGB
    mean: np.ndarray  # (C,) of the pixels that are finite and not of no data
    std: np.ndarray  # (C,)
    not_finite: int  # pixels with NaN or infinity
    digest: bytes
    thumb: np.ndarray  # (64, 64) uint8
    values: ImageValues | None = None

    @classmethod
    def of_size(cls, size: tuple[int, int]) -> "ImageFacts":
        """When nothing but the size is known."""
        none = np.empty(0)
        return cls(size, 0, np.dtype(np.uint8), False, none, none, 0, b"", none)


@dataclass(frozen=True, slots=True)
class MaskFacts:
    """What a mask holds: its codes as the file has them, whatever they mean."""

    size: tuple[int, int]
    codes: np.ndarray  # (K,) int64, the most frequent first
    counts: np.ndarray  # (K,) pixels of each
    distinct: int  # how many codes there are, where `codes` does not hold all
    colour: bool  # codes are colours 0xRRGGBB
    indices: np.ndarray | None  # (K,) palette indices of a palette file
    bands: int  # of a stack with one band per class, whose codes are band indices
    lossy: bool
    digest: bytes
    levels: np.ndarray  # (K,) mean grey level of the image under each of few codes; else empty
    spread: float  # standard deviation of the image's grey levels
    is_image: bool  # the file is the image once more
    tally: MaskStats  # what the encoding is inferred from

    @classmethod
    def of_size(cls, size: tuple[int, int]) -> "MaskFacts":
        """When nothing but the size is known."""
        none = np.empty(0, np.int64)
        return cls(
            size, none, none, 0, False, None, 0, False, b"", none, 0.0, False,
            MaskStats(Path(), none, none, none, CodeKind.VALUE),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found in the files of one pair."""

    pair: Pair
    faults: tuple[Fault, ...] = ()
    image: ImageFacts | None = None
    mask: MaskFacts | None = None
    fits: Literal["upright", "stored", "no"] = "upright"  # which pixels of the image the mask fits
    offset: Offset | None = None  # where the mask's borders are seen in the image
    turn: int = 1  # the EXIF orientation, 1..8
    undecided: bool = False  # the mask has the image's size, whether or not that is turned
    agreement: Agreement | None = None  # with the image turned and as stored, if undecided

    @property
    def usable(self) -> bool:
        return self.image is not None and self.mask is not None and self.fits != "no"


def examine(
    pair: Pair,
    orientation: Orientation | None = None,  # of photos whose size fits both ways; None: not said
) -> Facts:
    """Decode a pair and keep what the checks need. Never raises over what a file holds."""
    faults: list[Fault] = []
    image = _read(pair, faults)
    raw = _read_mask(pair.mask, faults)
    facts = _image_facts(pair, image) if image is not None else None
    fits, grey, offset, turn, undecided, agreement = "upright", None, None, 1, False, None
    if image is not None and raw is not None:
        turn = orientation_of(pair.image_files)
        sizes = image.shape[:2], as_stored(image, turn).shape[:2]
        fits, undecided = _fit(turn, *sizes, raw.codes.shape, orientation)
        if undecided and orientation is None:
            agreement = compare(image, raw.codes, turn)
        if fits != "no":
            seen = as_stored(image, turn) if fits == "stored" else image
            seen = without_nodata(seen, is_nodata(seen, tuple(facts.values.nodata)))
            grey = np.ascontiguousarray(grey_levels(seen))
            offset = find_offset(grey, raw.codes)
    mask = _mask_facts(pair.mask, raw, grey) if raw is not None else None
    return Facts(pair, tuple(faults), facts, mask, fits, offset, turn, undecided, agreement)


def faults_of(pair: Pair) -> tuple[Fault, ...]:
    """Why a pair cannot be learned from. It is decoded, and nothing else is looked at."""
    faults: list[Fault] = []
    image, raw = _read(pair, faults), _read_mask(pair.mask, faults)
    if image is not None and raw is not None:
        size = image.shape[:2]
        if raw.codes.shape not in (size, read_image(_source(pair), upright=False).shape[:2]):
            height, width = raw.codes.shape
            faults.append(Fault(
                "size-mismatch", pair.mask,
                f"the mask has {height}x{width} pixels (height x width), its image "
                f"{size[0]}x{size[1]}",
            ))  # fmt: skip
    if image is not None:
        try:
            refuse_not_finite(image, pair.image)
        except ImageReadError as error:
            faults.append(Fault("unreadable", pair.image, str(error)))
    return tuple(faults)


def _fit(
    turn: int,
    upright: tuple[int, int],
    stored: tuple[int, int],
    mask: tuple[int, int],
    orientation: Orientation | None,
) -> tuple[Literal["upright", "stored", "no"], bool]:
    """Which pixels of the image the mask fits by its size, and whether that leaves it open."""
    if mask not in (upright, stored):
        return "no", False
    if upright != stored:
        return ("upright" if mask == upright else "stored"), False
    return (orientation or "upright") if turn != 1 else "upright", turn != 1


def examine_headers(pair: Pair, orientation: Orientation | None = None) -> Facts:
    """What names and headers tell of a pair; nothing is decoded."""
    faults, sizes = [], []
    for file in (*pair.image_files, pair.mask):
        fault = file_fault(file) or _cut_short(file, by_header=True)
        if fault is None:
            try:
                sizes.append(image_sizes(file))
            except FastunetError as error:
                fault = Fault("unreadable", file, str(error))
        if fault:
            faults.append(fault)
    if faults:
        return Facts(pair, tuple(faults))
    (upright, stored), (mask, _) = sizes[0], sizes[-1]
    turn = orientation_of(pair.image_files)
    fits, undecided = _fit(turn, upright, stored, mask, orientation)
    return Facts(pair, (), ImageFacts.of_size(upright), MaskFacts.of_size(mask), fits, turn=turn,
                 undecided=undecided)  # fmt: skip


def file_fault(file: Path) -> Fault | None:
    """Whether a file is missing or empty, without a look inside."""
    try:
        if file.stat().st_size == 0:
            return Fault("empty-file", file, "the file is empty")
    except OSError as error:
        return Fault("unreadable", file, f"cannot be opened ({error.strerror})")
    return None


# --- files ----------------------------------------------------------------------------------------


def _source(pair: Pair):
    return pair.image_files if pair.channels else pair.image


def _read(pair: Pair, faults: list[Fault]) -> np.ndarray | None:
    found = [file_fault(file) or _cut_short(file) for file in pair.image_files]
    faults += [fault for fault in found if fault]
    if any(found):
        return None
    try:
        return read_image(_source(pair))
    except Exception as error:  # a broken file may make a decoder raise anything
        faults.append(Fault("unreadable", pair.image, str(error)))
        return None


def _read_mask(file: Path, faults: list[Fault]) -> RawMask | None:
    fault = file_fault(file) or _cut_short(file)
    if fault is None:
        try:
            return read_mask(file)
        except MaskValueError as error:
            fault = Fault("not-a-mask", file, str(error))
        except Exception as error:
            fault = Fault("unreadable", file, str(error))
    faults.append(fault)
    return None


def _cut_short(
    file: Path,
    by_header: bool = False,  # decode nothing, which finds JPEG, PNG and TIFF only
) -> Fault | None:
    """Whether the end of a file is missing: decoders fill what is missing with grey, silently."""
    with file.open("rb") as stream:
        head = stream.read(8)
        stream.seek(max(0, file.stat().st_size - 64))
        tail = stream.read()
    jpeg, png = head.startswith(b"\xff\xd8"), head.startswith(b"\x89PNG")
    if file.suffix.lower() == ".npy" or (jpeg and b"\xff\xd9" in tail) or (png and b"IEND" in tail):
        return None
    from PIL import Image, UnidentifiedImageError

    if by_header and not (jpeg or png):
        return _without_strips(file) if head[:4] in _TIFF else None
    try:
        with Image.open(file) as picture:
            picture.load()
    except UnidentifiedImageError:
        return None  # the decoder says what is wrong with it
    except (OSError, SyntaxError, ValueError) as error:
        if jpeg or png or "truncated" in str(error):
            return Fault("truncated", file, f"the file ends early ({error})")
    return None


def _without_strips(file: Path) -> Fault | None:
    """Whether a TIFF speaks of pixels that lie behind its end."""
    from PIL import Image

    try:
        with Image.open(file) as picture:
            tags = picture.tag_v2
            starts = tags.get(_STRIPS) or tags.get(_TILES) or ()
            lengths = tags.get(_STRIP_LENGTHS) or tags.get(_TILE_LENGTHS) or ()
    except (OSError, SyntaxError, ValueError, AttributeError):
        return None  # the decoder says what is wrong with it
    end = max(map(sum, zip(starts, lengths, strict=False)), default=0)
    size = file.stat().st_size
    if end <= size:
        return None
    return Fault("truncated", file, f"the file ends early ({size} of {end} bytes)")


# --- pixels ---------------------------------------------------------------------------------------


def _digest(array: np.ndarray) -> bytes:
    data = np.ascontiguousarray(array)
    return hashlib.blake2b(data, digest_size=16, person=str(data.shape).encode()[:16]).digest()


def _image_facts(pair: Pair, image: np.ndarray) -> ImageFacts:
    finite = image
    not_finite = 0
    if image.dtype.kind == "f":
        not_finite = int(np.count_nonzero(non_finite(image)))
        finite = np.where(np.isfinite(image), image, 0) if not_finite else image
    values = ImageValues.of(image, pair.image, stated_nodata(pair.image_files, image.dtype))
    if values.nodata:
        missing = is_nodata(image, tuple(values.nodata))
        finite = without_nodata(finite, missing)
        flat = np.ma.array(finite, np.float64, mask=missing).reshape(-1, image.shape[2])
        mean, std = flat.mean(0).filled(0), flat.std(0).filled(0)
    elif image.shape[2] <= 4 and image.dtype in (np.uint8, np.uint16, np.float32):
        mean, std = (value.ravel() for value in cv2.meanStdDev(finite))
    else:
        flat = finite.reshape(-1, image.shape[2])
        mean, std = flat.mean(0, np.float64), flat.std(0, np.float64)
    return ImageFacts(
        image.shape[:2], image.shape[2], image.dtype, is_grey(image), mean, std, not_finite,
        _digest(image), thumbnail(grey_levels(finite)), values,
    )  # fmt: skip


def _mask_facts(file: Path, raw: RawMask, grey: np.ndarray | None) -> MaskFacts:
    counted, colour = pixel_counts(raw.codes), raw.kind is CodeKind.COLOUR
    present = sorted(counted, key=counted.__getitem__, reverse=True)[:_MAX_CODES]
    codes = np.array(present, np.int64)
    counts = np.array([counted[code] for code in present], np.int64)
    indices = codes if raw.table is not None else None
    values = raw.table[codes].astype(np.int64) if raw.table is not None else codes
    levels, spread, is_image = np.empty(0), 0.0, False
    if grey is not None:
        step = max(1, -(-max(grey.shape) // _GLANCE))
        glance, seen = grey[::step, ::step], raw.codes[::step, ::step]
        spread = float(glance.std())
        if len(codes) <= 4:
            levels = np.array([_mean(glance[seen == code]) for code in present])
        is_image = _is_image(seen if raw.table is None else raw.table[seen], colour, glance)
    return MaskFacts(
        raw.codes.shape, values, counts, len(counted), colour, indices, raw.bands,
        is_lossy(file) and len(counted) > 2, _digest(raw.codes), levels, spread, is_image,
        MaskStats.of(file, raw),
    )  # fmt: skip


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else float("nan")


def _is_image(codes: np.ndarray, colour: bool, grey: np.ndarray) -> bool:
    """Whether a mask shows the image: many values that go up and down with its grey levels."""
    if colour:
        seen = np.stack(rgb(codes), axis=-1).astype(np.float32) @ np.float32([0.299, 0.587, 0.114])
    else:
        seen = codes.astype(np.float32)
    values, counts = np.unique(seen.astype(np.int64), return_counts=True)
    if len(values) <= 4:
        return len(values) > 1 and np.array_equal(seen, grey)
    top = values[np.argsort(counts)[-2:]]
    near_top = np.abs(values[:, None] - top).min(axis=1) <= 16
    if len(values) <= 32 or not grey.std() or counts[near_top].sum() > 0.8 * counts.sum():
        return False  # a lossy mask rings about few values
    return abs(float(np.corrcoef(seen.ravel(), grey.ravel())[0, 1])) > 0.95
