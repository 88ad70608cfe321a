"""What an audit finds, and what the checks look at to find it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from fastunet._util.text import listing
from fastunet.checks.examine import Facts
from fastunet.checks.understand import Content
from fastunet.choices import Orientation, Scaling
from fastunet.masks.codec import MaskCodec
from fastunet.pairs.pair import Pair

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
        return {**self.__dict__, "files": list(self.files)}


@dataclass(frozen=True)
class Material:
    """All that the checks look at."""

    root: Path
    pairs: Sequence[Pair]
    facts: list[Facts]
    codec: MaskCodec | None = None
    contents: dict[Path, Content] = field(default_factory=dict)  # of each mask that was read
    scaling: Scaling = "auto"  # as it was said, of images with several types or ranges
    orientation: Orientation | None = None  # as it was said, of photos that fit both ways

    @property
    def usable(self) -> list[Facts]:
        return [facts for facts in self.facts if facts.usable]

    @property
    def splits(self) -> list[str]:
        """The parts that there are, in their usual order; none where nothing has been split."""
        present = {pair.split for pair in self.pairs}
        return [part for part in ("train", "valid", "test") if part in present]

    def name(self, file: Path) -> str:
        inside = file.is_relative_to(self.root)
        return file.relative_to(self.root).as_posix() if inside else str(file)

    def names(self, files: Sequence[Path]) -> tuple[str, ...]:
        return tuple(self.name(file) for file in files)

    def find(
        self,
        severity: Severity,
        code: str,
        message: str,  # "{files}" stands for the first few names, "{n}" for how many there are
        remedy: str,
        files: Sequence[Path] = (),
        count: int | None = None,
    ) -> Finding:
        names = self.names(files)
        number = len(names) if count is None else count
        said = message.replace("{n}", str(number)).replace("{files}", listing(names, 3))
        return Finding(severity, code, said, remedy, names, number)
