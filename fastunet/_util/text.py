"""Words for messages: lists, plurals, sizes, and names that look alike."""

import unicodedata
from collections.abc import Sequence


def listing(
    names: Sequence[object],  # what to list
    limit: int = 10,  # how many are written out
) -> str:
    """`a, b, c and 12 more`: names for a message, without flooding the screen."""
    shown = ", ".join(told_apart([str(name) for name in names[:limit]]))
    rest = len(names) - limit
    return f"{shown} and {rest} more" if rest > 0 else shown


def told_apart(names: Sequence[str]) -> list[str]:
    """The names; with their special characters as codes, where two look the same but differ."""
    if len({unicodedata.normalize("NFC", name) for name in names}) == len(set(names)):
        return list(names)
    return [name.encode("unicode_escape").decode() for name in names]


def plural(count: int, one: str, many: str = "") -> str:
    """`1 mask`, `3 masks`."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def sizes_differ(
    name: object,
    size: Sequence[int],  # (H, W[, ...]) of it
    other: object,
    other_size: Sequence[int],  # (H, W[, ...])
) -> str:
    """`a.png has 4x6 pixels (height x width), its mask 4x5.`: the first sentence of a message."""
    found, expected = (f"{height}x{width}" for height, width, *_ in (size, other_size))
    return f"{name} has {found} pixels (height x width), {other} {expected}."
