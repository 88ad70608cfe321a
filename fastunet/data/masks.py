"""Any mask encoding as class indices, and back: the `MaskCodec`.

Downstream of it nobody sees anything but class indices 0..C-1 and `VOID`.
"""

import os
from collections.abc import Mapping, Sequence
from colorsys import hsv_to_rgb
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from fastunet.data.codes import (
    Code,
    Colour,
    Palette,
    RawMask,
    Value,
    carry,
    distances,
    from_array,
    parse_value,
    read_mask,
    rgb,
    spell,
)
from fastunet.data.survey import MAX_CLASSES, VOID, Survey
from fastunet.errors import MaskValueError, listing


@dataclass(frozen=True)
class MaskCodec:
    """Which code stands for which class. Made by `infer`; a plain value, JSON in and out."""

    classes: tuple[str, ...]  # names, in the order of their index
    codes: tuple[Code, ...]  # the code of each class
    void: tuple[Code, ...] = ()  # codes of pixels that do not count
    colour: bool = False  # codes are colours 0xRRGGBB rather than values
    palette: Palette = "colour"  # how palette files are read
    nearest: bool = False  # lossy masks (JPEG): a code goes to the nearest known one
    colours: tuple[Colour, ...] = field(default=())  # what each class is drawn in

    def __post_init__(self):
        if len(self.classes) != len(self.codes):
            raise MaskValueError(f"{len(self.classes)} names for {len(self.codes)} classes.")
        if not 2 <= len(self.classes) <= MAX_CLASSES:
            raise MaskValueError(f"{len(self.classes)} classes; 2 to {MAX_CLASSES} can be trained.")
        if len({*self.codes, *self.void}) < len(self.codes) + len(self.void):
            raise MaskValueError("Two classes, or a class and void, have the same value.")
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
        classes: Sequence[str] | Mapping[str, Value] | None = None,  # names, or name -> value
        void: Value | Sequence[Value] | None = None,  # value(s) or colour(s) that do not count
        sample: int = 1000,  # how many files are looked at, spread over the list
        progress: bool = False,  # show a progress bar
    ) -> "MaskCodec":
        """Find out what the masks hold: two values, indices, any values, palettes, colours, JPEG.

        The classes are the values in ascending order (of a palette: in its order). Two values are
        background and foreground. Where the others are the indices 0..n, 255 is void unless
        `classes` or `void` say otherwise. A dict for `classes` states the whole encoding.

        Raises `MaskValueError` where there is nothing to learn, too much, or `classes` do not fit.
        """
        paths = [Path(path) for path in mask_paths]
        if not paths:
            raise MaskValueError("There are no masks.")
        survey = Survey.of(paths[:: -(-len(paths) // sample)], progress)
        void_codes = survey.void_codes(void, classes)
        found = [code for code in survey.codes if code not in void_codes]
        if not found:
            raise MaskValueError(
                f"The {len(paths)} masks hold nothing but void ({survey.spell(void_codes)}): "
                "there is nothing to learn."
            )
        names, codes = survey.named(found, classes, void_codes)
        if len(codes) < 2:
            raise MaskValueError(
                f"The {len(paths)} masks hold only {survey.spell(found)}: there is nothing to tell "
                "apart. Are these the right files?"
                + (" JPEG blurs close values together; save masks as PNG." if survey.lossy else "")
            )
        return cls(names, codes, void_codes, survey.colour, survey.palette, survey.lossy)

    # using it

    def read(self, path: str | os.PathLike) -> np.ndarray:
        """A mask file as (H, W) uint8 class indices, `VOID` (255) where it does not count."""
        return self.encode(read_mask(path, self.palette), name=str(path))

    def encode(
        self,
        mask: RawMask | np.ndarray,  # codes, (H, W) values or (H, W, 3 or 4) colours
        name: str = "the mask",  # for the error message
    ) -> np.ndarray:  # (H, W) uint8
        """Class indices by look-up table. Raises `MaskValueError` on a value that is not known."""
        if not isinstance(mask, RawMask):
            mask = from_array(np.asarray(mask), Path(name))
        if mask.table is not None:
            table = self._indices(self._aligned(mask.table, mask.colour))
            return self._checked(table[mask.codes], mask, name)
        codes = self._aligned(mask.codes, mask.colour)
        if not self.nearest and codes.min() >= 0 and codes.max() < len(self._table):
            return self._checked(self._table[codes], mask, name)
        present, inverse = np.unique(codes, return_inverse=True)
        return self._checked(self._indices(present)[inverse.reshape(codes.shape)], mask, name)

    def decode(self, indices: np.ndarray) -> np.ndarray:
        """(H, W) class indices to (H, W, 3) uint8 colours; void is drawn white."""
        table = np.full((256, 3), 255, np.uint8)
        table[: len(self.colours)] = self.colours
        return table[indices]

    def _aligned(self, codes: np.ndarray, colour: bool) -> np.ndarray:
        """Codes of a file in this codec's kind: a grey file among colour ones, and the reverse.

        What has no counterpart becomes -1, which no class has.
        """
        if colour == self.colour:
            return codes
        present, inverse = np.unique(codes, return_inverse=True)
        carried = np.array([carry(int(code), colour, self.colour) for code in present])
        return carried[inverse.reshape(codes.shape)]

    def _indices(self, codes: np.ndarray) -> np.ndarray:
        """Class indices (int16, -1 where unknown) of a list of codes."""
        known = {code: index for index, code in enumerate(self.codes)}
        known.update({code: VOID for code in self.void})
        indices = np.array([known.get(int(code), -1) for code in codes], np.int16)
        if self.nearest:
            targets = np.array(list(known), np.int64)
            for position in np.flatnonzero((indices < 0) & (codes >= 0)):
                nearest = distances(targets, int(codes[position]), self.colour).argmin()
                indices[position] = known[int(targets[nearest])]
        return indices

    @cached_property
    def _table(self) -> np.ndarray:
        """Index by code, for the codes that a table of moderate size can hold."""
        largest = max((*self.codes, *self.void))
        table = np.full(min(largest, 0xFFFFFF) + 1, -1, np.int16)
        for index, code in [*enumerate(self.codes), *((VOID, code) for code in self.void)]:
            if code < len(table):
                table[code] = index
        return table

    def _checked(self, indices: np.ndarray, mask: RawMask, name: str) -> np.ndarray:
        if indices.min() < 0:
            codes = mask.table[mask.codes] if mask.table is not None else mask.codes
            unknown, counts = np.unique(codes[indices < 0], return_counts=True)
            what = listing([
                f"{spell(int(code), mask.colour)} ({count} pixels)"
                for code, count in zip(unknown, counts, strict=True)
            ], 5)  # fmt: skip
            known = listing([spell(code, self.colour) for code in (*self.codes, *self.void)], 20)
            raise MaskValueError(
                f"{name} holds {what}; the known {'colours' if self.colour else 'values'} are "
                f"{known}. Mend the file, or say what it means with classes= or void=."
            )
        return indices.astype(np.uint8)

    def __getstate__(self):  # the look-up table is made again where it is needed
        return {key: value for key, value in self.__dict__.items() if key != "_table"}

    # telling about it

    def describe(self) -> str:
        """What was understood, in plain words."""
        kind = "colours" if self.colour else "values"
        spelled = [str(spell(code, self.colour)) for code in self.codes]
        pairs = ", ".join(
            value if value == name else f"{value} = {name}"
            for value, name in zip(spelled, self.classes, strict=True)
        )
        void = listing([spell(code, self.colour) for code in self.void])
        return (
            f"{self.task}, {len(self.classes)} classes by {kind}: {pairs}"
            + (f"; void: {void}" if void else "; no void")
            + ("; lossy masks, nearest taken" if self.nearest else "")
        )

    def to_dict(self) -> dict:
        """Plain JSON values; `from_dict` makes the same codec of them."""
        return {
            "classes": list(self.classes),
            "values": [spell(code, self.colour) for code in self.codes],
            "void": [spell(code, self.colour) for code in self.void],
            "palette": self.palette,
            "nearest": self.nearest,
            "colours": [list(colour) for colour in self.colours],
        }

    @classmethod
    def from_dict(cls, data: Mapping) -> "MaskCodec":
        codes, kinds = zip(*(parse_value(value) for value in data["values"]), strict=True)
        return cls(
            tuple(data["classes"]),
            codes,
            tuple(parse_value(value)[0] for value in data["void"]),
            kinds[0],
            data["palette"],
            data["nearest"],
            tuple(tuple(colour) for colour in data["colours"]),
        )


def _distinct(n: int) -> list[Colour]:
    """Colours for classes that have none: black, then hues a golden angle apart."""
    wheel = [(i * 0.618034 % 1, 1 - 0.35 * (i % 2), 1 - 0.25 * (i // 2 % 2)) for i in range(n - 1)]
    return [(0, 0, 0), *(tuple(round(255 * v) for v in hsv_to_rgb(*hsv)) for hsv in wheel)]
