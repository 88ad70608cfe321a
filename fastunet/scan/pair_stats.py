"""One pair of files looked at once: a record that is small enough to keep for every pair."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from fastunet._util.threads import in_threads
from fastunet.choices import Orientation
from fastunet.errors import FastunetError, ImageReadError, MaskValueError
from fastunet.io.channels import is_grey
from fastunet.io.images import as_stored, image_sizes, non_finite, orientation_of, refuse_not_finite
from fastunet.io.pixel_values import ImageValues, is_nodata, without_nodata
from fastunet.io.sources import stated_nodata
from fastunet.masks.codes import Code, CodeKind
from fastunet.masks.raw import RawMask, is_lossy
from fastunet.masks.statistics import MaskStats
from fastunet.pairs.pair import Pair
from fastunet.scan.agreement import Agreement, compare
from fastunet.scan.alignment import Offset, find_offset, grey_levels
from fastunet.scan.decoded import NOTHING_KEPT, DecodedFiles
from fastunet.scan.headers import Fault, cut_short, file_fault
from fastunet.scan.kept_stats import keep_stats, kept_stats
from fastunet.scan.thumbnails import thumbnail

_FEW_CODES = 4  # with which an image may be compared
_GREY = (0.299, 0.587, 0.114)  # of red, green and blue, ITU-R BT.601
_GLANCE = 256  # pixels a side, of what is compared by value


@dataclass(frozen=True, slots=True)
class ImageStats:
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
    values: ImageValues

    @classmethod
    def of_size(cls, size: tuple[int, int]) -> "ImageStats":
        """When nothing but the size is known."""
        none, values = np.empty(0), ImageValues("", "uint8", 0, 0, 0, False)
        return cls(size, 0, np.dtype(np.uint8), False, none, none, 0, b"", none, values)


@dataclass(frozen=True, slots=True)
class MaskOnImage:
    """What a mask holds, and how that lies on its image."""

    size: tuple[int, int]  # (height, width)
    stats: MaskStats | None = None  # None: only the header was read
    digest: bytes = b""
    levels: Mapping[Code, float] = field(default_factory=dict)  # mean grey level under few codes
    spread: float = 0.0  # standard deviation of the image's grey levels
    is_image: bool = False  # the file is the image once more

    @property
    def lossy(self) -> bool:
        """Whether it is a JPEG file, of more than two values."""
        return self.stats is not None and is_lossy(self.stats.path) and len(self.stats.codes) > 2


@dataclass(frozen=True, slots=True)
class PairStats:
    """What was found in the files of one pair."""

    pair: Pair
    faults: tuple[Fault, ...] = ()
    image: ImageStats | None = None
    mask: MaskOnImage | None = None
    fits: Literal["upright", "stored", "no"] = "upright"  # which pixels of the image the mask fits
    offset: Offset | None = None  # where the mask's borders are seen in the image
    turn: int = 1  # the EXIF orientation, 1..8
    undecided: bool = False  # the mask has the image's size, whether or not that is turned
    agreement: Agreement | None = None  # with the image turned and as stored, if undecided

    @property
    def usable(self) -> bool:
        """Whether both could be read and fit together."""
        return self.image is not None and self.mask is not None and self.fits != "no"


def examine(
    pair: Pair,
    orientation: Orientation | None = None,  # of photos whose size fits both ways; None: not said
    files: DecodedFiles = NOTHING_KEPT,
) -> PairStats:
    """Decode a pair and keep what the checks need. Never raises over what a file holds."""
    faults: list[Fault] = []
    image = _read(pair, faults, files)
    raw = _read_mask(pair.mask, faults, files)
    stats = _image_stats(pair, image) if image is not None else None
    if raw is None or image is None or stats is None:
        mask = _on_image(pair.mask, raw, None) if raw is not None else None
        return PairStats(pair, tuple(faults), stats, mask)
    turn = orientation_of(pair.image_files)
    upright, stored = image.shape[:2], as_stored(image, turn).shape[:2]
    fits, undecided = _fit(turn, upright, stored, raw.codes.shape, orientation)
    grey, offset = None, None
    if fits != "no":
        seen = as_stored(image, turn) if fits == "stored" else image
        seen = without_nodata(seen, is_nodata(seen, tuple(stats.values.nodata)))
        grey = np.ascontiguousarray(grey_levels(seen))
        offset = find_offset(grey, raw.codes)
    return PairStats(
        pair,
        tuple(faults),
        stats,
        _on_image(pair.mask, raw, grey),
        fits,
        offset,
        turn,
        undecided,
        compare(image, raw.codes, turn) if undecided and orientation is None else None,
    )


def faults_of(pair: Pair, files: DecodedFiles = NOTHING_KEPT) -> tuple[Fault, ...]:
    """Why a pair cannot be learned from. It is decoded, and nothing else is looked at."""
    faults: list[Fault] = []
    image, raw = _read(pair, faults, files), _read_mask(pair.mask, faults, files)
    if image is not None and raw is not None:
        size = image.shape[:2]
        if raw.codes.shape not in (size, files.image_as_stored(pair.image_files).shape[:2]):
            height, width = raw.codes.shape
            reason = (
                f"the mask has {height}x{width} pixels (height x width), its image "
                f"{size[0]}x{size[1]}"
            )
            faults.append(Fault("size-mismatch", pair.mask, reason))
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


def examine_headers(pair: Pair, orientation: Orientation | None = None) -> PairStats:
    """What names and headers tell of a pair; nothing is decoded."""
    faults, sizes = [], []
    for file in (*pair.image_files, pair.mask):
        fault = file_fault(file) or cut_short(file, by_header=True)
        if fault is None:
            try:
                sizes.append(image_sizes(file))
            except FastunetError as error:
                fault = Fault("unreadable", file, str(error))
        if fault:
            faults.append(fault)
    if faults:
        return PairStats(pair, tuple(faults))
    (upright, stored), (mask, _) = sizes[0], sizes[-1]
    turn = orientation_of(pair.image_files)
    fits, undecided = _fit(turn, upright, stored, mask, orientation)
    image = ImageStats.of_size(upright)
    return PairStats(pair, (), image, MaskOnImage(mask), fits, turn=turn, undecided=undecided)


def mask_stats(
    pairs: Sequence[PairStats],
    files: DecodedFiles = NOTHING_KEPT,
    progress: bool = True,  # a bar while masks are read
) -> list[MaskStats]:
    """What each mask file holds, those read that were not; each file once.

    Of data that are too large for memory a record is kept on disk, so that the next run reads only
    what has changed.

    Raises `ImageReadError` or `MaskValueError` naming a file that cannot be read.
    """
    known = {one.pair.mask: one.mask.stats for one in pairs if one.mask and one.mask.stats}
    paths = list(dict.fromkeys(one.pair.mask for one in pairs))
    missing = [path for path in paths if path not in known]

    def look(path: Path) -> MaskStats:
        return kept_stats(path) or MaskStats.of(path, files.mask(path))

    known.update(zip(missing, in_threads(look, missing, "Reading masks", progress), strict=True))
    if files.room and files.is_full:  # then another run would have to read them all again
        for path in missing:
            keep_stats(known[path])
    return [known[path] for path in paths]


# --- files ----------------------------------------------------------------------------------------


def _read(pair: Pair, faults: list[Fault], files: DecodedFiles) -> np.ndarray | None:
    found = [file_fault(file) or cut_short(file) for file in pair.image_files]
    faults += [fault for fault in found if fault]
    if any(found):
        return None
    try:
        return files.image(pair.image_files)
    except Exception as error:  # a broken file may make a decoder raise anything
        faults.append(Fault("unreadable", pair.image, str(error)))
        return None


def _read_mask(file: Path, faults: list[Fault], files: DecodedFiles) -> RawMask | None:
    fault = file_fault(file) or cut_short(file)
    if fault is None:
        try:
            return files.mask(file)
        except MaskValueError as error:
            fault = Fault("not-a-mask", file, str(error))
        except Exception as error:
            fault = Fault("unreadable", file, str(error))
    faults.append(fault)
    return None


# --- pixels ---------------------------------------------------------------------------------------


def _digest(array: np.ndarray) -> bytes:
    data = np.ascontiguousarray(array)
    return hashlib.blake2b(data.data, digest_size=16, person=str(data.shape).encode()[:16]).digest()


def _image_stats(pair: Pair, image: np.ndarray) -> ImageStats:
    finite = image
    not_finite = 0
    if image.dtype.kind == "f":
        not_finite = int(np.count_nonzero(non_finite(image)))
        finite = np.where(np.isfinite(image), image, 0) if not_finite else image
    values = ImageValues.of(image, pair.image, stated_nodata(pair.image_files, image.dtype))
    if values.nodata:
        missing = is_nodata(image, tuple(values.nodata))
        finite = without_nodata(finite, missing)
        known = np.ma.array(finite, np.float64, mask=missing).reshape(-1, image.shape[2])
        mean, std = known.mean(0).filled(0), known.std(0).filled(0)
    elif image.shape[2] <= 4 and image.dtype in (np.uint8, np.uint16, np.float32):
        mean, std = (value.ravel() for value in cv2.meanStdDev(finite))
    else:
        flat = finite.reshape(-1, image.shape[2])
        mean, std = flat.mean(0, np.float64), flat.std(0, np.float64)
    return ImageStats(
        image.shape[:2],
        image.shape[2],
        image.dtype,
        is_grey(image),
        mean,
        std,
        not_finite,
        _digest(image),
        thumbnail(grey_levels(finite)),
        values,
    )


def _on_image(file: Path, raw: RawMask, grey: np.ndarray | None) -> MaskOnImage:
    stats = MaskStats.of(file, raw)
    size = (raw.codes.shape[0], raw.codes.shape[1])
    if grey is None:
        return MaskOnImage(size, stats, _digest(raw.codes))
    step = max(1, -(-max(grey.shape) // _GLANCE))
    glance, seen = grey[::step, ::step], raw.codes[::step, ::step]
    few = stats.codes.tolist() if len(stats.codes) <= _FEW_CODES else ()
    return MaskOnImage(
        size,
        stats,
        _digest(raw.codes),
        levels={code: _mean(glance[seen == code]) for code in few},
        spread=float(glance.std()),
        is_image=_is_image(seen if raw.table is None else raw.table[seen], raw.kind, glance),
    )


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else float("nan")


def _is_image(codes: np.ndarray, kind: CodeKind, grey: np.ndarray) -> bool:
    """Whether a mask shows the image: many values that go up and down with its grey levels."""
    seen = codes.astype(np.float32)
    if kind is CodeKind.COLOUR:
        channels = kind.channels(codes.ravel()).astype(np.float32)
        seen = (channels @ np.array(_GREY, np.float32)).reshape(codes.shape)
    values, counts = np.unique(seen.astype(np.int64), return_counts=True)
    if len(values) <= 4:
        return len(values) > 1 and np.array_equal(seen, grey)
    top = values[np.argsort(counts)[-2:]]
    near_top = np.abs(values[:, None] - top).min(axis=1) <= 16
    if len(values) <= 32 or not grey.std() or counts[near_top].sum() > 0.8 * counts.sum():
        return False  # a lossy mask rings about few values
    return abs(float(np.corrcoef(seen.ravel(), grey.ravel())[0, 1])) > 0.95
