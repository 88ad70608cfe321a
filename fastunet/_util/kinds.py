"""Kinds of option values: what each takes, what a message says of it, and how it is typed."""

import math
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from fastunet.errors import OptionError


@dataclass(frozen=True)
class Kind:
    """What values an option takes, and how one is typed."""

    expected: str  # what a message says of it
    clean: Callable[[Any], Any]  # the value in its usual form; `ValueError` where it is none
    parse: Callable[[str], Any] = str  # what was typed as a value; `ValueError` likewise
    typed: str = ""  # what a message says to those who type; "": `expected`
    metavar: str = "<str>"
    repeats: bool = False  # it is typed several times, for several values


def clean_if(fits: Callable[[Any], object]) -> Callable[[Any], Any]:
    """Values for which `fits` is true, as they are."""

    def clean(value: Any) -> Any:
        if not fits(value):
            raise ValueError
        return value

    return clean


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _sides(value: Any) -> tuple[int, int]:
    sides = (value, value) if isinstance(value, Integral) else value
    if not isinstance(sides, Sequence) or isinstance(sides, str) or len(sides) != 2:
        raise ValueError
    if not all(isinstance(side, Integral) and int(side) >= 1 for side in sides):
        raise ValueError
    return int(sides[0]), int(sides[1])


def _parse_sides(text: str) -> tuple[int, int]:
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isdigit() for side in sides):
        raise ValueError
    return int(sides[0]), int(sides[-1])


def _fold(value: Any) -> tuple[int, int]:
    if not isinstance(value, Sequence) or len(value) != 2:
        raise ValueError
    if not all(isinstance(number, Integral) for number in value):
        raise ValueError
    return int(value[0]), int(value[1])


def _parse_fold(text: str) -> tuple[int, int]:
    number, _, k = text.partition("/")
    if not (number.isdigit() and k.isdigit() and 1 <= int(number) <= int(k) >= 2):
        raise ValueError
    return int(number) - 1, int(k)


def _are_classes(value: object) -> bool:
    listed = isinstance(value, Sequence) and not isinstance(value, str)
    names = list(value) if isinstance(value, Mapping | Sequence) else []
    return (listed or isinstance(value, Mapping)) and all(isinstance(name, str) for name in names)


def _parse_classes(text: str) -> list[str] | dict[str, list[str]]:
    """The names, or the values of each; a name that is given twice has two."""
    names = [name.strip() for name in text.split(",")]
    if not any("=" in name for name in names):
        return names
    if not all("=" in name for name in names):
        raise ValueError
    values: dict[str, list[str]] = {}
    for name, value in (entry.split("=", 1) for entry in names):
        values.setdefault(name, []).append(value)
    return values


def _parse_rate(text: str) -> float | str:
    return text if text == "auto" else float(text)


def _path(value: Any) -> Path:
    if not isinstance(value, str | os.PathLike):
        raise ValueError
    return Path(value)


def _is_positive(value: object) -> bool:
    return _is_number(value) and 0 < value < math.inf  # type: ignore[operator] # it is a number


def _whole(expected: str, fits: Callable[[Any], object]) -> Kind:
    clean = clean_if(lambda value: isinstance(value, Integral) and fits(value))
    return Kind(expected, clean, int, metavar="<int>")


def _number(expected: str, fits: Callable[[Any], object]) -> Kind:
    return Kind(expected, clean_if(fits), float, metavar="<float>")


