"""A look at many mask files: which codes they hold, how often, and in what kind of encoding."""

import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np

from fastunet._util.text import listing
from fastunet._util.threads import in_threads
from fastunet.errors import MaskValueError
from fastunet.labels import MAX_CLASSES, VOID
from fastunet.masks.outliers import outlier_codes
from fastunet.masks.raw import (
    NOWHERE,
    Code,
    Palette,
    RawMask,
    Value,
    convert_code,
    format_value,
    is_grey_code,
    is_lossy,
    parse_value,
    pixel_counts,
    read_mask,
)

_MANY_COLOURS = 2_000  # of a file; photos hold a hundred thousand, and a thousand files of them
_RINGING = 8  # by how much a flat patch of a JPEG varies


@dataclass(frozen=True)
class MaskStats:
    """What one mask file holds: its own codes, whatever they mean."""

    path: Path
    counts: Mapping[Code, int]  # pixels per code (the most frequent of very many)
    flat: Mapping[Code, int]  # of these, pixels whose eight neighbours are like them
    colour: bool  # the codes are colours; of a palette file, those in `table` are
    table: Mapping[Code, Code] | None = None  # of a palette file: the colour of each index in use
    bands: int = 0  # of a stack with one band per class
    one_bit: bool = False  # a pixel is set or not

    @classmethod
    def read(cls, path: Path) -> "MaskStats":
        return cls.of(path, read_mask(path))

    @classmethod
    def of(cls, path: Path, raw: RawMask) -> "MaskStats":
        counts = pixel_counts(raw.codes)
        if len(counts) > _MANY_COLOURS:
            counts = dict(Counter(counts).most_common(_MANY_COLOURS))
        flat: dict[Code, int] = {}
        if len(counts) > 2:
            is_flat = _is_flat(raw.codes, raw.colour, is_lossy(path))
            flat = {c: n for c, n in pixel_counts(raw.codes[is_flat]).items() if c in counts}
        table = None
        if raw.table is not None:
            table = {index: int(raw.table[index]) for index in counts}
        return cls(path, counts, flat, raw.colour, table, raw.bands, raw.one_bit)

    @property
    def colourful(self) -> bool:
        """Whether some code of it is a colour rather than a grey value."""
        return self.colour and not all(map(is_grey_code, self._colours))

    @property
    def ambiguous(self) -> bool:
        """Whether two indices in use of a palette file have one colour."""
        return self.table is not None and len(set(self._colours)) < len(self.table)

    @property
    def _colours(self) -> Collection[Code]:
        return self.counts if self.table is None else self.table.values()

    @property
    def kind(self) -> str:
        """How the file stores a pixel, in plain words."""
        if self.bands:
            return f"a stack of {self.bands} bands"
        if self.one_bit:
            return "black and white (one bit)"
        if self.table is not None:
            return "a palette file"
        return "colours" if self.colourful else "grey values"


def _is_flat(codes: np.ndarray, colour: bool, lossy: bool) -> np.ndarray:  # (H, W) bool
    """Where a pixel and its eight neighbours are equal; in a JPEG, nearly so."""
    if codes.dtype == np.uint8 and not (colour and lossy):
        planes = codes
    elif colour and codes.dtype == np.uint32:
        planes = np.ascontiguousarray(codes).view(np.uint8).reshape(*codes.shape, 4)
    else:
        planes = codes.astype(np.float64)
    block = np.ones((3, 3), np.uint8)
    edge = cv2.BORDER_REPLICATE
    high = cv2.dilate(planes, block, borderType=edge)
    low = cv2.erode(planes, block, borderType=edge)
    flat = high - low <= (_RINGING if lossy else 0)
    return flat if flat.ndim == 2 else flat.all(axis=2)


