"""Any mask encoding as class indices, and back: the `MaskCodec`.

Downstream of it nobody sees anything but class indices 0..C-1 and `VOID`.
"""

import os
from collections.abc import Mapping, Sequence
from colorsys import hsv_to_rgb
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from fastunet._util.text import listing
from fastunet._util.warn import warn
from fastunet.choices import Unknown
from fastunet.errors import MaskValueError
from fastunet.labels import MAX_CLASSES, VOID
from fastunet.masks.classes import Classes, Void, agree, agree_on_instances, unused_void
from fastunet.masks.codes import (
    NOWHERE,
    TRANSPARENT,
    WHITE,
    Code,
    CodeKind,
    Colour,
    converted,
    parse_value,
    pixel_counts,
    rgb,
    runs,
)
from fastunet.masks.raw import Palette, RawMask, from_array, read_mask
from fastunet.masks.statistics import MaskSetStats

Encoding = Literal[
    "two values",
    "class indices",
    "sparse values",
    "palette",
    "palette indices",
    "colours",
    "instance map",
    "several encodings",
]

Unlisted = Literal["error", "void", "foreground"]  # of a codec; foreground: they number objects

_INDEX_OF_UNKNOWN: dict[Unlisted, int | None] = {"error": None, "void": VOID, "foreground": 1}