Text = Annotated[str, Kind("a text was expected", clean_if(lambda v: isinstance(v, str)))]
Flag = Annotated[bool, Kind("True or False was expected", clean_if(lambda v: v in (True, False)))]
Whole = Annotated[int, _whole("a whole number was expected", lambda value: True)]
Count = Annotated[int, _whole("a whole number above 0 was expected", lambda value: value > 0)]
BatchSize = Annotated[
    int | Literal["auto"],
    Kind(
        'a whole number or "auto" was expected',
        clean_if(lambda value: value == "auto" or isinstance(value, Integral)),
        lambda text: text if text == "auto" else int(text),
        metavar="<int>|auto",
    ),
]
Number = Annotated[float, _number("a number was expected", _is_number)]
Positive = Annotated[float, _number("a number above 0 was expected, 0.5 for half", _is_positive)]
Minutes = Annotated[float, _number("there is no time to train", _is_positive)]
Rate = Annotated[
    float | Literal["auto"],
    Kind(
        'a rate above 0, such as 0.003, or "auto" was expected',
        clean_if(lambda value: value == "auto" or _is_positive(value)),
        _parse_rate,
    ),
]
Sides = Annotated[
    tuple[int, int],
    Kind(
        "pixels were expected, one whole number or (height, width)",
        _sides,
        _parse_sides,
        "a number (256) or HEIGHTxWIDTH (192x256) was expected",
        "<size>",
    ),
]
Fold = Annotated[
    tuple[int, int],
    Kind(
        "(which, of how many) was expected, (0, 5) for one",
        _fold,
        _parse_fold,
        "a fold and their number, such as 1/5, was expected",
        "<fold>",
    ),
]
Classes = Annotated[
    Sequence[str] | Mapping[str, Any],
    Kind(
        'names were expected, ["background", "cell"], or a dict of name: value, '
        '{"background": 0, "cell": 255}',
        clean_if(_are_classes),
        _parse_classes,
        "give a value to each name, or to none",
    ),
]
Values = Annotated[
    int | str | Sequence[int | str | Sequence[int]],
    Kind(
        "mask values (11) or colours (#ff0000) were expected",
        clean_if(lambda value: isinstance(value, Integral | Iterable)),
        repeats=True,
    ),
]
Groups = Annotated[
    str | re.Pattern | Callable[[Any], str],
    Kind(
        '"auto", an expression or a function was expected',
        clean_if(lambda value: isinstance(value, str | re.Pattern) or callable(value)),
    ),
]
Split = Annotated[Any, Kind("a split was expected", lambda value: value, metavar="<path>")]
File = Annotated[Path, Kind("a path was expected", _path, metavar="<path>")]


def choice(
    words: Any,  # a `Literal`
    or_none: bool = False,  # None is a value too, typed "none"
) -> Kind:
    """One of the words."""
    known = (*get_args(words), "none") if or_none else get_args(words)
    return Kind(
        f"one of {', '.join(known)} was expected",
        clean_if(lambda value: value in get_args(words) or (or_none and value is None)),
        lambda text: None if or_none and text == "none" else text,
        metavar="|".join(known),
    )


def kind_of(annotation: Any) -> Kind:
    """What an option's type takes: what stands in its `Annotated`, or the words of a `Literal`."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return next(extra for extra in annotation.__metadata__ if isinstance(extra, Kind))
    if origin in (Union, UnionType):
        return kind_of(next(one for one in get_args(annotation) if one is not type(None)))
    return choice(annotation)


def checked(
    annotation: Any,  # the option's type
    name: str,
    value: object,
) -> Any:
    """The value in its usual form. Raises `OptionError` where it is none of its kind."""
    if value is None and is_optional(annotation):
        return None
    kind = kind_of(annotation)
    try:
        return kind.clean(value)
    except (ValueError, TypeError):
        raise OptionError(f"{name}={value!r}; {kind.expected}.") from None


def parsed(
    annotation: Any,
    name: str,
    text: str,  # as it was typed
) -> Any:
    """The value that was typed. Raises `OptionError` where it is none of its kind."""
    kind = kind_of(annotation)
    try:
        return kind.clean(kind.parse(text))
    except ValueError:
        raise OptionError(f"{name}={text!r}: {kind.typed or kind.expected}.") from None


def is_optional(annotation: Any) -> bool:
    """Whether None is a value of the type."""
    return type(None) in get_args(annotation)


def plain(annotation: Any) -> Any:
    """A type without the `Kind` in it."""
    if get_origin(annotation) is Annotated:
        return get_args(annotation)[0]
    if get_origin(annotation) in (Union, UnionType):
        return Union[tuple(map(plain, get_args(annotation)))]  # noqa: UP007 # of a list
    return annotation