@dataclass(frozen=True)
class MaskSetStats:
    """What many mask files hold together, in one kind of code."""

    files: tuple[MaskStats, ...]
    codes: list[Code]  # that may be classes, in their order
    colour: bool
    palette: Palette
    present: dict[Path, frozenset[Code]]  # the codes of each file
    counts: Counter[Code]  # pixels per code in all of them
    flat: Counter[Code]  # of these, pixels whose neighbours are like them
    where: dict[Code, Path]  # a file that holds the code
    indices: dict[Code, int] = field(default_factory=dict)  # the palette index of each colour,
    # where all files are palette files and agree on it
    lossy: bool = False  # there are JPEG files, of more than two values

    @classmethod
    def spread(
        cls,
        paths: Sequence[str | os.PathLike],
        progress: bool,
        sample: int = 1000,  # how many files are looked at, spread over the list
    ) -> "MaskSetStats":
        """A stats of some of `paths`, or of all where they are few."""
        every = [Path(path) for path in paths]
        if not every:
            raise MaskValueError("There are no masks.")
        return cls.of(every[:: -(-len(every) // sample)], progress)

    @classmethod
    def of(cls, paths: Sequence[Path], progress: bool) -> "MaskSetStats":
        """Read all of `paths`. Raises `ImageReadError` or `MaskValueError` naming a bad file."""
        return cls.of_stats(list(in_threads(MaskStats.read, paths, "Reading masks", progress)))

    @classmethod
    def of_stats(cls, files: Sequence[MaskStats], palette: Palette = "colour") -> "MaskSetStats":
        """Files that were looked at, as one. Raises `MaskValueError` where they are of two kinds.

        Palette files are read by their colours, or by their indices where colours mean nothing.
        """
        if any(file.ambiguous for file in files):
            palette = "index"
        view = _View(files, palette)
        counts, flat = Counter[Code](), Counter[Code]()
        where: dict[Code, Path] = {}
        present: dict[Path, frozenset[Code]] = {}
        for file in files:
            held = view.codes(file, file.counts)
            if NOWHERE in held:
                raise MaskValueError(_two_kinds(file, files))
            counts.update(held)
            flat.update(view.codes(file, file.flat))
            present[file.path] = frozenset(held)
            for code in held:
                where.setdefault(code, file.path)
        codes = sorted({*counts, *range(_common_bands(files))})
        indices = _agreed([file.table for file in files]) if view.colour else {}
        if indices:
            codes.sort(key=indices.__getitem__)
        lossy = len(counts) > 2 and any(is_lossy(file.path) for file in files)
        return cls(
            tuple(files), codes, view.colour, palette, present, counts, flat, where, indices, lossy
        )

    @classmethod
    def with_every_mask(
        cls,
        paths: Sequence[Path],
        progress: bool,
        sample: int = 1000,  # how many files are counted pixel by pixel, spread over the list
    ) -> "tuple[MaskSetStats, dict[Path, frozenset[Code]]]":
        """A stats that misses no code, and the codes of every mask.

        Of the masks beyond the sample only the set of codes is kept; those that show the stats
        something new join it, as many as there can be classes.
        """
        stats = cls.spread(paths, progress, sample)
        rest = [path for path in dict.fromkeys(paths) if path not in stats.present]
        present = stats._codes_of(rest, progress)
        known, telling = set(stats.counts), []
        for path, codes in present.items():
            if not stats.lossy and not codes <= known and len(telling) < MAX_CLASSES:
                known |= codes
                telling.append(path)
        if telling:
            stats, before = cls.of([*stats.present, *telling], progress), stats
            if (stats.colour, stats.palette) != (before.colour, before.palette):
                present = stats._codes_of(rest, progress)
        return stats, {**present, **stats.present}

    def _codes_of(self, paths: Sequence[Path], progress: bool) -> dict[Path, frozenset[Code]]:
        """The codes of more files, as this stats counts them; equal sets are kept once."""
        kept: dict[frozenset[Code], frozenset[Code]] = {}
        read = in_threads(MaskStats.read, paths, "Looking for classes", progress)
        present = {}
        for path, file in zip(paths, read, strict=True):
            codes = frozenset(self.counts_of(file))
            present[path] = kept.setdefault(codes, codes)
        return present

    # other views of the same files

    def by_index(self) -> "MaskSetStats":
        """The same files, palette files read by their indices."""
        return MaskSetStats.of_stats(self.files, "index")

    def among(self, codes: Sequence[Code]) -> "MaskSetStats":
        """The same stats, in which these may be classes."""
        return replace(self, codes=list(codes))

    def without(self, codes: Collection[Code]) -> "MaskSetStats":
        """The same stats, as if nobody had meant these codes."""
        return self.among([code for code in self.codes if code not in codes])

    # what it tells

    @property
    def palette_files(self) -> bool:
        """Whether all files are palette files, read by their colours."""
        return self.colour and all(file.table is not None for file in self.files)

    @property
    def bands(self) -> int:
        """Of stacks with one band per class: the codes are band indices."""
        return self.files[0].bands

    @cached_property
    def exact(self) -> frozenset[Code]:
        """The codes of files that were saved without loss."""
        return frozenset().union(*(c for path, c in self.present.items() if not is_lossy(path)))

    def counts_of(
        self,
        file: MaskStats,
        flat: bool = False,  # only pixels whose neighbours are like them
    ) -> dict[Code, int]:
        """Pixels per code of one of the files, in this stats's kind of code."""
        return self._view.codes(file, file.flat if flat else file.counts)

    @cached_property
    def _view(self) -> "_View":
        return _View(self.files, self.palette)

    def outliers(self) -> list[Code]:
        """Codes in so few files and pixels that they are mistakes rather than classes."""
        files = [f for f in self.files if not (self.lossy and is_lossy(f.path))]
        if not files or self.bands:
            return []
        pixels = Counter[Code]()
        for file in files:
            pixels.update(self.counts_of(file))
        return sorted(outlier_codes([self.present[file.path] for file in files], pixels))

    @property
    def kind(self) -> str:
        return "colours" if self.colour else "values"

    def format(self, codes: Iterable[Code], limit: int = 20) -> str:
        return listing([format_value(code, self.colour) for code in codes], limit)

    def evidence(self, codes: Iterable[Code], limit: int = 20) -> str:
        """`#ff0000 (1,234 pixels, a.png), ...`: the most frequent first."""
        ordered = sorted(codes, key=lambda code: -self.counts[code])
        return listing([
            f"{format_value(code, self.colour)} ({self.counts[code]:,} pixels"
            + (f", {self.where[code].name})" if code in self.where else ")")
            for code in ordered
        ], limit)  # fmt: skip

    def code(self, value: Value) -> Code:
        """The code a user's value means here: a palette index may stand for its colour."""
        code, is_colour = parse_value(value)
        if is_colour == self.colour:
            return code
        if is_colour and is_grey_code(code):
            return code & 255
        if not is_colour and self.indices:
            by_index = {index: code for code, index in self.indices.items()}
            if code in by_index:
                return by_index[code]
        expected = "colours, written #rrggbb" if self.colour else "values, written as a number"
        raise MaskValueError(
            f"{value!r} was given, but the masks hold {expected}: {self.format(self.codes)}."
        )


class _View:
    """How the codes of single files are told in one kind of code."""

    def __init__(self, files: Sequence[MaskStats], palette: Palette):
        self.by_index = palette == "index"
        self.colour = any(f.colourful and not (self.by_index and f.table) for f in files)
        self.set_pixel = _set_value(files)

    def codes(self, file: MaskStats, counts: Mapping[Code, int]) -> dict[Code, int]:
        """These counts of a file; `NOWHERE` for codes without a counterpart in this view."""
        held = Counter[Code]()
        for code, count in counts.items():
            held[self._code(file, code)] += count
        return dict(held)

    def _code(self, file: MaskStats, code: Code) -> Code:
        if file.table is not None:
            if self.by_index:
                return code
            return convert_code(file.table[code], True, self.colour)
        if file.one_bit and code:
            return 0xFFFFFF if self.colour else self.set_pixel or code
        return convert_code(code, file.colour, self.colour)


def _set_value(files: Sequence[MaskStats]) -> Code | None:
    """The value that a set pixel of one-bit files is, by the files beside them; None: its own."""
    bits = [file for file in files if file.one_bit]
    others = {code for file in files if not file.one_bit for code in file.counts} - {0}
    if not others:
        return max((code for file in bits for code in file.counts), default=0) or None
    return min(others) if len(others) == 1 or others == {1, VOID} else None


def _common_bands(files: Sequence[MaskStats]) -> int:
    first = files[0]
    for file in files:
        if file.bands != first.bands:
            raise MaskValueError(
                f"{first.path} is {first.kind}, {file.path} {file.kind}; masks of one kind were "
                "expected, with the same bands, one per class. Save all classes in every file."
            )
    return first.bands


def _two_kinds(odd: MaskStats, files: Sequence[MaskStats]) -> str:
    colourful = next(file.path for file in files if file.colourful)
    return (
        f"{odd.path} holds values {min(odd.counts)}..{max(odd.counts)}, {colourful} holds colours; "
        "all masks must be of one kind. Take out the files that are no masks, or export them again."
    )


def _agreed(tables: Sequence[Mapping[Code, Code] | None]) -> dict[Code, int]:
    """One palette index per colour, where all files are palette files and agree; else nothing."""
    agreed: dict[Code, int] = {}
    for table in tables:
        if table is None:
            return {}
        for index, code in table.items():
            if agreed.setdefault(code, index) != index:
                return {}
    return agreed if len(set(agreed.values())) == len(agreed) else {}
