"""What all annotation files have in common: JSON, class names, the size of the image."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastunet.errors import PairingError
from fastunet.labels import BACKGROUND, VOID
from fastunet.pairs.formats.polygons import Size


def class_values(names: Sequence[str], source: object) -> dict[str, int]:
    """Class values by name: background is 0, the others follow in their order."""
    others = [name for name in dict.fromkeys(names) if not is_background(name)]
    if not others:
        raise PairingError(f"{source} names no classes; there is nothing to draw.")
    if len(others) > VOID - 2:
        raise PairingError(
            f"{source} names {len(others)} classes; at most {VOID - 2} beside the background can "
            "be trained. Merge or leave out some of them."
        )
    return {"background": BACKGROUND, **{name: i + 1 for i, name in enumerate(others)}}


def is_background(name: str) -> bool:
    """Whether a class is the background by its name."""
    return name.strip("_").lower() == "background"


def read_json(path: Path) -> Any:
    """A JSON file. Raises `PairingError` saying where it is broken."""
    try:
        return json.loads(path.read_bytes())
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}: {error.msg}"
    except (ValueError, RecursionError, OSError) as error:
        where = str(error)
    raise PairingError(
        f"{path} is not valid JSON ({where}). Export it again, or take it out of the folder."
    )


def stated_size(
    height: object,
    width: object,
    what: str,  # the file, and the image in it
) -> Size | None:
    """(height, width) as an annotation states it; None where it does not."""
    if height is None and width is None:
        return None
    sides = [int(s) for s in (height, width) if isinstance(s, int | float) and 1 <= s <= 1 << 20]
    if len(sides) < 2:
        raise PairingError(
            f"{what} has a height and width of {str((height, width))[:80]}; two numbers of pixels "
            "were expected. Export the annotations again."
        )
    return sides[0], sides[1]
