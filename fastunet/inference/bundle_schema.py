"""What the JSON of a bundle must hold: each field's type and range, and how fields fit together.

All is checked before anything is built, read or allocated by what a bundle says. The bounds are far
beyond what is trained, and low enough that no number can cost much time or memory.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import TypeGuard, get_args

from fastunet._util.terminal import is_printable, shown
from fastunet.choices import Orientation
from fastunet.errors import BundleError
from fastunet.labels import MAX_CLASSES, VOID
from fastunet.masks.raw import Palette
from fastunet.preprocess import Policy

_SIDE = 16_384  # pixels of an input's height or width
_CHANNELS = 4096
_NAME = 1000  # characters of a class name
_TYPES = [f"{kind}{bits}" for kind in ("uint", "int", "float") for bits in (8, 16, 32, 64)]
_NESTING = 3  # of an option of a network: lists in lists, as of stages


@dataclass(frozen=True)
class Rule:
    """What a value must be, in words, and whether one is that."""

    expected: str
    fits: Callable[[object], bool]


@dataclass(frozen=True)
class Each:
    """A list of which each entry follows one rule."""

    rule: Rule
    least: int
    most: int


Fields = Mapping[str, "Rule | Each | Fields"]  # "name?" may be missing, "*" is any other name


def whole(least: int, most: int) -> Rule:
    """A whole number within bounds, both included."""
    expected = f"a whole number from {least} to {most}"
    return Rule(expected, lambda value: type(value) is int and least <= value <= most)


def _is_number(value: object) -> TypeGuard[float]:
    return type(value) in (int, float)  # True and False are not


def number(least: float, most: float, expected: str = "") -> Rule:
    """A number within bounds, both included; NaN is not."""
    expected = expected or f"a number from {least:g} to {most:g}"
    return Rule(expected, lambda value: _is_number(value) and least <= value <= most)


def text(length: int) -> Rule:
    """Text of some length at most, which a terminal can show as it is."""
    return Rule(
        f"text of at most {length} characters, none of them a control character",
        lambda value: isinstance(value, str) and len(value) <= length and is_printable(value),
    )


def one_of(*values: str) -> Rule:
    """One of some words."""
    expected = " or ".join(map(repr, values))
    return Rule(expected, lambda value: isinstance(value, str) and value in values)


def matching(expected: str, pattern: str) -> Rule:
    """Text that follows a regular expression from its start to its end."""
    return Rule(
        expected, lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None
    )


def list_of(expected: str, rule: Rule, least: int, most: int) -> Rule:
    """A short list that messages show as one value."""
    return Rule(
        expected,
        lambda value: (
            isinstance(value, list) and least <= len(value) <= most and all(map(rule.fits, value))
        ),
    )


def either(*rules: Rule) -> Rule:
    """What one of several rules takes."""
    expected = " or ".join(rule.expected for rule in rules)
    return Rule(expected, lambda value: any(rule.fits(value) for rule in rules))


def _is_option(value: object, nesting: int = 0) -> bool:
    """Whether a network may be built with it: a switch, a number, a word, or a few of them."""
    if value is None or isinstance(value, bool):
        return True
    if isinstance(value, int | float):
        return abs(value) <= _CHANNELS * 16  # NaN is not
    if isinstance(value, str):
        return len(value) <= 100 and is_printable(value)
    if not isinstance(value, list | dict) or nesting == _NESTING or len(value) > 64:
        return False
    inner = value.values() if isinstance(value, dict) else value
    return all(_is_option(one, nesting + 1) for one in inner)


FLAG = Rule("true or false", lambda value: isinstance(value, bool))
ANYTHING = Rule("any value", lambda _value: True)
OBJECT = Rule("a JSON object", lambda value: isinstance(value, dict))
NOTHING = Rule("nothing (null)", lambda value: value is None)
OPTION = Rule("a switch, a number, a word, or a short list of these", _is_option)
THRESHOLD = Rule("a probability from 0 to below 1", lambda v: _is_number(v) and 0 <= v < 1)
CODE = either(
    Rule("a whole number,", whole(-(2**53), 2**53).fits),
    matching('a colour such as "#ff0000",', "#([0-9a-fA-F]{2}){3,4}"),
)
CODES = either(CODE, list_of("a list of two or more of them", CODE, 2, 1000))  # of one class
COLOUR = list_of("red, green and blue from 0 to 255", whole(0, 255), 3, 3)
SHA256 = matching("a SHA-256 of 64 hexadecimal digits", "[0-9a-f]{64}")
SIZE = Each(whole(1, _SIDE), 2, 2)
PIXEL = number(-1e12, 1e12)
_PAIR = (one_of(*_TYPES), number(0, 1e12))
FULL_SCALE = Rule(
    "the name of a type and its full scale",
    lambda value: (
        isinstance(value, list)
        and len(value) == len(_PAIR)
        and all(rule.fits(one) for rule, one in zip(_PAIR, value, strict=True))
    ),
)

FIELDS: Fields = {
    "format": whole(1, 1_000_000),
    "task": one_of("binary", "multiclass"),
    "architecture": OBJECT,
    "masks": {
        "classes": Each(text(_NAME), 2, MAX_CLASSES),
        "values": Each(CODES, 2, MAX_CLASSES),
        "void": Each(CODE, 0, 100_000),
        "palette": one_of(*get_args(Palette)),
        "nearest": FLAG,
        "colours": Each(COLOUR, 2, MAX_CLASSES),
        "others?": either(NOTHING, whole(0, VOID)),
        "palette_files?": FLAG,
        "*": ANYTHING,
    },
    "preprocess": {
        "size": SIZE,
        "channels": whole(1, _CHANNELS),
        "values": one_of("uint8", "float"),
        "mean": Each(PIXEL, 1, _CHANNELS),
        "std": Each(number(1e-30, 1e12, "a number above 0"), 1, _CHANNELS),
        "policy?": one_of(*get_args(Policy)),
        "scale?": number(1 / 256, 64),
        "low?": Each(PIXEL, 0, _CHANNELS),
        "high?": Each(PIXEL, 0, _CHANNELS),
        "channel_files?": whole(1, _CHANNELS),
        "nodata?": Each(number(-1e300, 1e300), 0, 100),
        "full_scale?": Each(FULL_SCALE, 0, 20),
        "brightest?": Each(PIXEL, 0, 2),
        "orientation?": one_of(*get_args(Orientation)),
    },
    "threshold?": THRESHOLD,
    "metrics": OBJECT,
    "training": OBJECT,
    "weights": {
        # no separator and no colon: a file in the bundle's own folder, on any system
        "file": matching("the name of a .safetensors file", r"[\w. -]{1,80}\.safetensors"),
        "bytes": whole(8, 2**50),
        "sha256": SHA256,
        "*": ANYTHING,
    },
    "versions?": OBJECT,
    "checksum?": SHA256,
    "*": ANYTHING,
}

_SHAPE = {"in_channels": whole(1, _CHANNELS), "n_classes": whole(1, MAX_CLASSES)}
_SCRATCH: Fields = {**_SHAPE, "depth?": whole(1, 16), "width?": whole(1, 8192)}
_ON_ENCODER: Fields = {**_SHAPE, "encoder": text(100)}
_SMP_OPTIONS: Fields = {
    "encoder_name": text(100),
    "encoder_weights?": NOTHING,
    "aux_params?": NOTHING,
    "encoder_depth?": whole(1, 16),
    "in_channels?": whole(1, _CHANNELS),
    "classes?": whole(1, MAX_CLASSES),
    "upsampling?": number(1, 64),
    "*": OPTION,
}
ARCHITECTURES: Mapping[str, Fields] = {
    "unet": {"kind": ANYTHING, **_SCRATCH, "*": OPTION},
    "timm": {"kind": ANYTHING, **_ON_ENCODER, "*": OPTION},
    "fastai": {"kind": ANYTHING, **_ON_ENCODER, "size": SIZE, "*": OPTION},
    "smp": {"kind": ANYTHING, "network": text(100), "options": _SMP_OPTIONS},
}
_OTHER_KINDS: Fields = {"kind": text(100), "*": OPTION}  # of a user, or of a later fastunet


def check_fields(
    document: Mapping,  # a bundle's JSON
    where: object,  # for messages
) -> None:
    """Raise `BundleError` with what was found, what was expected and what to do."""
    problem = next(_problems(document), None)
    if problem is not None:
        raise BundleError(
            f"{where} is damaged, cut short or not a bundle's: {problem} Copy the bundle again, or "
            "save it again."
        )


def _problems(document: Mapping) -> Iterator[str]:
    yield from _wrong_fields(document, FIELDS)
    architecture = document["architecture"]
    kind = architecture.get("kind")
    fields = ARCHITECTURES.get(kind) if isinstance(kind, str) else None
    yield from _wrong_fields(architecture, fields or _OTHER_KINDS, "architecture.")
    yield from _conflicts(document["masks"], document["preprocess"], document["task"])
    yield from _shape_conflicts(architecture, document["masks"], document["preprocess"])


def _wrong_fields(value: Mapping, fields: Fields, path: str = "") -> Iterator[str]:
    """Each field of an object that is missing, unknown, or of a wrong value."""
    rules = {name.rstrip("?"): rule for name, rule in fields.items()}
    for name in fields:
        if name != "*" and not name.endswith("?") and name not in value:
            yield f"{path}{name} is missing."
    for name, one in value.items():
        rule = rules.get(name, rules.get("*"))
        if rule is None or not is_printable(name):
            yield f"{path}{shown(name)} is unknown."
        elif isinstance(rule, Mapping):
            if isinstance(one, dict):
                yield from _wrong_fields(one, rule, f"{path}{name}.")
            else:
                yield _wrong(path + name, one, OBJECT.expected)
        elif isinstance(rule, Each):
            yield from _wrong_entries(one, rule, path + name)
        elif not rule.fits(one):
            yield _wrong(path + name, one, rule.expected)


def _wrong_entries(value: object, each: Each, path: str) -> Iterator[str]:
    if not isinstance(value, list):
        yield _wrong(path, value, "a list")
    elif not each.least <= len(value) <= each.most:
        expected = f"{each.least} to {each.most}" if each.most > each.least else f"{each.most}"
        yield f"{path} has {len(value)} entries; {expected} were expected."
    else:
        for position, one in enumerate(value):
            if not each.rule.fits(one):
                yield _wrong(f"{path}[{position}]", one, each.rule.expected)


def _wrong(path: str, value: object, expected: str) -> str:
    return f"{path} is {shown(value)}; {expected} was expected."


def _conflicts(masks: Mapping, preprocess: Mapping, task: str) -> Iterator[str]:
    """Fields that are right each by itself, and do not fit together."""
    n = len(masks["classes"])
    for name in ("values", "colours"):
        if len(masks[name]) != n:
            yield f"masks.{name} has {len(masks[name])} entries for {n} classes."
    values = [one if isinstance(one, list) else [one] for one in masks["values"]]
    if len({type(code) for code in (*chain(*values), *masks["void"])}) > 1:
        yield "masks.values and masks.void hold both numbers and colours."
    others = masks.get("others")
    if others is not None and n <= others < VOID:
        yield f"masks.others is {others}, which is not one of {n} classes."
    if (task == "binary") != (n == 2):
        yield f"task is {task!r}, and there are {n} classes."

    channels = preprocess["channels"]
    low, high = preprocess.get("low", []), preprocess.get("high", [])
    lists = {"mean": preprocess["mean"], "std": preprocess["std"]}
    lists |= {"low": low, "high": high} if low or high else {}
    for name, values in lists.items():
        if len(values) not in (1, channels):
            yield f"preprocess.{name} has {len(values)} entries for {channels} channels."
    if len(preprocess.get("brightest", [])) == 1:
        yield "preprocess.brightest has 1 entry; none, or the least and the most, were expected."
    if (low or high) and preprocess["values"] != "float":
        yield "preprocess.low and .high are for pixels that are floats, and values is 'uint8'."
    if len(low) == len(high) and any(b <= a for a, b in zip(low, high, strict=True)):
        yield "preprocess.high is not above preprocess.low in each channel."


def _shape_conflicts(architecture: Mapping, masks: Mapping, preprocess: Mapping) -> Iterator[str]:
    """Where the network's channels are not those of the images, or its outputs not the classes."""
    if architecture["kind"] not in ARCHITECTURES:
        return  # only its own code knows
    if architecture["kind"] == "smp":
        options = architecture["options"]
        taken, given = options.get("in_channels", 3), options.get("classes", 1)
    else:
        taken, given = architecture["in_channels"], architecture["n_classes"]
    if taken != preprocess["channels"]:
        yield f"the network takes {taken} channels, and preprocess gives {preprocess['channels']}."
    n = len(masks["classes"])
    if given != n and not (n == 2 and given == 1):  # fastai's own networks have two of two
        yield f"the network has {given} outputs, which do not fit {n} classes."
