"""A diagnosis: one thing that went wrong in a training, and the numbers that show it."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from fastunet._util.files import read_small, write_atomically
from fastunet.errors import OutputError

FORMAT = 1
_MAX_BYTES = 1_000_000  # a diagnosis has some hundreds

Value = float | int | str | bool | None | list[float]


@dataclass(frozen=True)
class Diagnosis:
    """One thing that went wrong in a training, and the one thing to try."""

    name: str  # for programs: "overfitting"
    message: str  # what was seen, with its numbers
    advice: str  # one thing to try
    evidence: Mapping[str, Value] = field(default_factory=dict)  # the numbers, by name

    def __str__(self) -> str:
        return f"{self.name}: {self.message} {self.advice}"


def save_diagnoses(diagnoses: Sequence[Diagnosis], path: Path) -> None:
    """Write them as JSON, whole or not at all; numbers that are not finite become texts."""
    document = {"format": FORMAT, "diagnoses": [_plain(asdict(one)) for one in diagnoses]}
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_atomically(path, text.encode())


def load_diagnoses(path: Path) -> list[Diagnosis]:
    """Those that `save_diagnoses` wrote; none where there is no file.

    Raises `OutputError` where the file is damaged.
    """
    if not path.is_file():
        return []
    try:
        document = json.loads(read_small(path, _MAX_BYTES, OutputError))
        return [Diagnosis(**one) for one in document["diagnoses"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise OutputError(
            f"{path} is cut short or holds no diagnoses ({type(error).__name__}: {error}). "
            "Remove it."
        ) from error


def _plain(value):
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
