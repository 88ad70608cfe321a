"""What the user says of the masks, held against what they hold: names, values and void."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fastunet.data.codes import Code, Value, parse_value
from fastunet.data.survey import VOID, Survey
from fastunet.errors import MaskValueError, listing

Classes = Sequence[str] | Mapping[str, Value] | None  # names, or name -> value, or as found
Void = Value | Sequence[Value] | None  # value(s), colour(s) or names of classes


@dataclass(frozen=True)
class Naming:
    """Which codes are classes, under which names, and which do not count."""

    names: tuple[str, ...]
    codes: tuple[Code, ...]
    void: tuple[Code, ...]


def agree(
    survey: Survey,
    classes: Classes,
    void: Void,
    tolerant: bool = False,  # what `classes` does not name is void rather than an error
) -> Naming:
    """Names and codes of the classes and the codes of void, by what the user says of them.

    Without `classes` they are what the masks hold. Where the others are the indices 0..n, n >= 1,
    255 is void unless `classes` or `void` say otherwise.

    Raises `MaskValueError` where the masks do not hold what the user says.
    """
    listed = _listed(void, survey)
    named_void = [entry for entry in listed if _is_name(entry, classes)]
    values = [survey.code(entry) for entry in listed if entry not in named_void]
    void_codes = tuple(dict.fromkeys(values or _usual_void(survey, classes)))
    found = [code for code in survey.codes if code not in void_codes]
    if not found:
        raise MaskValueError(
            f"The {len(survey.present)} masks hold nothing but void ({survey.spell(void_codes)}): "
            "there is nothing to learn."
        )
    names, codes = _named(survey, found, classes, void_codes, tolerant)
    out = {name: code for name, code in zip(names, codes, strict=True) if name in named_void}
    kept = [(n, c) for n, c in zip(names, codes, strict=True) if n not in out and c not in values]
    return Naming(
        tuple(name for name, _ in kept),
        tuple(code for _, code in kept),
        tuple(dict.fromkeys((*void_codes, *out.values()))),
    )


def without_strays(survey: Survey, void: Void, unknown: str) -> Survey:
    """The survey without values that nobody can have meant as classes.

    Raises `MaskValueError` where there are such, the user does not call them void, and `unknown`
    is "error".
    """
    strays = survey.strays()
    if not strays:
        return survey
    stated = {survey.code(entry) for entry in _listed(void, survey) if _is_value(entry)}
    unstated = [code for code in strays if code not in stated]
    if unstated and unknown == "error":
        rest = survey.without(strays)
        raise MaskValueError(
            f"Beside {survey.spell(rest.codes)} the masks hold {survey.evidence(unstated, 5)}: too "
            "few files and pixels to be a class. Mend these files (fastunet inspect lists them "
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
    objects = [code for code in survey.codes if code not in (0, *void_codes)]
    if not objects or 0 in void_codes:
        raise MaskValueError(
            f"The {len(survey.present)} masks hold {survey.spell(survey.codes)}; instances=True "
            "needs 0 for the background, and other values that are not void for the objects."
        )
    names = classes if classes is not None else ("background", "foreground")
    return Naming(tuple(names), (0, objects[0]), void_codes)


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


def _usual_void(survey: Survey, classes: Classes) -> tuple[Code, ...]:
    if survey.bands:
        return (VOID,)  # pixels that no band claims
    *others, last = (survey.indices.get(code, code) for code in survey.codes)
    if last != VOID or len(others) < 2 or _names_the_last(classes, survey):
        return ()
    n = len(classes) if _is_list(classes) else 0
    indices = others == list(range(len(others))) or set(others) <= set(range(n))
    return (survey.codes[-1],) if indices else ()


def _names_the_last(classes: Classes, survey: Survey) -> bool:
    if isinstance(classes, Mapping):
        return survey.codes[-1] in map(survey.code, classes.values())
    return classes is not None and len(classes) == len(survey.codes)


def _is_list(classes: Classes) -> bool:
    return classes is not None and not isinstance(classes, Mapping)


def _named(
    survey: Survey,
    found: list[Code],
    classes: Classes,
    void_codes: tuple[Code, ...],
    tolerant: bool,
) -> tuple[tuple[str, ...], tuple[Code, ...]]:
    if isinstance(classes, Mapping):
        codes = tuple(survey.code(value) for value in classes.values())
        extra = [code for code in found if code not in codes and code in survey.counts]
        if extra and not survey.lossy and not tolerant:
            raise MaskValueError(_not_in_table(survey, extra, dict(zip(classes, codes))))  # noqa: B905
        return tuple(classes), codes
    if classes is None:
        if len(found) == 2 and found[0] == 0:
            return ("background", "foreground"), tuple(found)
        return tuple(survey.spell([code]) for code in found), tuple(found)
    if len(classes) == len(found):
        return tuple(classes), tuple(found)
    by_index = {i: name for i, name in enumerate(classes) if i not in void_codes}
    if not survey.colour and (tolerant or set(found) <= by_index.keys()):
        return tuple(by_index.values()), tuple(by_index)  # some classes are not in the sample
    raise MaskValueError(
        f"{len(classes)} class names were given, but the masks hold {len(found)} "
        f"{survey.kind}: {survey.spell(found)}. Name each of them, in this order, or pass a dict "
        "of name: value."
    )


def _not_in_table(survey: Survey, extra: list[Code], table: Mapping[str, Code]) -> str:
    never = [
        f"{survey.spell([code])} ({n})" for n, code in table.items() if code not in survey.counts
    ]
    return (
        f"{survey.where[extra[0]]} holds {survey.spell(extra)}, which classes= does not name. "
        f"The {survey.kind} that are there: {survey.evidence(survey.counts)}. "
        + (f"Named, but found nowhere: {listing(never, 20)}. " if never else "")
        + f"Leave out classes= to go on with the {survey.kind} that are there, add them to "
        'classes= or void=, or pass unknown="void" to leave their pixels out.'
    )
