"""A look at many mask files: which codes they hold, how often, and in what kind of encoding."""

import os
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from fastunet.data.cache import in_threads
from fastunet.data.codes import (
    NOWHERE,
    Code,
    Palette,
    Value,
    carry,
    distances,
    is_grey_code,
    parse_value,
    pixel_counts,
    read_mask,
    spell,
)
from fastunet.data.strays import stray_codes
from fastunet.errors import MaskValueError, listing

VOID = 255  # the class index of pixels that no loss, metric or picture counts
MAX_CLASSES = 254

_LOSSY = (".jpg", ".jpeg", ".jfif")
_MANY_COLOURS = 2_000  # of a file; photos hold a hundred thousand, and a thousand files of them


@dataclass(frozen=True)
class Tally:
    """What one mask file holds."""

    path: Path
    counts: dict[Code, int]  # pixels per value, or per colour (the most frequent of very many)
    colour: bool
    indices: dict[Code, int] | None = None  # of a palette file: the palette index of each colour
    ambiguous: bool = False  # a palette file in which two indices in use have one colour
    bands: int = 0  # of a stack with one band per class

    @classmethod
    def of(cls, path: Path, palette: Palette = "colour") -> "Tally":
        raw = read_mask(path, palette)
        counts = pixel_counts(raw.codes)
        if raw.table is None:
            if raw.colour and len(counts) > _MANY_COLOURS:
                counts = dict(Counter(counts).most_common(_MANY_COLOURS))
            return cls(path, counts, raw.colour, bands=raw.bands)
        by_colour: dict[Code, int] = {}
        indices: dict[Code, int] = {}
        for index, count in counts.items():
            code = int(raw.table[index])
            by_colour[code] = by_colour.get(code, 0) + count
            indices.setdefault(code, index)
        return cls(path, by_colour, True, indices, ambiguous=len(by_colour) < len(counts))


