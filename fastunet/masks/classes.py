"""What the user says of the masks, held against what they hold: names, values and void."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeGuard

import numpy as np

from fastunet._util.text import listing
from fastunet.errors import MaskValueError
from fastunet.masks.codes import TRANSPARENT, Code, CodeKind, Value, parse_value
from fastunet.masks.encodings.choice import SURE, understand
from fastunet.masks.encodings.colours import palette_colours
from fastunet.masks.encodings.reading import Reading, UserStatement
from fastunet.masks.encodings.values import class_indices, one_band_per_class
from fastunet.masks.smoothing import before_smoothing
from fastunet.masks.statistics import MaskSetStats

Values = Value | Sequence[Value]  # one or several
Classes = Sequence[str] | Mapping[str, Values] | None  # names, or name -> values, or as found
Void = Values | None  # value(s), colour(s) or names of classes


@dataclass(frozen=True)
class Naming:
    """Which codes are classes, under which names, and which do not count."""

    names: tuple[str, ...]
    codes: tuple[Code, ...]  # one of each class
    void: tuple[Code, ...]
    stats: MaskSetStats  # in whose kind of code they are
    aliases: tuple[tuple[Code, int], ...] = ()  # further codes, and the index of their class


def agree(
    stats: MaskSetStats,
    classes: Classes,
    void: Void,
    tolerant: bool = False,  # what `classes` does not name is void rather than an error
) -> Naming:
    """Names and codes of the classes and the codes of void, by what the user says of them.

    A dict for `classes` states the whole encoding. Otherwise the classes are what the masks hold,
    by the encoding that explains them best (`encodings.understand`).

    Raises `MaskValueError` where the masks do not hold what the user says, or where it takes the
    user to say what they mean.
    """
    if isinstance(classes, Mapping):
        return _as_stated(stats, classes, void, tolerant)
    if stats.indices and classes is not None and len(classes) > len(stats.codes):
        stats = stats.by_index()  # a list names more classes than there are: it goes by index
    listed = _listed(void, stats)
    named_void = _class_names(listed, classes)
    values = tuple(dict.fromkeys(stats.code(e) for e in listed if e not in named_void))
    if classes is None or len(classes) != len(stats.codes):
        stats = without_outliers(stats, values, tolerant)
    meant = stats if stats.lossy else stats.without(values)
    if not meant.codes:
        raise MaskValueError(
            f"The {len(stats.present)} masks hold nothing but void ({stats.format(values)}): "
            "there is nothing to learn."
        )
    reading = _read(meant, classes, values)
    names, codes = _named(reading, classes, values, tolerant)
    out = {name: code for name, code in zip(names, codes, strict=True) if name in named_void}
    kept = [(n, c) for n, c in zip(names, codes, strict=True) if n not in out and c not in values]
    index = {code: i for i, (_, code) in enumerate(kept)}
    aliases = [(code, index[same]) for code, same in reading.aliases.items() if same in index]
    return Naming(
        tuple(name for name, _ in kept),
        tuple(code for _, code in kept),
        tuple(dict.fromkeys((*values, *reading.void, *out.values()))),
        reading.stats,
        tuple(aliases),
    )


def _read(stats: MaskSetStats, classes: Sequence[str] | None, void: tuple[Code, ...]) -> Reading:
    if len(stats.codes) < 2 and not stats.bands:
        raise MaskValueError(
            f"The {len(stats.present)} masks hold only {stats.format(stats.codes)}: there is "
            "nothing to tell apart. Are these the right files?"
        )
    reading = understand(stats, UserStatement(None if classes is None else len(classes), void))
    if len(reading.stats.codes) < 2:
        raise MaskValueError(
            f"The {len(stats.present)} masks hold only {stats.format(reading.stats.codes)}: "
            "there is nothing to tell apart."
            + (" JPEG blurs close values together; save masks as PNG." if stats.lossy else "")
        )
    return reading


def _as_stated(
    stats: MaskSetStats, classes: Mapping[str, Values], void: Void, tolerant: bool
) -> Naming:
    """The encoding that a dict of name -> value, or values, states."""
    by_name = {name: _codes_of(value, stats) for name, value in classes.items()}
    listed = _listed(void, stats)
    named_void = _class_names(listed, classes)
    values = [stats.code(entry) for entry in listed if entry not in named_void]
    values += [code for name in named_void for code in by_name[name]]
    known = {*values, *(code for codes in by_name.values() for code in codes)}
    usual = [code for code in _usual_void(stats, len(classes)) if code not in known]
    known.update(usual)
    extra = [code for code in stats.codes if code in stats.counts and code not in known]
    if extra and not stats.lossy and not tolerant:
        raise MaskValueError(_not_in_table(stats, extra, by_name))
    counting = {name: [c for c in codes if c not in values] for name, codes in by_name.items()}
    kept = {name: codes for name, codes in counting.items() if codes}
    aliases = [(code, i) for i, codes in enumerate(kept.values()) for code in codes[1:]]
    return Naming(
        tuple(kept),
        tuple(codes[0] for codes in kept.values()),
        tuple(dict.fromkeys((*values, *usual))),
        stats,
        tuple(aliases),
    )


def _usual_void(stats: MaskSetStats, n_classes: int) -> tuple[Code, ...]:
    """What does not count wherever masks are encoded as these are: 255 beside class indices."""
    for encoding in (one_band_per_class, class_indices, palette_colours):
        reading = encoding(stats, UserStatement(n_names=n_classes))
        if reading and reading.fit >= SURE:
            return reading.void
    return ()


def _codes_of(values: Values, stats: MaskSetStats) -> list[Code]:
    """The codes of one class: a value, a colour, or several of them."""
    codes = [stats.code(value) for value in _listed(values, stats)]
    if not codes:
        raise MaskValueError(f"classes= gives {values!r} as a value; at least one was expected.")
    return list(dict.fromkeys(codes))


def unused_void(
    stats: MaskSetStats,
    void: Void,  # as the user says it
) -> str:
    """A sentence that says so where no mask holds any value that is called void; else nothing."""
    values = [entry for entry in _listed(void, stats) if _is_value(entry)]
    if not values or stats.lossy or any(stats.code(entry) in stats.counts for entry in values):
        return ""
    shown = listing([str(entry) for entry in values], 5)
    return (
        f"void={shown} is in none of the {len(stats.present)} masks that were looked at, which "
        f"hold {stats.format(stats.codes, 10)}. Is it the value that was meant?"
    )


def without_outliers(
    stats: MaskSetStats,
    void: tuple[Code, ...],  # that the user states
    tolerant: bool,
) -> MaskSetStats:
    """The stats without values that nobody can have meant as classes.

    Raises `MaskValueError` where there are such, and the user neither calls them void nor is
    tolerant.
    """
    if before_smoothing(stats):  # its rare values are not single mistakes
        return stats
    outliers = stats.outliers()
    unstated = [code for code in outliers if code not in void]
    if unstated and not tolerant:
        rest = stats.without(outliers)
        raise MaskValueError(
            f"Beside {stats.format(rest.codes)} the masks hold {stats.evidence(unstated, 5)}: too "
            "few files and pixels to be a class. Mend these files (fastunet audit lists them "
            'all), pass unknown="void" to leave such pixels out, or name all classes in classes=.'
        )
    return stats.without(outliers)


def _is_value(entry: Value) -> bool:
    try:
        parse_value(entry)
    except MaskValueError:
        return False  # the name of a class
    return True


def agree_on_instances(stats: MaskSetStats, classes: Classes, void: Void) -> Naming:
    """Background is 0, or black; one of the other codes stands for foreground.

    Raises `MaskValueError` where the masks cannot number objects.
    """
    if stats.lossy:
        raise MaskValueError(
            "JPEG blurs the numbers of objects; instances=True needs masks saved without loss, as "
            "PNG or TIFF."
        )
    if isinstance(classes, Mapping) or (classes is not None and len(classes) != 2):
        raise MaskValueError(
            f"instances=True makes two classes of the masks, {len(classes)} were given. Name the "
            'two, classes=["background", "cell"], or leave classes= out.'
        )
    void_codes = tuple(dict.fromkeys(stats.code(value) for value in _listed(void, stats)))
    objects = [code for code in stats.codes if code not in (0, TRANSPARENT, *void_codes)]
    if not objects or 0 in void_codes:
        raise MaskValueError(
            f"The {len(stats.present)} masks hold {stats.format(stats.codes)}; instances=True "
            "needs 0 for the background, and other values that are not void for the objects."
        )
    names = classes if classes is not None else ("background", "foreground")
    is_background = TRANSPARENT in set(stats.codes) - set(void_codes)
    aliases = ((TRANSPARENT, 0),) if is_background else ()
    return Naming(tuple(names), (0, objects[0]), void_codes, stats, aliases)


def _listed(values: Values | None, stats: MaskSetStats) -> list[Value]:
    """One value, or several, as a list; (r, g, b) is one where the masks hold colours."""
    if values is None:
        return []
    if isinstance(values, str | int | np.integer):
        return [values]
    if stats.kind is CodeKind.COLOUR and _is_colour(values):
        return [values]
    return list(values)


def _is_colour(values: Sequence) -> TypeGuard[Sequence[int]]:
    """Whether a sequence is one colour (r, g, b[, a]) rather than several of them."""
    return len(values) in (3, 4) and all(isinstance(v, int | np.integer) for v in values)


def _class_names(listed: Sequence[Value], classes: Classes) -> list[str]:
    """What of the values called void is the name of a class. Raises `MaskValueError`."""
    names = []
    for entry in listed:
        if not isinstance(entry, str) or entry.startswith("#") or classes is None:
            continue
        if entry in classes:
            names.append(entry)
        elif not entry.strip().removeprefix("-").isdigit():
            raise MaskValueError(
                f"void={entry!r} is not among the classes ({listing(list(classes), 20)}). Name one "
                "of them, or give the value (11) or the colour (#ff0000) that does not count."
            )
    return names


def _named(
    reading: Reading,
    classes: Sequence[str] | None,
    void_codes: tuple[Code, ...],
    tolerant: bool,
) -> tuple[tuple[str, ...], tuple[Code, ...]]:
    stats = reading.stats
    found = stats.codes
    if classes is None:
        if len(found) == 2 and found[0] in (0, TRANSPARENT):
            return ("background", "foreground"), tuple(found)
        return tuple(stats.format([code]) for code in found), tuple(found)
    if len(classes) == len(found):
        return tuple(classes), tuple(found)
    void = (*void_codes, *reading.void)
    by_index = {i: name for i, name in enumerate(classes) if i not in void}
    if stats.kind is CodeKind.VALUE and (tolerant or set(found) <= by_index.keys()):
        return tuple(by_index.values()), tuple(by_index)  # some classes are in no mask
    raise MaskValueError(
        f"{len(classes)} class names were given, but the masks hold {len(found)} "
        f"{stats.kind}: {stats.format(found)}. Name each of them, in this order, or pass a dict "
        "of name: value."
    )


def _not_in_table(stats: MaskSetStats, extra: list[Code], table: Mapping[str, list[Code]]) -> str:
    never = [
        f"{stats.format([code])} ({name})"
        for name, codes in table.items()
        for code in codes
        if code not in stats.counts
    ]
    return (
        f"{stats.where[extra[0]]} holds {stats.format(extra)}, which classes= does not name. "
        f"The {stats.kind} that are there: {stats.evidence(stats.counts)}. "
        + (f"Named, but found nowhere: {listing(never, 20)}. " if never else "")
        + f"Leave out classes= to go on with the {stats.kind} that are there, add them to "
        'classes= or void=, or pass unknown="void" to leave their pixels out.'
    )
