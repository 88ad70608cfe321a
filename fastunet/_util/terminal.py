"""What a terminal is shown: options as they are typed there, bars only where they can be drawn."""

import ast
import os
import re
import shlex
import sys
import unicodedata
from collections.abc import Collection, Mapping
from typing import TextIO

_FUNCTIONS = {"available_encoders": "fastunet encoders"}
_VALUE = "|".join(
    [
        r"True|False|None|\.\.\.",
        r"\[[^\]]*\]|\{[^}]*\}",  # a list, a dict
        r"""\"[^\"]*\"|'[^']*'""",
        r"\d[\d.]*(?<!\.)(?![\w/\\])",  # a number, but not of a path
        r"[A-Z]{2,}\b",  # a place holder: PATH
    ]
)
_CALL = re.compile(rf"\b({'|'.join(_FUNCTIONS)})\(([^()]*)\)")

# Besides control characters (Cc) and halves of characters (Cs): marks that turn the direction of
# what is written, by which a name can look like another one.
_TURNING = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_INVISIBLE = ("Cc", "Cs", "Zl", "Zp")


def say(
    *values: object,  # as print takes them
    file: TextIO | None = None,  # None: standard output
) -> None:
    """Print text that may hold names of strangers: it can neither move the cursor nor hide."""
    print(*(printable(str(value)) for value in values), file=file)


def printable(
    text: str,  # several lines, perhaps
) -> str:
    r"""The text with its control characters spelled out, `\x1b`; lines and tabs stay."""
    return "".join(one if one in "\n\t" or is_printable(one) else _spelled(one) for one in text)


def is_printable(text: str) -> bool:
    """Whether a terminal shows all of it and does nothing else. Any script is printable."""
    return text.isprintable() or not any(
        one in _TURNING or unicodedata.category(one) in _INVISIBLE for one in text
    )


def _spelled(character: str) -> str:
    return character.encode("unicode_escape").decode()


def shown(
    value: object,
) -> str:
    """A value in a message: short, on one line, and printable."""
    try:
        text = printable(repr(value))
    except (RecursionError, ValueError):  # nested too deeply, or a number of thousands of digits
        text = f"a {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:60]} ..."


def hide_bars() -> bool | None:
    """`disable=` of tqdm: None hides bars in pipes and log files; True where TERM=dumb."""
    return True if os.environ.get("TERM") == "dumb" else None


def shows_bars() -> bool:
    """For libraries that draw a bar wherever they are not told otherwise."""
    return not hide_bars() and sys.stderr.isatty()


def options(
    values: Mapping[str, object],  # by their names in Python; what is None was not given
) -> list[str]:
    """The words by which the options are typed: `{"void": [9]}` is `--void 9`."""
    words = []
    for name, value in values.items():
        option = "--" + name.replace("_", "-")
        if value is None:
            continue
        if isinstance(value, bool):
            words.append(option if value else option.replace("--", "--no-", 1))
        elif name == "void" and isinstance(value, list | tuple):
            words += [word for one in value for word in (option, str(one))]
        elif isinstance(value, Mapping):
            words += [option, ",".join(f"{key}={one}" for key, one in _each(value))]
        elif isinstance(value, list | tuple):
            words += [option, ",".join(map(str, value))]
        else:
            words += [option, str(value)]
    return words


def _each(values: Mapping[str, object]) -> list[tuple[str, object]]:
    """Every key with its value; once for each of several."""
    several = {key: one if isinstance(one, list | tuple) else [one] for key, one in values.items()}
    return [(key, one) for key, ones in several.items() for one in ones]


def as_typed(
    text: str,  # a message that names options as Python writes them: unknown="void", classes=
    names: Collection[str],  # of the options there are
) -> str:
    """The text with the options as they are typed: `--unknown void`, `--classes`."""
    spelled = "|".join(sorted(map(re.escape, names), key=len, reverse=True))
    option = re.compile(rf"(?<![\w/\\.=-])({spelled})=({_VALUE}|(?=[\s,.;:)]|$))")
    text = option.sub(_option, text)
    text = _CALL.sub(lambda call: f"{_FUNCTIONS[call[1]]} {call[2]}".rstrip(), text)
    return re.sub(r"(--[\w-]+(?: [^\s()]+)?) \(\1\)", r"\1", text)  # it was given in both ways


def _option(found: re.Match) -> str:
    name, value = found.groups()
    if value in ("", "..."):
        return " ".join(options({name: "..."})[: 2 if value else 1])
    if value.isupper():  # a place holder
        return " ".join(options({name: value}))
    if value == "None":
        return f"no --{name.replace('_', '-')}"
    try:
        return shlex.join(options({name: ast.literal_eval(value)}))
    except (ValueError, SyntaxError):  # such as {"name": 7, ...}
        return f"--{name.replace('_', '-')} {_without_quotes(value)}"


def _without_quotes(value: str) -> str:
    return re.sub(r"\s*,\s*", ",", re.sub(r":\s*", "=", re.sub("[\"'{}\\[\\]]", "", value)))