@dataclass(frozen=True)
class Survey:
    """What many mask files hold together, in one kind of code."""

    codes: list[Code]  # in the order of the classes
    where: dict[Code, Path]  # a file that holds the code
    colour: bool
    palette: Palette
    indices: dict[Code, int]  # palette index of a colour, where all files agree on it
    lossy: bool
    present: dict[Path, frozenset[Code]] = field(default_factory=dict)  # the codes of each file
    counts: Counter[Code] = field(default_factory=Counter)  # pixels per code in all of them
    palette_files: bool = False  # all files are palette files, read by their colours
    bands: int = 0  # of stacks with one band per class: the codes are band indices

    @classmethod
    def spread(
        cls,
        paths: Sequence[str | os.PathLike],
        progress: bool,
        sample: int = 1000,  # how many files are looked at, spread over the list
    ) -> "Survey":
        """A survey of some of `paths`, or of all where they are few."""
        every = [Path(path) for path in paths]
        if not every:
            raise MaskValueError("There are no masks.")
        return cls.of(every[:: -(-len(every) // sample)], progress)

    @classmethod
    def of(cls, paths: Sequence[Path], progress: bool) -> "Survey":
        """Read all of `paths`. Raises `ImageReadError` or `MaskValueError` naming a bad file."""
        tallies = list(in_threads(Tally.of, paths, "Reading masks", progress))
        palette: Palette = "colour"
        if any(tally.ambiguous for tally in tallies):
            palette = "index"
            by_index = partial(Tally.of, palette="index")
            tallies = list(in_threads(by_index, paths, "Reading masks by index", progress))

        colour = any(t.colour and not all(map(is_grey_code, t.counts)) for t in tallies)
        counts: Counter[Code] = Counter()
        where: dict[Code, Path] = {}
        present: dict[Path, frozenset[Code]] = {}
        for tally in tallies:
            carried = {carry(code, tally.colour, colour): n for code, n in tally.counts.items()}
            if NOWHERE in carried:
                raise MaskValueError(_two_kinds(tally, tallies))
            counts.update(carried)
            present[tally.path] = frozenset(carried)
            for code in carried:
                where.setdefault(code, tally.path)

        lossy = len(counts) > 2 and any(path.suffix.lower() in _LOSSY for path in paths)
        bands = _common_bands(tallies)
        codes = sorted(peaks(counts, colour) if lossy else {*counts, *range(bands)})
        indices = _agreed([tally.indices for tally in tallies]) if colour else {}
        if indices:
            codes.sort(key=indices.__getitem__)
        return cls(
            codes, where, colour, palette, indices, lossy, present, counts,
            palette_files=colour and all(tally.indices is not None for tally in tallies),
            bands=bands,
        )  # fmt: skip

    @classmethod
    def with_every_mask(
        cls,
        paths: Sequence[Path],
        progress: bool,
        sample: int = 1000,  # how many files are counted pixel by pixel, spread over the list
    ) -> "tuple[Survey, dict[Path, frozenset[Code]]]":
        """A survey that misses no code, and the codes of every mask.

        Of the masks beyond the sample only the set of codes is kept; those that show the survey
        something new join it, as many as there can be classes.
        """
        survey = cls.spread(paths, progress, sample)
        rest = [path for path in dict.fromkeys(paths) if path not in survey.present]
        present = survey._codes_of(rest, progress)
        known, telling = set(survey.counts), []
        for path, codes in present.items():
            if not survey.lossy and not codes <= known and len(telling) < MAX_CLASSES:
                known |= codes
                telling.append(path)
        if telling:
            survey, before = cls.of([*survey.present, *telling], progress), survey
            if (survey.colour, survey.palette) != (before.colour, before.palette):
                present = survey._codes_of(rest, progress)
        return survey, {**present, **survey.present}

    def _codes_of(self, paths: Sequence[Path], progress: bool) -> dict[Path, frozenset[Code]]:
        """The codes of more files, as this survey counts them; equal sets are kept once."""
        kept: dict[frozenset[Code], frozenset[Code]] = {}
        tallies = in_threads(
            partial(Tally.of, palette=self.palette), paths, "Looking for classes", progress
        )
        present = {}
        for path, tally in zip(paths, tallies, strict=True):
            codes = frozenset(carry(code, tally.colour, self.colour) for code in tally.counts)
            present[path] = kept.setdefault(codes, codes)
        return present

    def by_index(self) -> "Survey":
        """The same palette files read by their indices, on which they agree."""
        index = self.indices
        return replace(
            self,
            codes=[index[code] for code in self.codes],
            where={index[code]: path for code, path in self.where.items()},
            colour=False,
            palette="index",
            indices={},
            present={p: frozenset(index[c] for c in codes) for p, codes in self.present.items()},
            counts=Counter({index[code]: n for code, n in self.counts.items()}),
        )

    def strays(self) -> list[Code]:
        """Codes in so few files and pixels that they are mistakes rather than classes."""
        if self.lossy or self.bands:
            return []
        return sorted(stray_codes(list(self.present.values()), self.counts))

    def without(self, codes: Collection[Code]) -> "Survey":
        """The same survey, as if nobody had meant these codes."""
        return replace(self, codes=[code for code in self.codes if code not in codes])

    @property
    def kind(self) -> str:
        return "colours" if self.colour else "values"

    def spell(self, codes: Sequence[Code], limit: int = 20) -> str:
        return listing([spell(code, self.colour) for code in codes], limit)

    def evidence(self, codes: Iterable[Code], limit: int = 20) -> str:
        """`#ff0000 (1,234 pixels, a.png), ...`: the most frequent first."""
        ordered = sorted(codes, key=lambda code: -self.counts[code])
        return listing([
            f"{spell(code, self.colour)} ({self.counts[code]:,} pixels"
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
            f"{value!r} was given, but the masks hold {expected}: {self.spell(self.codes)}."
        )


def peaks(
    counts: Counter[Code],
    colour: bool,
    share: float = 0.001,  # of all pixels, that a code must have
) -> list[Code]:
    """The true codes of lossy masks: frequent ones that are far from any more frequent one."""
    enough = counts.total() * share
    found: list[Code] = []
    for code, count in counts.most_common():
        if count < enough:
            break
        if not found or distances(np.array(found), code, colour).min() > 40:
            found.append(code)
    return found


def _common_bands(tallies: Sequence[Tally]) -> int:
    stacks = [tally for tally in tallies if tally.bands]
    for stack in stacks:
        if stack.bands != stacks[0].bands:
            raise MaskValueError(
                f"{stacks[0].path} has {stacks[0].bands} bands, {stack.path} {stack.bands}; one "
                "band per class was expected in each mask. Save all classes in every file."
            )
    return stacks[0].bands if stacks else 0


def _two_kinds(odd: Tally, tallies: Sequence[Tally]) -> str:
    colourful = next(t.path for t in tallies if t.colour and not all(map(is_grey_code, t.counts)))
    return (
        f"{odd.path} holds values {min(odd.counts)}..{max(odd.counts)}, {colourful} holds colours; "
        "all masks must be of one kind. Take out the files that are no masks, or export them again."
    )


def _agreed(palettes: Sequence[dict[Code, int] | None]) -> dict[Code, int]:
    """One palette index per colour, where all files are palette files and agree; else nothing."""
    agreed: dict[Code, int] = {}
    for palette in palettes:
        if palette is None:
            return {}
        for code, index in palette.items():
            if agreed.setdefault(code, index) != index:
                return {}
    return agreed if len(set(agreed.values())) == len(agreed) else {}
