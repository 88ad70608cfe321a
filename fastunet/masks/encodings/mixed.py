"""Masks that were smoothed, and folders in which the files differ in their encoding."""

from fastunet.masks.codes import TRANSPARENT, CodeKind
from fastunet.masks.encodings.occurrence import differ_from_file_to_file, groups
from fastunet.masks.encodings.reading import Reading, UserStatement, are_few
from fastunet.masks.encodings.values import class_indices, sparse_values, two_values
from fastunet.masks.smoothing import before_smoothing
from fastunet.masks.statistics import MaskSetStats, MaskStats


def smoothed(stats: MaskSetStats, stated: UserStatement) -> Reading | None:
    """Masks that were resized or drawn with smoothing: mixtures of classes along their seams."""
    true = before_smoothing(stats)
    if not true:
        return None
    share = sum(stats.counts[code] for code in true) / stats.counts.total()
    return Reading(
        "values with smoothed edges",
        stats.among(true),
        1.0,
        refusal=f"The masks hold {len(stats.codes)} different {stats.kind}, but "
        f"{stats.format(true)} make up {share:.1%} of the pixels: they seem to have been "
        "resized or saved with smoothing. Save them again without, or name those that are "
        f'classes in a dict, classes={{"name": {stats.kind.format(true[0])!r}, ...}}, '
        'and pass unknown="void" to leave the rest out.',
    )


def several_encodings(stats: MaskSetStats, stated: UserStatement) -> Reading | None:
    """Files of several encodings of the same classes: half of them 0/1 and half 0/255."""
    if stats.bands or stats.indices or not are_few(stats):
        return None
    found = groups(stats)
    background = [code for code in stats.codes if code in (0, TRANSPARENT)]
    together = any(codes >= {0, TRANSPARENT} for codes in stats.present.values())
    if differ_from_file_to_file(stats):
        first, *rest = (sorted(group) for group in found)
    elif len(background) == 2 and not together and len(stats.codes) > 2:
        first, rest = [code for code in stats.codes if code not in background], []
    else:
        return None
    if any(len(group) != len(first) for group in rest):
        return None
    aliases = {code: meant for group in rest for code, meant in zip(group, first, strict=True)}
    aliases |= {code: background[0] for code in background[1:]}
    classes = [*background[:1], *first]
    table: dict[str, int | str | list[int | str]] = {}
    for i, code in enumerate(classes):
        alike = [code, *(alias for alias in aliases if aliases[alias] == code)]
        shown = [stats.kind.format(one) for one in alike]
        table[_default_name(i, len(classes))] = shown if len(shown) > 1 else shown[0]
    return Reading(
        "the files differ in how they encode the same classes",
        stats.among(classes),
        0.5,
        f"classes={table}",
        aliases=aliases,
    )


def palette_and_indices(stats: MaskSetStats, stated: UserStatement) -> Reading | None:
    """Some files have a palette, the others hold its indices as plain values."""
    tables = [file.palette for file in stats.files if file.table is not None]
    plain = [file for file in stats.files if file.table is None]
    if not tables or not plain or not all(_holds_values(f) for f in plain):
        return None
    if stats.palette == "index" or stats.kind is CodeKind.VALUE:
        return None
    colours = {index: code for table in tables for index, code in table.items()}
    if any(colours[i] != code for table in tables for i, code in table.items()):
        return None
    if any((index == 0) != (code == 0) for index, code in colours.items()):
        return None  # black and 0 are not the same: the order of the palette means nothing
    values = set().union(*(file.codes.tolist() for file in plain))
    if not values - {0} or not values <= colours.keys():
        return None
    by_index = stats.by_index()
    reading = class_indices(by_index, stated) or two_values(by_index, stated)
    return reading or sparse_values(by_index, stated)


def _holds_values(file: MaskStats) -> bool:
    return file.kind is CodeKind.VALUE and not file.one_bit and not file.bands


def _default_name(index: int, n: int) -> str:
    if index == 0:
        return "background"
    return "foreground" if n == 2 else f"class {index}"
