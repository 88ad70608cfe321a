"""Masks of values: two, class indices, any others, bands, and numbers of objects."""

from fastunet.labels import MAX_CLASSES, VOID
from fastunet.masks.codes import CodeKind
from fastunet.masks.encodings.occurrence import (
    are_stretched,
    count_from_zero_and_one,
    groups,
    look_like_several_encodings,
)
from fastunet.masks.encodings.reading import Reading, UserStatement, are_few, name_all
from fastunet.masks.instance_maps import numbering
from fastunet.masks.statistics import MaskSetStats


def two_values(stats: MaskSetStats, stated: UserStatement) -> Reading | None:
    """Background and foreground: 0 and 255, 0 and 1, or any two values."""
    if stats.kind is CodeKind.COLOUR or stats.bands or len(stats.codes) != 2:
        return None
    return Reading("two values", stats, 1.0)


def class_indices(stats: MaskSetStats, stated: UserStatement) -> Reading | None:
    """0, 1, 2, ... and 255 for pixels that do not count."""
    values = stats.codes
    if stats.kind is CodeKind.COLOUR or stats.bands or not 2 <= len(values) <= MAX_CLASSES + 1:
        return None
    others = [value for value in values if value != VOID]
    regular = others == list(range(len(others)))
    if VOID not in values or stated.n_names == len(values):
        if not regular or len(values) == 2:
            return None
        fit = 0.5 if count_from_zero_and_one(stats) else 1.0
        return Reading("class indices", stats, fit, name_all(stats))
    named = set(others) <= set(range(stated.n_names or 0))
    from_one = others == list(range(1, len(others) + 1))
    if len(others) < 2 or not (regular or named or from_one):
        return None
    apart = {VOID} in groups(stats)
    return Reading(
        f"class indices, and {VOID} does not count",
        stats.without([VOID]),
        0.5 if apart or not (regular or named) else 1.0,
        f"void={VOID}",
        void=(VOID,),
    )


def sparse_values(stats: MaskSetStats, stated: UserStatement) -> Reading | None:
    """Any values: 0, 128, 255, or the numbers of a catalogue."""
    if stats.kind is CodeKind.COLOUR or stats.bands or not are_few(stats):
        return None
    if stats.codes == list(range(len(stats.codes))) or len(stats.codes) == 2:
        return None
    fit = 0.9
    if VOID in stats.codes and class_indices(stats, stated):
        fit = 0.5 if stats.codes[0] else 0.3
    elif look_like_several_encodings(stats) or are_stretched(stats):
        fit = 0.5
    return Reading("every value is a class of its own", stats, fit, name_all(stats))


def one_band_per_class(stats: MaskSetStats, stated: UserStatement) -> Reading | None:
    """A stack with one band per class; pixels that no band claims do not count."""
    if not stats.bands:
        return None
    codes = [code for code in stats.codes if code != VOID]
    return Reading("one band per class", stats.among(codes), 1.0, void=(VOID,))


def instance_numbers(stats: MaskSetStats, stated: UserStatement) -> Reading | None:
    """Every object has a number, or a colour, of its own."""
    found = numbering(stats)
    if found is None:
        return None
    return Reading(
        "every value is an object",
        stats.among(stats.codes[:2]),
        0.9,
        "instances=True",
        refusal=f"The masks hold up to {found.n} {stats.kind} that {found.how}, mostly one "
        "patch each: an instance map, which numbers objects. Pass instances=True "
        "(--instances) to tell objects from background; if they are classes after all, name "
        f"them: {name_all(stats)}.",
    )
