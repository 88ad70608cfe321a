"""What a check reports: one thing that was found in a data set, and what to do about it."""

from dataclasses import asdict, dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Finding:
    """One thing that was found in a data set, and the one thing to do about it."""

    severity: Severity  # "error": training fails or is worthless; "note": handled, good to know
    code: str  # a short name for programs: "truncated", "size-mismatch", ...
    message: str  # what was found and what it means
    remedy: str  # what to do
    files: tuple[str, ...] = ()  # all of them, relative to the data folder
    count: int = 0  # how many things the finding speaks of: files, or classes

    def to_dict(self) -> dict:
        """Plain JSON values."""
        return {**asdict(self), "files": list(self.files)}
