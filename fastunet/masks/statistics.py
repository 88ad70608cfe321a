"""A look at many mask files: which codes they hold, how often, and in what kind of encoding."""

import os
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np

from fastunet._util.text import listing
from fastunet._util.threads import in_threads
from fastunet.errors import MaskValueError
from fastunet.labels import MAX_CLASSES, VOID
from fastunet.masks.codes import (
    NOWHERE,
    WHITE,
    Code,
    CodeKind,
    Value,
    converted,
    is_grey_code,
    parse_value,
    pixel_counts,
    unique_counts,
)
from fastunet.masks.outliers import outlier_codes
from fastunet.masks.raw import Palette, RawMask, is_lossy, read_mask

_MANY_COLOURS = 2_000  # of a file; photos hold a hundred thousand, and a thousand files of them
_RINGING = 8  # by how much a flat patch of a JPEG varies


@dataclass(frozen=True, eq=False)
class MaskStats:
    """What one mask file holds: its own codes, whatever they mean."""

    path: Path
    codes: np.ndarray  # (K,) int64, ascending: all, or the most frequent of very many
    counts: np.ndarray  # (K,) pixels of each
    flat: np.ndarray  # (K,) of these, pixels whose eight neighbours are like them; of up to 2: 0
    kind: CodeKind  # of the codes; of a palette file, of those in `table`
    table: np.ndarray | None = None  # (K,) of a palette file: the colour of each index
    bands: int = 0  # of a stack with one band per class
    one_bit: bool = False  # a pixel is set or not

    @classmethod
    def read(cls, path: Path) -> "MaskStats":
        """Decode a file and count its codes. Raises as `read_mask` does."""
        return cls.of(path, read_mask(path))

    @classmethod
    def of(cls, path: Path, raw: RawMask) -> "MaskStats":
        """Count the codes of a mask that was decoded already."""
        codes, counts = unique_counts(raw.codes)
        if len(codes) > _MANY_COLOURS:
            kept = np.sort(np.argsort(-counts, kind="stable")[:_MANY_COLOURS])
            codes, counts = codes[kept], counts[kept]
        flat = np.zeros_like(counts)
        if len(codes) > 2:
            in_flat = pixel_counts(raw.codes[_is_flat(raw.codes, raw.kind, is_lossy(path))])
            flat = np.array([in_flat.get(code, 0) for code in codes.tolist()])
        table = None if raw.table is None else raw.table[codes].astype(np.int64)
        return cls(path, codes, counts, flat, raw.kind, table, raw.bands, raw.one_bit)

    @property
    def colourful(self) -> bool:
        """Whether some code of it is a colour rather than a grey value."""
        colours = self.codes if self.table is None else self.table
        is_grey = colours == (colours & 255) * 0x010101
        return self.kind is CodeKind.COLOUR and not is_grey.all()

    @property
    def palette(self) -> dict[int, Code]:
        """The colour of each index in use of a palette file; of any other, nothing."""
        table = [] if self.table is None else self.table.tolist()
        return dict(zip(self.codes.tolist(), table, strict=False))

    @property
    def ambiguous(self) -> bool:
        """Whether two indices in use of a palette file have one colour."""
        return self.table is not None and len(set(self.table.tolist())) < len(self.table)

    @property
    def storage(self) -> str:
        """How the file stores a pixel, in plain words."""
        if self.bands:
            return f"a stack of {self.bands} bands"
        if self.one_bit:
            return "black and white (one bit)"
        if self.table is not None:
            return "a palette file"
        return "colours" if self.colourful else "grey values"


def _is_flat(codes: np.ndarray, kind: CodeKind, lossy: bool) -> np.ndarray:  # (H, W) bool
    """Where a pixel and its eight neighbours are equal; in a JPEG, nearly so."""
    if codes.dtype == np.uint8 and not (kind is CodeKind.COLOUR and lossy):
        planes = codes
    elif codes.dtype == np.uint32 and kind is CodeKind.COLOUR:
        planes = np.ascontiguousarray(codes).view(np.uint8).reshape(*codes.shape, 4)
    else:
        planes = codes.astype(np.float64)
    block = np.ones((3, 3), np.uint8)
    edge = cv2.BORDER_REPLICATE
    high = cv2.dilate(planes, block, borderType=edge)
    low = cv2.erode(planes, block, borderType=edge)
    flat: np.ndarray = high - low <= (_RINGING if lossy else 0)
    return flat if flat.ndim == 2 else np.all(flat, axis=2)


