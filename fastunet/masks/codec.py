"""Any mask encoding as class indices, and back: the `MaskCodec`.

Downstream of it nobody sees anything but class indices 0..C-1 and `VOID`.
"""

import os
import warnings
from collections.abc import Mapping, Sequence
from colorsys import hsv_to_rgb
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from fastunet._util.text import listing
from fastunet.choices import Unknown
from fastunet.errors import MaskValueError
from fastunet.labels import MAX_CLASSES, VOID
from fastunet.masks.classes import Classes, Void, agree, agree_on_instances, unused_void
from fastunet.masks.raw import (
    NOWHERE,
    TRANSPARENT,
    Code,
    Colour,
    Palette,
    RawMask,
    carry,
    distances,
    from_array,
    parse_value,
    pixel_counts,
    read_mask,
    rgb,
    runs,
    spell,
)
from fastunet.masks.statistics import Survey

Encoding = Literal[
    "two values", "class indices", "sparse values", "palette", "palette indices", "colours",
    "instance map", "several encodings",
]  # fmt: skip


@dataclass(frozen=True)
class MaskCodec:
    """Which code stands for which class. Made by `infer`; a plain value, JSON in and out."""

    classes: tuple[str, ...]  # names, in the order of their index
    codes: tuple[Code, ...]  # the code of each class
    void: tuple[Code, ...] = ()  # codes of pixels that do not count
    colour: bool = False  # codes are colours 0xRRGGBB rather than values
    palette: Palette = "colour"  # how palette files are read
    nearest: bool = False  # in lossy files (JPEG) a code goes to the nearest known one
    colours: tuple[Colour, ...] = field(default=())  # what each class is drawn in
    others: int | None = None  # the index, or VOID, of codes that are not listed; None: an error
    palette_files: bool = False  # the masks are palette files, read by their colours
    also: tuple[tuple[Code, int], ...] = ()  # further codes, and the index of their class

    def __post_init__(self):
        if len(self.classes) != len(self.codes):
            raise MaskValueError(f"{len(self.classes)} names for {len(self.codes)} classes.")
        if not 2 <= len(self.classes) <= MAX_CLASSES:
            raise MaskValueError(f"{len(self.classes)} classes; 2 to {MAX_CLASSES} can be trained.")
        every = [*self.codes, *self.void, *(code for code, _ in self.also)]
        if len(set(every)) < len(every):
            raise MaskValueError("Two classes, or a class and void, have the same value.")
        if self.others is not None and self.others not in (*range(len(self.classes)), VOID):
            raise MaskValueError(
                f"others={self.others}: the index of a class, {VOID} for void or None was expected."
            )
        if not self.colours:
            drawn = map(rgb, self.codes) if self.colour else _distinct(len(self.classes))
            object.__setattr__(self, "colours", tuple(drawn))

    @property
    def task(self) -> Literal["binary", "multiclass"]:
        return "binary" if len(self.classes) == 2 else "multiclass"

    @property
    def n_out(self) -> int:
        """Channels of a network for this task: one for binary, one per class otherwise."""
        return 1 if self.task == "binary" else len(self.classes)

    # making one

    @classmethod
    def infer(
        cls,
        mask_paths: Sequence[str | os.PathLike],
        classes: Classes = None,  # names, or name -> value
        void: Void = None,  # value(s), colour(s) or names of classes that do not count
        sample: int = 1000,  # how many files are looked at, spread over the list
        progress: bool = False,  # show a progress bar
        instances: bool = False,  # the values number objects: 0 is background, others foreground
        unknown: Unknown = "error",  # what to make of codes that are not among the classes
    ) -> "MaskCodec":
        """Find out what the masks hold: a survey of a sample, then `from_survey`.

        Warns where no mask holds what `void` says.
        """
        survey = Survey.spread(mask_paths, progress, sample)
        codec = cls.from_survey(survey, classes, void, instances, unknown)
        if unused := unused_void(survey, void):
            warnings.warn(unused, stacklevel=2)
        return codec

    @classmethod
    def from_survey(
        cls,
        survey: Survey,  # of all masks, or of a sample
        classes: Classes = None,  # names, or name -> value or values
        void: Void = None,  # value(s), colour(s) or names of classes that do not count
        instances: bool = False,  # the values number objects: 0 is background, others foreground
        unknown: Unknown = "error",  # what to make of codes that are not among the classes
    ) -> "MaskCodec":
        """The codec of masks that were looked at, by the encoding that explains them best.

        The classes are the values in ascending order (of a palette: in its order). Two values are
        background and foreground. Where the others are the indices 0..n, 255 is void unless
        `classes` or `void` say otherwise. A dict for `classes` states the whole encoding.

        Raises `MaskValueError` where there is nothing to learn, too much, where `classes` do not
        fit, and where the masks can be read in more than one way.
        """
        if unknown not in get_args(Unknown):
            raise MaskValueError(f"unknown={unknown!r}; one of {get_args(Unknown)} was expected.")
        if instances:
            seen = survey.by_index() if survey.indices else survey
            two = agree_on_instances(seen, classes, void)
            return cls(
                two.names, two.codes, two.void, seen.colour, seen.palette,
                colours=tuple(_distinct(2)), others=1, also=two.also,
            )  # fmt: skip
        naming = agree(survey, classes, void, tolerant=unknown == "void")
        seen = naming.survey
        if len(naming.codes) < 2:
            raise MaskValueError(
                f"The {len(seen.present)} masks hold only {seen.spell(naming.codes)}: there is "
                "nothing to tell apart. Are these the right files?"
            )
        return cls(
            naming.names, naming.codes, naming.void, seen.colour, seen.palette, seen.lossy,
            others=VOID if unknown == "void" else None,
            palette_files=seen.palette_files, also=naming.also,
        )  # fmt: skip

    # using it

    def read(self, path: str | os.PathLike) -> np.ndarray:
        """A mask file as (H, W) uint8 class indices, `VOID` (255) where it does not count."""
        return self.encode(read_mask(path, self.palette), name=str(path))

    def encode(
        self,
        mask: RawMask | np.ndarray,  # codes, (H, W) values or (H, W, 3 or 4) colours
        name: str = "the mask",  # for the error message
    ) -> np.ndarray:  # (H, W) uint8
        """Class indices. Raises `MaskValueError` on codes that are not known."""
        if not isinstance(mask, RawMask):
            mask = from_array(np.asarray(mask), Path(name), colours=self.colour)
            mask = replace(mask, lossy=self.nearest)
        indices = self.lookup(mask)
        if indices.min() < 0:
            raise MaskValueError(self._unknown(mask, indices, name))
        return indices.astype(np.uint8)

    def lookup(self, raw: RawMask) -> np.ndarray:  # (H, W) int16
        """Class indices, `VOID` (255) where a pixel does not count, -1 where a code is unknown."""
        if raw.table is not None:
            return self._indices(raw.table, raw.colour)[raw.codes]
        nearest = self.nearest and raw.lossy
        if raw.one_bit:
            set_pixel = 0xFFFFFF if self.colour else self._set_value(raw)
            clear, is_set = self._listed(np.array([0, set_pixel]))
            return np.where(raw.codes > 0, is_set, clear)
        if raw.codes.dtype == np.uint8:
            return self._indices(np.arange(256), raw.colour, nearest)[raw.codes]
        codes, lengths = runs(raw.codes)
        indices = self._indices(codes, raw.colour, nearest)
        return np.repeat(indices, lengths).reshape(raw.codes.shape)

    def decode(self, indices: np.ndarray) -> np.ndarray:
        """(H, W) class indices to (H, W, 3) uint8 colours; void is drawn white."""
        table = np.full((256, 3), 255, np.uint8)
        table[: len(self.colours)] = self.colours
        return table[indices]

    def to_original(
        self,
        indices: np.ndarray,  # (H, W) class indices, `VOID` where the codec has such a code
    ) -> np.ndarray:  # (H, W) uint8 or uint16 values, or (H, W, 3 or 4) uint8 colours
        """The mask in the encoding of the data: `encode` makes the same indices of it.

        Masks of bands have the number of the band; lossy ones the values that were meant. Raises
        `MaskValueError` where the encoding is not one that a class alone decides, as an instance
        map, or not one that a PNG holds.
        """
        if self.encoding == "instance map":
            raise MaskValueError(
                "The masks number objects, which a model that tells classes does not: their own "
                "encoding cannot be written. Write class indices."
            )
        known = [*self.codes, *(self.void[:1] if (indices == VOID).any() else ())]
        if not self.colour and (min(known) < 0 or max(known) > 65535):
            raise MaskValueError(
                f"The masks hold values {min(known)}..{max(known)}; a PNG holds 0..65535. Write "
                "class indices."
            )
        table = np.zeros(256, np.int64)
        table[: len(self.codes)] = self.codes
        if self.void:
            table[VOID] = self.void[0]
        elif (indices == VOID).any():
            raise MaskValueError("There are void pixels, for which the masks have no value.")
        codes = table[indices]
        if not self.colour:
            return codes.astype(np.uint8 if max(known) < 256 else np.uint16)
        channels = [codes >> 16 & 255, codes >> 8 & 255, codes & 255]
        if (table >> 24).any():
            channels.append(255 - (codes >> 24 & 255))
        return np.stack(channels, axis=-1).astype(np.uint8)

    def _set_value(self, raw: RawMask) -> Code:
        """The value that a set pixel of a one-bit file is, by the classes; `NOWHERE` for none."""
        above = [code for code in self.codes if code != 0]
        if len(above) == 1:
            return above[0]
        own = int(raw.codes.max())
        return own if own == 255 and own in above else NOWHERE

    def _indices(
        self,
        codes: np.ndarray,  # (N,) as they are in a file
        colour: bool,  # they are colours; those of this codec may be values, and the reverse
        nearest: bool = False,  # a code that is not known is that of the nearest one
    ) -> np.ndarray:  # (N,) int16, -1 where unknown
        if colour != self.colour or nearest:  # slow: do it once per code
            codes, inverse = np.unique(codes, return_inverse=True)
            codes = np.array([carry(int(code), colour, self.colour) for code in codes])
            return self._listed(codes, nearest)[inverse]
        return self._listed(codes)

    def _listed(self, codes: np.ndarray, nearest: bool = False) -> np.ndarray:
        known, classes = self._known
        codes = codes.astype(np.int64)
        position = np.searchsorted(known, codes).clip(max=len(known) - 1)
        is_known = known[position] == codes
        indices = np.where(is_known, classes[position], np.int16(-1))
        if nearest:
            smeared = ~is_known & (codes != NOWHERE)
            away = [distances(codes[smeared], int(code), self.colour) for code in known]
            indices[smeared] = classes[np.argmin(away, axis=0)]
        if self.others is not None:
            indices[indices < 0] = self.others
        return indices

    @cached_property
    def _known(self) -> tuple[np.ndarray, np.ndarray]:
        """All codes that mean something, ascending, and the index that each of them takes."""
        more, their_classes = zip(*self.also, strict=True) if self.also else ((), ())
        codes = np.array([*self.codes, *self.void, *more], np.int64)
        indices = [*range(len(self.codes)), *[VOID] * len(self.void), *their_classes]
        classes = np.array(indices, np.int16)
        order = codes.argsort()
        return codes[order], classes[order]

    def _unknown(self, mask: RawMask, indices: np.ndarray, name: str) -> str:
        codes = mask.table[mask.codes] if mask.table is not None else mask.codes
        counts = pixel_counts(codes[indices < 0])
        what = listing(
            [f"{spell(code, mask.colour)} ({n} pixels)" for code, n in counts.items()], 5
        )
        known = listing([spell(code, self.colour) for code in (*self.codes, *self.void)], 20)
        if mask.one_bit:
            return (
                f"{name} is black and white (one bit per pixel), which does not tell which of the "
                f"{len(self.classes)} classes is meant; the known values are {known}. Save it with "
                "their values."
            )
        return (
            f"{name} holds {what}; the known {'colours' if self.colour else 'values'} are {known}. "
            "Mend the file, say what it means with classes= or void=, or pass "
            'unknown="void" to leave such pixels out.'
        )

    def __getstate__(self):  # what is derived is made again where it is needed
        return {key: value for key, value in self.__dict__.items() if key != "_known"}

    # telling about it

    @property
    def encoding(self) -> Encoding:
        """The kind of masks that this codec was made for, in plain words."""
        if self.others == 1 and len(self.classes) == 2:
            return "instance map"
        if self.also:
            return "several encodings"
        if self.palette == "index":
            return "palette indices"
        if self.colour:
            return "palette" if self.palette_files else "colours"
        if len(self.codes) == 2:
            return "two values"
        return "class indices" if self.codes == tuple(range(len(self.codes))) else "sparse values"

    def describe(self) -> str:
        """What was understood, in plain words, and how to say otherwise: two or three lines."""
        void = listing([spell(code, self.colour) for code in self.void], 5)
        lines = [
            f"{self.task}, {len(self.classes)} classes by {self.encoding}: {self._meanings()}"
            + (f"; void: {void}" if void else "; no void"),
            *self.rules(),
            "Not so? Say it with the options classes, void or instances.",
        ]
        return "\n".join(lines)

    def _meanings(self) -> str:
        if self.encoding == "instance map":
            background, foreground = self.classes
            return f"{spell(self.codes[0], self.colour)} = {background}, others = {foreground}"
        values = [" or ".join(map(str, values)) for values in self._values()]
        return listing([
            value if value == name else f"{value} = {name}"
            for value, name in zip(values, self.classes, strict=True)
        ], 40)  # fmt: skip

    def _values(self) -> list[list[str | int]]:
        """The values or colours of each class, as they are spelled."""
        spelled = [[spell(code, self.colour)] for code in self.codes]
        for code, index in self.also:
            spelled[index].append(spell(code, self.colour))
        return spelled

    def rules(self) -> list[str]:
        """What is taken for granted beyond the values of the classes, a sentence each."""
        rules = []
        if self.colour and TRANSPARENT in self.codes:
            rules.append(f"What is transparent is {self.classes[self.codes.index(TRANSPARENT)]}.")
        if self.encoding == "class indices" and self.void == (VOID,):
            rules.append(f"{VOID} beside class indices does not count.")
        if self.nearest:
            rules.append("Lossy masks (JPEG): a pixel takes the nearest of these.")
        elif self.others == VOID:
            rules.append("Whatever else a mask holds is void.")
        elif self.others is not None and self.encoding != "instance map":
            rules.append(f"Whatever else a mask holds is {self.classes[self.others]}.")
        return rules

    def to_dict(self) -> dict:
        """Plain JSON values; `from_dict` makes the same codec of them."""
        return {
            "classes": list(self.classes),
            "values": [one if len(one) > 1 else one[0] for one in self._values()],
            "void": [spell(code, self.colour) for code in self.void],
            "palette": self.palette,
            "nearest": self.nearest,
            "colours": [list(colour) for colour in self.colours],
            "others": self.others,
            "palette_files": self.palette_files,
        }

    @classmethod
    def from_dict(cls, data: Mapping) -> "MaskCodec":
        values = [one if isinstance(one, list) else [one] for one in data["values"]]
        codes, kinds = zip(*(parse_value(one[0]) for one in values), strict=True)
        return cls(
            tuple(data["classes"]),
            codes,
            tuple(parse_value(value)[0] for value in data["void"]),
            kinds[0],
            data["palette"],
            data["nearest"],
            tuple(tuple(colour) for colour in data["colours"]),
            data.get("others"),
            data.get("palette_files", False),
            tuple((parse_value(v)[0], i) for i, one in enumerate(values) for v in one[1:]),
        )


def _distinct(n: int) -> list[Colour]:
    """Colours for classes that have none: black, then hues a golden angle apart."""
    wheel = [(i * 0.618034 % 1, 1 - 0.35 * (i % 2), 1 - 0.25 * (i // 2 % 2)) for i in range(n - 1)]
    return [(0, 0, 0), *(tuple(round(255 * v) for v in hsv_to_rgb(*hsv)) for hsv in wheel)]
