"""Why a field of the plan is what it is, in words, with the fact it rests on."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fastunet._util.files import write_atomically


@dataclass(frozen=True)
class Reason:
    """One decision of the planner."""

    field: str  # of the plan
    value: Any
    reason: str
    fact: str

    def __str__(self) -> str:
        return f"{self.field} {_short(self.value)}: {self.reason} ({self.fact})"


def save_reasons(reasons: Sequence[Reason], path: Path) -> None:
    """Write them as a JSON list, whole or not at all."""
    listed = [asdict(one) for one in reasons]
    write_atomically(path, (json.dumps(listed, indent=1, ensure_ascii=False) + "\n").encode())


def load_reasons(path: Path) -> tuple[Reason, ...]:
    """Read them; none where there is no such file."""
    if not path.is_file():
        return ()
    return tuple(Reason(**one) for one in json.loads(path.read_text(encoding="utf-8")))


def _short(value: Any) -> str:
    if isinstance(value, tuple | list):
        return "x".join(map(str, value))
    return f"{value:.3g}" if isinstance(value, float) else str(value)
