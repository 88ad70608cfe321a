"""The options of a run, each written once: its type, its default, its help, how it is typed.

`ImageMaskDataLoaders.from_pairs`, the command line and `plan.json` are made from these fields.
Light to import: neither PyTorch nor fastai.
"""

import difflib
import functools
import inspect
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from numbers import Integral, Real
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from fastunet.errors import OptionError

Cache = Literal["auto", "ram", "disk"]
Orientation = Literal["upright", "stored"]
Precision = Literal["auto", "bf16", "fp16", "fp32"]
Preset = Literal["none", "light", "scene", "free"]
Scaling = Literal["auto", "dtype", "percentile"]
Unknown = Literal["error", "void"]

# --- kinds of values ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kind:
    """What values an option takes, and how one is typed."""

    expected: str  # what a message says of it
    clean: Callable[[Any], Any]  # the value in its usual form; `ValueError` where it is none
    parse: Callable[[str], Any] = str  # what was typed as a value; `ValueError` likewise
    typed: str = ""  # what a message says to those who type; "": `expected`
    metavar: str = "TEXT"


def _clean(fits: Callable[[Any], object]) -> Callable[[Any], Any]:
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
    return text if text == "find" else float(text)


def _path(value: Any) -> Path:
    if not isinstance(value, str | os.PathLike):
        raise ValueError
    return Path(value)


def _is_positive(value: object) -> bool:
    return _is_number(value) and 0 < value < math.inf  # type: ignore[operator] # it is a number


Text = Annotated[str, Kind("a text was expected", _clean(lambda value: isinstance(value, str)))]
Flag = Annotated[bool, Kind("True or False was expected", _clean(lambda v: v in (True, False)))]
Whole = Annotated[
    int,
    Kind(
        "a whole number was expected",
        _clean(lambda value: isinstance(value, Integral)),
        int,
        metavar="INTEGER",
    ),
]
Count = Annotated[
    int,
    Kind(
        "a whole number above 0 was expected",
        _clean(lambda value: isinstance(value, Integral) and value > 0),
        int,
        metavar="INTEGER",
    ),
]
Number = Annotated[float, Kind("a number was expected", _clean(_is_number), float, metavar="FLOAT")]
Magnification = Annotated[
    float,
    Kind(
        "a number above 0 was expected, 0.5 for half", _clean(_is_positive), float, metavar="FLOAT"
    ),
]
Minutes = Annotated[
    float,
    Kind("there is no time to train", _clean(_is_positive), float, metavar="FLOAT"),
]
Rate = Annotated[
    float | Literal["find"],
    Kind(
        'a rate above 0, such as 0.003, or "find" was expected',
        _clean(lambda value: value == "find" or _is_positive(value)),
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
    ),
]
Fold = Annotated[
    tuple[int, int],
    Kind(
        "(which, of how many) was expected, (0, 5) for one",
        _fold,
        _parse_fold,
        "a fold and their number, such as 1/5, was expected",
    ),
]
Classes = Annotated[
    Sequence[str] | Mapping[str, Any],
    Kind(
        'names were expected, ["background", "cell"], or a dict of name: value, '
        '{"background": 0, "cell": 255}',
        _clean(_are_classes),
        _parse_classes,
        "give a value to each name, or to none",
    ),
]
Values = Annotated[
    int | str | Sequence[int | str | Sequence[int]],
    Kind(
        "mask values (11) or colours (#ff0000) were expected",
        _clean(lambda value: isinstance(value, Integral | str | Sequence)),
    ),
]
Groups = Annotated[
    str | re.Pattern | Callable[[Any], str],
    Kind(
        '"auto", an expression or a function was expected',
        _clean(lambda value: isinstance(value, str | re.Pattern) or callable(value)),
    ),
]
Split = Annotated[Any, Kind("a split was expected", lambda value: value, metavar="FILE")]
Views = Annotated[
    Any,
    Kind(
        f"a preset ({', '.join(get_args(Preset))}), an Augment, or a transform of Albumentations "
        "was expected",
        _clean(lambda value: value in get_args(Preset) or not isinstance(value, str)),
        metavar="|".join(get_args(Preset)),
    ),
]
File = Annotated[Path, Kind("a path was expected", _path, metavar="PATH")]


