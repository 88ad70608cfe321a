"""One cause of bad masks, as `autopsy` gives it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal, get_args

from fastunet.callback.diagnosis import Value

Aspect = Literal[
    "data", "codec", "loss", "rate", "threshold", "resolution", "training length", "encoding"
]
ASPECTS: tuple[Aspect, ...] = get_args(Aspect)


@dataclass(frozen=True)
class Cause:
    """One thing that makes masks bad, and the one thing to try."""

    aspect: Aspect
    name: str  # for programs: "no-foreground"
    message: str  # what was found, with its numbers
    advice: str  # one thing to try
    likelihood: float  # 0 to 1, a judgement: how far it alone would explain the masks
    evidence: Mapping[str, Value] = field(default_factory=dict)  # the numbers, by name

    def to_dict(self) -> dict:
        """Plain values."""
        return asdict(self)
