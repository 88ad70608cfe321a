"""What encoding a set of mask files uses: a look at many files, and what a user says of them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from fastunet.data.cache import in_threads
from fastunet.data.codes import (
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
from fastunet.errors import MaskValueError, listing

VOID = 255  # the class index of pixels that no loss, metric or picture counts
MAX_CLASSES = 254

_LOSSY = (".jpg", ".jpeg", ".jfif")


@dataclass(frozen=True)
class Tally:
    """What one mask file holds."""

    path: Path
    counts: dict[Code, int]  # pixels per value, or per colour
    colour: bool
    indices: dict[Code, int] | None = None  # of a palette file: the palette index of each colour
    ambiguous: bool = False  # a palette file in which two indices in use have one colour

    @classmethod
    def of(cls, path: Path, palette: Palette = "colour") -> "Tally":
        raw = read_mask(path, palette)
        counts = pixel_counts(raw.codes)
        if raw.table is None:
            return cls(path, counts, raw.colour)
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

    @classmethod
    def of(cls, paths: Sequence[Path], progress: bool) -> "Survey":
        tallies = list(in_threads(Tally.of, paths, "Reading masks", progress))
        palette: Palette = "colour"
        if any(tally.ambiguous for tally in tallies):
            palette = "index"
            by_index = partial(Tally.of, palette="index")
            tallies = list(in_threads(by_index, paths, "Reading masks by index", progress))

        colour = any(t.colour and not all(map(is_grey_code, t.counts)) for t in tallies)
        totals: Counter[Code] = Counter()
        where: dict[Code, Path] = {}
        for tally in tallies:
            for code, count in tally.counts.items():
                code = carry(code, tally.colour, colour)
                totals[code] += count
                where.setdefault(code, tally.path)

        lossy = len(totals) > 2 and any(path.suffix.lower() in _LOSSY for path in paths)
        codes = sorted(_peaks(totals, colour) if lossy else totals)
        indices = _agreed([tally.indices for tally in tallies]) if colour else {}
        if indices:
            codes.sort(key=indices.__getitem__)
        if len(codes) > MAX_CLASSES + 1:
            raise MaskValueError(
                f"The masks hold {len(codes)} different {'colours' if colour else 'values'} "
                f"({listing([spell(code, colour) for code in codes], 5)}); at most {MAX_CLASSES} "
                "classes can be trained. Is this an instance map, or a picture instead of a mask?"
            )
        return cls(codes, where, colour, palette, indices, lossy)

    def spell(self, codes: Sequence[Code]) -> str:
        return listing([spell(code, self.colour) for code in codes], 20)

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

    def void_codes(
        self, void: Value | Sequence[Value] | None, classes: Sequence[str] | Mapping | None
    ) -> tuple[Code, ...]:
        """What does not count: as the user says; else 255 beside the indices 0..n, n >= 1."""
        if void is not None:
            one = isinstance(void, str | int | np.integer) or (self.colour and _is_colour(void))
            return tuple(dict.fromkeys(self.code(value) for value in ([void] if one else void)))
        *others, last = (self.indices.get(code, code) for code in self.codes)
        named = classes is not None and len(classes) == len(self.codes)
        if last == VOID and len(others) > 1 and others == list(range(len(others))) and not named:
            return (self.codes[-1],)
        return ()

    def named(
        self,
        found: list[Code],
        classes: Sequence[str] | Mapping[str, Value] | None,
        void_codes: tuple[Code, ...],
    ) -> tuple[tuple[str, ...], tuple[Code, ...]]:
        """Names and codes of the classes, by what the user says of them."""
        if isinstance(classes, Mapping):
            codes = tuple(self.code(value) for value in classes.values())
            extra = [code for code in found if code not in codes]
            if extra and not self.lossy:
                raise MaskValueError(
                    f"{self.where[extra[0]]} holds {self.spell(extra)}, which classes= does not "
                    "name. Add it there, or pass it as void=."
                )
            return tuple(classes), codes
        if classes is None:
            if len(found) == 2 and found[0] == 0:
                return ("background", "foreground"), tuple(found)
            return tuple(str(spell(code, self.colour)) for code in found), tuple(found)
        if len(classes) == len(found):
            return tuple(classes), tuple(found)
        by_index = {i: name for i, name in enumerate(classes) if i not in void_codes}
        if not self.colour and set(found) <= by_index.keys():  # some classes are not in the sample
            return tuple(by_index.values()), tuple(by_index)
        raise MaskValueError(
            f"{len(classes)} class names were given, but the masks hold {len(found)} "
            f"{'colours' if self.colour else 'values'}: {self.spell(found)}. Name each of them, in "
            "this order, or pass a dict of name: value."
        )


def _is_colour(value: Sequence) -> bool:
    """Whether a sequence is one colour (r, g, b[, a]) rather than several of them."""
    return len(value) in (3, 4) and all(isinstance(v, int | np.integer) for v in value)


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


def _peaks(totals: Counter[Code], colour: bool) -> list[Code]:
    """The true codes of lossy masks: frequent ones that are far from any more frequent one."""
    enough = sum(totals.values()) / 1000
    peaks: list[Code] = []
    for code, count in totals.most_common():
        if count < enough:
            break
        if not peaks or distances(np.array(peaks), code, colour).min() > 40:
            peaks.append(code)
    return peaks