def kind_of(annotation: Any) -> Kind:
    """The kind of an option's type; `None` besides is passed over."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return next(extra for extra in annotation.__metadata__ if isinstance(extra, Kind))
    if origin in (Union, UnionType):
        return kind_of(next(one for one in get_args(annotation) if one is not type(None)))
    choices = get_args(annotation)
    words = f"one of {', '.join(choices)} was expected"
    return Kind(words, _clean(lambda value: value in choices), metavar="|".join(choices))


# --- options and their groups ---------------------------------------------------------------------

_DATA, _SEEN, _SPLIT = "What the data are", "What the network sees", "The split"
_NETWORK, _TRAINING = "The network", "The training"


def option(
    default: Any,
    help: str,  # a sentence, in a terminal and in Python alike
    panel: str,  # of the help in a terminal
    shown: str | None = None,  # as the default, in place of None
    typed: bool = True,  # the command line has it
) -> Any:
    """A field that is an option."""
    extra = {"help": help, "panel": panel, "shown": shown, "typed": typed}
    return field(default=default, metadata=extra)


@dataclass(frozen=True)
class Options:
    """A group of options. Raises `OptionError` for a value that is not of its option's kind."""

    def __post_init__(self):
        for name, annotation in types_of(type(self)).items():
            value = getattr(self, name)
            if value is not None or not is_optional(annotation):
                object.__setattr__(self, name, _checked(kind_of(annotation), name, value))


def _checked(kind: Kind, name: str, value: object) -> Any:
    try:
        return kind.clean(value)
    except (ValueError, TypeError):
        raise OptionError(f"{name}={value!r}; {kind.expected}.") from None


def parse(
    kind: Kind,
    name: str,  # of the option
    text: str,  # as it was typed
) -> Any:
    """The value that was typed. Raises `OptionError` where it is none of its kind."""
    try:
        return kind.clean(kind.parse(text))
    except ValueError:
        raise OptionError(f"{name}={text!r}; {kind.typed or kind.expected}.") from None


def types_of(group: type[Options]) -> dict[str, Any]:
    """The type of each option, with its `Kind`."""
    return get_type_hints(group, include_extras=True)


def is_optional(annotation: Any) -> bool:
    """Whether None is a value of the type."""
    return type(None) in get_args(annotation)


@dataclass(frozen=True)
class FileOptions(Options):
    """Where the images and masks are."""

    data: File = option(MISSING, "Folder of images and masks, or a table.", _DATA)
    images: File | None = option(
        None, "Folder of images, for layouts that are not recognised.", _DATA
    )
    masks: File | None = option(
        None, "Folder of masks, by its name where there are several, or with images.", _DATA
    )
    prefix: Text | None = option(None, "What a mask's name has before the image's.", _DATA)
    suffix: Text | None = option(None, "What a mask's name has behind the image's.", _DATA)


@dataclass(frozen=True)
class MaskOptions(Options):
    """What the masks hold."""

    classes: Classes | None = option(
        None,
        'Class names, by ascending value: "soil,weed,crop"; or with values or colours: '
        '"soil=#000000,weed=#ff0000,crop=#00ff00". A name given twice has two of them.',
        _DATA,
    )
    void: Values | None = option(
        None, "Mask value (11) or colour (#ffffff) that does not count. May be repeated.", _DATA
    )
    instances: Flag = option(False, "The masks number objects: all are the foreground.", _DATA)
    unknown: Unknown = option(
        "error", 'Mask values that classes does not name: "error" or "void".', _DATA
    )


@dataclass(frozen=True)
class SplitOptions(Options):
    """Which images are trained on, which validate, and which are kept for the end."""

    valid_pct: Number = option(
        0.2, "Share held out, where the data have no split of their own.", _SPLIT
    )
    test_pct: Number = option(0.0, "Share kept for the end, where they have no test part.", _SPLIT)
    seed: Whole = option(42, "Of the split, the weights and the augmentation.", _TRAINING)
    groups: Groups | None = option(
        None,
        'What stays in one part: "auto" (found from the names), or a regular expression '
        "whose group is the key, such as '^(.*)_[0-9]+$'.",
        _SPLIT,
    )
    fold: Fold | None = option(
        None, "Cross-validation: 2/5 validates on the second of five parts.", _SPLIT
    )
    split: Split | None = option(
        None, "The split.json of another run, to repeat its split.", _SPLIT
    )

    def __post_init__(self):
        super().__post_init__()
        if self.split is not None and self.fold is not None:
            raise OptionError("split= and fold= were both given; one of them says who validates.")
        if self.test_pct and (self.split is not None or self.fold is not None):
            raise OptionError(
                "test_pct= draws a test part, which split= and fold= do not. Name its images in "
                "split={'valid': [...], 'test': [...]}."
            )


