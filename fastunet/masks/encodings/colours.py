"""Masks of colours: of a palette, any others, and with transparent pixels."""

from fastunet.labels import VOID
from fastunet.masks.codes import TRANSPARENT, CodeKind
from fastunet.masks.encodings.occurrence import differ_from_file_to_file
from fastunet.masks.encodings.reading import Reading, UserStatement, are_few, name_all
from fastunet.masks.statistics import MaskSetStats

_VOC_BORDER = 0xE0E0C0  # the colour of index 255 in the palette of Pascal VOC


def palette_colours(stats: MaskSetStats, stated: UserStatement) -> Reading | None:
    """Palette files that agree on their palette: the classes are in its order."""
    if not stats.indices or not are_few(stats):
        return None
    *others, last = (stats.indices[code] for code in stats.codes)
    regular = others == list(range(len(others))) or set(others) <= set(range(stated.n_names or 0))
    border = regular or stats.codes[-1] == _VOC_BORDER
    if last != VOID or len(others) < 2 or not border or stated.n_names == len(stats.codes):
        return Reading("the colours of a palette", stats, 1.0)
    void = stats.codes[-1]
    return Reading(
        "a palette, whose index 255 does not count",
        stats.without([void]),
        1.0,
        f"void={stats.kind.format(void)!r}",
        void=(void,),
    )


def colours(stats: MaskSetStats, stated: UserStatement) -> Reading | None:
    """A colour per class."""
    if stats.kind is CodeKind.VALUE or stats.indices or not are_few(stats):
        return None
    if TRANSPARENT in stats.codes:
        return None
    fit = 0.5 if differ_from_file_to_file(stats) else 0.9
    return Reading("every colour is a class of its own", stats, fit, name_all(stats))


def transparent_background(stats: MaskSetStats, stated: UserStatement) -> Reading | None:
    """Objects that were cut out: what is transparent around them is the background."""
    if TRANSPARENT not in stats.codes or stats.indices or not are_few(stats):
        return None
    ordered = [TRANSPARENT, *(code for code in stats.codes if code != TRANSPARENT)]
    black_may_be_background = 0 in ordered and len(ordered) > 2
    doubtful = black_may_be_background or differ_from_file_to_file(stats)
    names = ["background", *(f"class {i}" for i in range(1, len(ordered)))]
    table = {name: stats.kind.format(code) for name, code in zip(names, ordered, strict=True)}
    black = ", and black is a class" if black_may_be_background else ""
    return Reading(
        f"what is transparent is the background{black}",
        stats.among(ordered),
        0.5 if doubtful else 1.0,
        f"classes={table}",
    )


def transparent_void(stats: MaskSetStats, stated: UserStatement) -> Reading | None:
    """Colours, of which some pixels were rubbed out: black is the background."""
    if TRANSPARENT not in stats.codes or stats.indices or not are_few(stats):
        return None
    if 0 not in stats.codes or len(stats.codes) == 2:
        return None
    return Reading(
        "black is the background, and what is transparent does not count",
        stats.without([TRANSPARENT]),
        0.5,
        f"void={stats.kind.format(TRANSPARENT)!r}",
        void=(TRANSPARENT,),
    )
