"""What the user says of the masks, held against what they hold: names, values and void."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fastunet._util.text import listing
from fastunet.errors import MaskValueError
from fastunet.masks.encodings.choice import SURE, understand
from fastunet.masks.encodings.colours import PaletteColours
from fastunet.masks.encodings.reading import Reading, Said
from fastunet.masks.encodings.values import ClassIndices, OneHot
from fastunet.masks.raw import TRANSPARENT, Code, Value, parse_value
from fastunet.masks.smoothing import smoothed
from fastunet.masks.statistics import Survey

Classes = Sequence[str] | Mapping[str, Value | Sequence[Value]] | None  # names, or name -> value or
# values, or as found
Void = Value | Sequence[Value] | None  # value(s), colour(s) or names of classes


@dataclass(frozen=True)
class Naming:
    """Which codes are classes, under which names, and which do not count."""

    names: tuple[str, ...]
    codes: tuple[Code, ...]  # one of each class
    void: tuple[Code, ...]
    survey: Survey  # in whose kind of code they are
    also: tuple[tuple[Code, int], ...] = ()  # further codes, and the index of their class


def agree(
    survey: Survey,
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
        return _as_stated(survey, classes, void, tolerant)
    if survey.indices and classes is not None and len(classes) > len(survey.codes):
        survey = survey.by_index()  # a list names more classes than there are: it goes by index
    listed = _listed(void, survey)
    named_void = [entry for entry in listed if _is_name(entry, classes)]
    values = tuple(dict.fromkeys(survey.code(e) for e in listed if e not in named_void))
    if classes is None or len(classes) != len(survey.codes):
        survey = without_strays(survey, values, tolerant)
    meant = survey if survey.lossy else survey.without(values)
    if not meant.codes:
        raise MaskValueError(
            f"The {len(survey.present)} masks hold nothing but void ({survey.spell(values)}): "
            "there is nothing to learn."
        )
    reading = _read(meant, classes, values)
    names, codes = _named(reading, classes, values, tolerant)
    out = {name: code for name, code in zip(names, codes, strict=True) if name in named_void}
    kept = [(n, c) for n, c in zip(names, codes, strict=True) if n not in out and c not in values]
    index = {code: i for i, (_, code) in enumerate(kept)}
    also = tuple((code, index[meant]) for code, meant in reading.also.items() if meant in index)
    return Naming(
        tuple(name for name, _ in kept),
        tuple(code for _, code in kept),
        tuple(dict.fromkeys((*values, *reading.void, *out.values()))),
        reading.survey,
        also,
    )


def _read(survey: Survey, classes: Sequence[str] | None, void: tuple[Code, ...]) -> Reading:
    if len(survey.codes) < 2 and not survey.bands:
        raise MaskValueError(
            f"The {len(survey.present)} masks hold only {survey.spell(survey.codes)}: there is "
            "nothing to tell apart. Are these the right files?"
        )
    reading = understand(survey, Said(None if classes is None else len(classes), void))
    if len(reading.survey.codes) < 2:
        raise MaskValueError(
            f"The {len(survey.present)} masks hold only {survey.spell(reading.survey.codes)}: "
            "there is nothing to tell apart."
            + (" JPEG blurs close values together; save masks as PNG." if survey.lossy else "")
        )
    return reading


def _as_stated(survey: Survey, classes: Mapping[str, Value], void: Void, tolerant: bool) -> Naming:
    """The encoding that a dict of name -> value, or values, states."""
    by_name = {name: _codes_of(value, survey) for name, value in classes.items()}
    listed = _listed(void, survey)
    named_void = [entry for entry in listed if _is_name(entry, classes)]
    values = [survey.code(entry) for entry in listed if entry not in named_void]
    values += [code for name in named_void for code in by_name[name]]
    known = {*values, *(code for codes in by_name.values() for code in codes)}
    usual = [code for code in _usual_void(survey, classes) if code not in known]
    known.update(usual)
    extra = [code for code in survey.codes if code in survey.counts and code not in known]
    if extra and not survey.lossy and not tolerant:
        raise MaskValueError(_not_in_table(survey, extra, by_name))
    counting = {name: [c for c in codes if c not in values] for name, codes in by_name.items()}
    kept = {name: codes for name, codes in counting.items() if codes}
    also = tuple((code, i) for i, codes in enumerate(kept.values()) for code in codes[1:])
    return Naming(
        tuple(kept),
        tuple(codes[0] for codes in kept.values()),
        tuple(dict.fromkeys((*values, *usual))),
        survey,
        also,
    )


def _usual_void(survey: Survey, classes: Classes) -> tuple[Code, ...]:
    """What does not count wherever masks are encoded as these are: 255 beside class indices."""
    for encoding in (OneHot(), ClassIndices(), PaletteColours()):
        reading = encoding.read(survey, Said(names=len(classes)))
        if reading and reading.fit >= SURE:
            return reading.void
    return ()


def _codes_of(value: Value | Sequence[Value], survey: Survey) -> list[Code]:
    """The codes of one class: a value, a colour, or several of them."""
    one = isinstance(value, str | int | np.integer) or (survey.colour and _is_colour(value))
    codes = [survey.code(entry) for entry in ([value] if one else value)]
    if not codes:
        raise MaskValueError(f"classes= gives {value!r} as a value; at least one was expected.")
    return list(dict.fromkeys(codes))


def unused_void(
    survey: Survey,
    void: Void,  # as the user says it
) -> str:
    """A sentence that says so where no mask holds any value that is called void; else nothing."""
    values = [entry for entry in _listed(void, survey) if _is_value(entry)]
    if not values or survey.lossy or any(survey.code(entry) in survey.counts for entry in values):
        return ""
    spelled = listing([str(entry) for entry in values], 5)
    return (
        f"void={spelled} is in none of the {len(survey.present)} masks that were looked at, which "
        f"hold {survey.spell(survey.codes, 10)}. Is it the value that was meant?"
    )


def without_strays(
    survey: Survey,
    void: tuple[Code, ...],  # that the user states
    tolerant: bool,
) -> Survey:
    """The survey without values that nobody can have meant as classes.

    Raises `MaskValueError` where there are such, and the user neither calls them void nor is
    tolerant.
    """
    if smoothed(survey):  # its rare values are not single mistakes
        return survey
    strays = survey.strays()
    unstated = [code for code in strays if code not in void]
    if unstated and not tolerant:
        rest = survey.without(strays)
        raise MaskValueError(
            f"Beside {survey.spell(rest.codes)} the masks hold {survey.evidence(unstated, 5)}: too "
            "few files and pixels to be a class. Mend these files (fastunet audit lists them "
            'all), pass unknown="void" to leave such pixels out, or name all classes in classes=.'
        )
    return survey.without(strays)


def _is_value(entry: Value) -> bool:
    try:
        parse_value(entry)
    except MaskValueError:
        return False  # the name of a class
    return True


def agree_on_instances(survey: Survey, classes: Classes, void: Void) -> Naming:
    """Background is 0, or black; one of the other codes stands for foreground.

    Raises `MaskValueError` where the masks cannot number objects.
    """
    if survey.lossy:
        raise MaskValueError(
            "JPEG blurs the numbers of objects; instances=True needs masks saved without loss, as "
            "PNG or TIFF."
        )
    if isinstance(classes, Mapping) or (classes is not None and len(classes) != 2):
        raise MaskValueError(
            f"instances=True makes two classes of the masks, {len(classes)} were given. Name the "
            'two, classes=["background", "cell"], or leave classes= out.'
        )
    void_codes = tuple(dict.fromkeys(survey.code(value) for value in _listed(void, survey)))
    objects = [code for code in survey.codes if code not in (0, TRANSPARENT, *void_codes)]
    if not objects or 0 in void_codes:
        raise MaskValueError(
            f"The {len(survey.present)} masks hold {survey.spell(survey.codes)}; instances=True "
            "needs 0 for the background, and other values that are not void for the objects."
        )
    names = classes if classes is not None else ("background", "foreground")
    also = ((TRANSPARENT, 0),) if TRANSPARENT in set(survey.codes) - set(void_codes) else ()
    return Naming(tuple(names), (0, objects[0]), void_codes, survey, also)


def _listed(void: Void, survey: Survey) -> list[Value]:
    if void is None:
        return []
    one = isinstance(void, str | int | np.integer) or (survey.colour and _is_colour(void))
    return [void] if one else list(void)


def _is_colour(value: Sequence) -> bool:
    """Whether a sequence is one colour (r, g, b[, a]) rather than several of them."""
    return len(value) in (3, 4) and all(isinstance(v, int | np.integer) for v in value)


def _is_name(entry: Value, classes: Classes) -> bool:
    if not isinstance(entry, str) or entry.startswith("#"):
        return False
    if classes is not None and entry in classes:
        return True
    if classes is not None and not entry.strip().removeprefix("-").isdigit():
        raise MaskValueError(
            f"void={entry!r} is not among the classes ({listing(list(classes), 20)}). Name one of "
            "them, or give the value (11) or the colour (#ff0000) that does not count."
        )
    return False


def _named(
    reading: Reading,
    classes: Sequence[str] | None,
    void_codes: tuple[Code, ...],
    tolerant: bool,
) -> tuple[tuple[str, ...], tuple[Code, ...]]:
    survey = reading.survey
    found = survey.codes
    if classes is None:
        if len(found) == 2 and found[0] in (0, TRANSPARENT):
            return ("background", "foreground"), tuple(found)
        return tuple(survey.spell([code]) for code in found), tuple(found)
    if len(classes) == len(found):
        return tuple(classes), tuple(found)
    void = (*void_codes, *reading.void)
    by_index = {i: name for i, name in enumerate(classes) if i not in void}
    if not survey.colour and (tolerant or set(found) <= by_index.keys()):
        return tuple(by_index.values()), tuple(by_index)  # some classes are not in the sample
    raise MaskValueError(
        f"{len(classes)} class names were given, but the masks hold {len(found)} "
        f"{survey.kind}: {survey.spell(found)}. Name each of them, in this order, or pass a dict "
        "of name: value."
    )


def _not_in_table(survey: Survey, extra: list[Code], table: Mapping[str, list[Code]]) -> str:
    never = [
        f"{survey.spell([code])} ({name})"
        for name, codes in table.items()
        for code in codes
        if code not in survey.counts
    ]
    return (
        f"{survey.where[extra[0]]} holds {survey.spell(extra)}, which classes= does not name. "
        f"The {survey.kind} that are there: {survey.evidence(survey.counts)}. "
        + (f"Named, but found nowhere: {listing(never, 20)}. " if never else "")
        + f"Leave out classes= to go on with the {survey.kind} that are there, add them to "
        'classes= or void=, or pass unknown="void" to leave their pixels out.'
    )
