"""What a check is: a function that makes findings, registered with what must have been read.

To add one, write it in the `check_*.py` that it fits; `all_checks` finds it there:

    @check(needs="pixels")
    def check_dark(context: CheckContext) -> Iterator[Finding]:
        dark = [file for file, image in context.images if image.mean.max() < DARK]
        yield from context.report("warning", "dark", "Dark: {files}.", "Look at them.", dark)
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fastunet._util.text import listing, plural
from fastunet.checks.finding import Finding, Severity
from fastunet.checks.understand import Content
from fastunet.choices import Orientation, Scaling
from fastunet.masks.codec import MaskCodec
from fastunet.pairs.pair import Pair
from fastunet.scan.decoded import NOTHING_KEPT, DecodedFiles
from fastunet.scan.pair_stats import ImageStats, PairStats

if TYPE_CHECKING:
    from fastunet.checks.resolution import Resolution

Needs = Literal["headers", "pixels", "codec"]
"""What a check looks at: names and headers, decoded files, or what masks hold by a codec."""

_NAMED = 3  # files that a message names


@dataclass(frozen=True)
class CheckContext:
    """All that checks look at."""

    root: Path  # file names in findings are relative to it
    pairs: Sequence[Pair]
    stats: Sequence[PairStats]  # of each pair
    quick: bool = False  # the stats are those of names and headers
    codec: MaskCodec | None = None  # None: the masks were not looked at, or not understood
    contents: Mapping[Path, Content] = field(default_factory=dict)  # of each mask that was read
    resolution: "Resolution | None" = None  # what is left of the masks at the network's size
    scaling: Scaling = "auto"  # as it was stated, of images with several types or ranges
    orientation: Orientation | None = None  # as it was stated, of photos that fit both ways
    files: DecodedFiles = NOTHING_KEPT  # what was decoded, for checks that look again

    @property
    def known(self) -> tuple[Needs, ...]:
        """What has been read, so that checks which need it can run."""
        if self.quick:
            return ("headers",)
        return ("headers", "pixels", "codec") if self.codec else ("headers", "pixels")

    @property
    def known_codec(self) -> MaskCodec:
        """The codec, for checks that need one."""
        assert self.codec is not None
        return self.codec

    @property
    def images(self) -> list[tuple[Path, ImageStats]]:
        """The images that could be read."""
        return [(one.pair.image, one.image) for one in self.stats if one.image]

    @property
    def usable(self) -> list[PairStats]:
        """Pairs that could be read and fit together."""
        return [one for one in self.stats if one.usable]

    @property
    def splits(self) -> list[str]:
        """The parts that there are, in their usual order; none where nothing has been split."""
        present = {pair.split for pair in self.pairs}
        return [part for part in ("train", "valid", "test") if part in present]

    def name(self, file: Path) -> str:
        """A file as reports name it: relative to the data folder where it is inside."""
        inside = file.is_relative_to(self.root)
        return file.relative_to(self.root).as_posix() if inside else str(file)

    def names(self, files: Iterable[Path]) -> tuple[str, ...]:
        """Files as reports name them."""
        return tuple(map(self.name, files))

    def report(
        self,
        severity: Severity,
        code: str,
        message: str,  # a format of `values`, {files} and {n}
        remedy: str,
        files: Collection[Path] = (),
        n: int | None = None,  # how many things the finding speaks of; None: of the files
        **values: object,
    ) -> Iterator[Finding]:
        """A finding, unless it speaks of nothing.

        `{files}` are the first few names; `{n:mask is|masks are}` is `1 mask is` or `3 masks are`.
        """
        n = len(files) if n is None else n
        if n:
            names = self.names(files)
            said = message.format(n=_Number(n), files=listing(names, _NAMED), **values)
            yield Finding(severity, code, said, remedy, names, n)


class _Number(int):
    """A number of things, with their words for one and for several after the colon of a format."""

    def __format__(self, words: str) -> str:
        return plural(int(self), *words.split("|"))


@dataclass(frozen=True)
class Check:
    """A function that makes findings, and what it needs."""

    needs: Needs
    make_findings: Callable[[CheckContext], Iterable[Finding]]

    def __call__(self, context: CheckContext) -> Iterable[Finding]:
        """The findings of one data set."""
        return self.make_findings(context)


def check(needs: Needs) -> Callable[[Callable[[CheckContext], Iterable[Finding]]], Check]:
    """Register a function as a check. It runs where what it needs has been read."""
    return partial(Check, needs)