@dataclass(frozen=True)
class MaskSetStats:
    """What many mask files hold together, in one kind of code."""

    files: tuple[MaskStats, ...]
    codes: list[Code]  # that may be classes, in their order
    kind: CodeKind
    palette: Palette | None  # how palette files are read, where it is that which matters
    present: dict[Path, frozenset[Code]]  # the codes of each file; equal sets are kept once
    counts: Counter[Code]  # pixels per code in all of them
    flat: Counter[Code]  # of these, pixels whose neighbours are like them
    where: dict[Code, Path]  # a file that holds the code
    indices: dict[Code, int] = field(default_factory=dict)  # the palette index of each colour,
    # where all files are palette files and agree on it
    lossy: bool = False  # there are JPEG files, of more than two values

    @classmethod
    def of(cls, paths: Sequence[str | os.PathLike], progress: bool = False) -> "MaskSetStats":
        """Read all files, by threads.

        Raises `ImageReadError` or `MaskValueError` naming a bad file.
        """
        if not paths:
            raise MaskValueError("There are no masks.")
        every = [Path(path) for path in paths]
        return cls.of_stats(list(in_threads(MaskStats.read, every, "Reading masks", progress)))

    @classmethod
    def of_stats(
        cls,
        files: Sequence[MaskStats],  # one or more
        by_index: bool = False,  # read palette files by their indices
    ) -> "MaskSetStats":
        """Many files as one. Raises `MaskValueError` where they are of two kinds.

        Palette files are read by their colours, or by their indices where colours mean nothing.
        """
        by_index = by_index or any(file.ambiguous for file in files)
        view = _View(files, by_index)
        of_file = [view.codes(file) for file in files]
        where: dict[Code, Path] = {}
        present: dict[Path, frozenset[Code]] = {}
        kept: dict[frozenset[Code], frozenset[Code]] = {}
        for file, held in zip(files, of_file, strict=True):
            codes = frozenset(held.tolist())
            if NOWHERE in codes:
                raise MaskValueError(_two_kinds(file, files))
            where |= dict.fromkeys(codes.difference(where), file.path)
            present[file.path] = kept.setdefault(codes, codes)
        counts = _total(of_file, [file.counts for file in files])
        in_order = sorted({*counts, *range(_common_bands(files))})
        colours = view.kind is CodeKind.COLOUR
        indices = _agreed_indices(files) if colours else {}
        if indices:
            in_order.sort(key=indices.__getitem__)
        palette: Palette | None = "index" if by_index else None
        if colours and all(file.table is not None for file in files):
            palette = "colour"
        return cls(
            files=tuple(files),
            codes=in_order,
            kind=view.kind,
            palette=palette,
            present=present,
            counts=counts,
            flat=_total(of_file, [file.flat for file in files]),
            where=where,
            indices=indices,
            lossy=len(counts) > 2 and any(is_lossy(file.path) for file in files),
        )

    @classmethod
    def telling(
        cls,
        files: Sequence[MaskStats],  # of all masks, each once
        sample: int = 1000,  # how many are counted pixel by pixel, spread over the list
    ) -> "tuple[MaskSetStats, dict[Path, frozenset[Code]]]":
        """The stats of a sample that misses no code, and the codes of every mask.

        Those of the other masks that show something new join the sample, as many as there can be
        classes.
        """
        stats = cls.of_stats(files[:: -(-len(files) // sample)])
        present = stats._codes_of(files)
        known, telling = set(stats.counts), list[MaskStats]()
        for file in files:
            if not stats.lossy and not present[file.path] <= known and len(telling) < MAX_CLASSES:
                known |= present[file.path]
                telling.append(file)
        if telling:
            stats = cls.of_stats([*stats.files, *telling])
            present = stats._codes_of(files)
        return stats, present

    def _codes_of(self, files: Iterable[MaskStats]) -> dict[Path, frozenset[Code]]:
        """The codes of each file, as these stats count them; equal sets are kept once."""
        kept: dict[frozenset[Code], frozenset[Code]] = {}
        present = {}
        for file in files:
            codes = frozenset(self.codes_of(file).tolist())
            present[file.path] = kept.setdefault(codes, codes)
        return present

    # other views of the same files

    def by_index(self) -> "MaskSetStats":
        """The same files, palette files read by their indices."""
        return MaskSetStats.of_stats(self.files, by_index=True)

    def among(self, codes: Sequence[Code]) -> "MaskSetStats":
        """The same stats, in which these may be classes."""
        return replace(self, codes=list(codes))

    def without(self, codes: Collection[Code]) -> "MaskSetStats":
        """The same stats, as if nobody had meant these codes."""
        return self.among([code for code in self.codes if code not in codes])

    # what it tells

    @property
    def bands(self) -> int:
        """Of stacks with one band per class: the codes are band indices."""
        return self.files[0].bands

    @cached_property
    def exact(self) -> frozenset[Code]:
        """The codes of files that were saved without loss."""
        return frozenset().union(*(c for path, c in self.present.items() if not is_lossy(path)))

    def codes_of(self, file: MaskStats) -> np.ndarray:  # (K,) int64
        """The codes of one of the files, in the kind of these stats."""
        return self._view.codes(file)

    @cached_property
    def _view(self) -> "_View":
        return _View(self.files, self.palette == "index")

    def outliers(self) -> list[Code]:
        """Codes in so few files and pixels that they are mistakes rather than classes."""
        files = [f for f in self.files if not (self.lossy and is_lossy(f.path))]
        if not files or self.bands:
            return []
        pixels = _total([self.codes_of(file) for file in files], [file.counts for file in files])
        return sorted(outlier_codes([self.present[file.path] for file in files], pixels))

    def format(self, codes: Iterable[Code], limit: int = 20) -> str:
        """`0, 1, 2, ...`, at most so many."""
        return listing([self.kind.format(code) for code in codes], limit)

    def evidence(self, codes: Iterable[Code], limit: int = 20) -> str:
        """`#ff0000 (1,234 pixels, a.png), ...`: the most frequent first."""
        shown = []
        for code in sorted(codes, key=lambda code: -self.counts[code]):
            file = f", {self.where[code].name}" if code in self.where else ""
            shown.append(f"{self.kind.format(code)} ({self.counts[code]:,} pixels{file})")
        return listing(shown, limit)

    def code(self, value: Value) -> Code:
        """The code a user's value means here: a palette index may stand for its colour."""
        code, kind = parse_value(value)
        if kind is self.kind:
            return code
        if self.kind is CodeKind.VALUE and is_grey_code(code):
            return code & 255
        if self.kind is CodeKind.COLOUR and self.indices:
            by_index = {index: code for code, index in self.indices.items()}
            if code in by_index:
                return by_index[code]
        written = "#rrggbb" if self.kind is CodeKind.COLOUR else "as a number"
        raise MaskValueError(
            f"{value!r} was given, but the masks hold {self.kind}, written {written}: "
            f"{self.format(self.codes)}."
        )


class _View:
    """How the codes of single files are told in one kind of code."""

    def __init__(self, files: Sequence[MaskStats], by_index: bool):
        self.by_index = by_index
        colourful = any(f.colourful and not (by_index and f.table is not None) for f in files)
        self.kind = CodeKind.COLOUR if colourful else CodeKind.VALUE
        self.set_pixel = WHITE if colourful else _set_value(files)

    def codes(self, file: MaskStats) -> np.ndarray:  # (K,) int64
        """The codes of a file; `NOWHERE` where one has no counterpart in this view."""
        if file.table is not None:
            return file.codes if self.by_index else converted(file.table, file.kind, self.kind)
        if file.one_bit and self.set_pixel:
            return np.where(file.codes > 0, self.set_pixel, file.codes)
        return converted(file.codes, file.kind, self.kind)


def _total(codes: Sequence[np.ndarray], pixels: Sequence[np.ndarray]) -> Counter[Code]:
    """Pixels per code in all files, but for none, in the order in which codes are first seen."""
    every, n = np.concatenate(codes), np.concatenate(pixels)
    found, first, inverse = np.unique(every[n > 0], return_index=True, return_inverse=True)
    totals = np.bincount(inverse, n[n > 0], len(found)).astype(np.int64)
    order = first.argsort()
    return Counter(dict(zip(found[order].tolist(), totals[order].tolist(), strict=True)))


def _set_value(files: Sequence[MaskStats]) -> Code | None:
    """The value that a set pixel of one-bit files is, by the files beside them; None: its own."""
    bits = [file for file in files if file.one_bit]
    if not bits:
        return None
    values = {code for file in files if not file.one_bit for code in file.codes.tolist()} - {0}
    if not values:
        return max(int(file.codes.max()) for file in bits) or None
    return min(values) if len(values) == 1 or values == {1, VOID} else None


def _common_bands(files: Sequence[MaskStats]) -> int:
    first = files[0]
    for file in files:
        if file.bands != first.bands:
            raise MaskValueError(
                f"{first.path} is {first.storage}, {file.path} {file.storage}; masks of one kind "
                "were expected, with the same bands, one per class. Save all classes in every file."
            )
    return first.bands


def _two_kinds(odd: MaskStats, files: Sequence[MaskStats]) -> str:
    colourful = next(file.path for file in files if file.colourful)
    return (
        f"{odd.path} holds values {odd.codes.min()}..{odd.codes.max()}, {colourful} holds colours; "
        "all masks must be of one kind. Take out the files that are no masks, or export them again."
    )


def _agreed_indices(files: Sequence[MaskStats]) -> dict[Code, int]:
    """One palette index per colour, where all files are palette files and agree; else nothing."""
    agreed: dict[Code, int] = {}
    for file in files:
        if file.table is None:
            return {}
        for index, code in file.palette.items():
            if agreed.setdefault(code, index) != index:
                return {}
    return agreed if len(set(agreed.values())) == len(agreed) else {}
