"""Masks of colours: of a palette, any others, and with transparent pixels."""

from fastunet.labels import VOID
from fastunet.masks.encodings.occurrence import differ_from_file_to_file
from fastunet.masks.encodings.reading import Encoding, Reading, UserStatement, are_few, name_all
from fastunet.masks.raw import TRANSPARENT, format_value
from fastunet.masks.statistics import MaskSetStats

_VOC_BORDER = 0xE0E0C0  # the colour of index 255 in the palette of Pascal VOC


class PaletteColours(Encoding):
    """Palette files that agree on their palette: the classes are in its order."""

    def read(self, stats: MaskSetStats, stated: UserStatement) -> Reading | None:
        if not stats.indices or not are_few(stats):
            return None
        *others, last = (stats.indices[code] for code in stats.codes)
        regular = others == list(range(len(others))) or set(others) <= set(range(stated.names or 0))
        border = regular or stats.codes[-1] == _VOC_BORDER
        if last != VOID or len(others) < 2 or not border or stated.names == len(stats.codes):
            return Reading("the colours of a palette", stats, 1.0)
        void = stats.codes[-1]
        return Reading(
            "a palette, whose index 255 does not count",
            stats.without([void]),
            1.0,
            f"void={format_value(void, True)!r}",
            void=(void,),
        )


class Colours(Encoding):
    """A colour per class."""

    def read(self, stats: MaskSetStats, stated: UserStatement) -> Reading | None:
        if not stats.colour or stats.indices or not are_few(stats):
            return None
        if TRANSPARENT in stats.codes:
            return None
        fit = 0.5 if differ_from_file_to_file(stats) else 0.9
        return Reading("every colour is a class of its own", stats, fit, name_all(stats))


class TransparentBackground(Encoding):
    """Objects that were cut out: what is transparent around them is the background."""

    def read(self, stats: MaskSetStats, stated: UserStatement) -> Reading | None:
        if TRANSPARENT not in stats.codes or stats.indices or not are_few(stats):
            return None
        ordered = [TRANSPARENT, *(code for code in stats.codes if code != TRANSPARENT)]
        black_may_be_background = 0 in ordered and len(ordered) > 2
        doubtful = black_may_be_background or differ_from_file_to_file(stats)
        names = ["background", *(f"class {i}" for i in range(1, len(ordered)))]
        table = {name: format_value(code, True) for name, code in zip(names, ordered, strict=True)}
        return Reading(
            "what is transparent is the background, and black is a class"
            if black_may_be_background
            else "what is transparent is the background",
            stats.among(ordered),
            0.5 if doubtful else 1.0,
            f"classes={table}",
        )


class TransparentVoid(Encoding):
    """Colours, of which some pixels were rubbed out: black is the background."""

    def read(self, stats: MaskSetStats, stated: UserStatement) -> Reading | None:
        if TRANSPARENT not in stats.codes or stats.indices or not are_few(stats):
            return None
        if 0 not in stats.codes or len(stats.codes) == 2:
            return None
        return Reading(
            "black is the background, and what is transparent does not count",
            stats.without([TRANSPARENT]),
            0.5,
            f"void={format_value(TRANSPARENT, True)!r}",
            void=(TRANSPARENT,),
        )