@dataclass(frozen=True)
class MaskCodec:
    """Which code stands for which class. Made by `infer`; a plain value, JSON in and out."""

    classes: tuple[str, ...]  # names, in the order of their index
    codes: tuple[Code, ...]  # the code of each class
    void: tuple[Code, ...] = ()  # codes of pixels that do not count
    aliases: tuple[tuple[Code, int], ...] = ()  # further codes, and the index of their class
    kind: CodeKind = CodeKind.VALUE  # of all these codes
    palette: Palette | None = None  # the masks are palette files, read by this; None: any others
    nearest: bool = False  # in lossy files (JPEG) a code goes to the nearest known one
    unknown: Unlisted = "error"  # what all other codes are
    colours: tuple[Colour, ...] = ()  # what each class is drawn in; by default its own or a hue

    def __post_init__(self):
        if len(self.classes) != len(self.codes):
            raise MaskValueError(f"{len(self.classes)} names for {len(self.codes)} classes.")
        if not 2 <= len(self.classes) <= MAX_CLASSES:
            raise MaskValueError(f"{len(self.classes)} classes; 2 to {MAX_CLASSES} can be trained.")
        every = [*self.codes, *self.void, *(code for code, _ in self.aliases)]
        if len(set(every)) < len(every):
            raise MaskValueError("Two classes, or a class and void, have the same value.")
        if self.unknown == "foreground" and len(self.classes) > 2:
            raise MaskValueError(f"Objects are one class beside background, not {self.classes}.")
        if not self.colours:
            own = [rgb(code) for code in self.codes] if self.kind is CodeKind.COLOUR else []
            object.__setattr__(self, "colours", tuple(own or _distinct(len(self.classes))))

    @property
    def task(self) -> Literal["binary", "multiclass"]:
        """Whether there are two classes or more."""
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
        progress: bool = False,  # show a progress bar
        instances: bool = False,  # the values number objects: 0 is background, others foreground
        unknown: Unknown = "error",  # what to make of codes that are not among the classes
    ) -> "MaskCodec":
        """Read all masks, by threads, and find out what they hold: see `from_stats`.

        Warns where no mask holds what `void` says.
        """
        stats = MaskSetStats.of(mask_paths, progress)
        codec = cls.from_stats(stats, classes, void, instances, unknown)
        if unused := unused_void(stats, void):
            warn(unused)
        return codec

    @classmethod
    def from_stats(
        cls,
        stats: MaskSetStats,  # of all masks
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
            seen = stats.by_index() if stats.indices else stats
            naming = agree_on_instances(seen, classes, void)
        else:
            naming = agree(stats, classes, void, tolerant=unknown == "void")
        seen = naming.stats
        if len(naming.codes) < 2:
            raise MaskValueError(
                f"The {len(seen.present)} masks hold only {seen.format(naming.codes)}: there is "
                "nothing to tell apart. Are these the right files?"
            )
        return cls(
            naming.names,
            naming.codes,
            naming.void,
            naming.aliases,
            seen.kind,
            seen.palette,
            nearest=seen.lossy,
            unknown="foreground" if instances else unknown,
            colours=tuple(_distinct(2)) if instances else (),
        )

    # using it

    def read(self, path: str | os.PathLike) -> np.ndarray:
        """A mask file as (H, W) uint8 class indices, `VOID` (255) where it does not count."""
        return self.encode(read_mask(path), name=str(path))

    def encode(
        self,
        mask: RawMask | np.ndarray,  # codes, (H, W) values or (H, W, 3 or 4) colours
        name: str = "the mask",  # for the error message
    ) -> np.ndarray:  # (H, W) uint8
        """Class indices of a decoded mask. Raises `MaskValueError` on codes that are not known."""
        if not isinstance(mask, RawMask):
            colours = self.kind is CodeKind.COLOUR
            mask = from_array(np.asarray(mask), Path(name), colours=colours)
            mask = replace(mask, lossy=self.nearest)
        indices = self.lookup(mask)
        if indices.min() < 0:
            raise MaskValueError(self._unknown(mask, indices, name))
        return indices.astype(np.uint8)

    def lookup(self, raw: RawMask) -> np.ndarray:  # (H, W) int16
        """Class indices, `VOID` (255) where a pixel does not count, -1 where a code is unknown."""
        if self.palette == "index":
            raw = raw.by_index
        if raw.table is not None:
            return self._indices(raw.table, raw.kind)[raw.codes]
        nearest = self.nearest and raw.lossy
        if raw.one_bit:
            clear, is_set = self._indices(np.array([0, self._set_value(raw)]), self.kind)
            return np.where(raw.codes > 0, is_set, clear)
        if raw.codes.dtype == np.uint8:
            return self._indices(np.arange(256), raw.kind, nearest)[raw.codes]
        codes, lengths = runs(raw.codes)
        indices = self._indices(codes, raw.kind, nearest)
        return np.repeat(indices, lengths).reshape(raw.codes.shape)

    def decode(self, indices: np.ndarray) -> np.ndarray:
        """(H, W) class indices to (H, W, 3) uint8 colours; void is drawn white."""
        table = np.full((256, 3), rgb(WHITE), np.uint8)
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
        values = self.kind is CodeKind.VALUE
        if values and (min(known) < 0 or max(known) > 65535):
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
        if values:
            return codes.astype(np.uint8 if max(known) < 256 else np.uint16)
        channels = [codes >> 16 & 255, codes >> 8 & 255, codes & 255]
        if (table >> 24).any():
            channels.append(255 - (codes >> 24 & 255))
        return np.stack(channels, axis=-1).astype(np.uint8)

    def _set_value(self, raw: RawMask) -> Code:
        """What a set pixel of a one-bit file is, by the classes; `NOWHERE` where it is unknown."""
        if self.kind is CodeKind.COLOUR:
            return WHITE
        above = [code for code in self.codes if code != 0]
        if len(above) == 1:
            return above[0]
        own = int(raw.codes.max())
        return own if own == 255 and own in above else NOWHERE

    def _indices(
        self,
        codes: np.ndarray,  # (N,) as they are in a file
        kind: CodeKind,  # of these codes; that of this codec may be the other
        nearest: bool = False,  # a code that is not known is that of the nearest one
    ) -> np.ndarray:  # (N,) int16, -1 where unknown
        known, classes = self._known
        codes = converted(codes, kind, self.kind).astype(np.int64)
        position = np.searchsorted(known, codes).clip(max=len(known) - 1)
        is_known = known[position] == codes
        indices = np.where(is_known, classes[position], np.int16(-1))
        if nearest:
            blurred = ~is_known & (codes != NOWHERE)
            found, inverse = np.unique(codes[blurred], return_inverse=True)
            away = [self.kind.distances(found, code) for code in known.tolist()]
            indices[blurred] = classes[np.argmin(away, axis=0)][inverse]
        if self.unknown != "error":
            indices[indices < 0] = _INDEX_OF_UNKNOWN[self.unknown]
        return indices

    @cached_property
    def _known(self) -> tuple[np.ndarray, np.ndarray]:
        """All codes that mean something, ascending, and the index that each of them takes."""
        index = {code: i for i, code in enumerate(self.codes)}
        index |= dict.fromkeys(self.void, VOID) | dict(self.aliases)
        codes = sorted(index)
        return np.array(codes, np.int64), np.array([index[code] for code in codes], np.int16)

    def _unknown(self, mask: RawMask, indices: np.ndarray, name: str) -> str:
        if self.palette == "index":
            mask = mask.by_index
        counts = pixel_counts(mask.codes_of(mask.kind)[indices < 0])
        what = listing([f"{mask.kind.format(code)} ({n} pixels)" for code, n in counts.items()], 5)
        known = listing(self._shown((*self.codes, *self.void)), 20)
        if mask.one_bit:
            return (
                f"{name} is black and white (one bit per pixel), which does not tell which of the "
                f"{len(self.classes)} classes is meant; the known values are {known}. Save it with "
                "their values."
            )
        return (
            f"{name} holds {what}; the known {self.kind} are {known}. "
            "Mend the file, say what it means with classes= or void=, or pass "
            'unknown="void" to leave such pixels out.'
        )

    def __getstate__(self):  # what is derived is made again where it is needed
        return {key: value for key, value in self.__dict__.items() if key != "_known"}

    # telling about it

    @property
    def encoding(self) -> Encoding:
        """The kind of masks that this codec was made for, in plain words."""
        if self.unknown == "foreground":
            return "instance map"
        if self.aliases:
            return "several encodings"
        if self.palette == "index":
            return "palette indices"
        if self.kind is CodeKind.COLOUR:
            return "palette" if self.palette == "colour" else "colours"
        if len(self.codes) == 2:
            return "two values"
        return "class indices" if self.codes == tuple(range(len(self.codes))) else "sparse values"

    def describe(self) -> str:
        """What was understood, in plain words, and how to say otherwise: two or three lines."""
        void = listing(self._shown(self.void), 5)
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
            return f"{self._shown(self.codes)[0]} = {background}, others = {foreground}"
        values = [" or ".join(map(str, values)) for values in self._values()]
        pairs = zip(values, self.classes, strict=True)
        return listing(
            [name if value == name else f"{value} = {name}" for value, name in pairs], 40
        )

    def _values(self) -> list[list[int | str]]:
        """The values or colours of each class, as messages show them."""
        values = [[shown] for shown in self._shown(self.codes)]
        for code, index in self.aliases:
            values[index].append(self.kind.format(code))
        return values

    def _shown(self, codes: Sequence[Code]) -> list[int | str]:
        return [self.kind.format(code) for code in codes]

    def rules(self) -> list[str]:
        """What is taken for granted beyond the values of the classes, a sentence each."""
        rules = []
        if self.kind is CodeKind.COLOUR and TRANSPARENT in self.codes:
            rules.append(f"What is transparent is {self.classes[self.codes.index(TRANSPARENT)]}.")
        if self.encoding == "class indices" and self.void == (VOID,):
            rules.append(f"{VOID} beside class indices does not count.")
        if self.nearest:
            rules.append("Lossy masks (JPEG): a pixel takes the nearest of these.")
        elif self.unknown == "void":
            rules.append("Whatever else a mask holds is void.")
        return rules

    def to_dict(self) -> dict:
        """Plain JSON values; `from_dict` makes the same codec of them."""
        return {
            "classes": list(self.classes),
            "values": [one if len(one) > 1 else one[0] for one in self._values()],
            "void": self._shown(self.void),
            "palette": self.palette or "colour",
            "nearest": self.nearest,
            "colours": [list(colour) for colour in self.colours],
            "others": _INDEX_OF_UNKNOWN[self.unknown],
            "palette_files": self.palette == "colour",
        }

    @classmethod
    def from_dict(cls, data: Mapping) -> "MaskCodec":
        """The codec that `to_dict` told of, also by an older version."""
        values = [one if isinstance(one, list) else [one] for one in data["values"]]
        codes, kinds = zip(*(parse_value(one[0]) for one in values), strict=True)
        palette: Palette | None = "colour" if data.get("palette_files", False) else None
        others = data.get("others")  # the index of unknown codes
        unknown = [name for name, index in _INDEX_OF_UNKNOWN.items() if index == others]
        if not unknown:
            raise MaskValueError(
                f"others={others}: 1 for the foreground, {VOID} for void or nothing was expected."
            )
        return cls(
            tuple(data["classes"]),
            codes,
            tuple(parse_value(value)[0] for value in data["void"]),
            tuple((parse_value(v)[0], i) for i, one in enumerate(values) for v in one[1:]),
            kinds[0],
            "index" if data["palette"] == "index" else palette,
            data["nearest"],
            unknown[0],
            tuple(tuple(colour) for colour in data["colours"]),
        )


def _distinct(n: int) -> list[Colour]:
    """Colours for classes that have none: black, then hues a golden angle apart."""
    colours = [(0, 0, 0)]
    for i in range(n - 1):
        r, g, b = hsv_to_rgb(i * 0.618034 % 1, 1 - 0.35 * (i % 2), 1 - 0.25 * (i // 2 % 2))
        colours.append((round(255 * r), round(255 * g), round(255 * b)))
    return colours
