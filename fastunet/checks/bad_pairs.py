"""Pairs that cannot be learned from: refused at once, or left out where the user asks for that."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from fastunet._util.files import write_atomically
from fastunet._util.threads import in_threads
from fastunet._util.warn import warn
from fastunet.checks.check import CheckContext
from fastunet.checks.check_files import check_files, check_sizes
from fastunet.errors import ImageReadError, MaskValueError, SizeMismatchError
from fastunet.masks.codec import MaskCodec
from fastunet.pairs.pair import Pair, PairList
from fastunet.scan.decoded import NOTHING_KEPT, DecodedFiles
from fastunet.scan.headers import Fault
from fastunet.scan.pair_stats import PairStats, examine_headers, faults_of

FORMAT = 1

_MOST = 0.5  # of the pairs may be left out
_SHOWN = 5


@dataclass(frozen=True)
class Skipped:
    """A pair that was left out, and why."""

    pair: Pair
    reason: str

    def __str__(self) -> str:
        return f"{self.pair.image.name} ({self.reason})"


def refuse_bad_pairs(
    pairs: Sequence[Pair],
    progress: bool = True,  # a bar while headers are read
) -> list[PairStats]:
    """What the headers tell of the pairs.

    Raises, naming them, where they show files that cannot be read or do not fit together:

    `SizeMismatchError` where nothing but sizes is wrong, else `ImageReadError`.
    """
    stats = list(in_threads(examine_headers, pairs, "Reading headers", progress))
    context = CheckContext(Path(), pairs, stats)
    findings = [*check_files(context), *check_sizes(context)]
    errors = [finding for finding in findings if finding.severity == "error"]
    if errors:
        bad = sum(bool(f.faults) or f.fits == "no" for f in stats)
        sizes_only = {finding.code for finding in errors} == {"size-mismatch"}
        raise (SizeMismatchError if sizes_only else ImageReadError)(
            " ".join(f"{found.message} {found.remedy}" for found in errors)
            + f" Or have such pairs left out, here {bad} of {len(pairs)}: skip_bad=True."
        )
    return stats


def without_bad_pairs(
    pairs: Sequence[Pair],
    progress: bool = True,  # a bar while files are read
    files: DecodedFiles = NOTHING_KEPT,
) -> tuple[Sequence[Pair], list[Skipped]]:  # what is left, a `PairList` if it was one
    """Decode every pair and leave out those of which a file is missing, damaged or does not fit.

    Raises `ImageReadError` where more than half would be left out.
    """
    return _sorted_out(pairs, partial(faults_of, files=files), progress)


def without_unknown_values(
    pairs: Sequence[Pair],
    codec: MaskCodec,
    progress: bool = True,
    files: DecodedFiles = NOTHING_KEPT,
) -> tuple[Sequence[Pair], list[Skipped]]:
    """Leave out the pairs whose mask holds values that the codec does not know."""

    def faults(pair: Pair) -> Sequence[Fault]:
        try:
            files.class_indices(pair.mask, codec)
        except MaskValueError as error:
            return [Fault("not-a-mask", pair.mask, str(error))]
        return []

    return _sorted_out(pairs, faults, progress)


def _sorted_out(
    pairs: Sequence[Pair], faults_in: Callable[[Pair], Sequence[Fault]], progress: bool
) -> tuple[Sequence[Pair], list[Skipped]]:
    found = in_threads(faults_in, pairs, "Checking", progress)
    good, skipped = list[Pair](), list[Skipped]()
    for pair, faults in zip(pairs, found, strict=True):
        if faults:
            skipped.append(Skipped(pair, "; ".join(map(_said, faults))))
        else:
            good.append(pair)
    if len(skipped) > _MOST * len(pairs):
        raise ImageReadError(
            f"{len(skipped)} of {len(pairs)} pairs cannot be used, more than half of them, so that "
            f"what is left is another data set. They are not left out: {_listed(skipped)}. Is it "
            "the right folder, and a copy that has come to its end?"
        )
    return (replace(pairs, pairs=good) if isinstance(pairs, PairList) else good), skipped


def _said(fault: Fault) -> str:
    """The reason in one line, with the file named once."""
    named = fault.file.name in fault.reason
    return " ".join(fault.reason.split()) if named else f"{fault.file.name}: {fault.reason}"


def _listed(skipped: Sequence[Skipped]) -> str:
    more = f"; and {len(skipped) - _SHOWN} more" if len(skipped) > _SHOWN else ""
    return "; ".join(one.reason.rstrip(".") for one in skipped[:_SHOWN]) + more


def warn_of_skipped(
    skipped: Sequence[Skipped],
    total: int,  # pairs that there were
) -> None:
    """Say which pairs are left out, if any."""
    if skipped:
        warn(
            f"{len(skipped)} of {total} pairs cannot be used and are left out: {_listed(skipped)}."
        )


def save_skipped(skipped: Sequence[Skipped], path: Path) -> None:
    """Write what was left out, and why."""
    entries = [
        {"image": str(one.pair.image), "mask": str(one.pair.mask), "reason": one.reason}
        for one in skipped
    ]
    document = {"format": FORMAT, "skipped": entries}
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    write_atomically(path, text.encode("utf-8", "surrogateescape"))