@dataclass(frozen=True)
class InputOptions(Options):
    """How images are read, and what the network sees of them."""

    size: Sides | None = option(
        None, "Network input: 256, or HEIGHTxWIDTH.", _SEEN, shown="256; on a CPU 128"
    )
    patch: Sides | None = option(
        None, "Instead of the whole image: random patches of this size, as size.", _SEEN
    )
    scale: Magnification = option(
        1.0, "Share of the image's resolution at which patches are cut.", _SEEN
    )
    channels: Count | None = option(
        None, "Of the network's input.", _SEEN, shown="1 or 3, as the images are; or their bands"
    )
    scaling: Scaling = option(
        "auto",
        'Numbers of images of several types or ranges: "dtype" (the largest of each type is '
        'white), "percentile" (they mean the same in all files) or "auto".',
        _DATA,
    )
    orientation: Orientation | None = option(
        None,
        'Photos turned by EXIF whose masks fit both ways: "upright" or as "stored".',
        _DATA,
        shown="found out, or asked",
    )
    augment: Views | None = option(
        None,
        '"scene" (has an up and a down), "free" (microscopy, aerial), "light" or "none".',
        _SEEN,
        shown="scene",
    )
    cache: Cache | None = option(
        "auto", 'Decoded pixels are kept: "auto", "ram", "disk" or "none".', _SEEN
    )
    bs: Whole | None = option(None, "Batch size.", _SEEN, shown="16, fewer for few images")
    strict: Flag = option(False, "Refuse data in which the audit finds an error.", _DATA)
    skip_bad: Flag = option(
        False, "Leave out, and list, pairs that cannot be read or do not fit together.", _DATA
    )


# --- functions that take groups -------------------------------------------------------------------

_Returned = TypeVar("_Returned")


def takes(
    **groups: type[Options],  # by the name of the parameter that gets the group
) -> Callable[[Callable[..., _Returned]], Callable[..., _Returned]]:
    """Give a function the options of the groups as keywords; it gets them as one object a group.

    Its signature and the end of its docstring show them. An unknown keyword is a `TypeError` that
    names near ones, a wrong value an `OptionError`. In the function itself the groups are keywords
    (behind `*`); its `stacklevel`s count one frame more.

    >>> @takes(held=MaskOptions)
    ... def read(path, *, held: MaskOptions): ...
    >>> read("masks", void=9)  # held.void is 9
    """
    known = {one.name: one for group in groups.values() for one in fields(group)}

    def decorate(function: Callable[..., _Returned]) -> Callable[..., _Returned]:
        parameters = []
        for parameter in inspect.signature(function).parameters.values():
            group = groups.get(parameter.name)
            parameters += [parameter] if group is None else _parameters(group)
        names = {parameter.name for parameter in parameters}

        @functools.wraps(function)
        def with_options(*args: Any, **kwargs: Any) -> _Returned:
            if unknown := sorted(kwargs.keys() - names):
                raise TypeError(f"{function.__qualname__}: {_unknown(unknown, names)}")
            given = {name: kwargs.pop(name) for name in known if name in kwargs}
            made = {
                name: group(**{key: given[key] for key in types_of(group) if key in given})
                for name, group in groups.items()
            }
            return function(*args, **kwargs, **made)

        signature = inspect.signature(function)
        with_options.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        lines = "\n".join(f"    {name}: {one.metadata['help']}" for name, one in known.items())
        with_options.__doc__ = f"{inspect.cleandoc(function.__doc__ or '')}\n\nOptions:\n{lines}\n"
        return with_options

    return decorate


def _parameters(group: type[Options]) -> list[inspect.Parameter]:
    return [
        inspect.Parameter(
            one.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if one.default is MISSING else one.default,
            annotation=plain(types_of(group)[one.name]),
        )
        for one in fields(group)
    ]


def plain(annotation: Any) -> Any:
    """A type without the `Kind` in it."""
    if get_origin(annotation) is Annotated:
        return get_args(annotation)[0]
    if get_origin(annotation) in (Union, UnionType):
        return Union[tuple(map(plain, get_args(annotation)))]  # noqa: UP007 # of a list
    return annotation


def _unknown(names: Sequence[str], known: set[str]) -> str:
    """What to say of options that do not exist: those that are spelled alike."""
    said = []
    for name in names:
        near = difflib.get_close_matches(name, sorted(known), 3, 0.6)
        said.append(f"{name!r}" + (f" (did you mean {' or '.join(near)}?)" if near else ""))
    return f"unknown option{'s' if len(said) > 1 else ''}: {', '.join(said)}"


def flat(*groups: Options) -> dict[str, Any]:
    """The options of the groups by name, as a function that `takes` them wants them."""
    return {one.name: getattr(group, one.name) for group in groups for one in fields(group)}
