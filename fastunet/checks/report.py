"""The report of an audit: what a data set is, what is wrong with it, and what to type next."""

import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING

from fastunet._util.text import listing, plural
from fastunet.checks.check import CheckContext
from fastunet.checks.finding import Finding, Severity

if TYPE_CHECKING:
    from fastunet.checks.resolution import Resolution

_CLASSES = 40  # rows of the table
_NOTHING = CheckContext(Path(), (), ())
_TITLES: dict[Severity, str] = {"error": "Errors", "warning": "Warnings", "note": "Notes"}


@dataclass(frozen=True)
class Audit:
    """What a data set is and what is wrong with it: `print(audit)`; `audit.ok` is the verdict.

    Where the audit was quick, or nothing could be decoded, `task`, `encoding`, `channels` and
    `bit_depth` are None.
    """

    source: Path  # what was looked at: a folder, or a table
    root: Path  # file names of findings are relative to it
    layout: str
    pairs: int  # how many
    splits: dict[str, int]  # pairs per part, "train", "valid", "test"; empty where there is none
    findings: tuple[Finding, ...]  # errors first
    task: str | None = None  # "binary" or "multiclass"
    encoding: str | None = None  # "two values", "class indices", "colours", ...
    classes: tuple[str, ...] = ()  # names, without void
    void: tuple[str | int, ...] = ()  # values and colours that do not count
    channels: int | tuple[int, ...] | None = None  # of the images; several where they differ
    bit_depth: int | tuple[int, ...] | None = None  # 8, 16, 32; several where the images differ
    sizes: dict[str, int] = field(default_factory=dict)  # "480x360" (height x width) -> images
    class_frequencies: dict[str, dict[str, float]] = field(default_factory=dict)
    mean: tuple[float, ...] = ()  # per channel over all pixels, in the images' own numbers
    std: tuple[float, ...] = ()  # per channel, likewise
    resolution: "Resolution | None" = None  # what is left of the masks at the network's size
    quick: bool = False  # only names and headers were looked at
    options: str = ""  # what was said of the data, as it is typed in the next command
    context: CheckContext = field(default=_NOTHING, repr=False, compare=False)  # of the checks

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings with which training fails, or is worthless."""
        return tuple(finding for finding in self.findings if finding.severity == "error")

    @property
    def ok(self) -> bool:
        """Whether there are no errors."""
        return not self.errors

    def __str__(self) -> str:
        lines = [f"{name:<10}{text}" for name, text in self._facts()]
        if self.class_frequencies:
            lines += ["", *self._class_table()]
        for severity, title in _TITLES.items():
            found = [finding for finding in self.findings if finding.severity == severity]
            if found:
                lines += ["", f"{title} ({len(found)})"]
            for finding in found:
                said = f"  {finding.code}: {finding.message}"
                lines += _wrapped(said, subsequent_indent=6 * " ")
                lines += _wrapped(f"      -> {finding.remedy}", subsequent_indent=9 * " ")
        return "\n".join([*lines, "", self._next_step()])

    def to_dict(self) -> dict:
        """Plain JSON values."""
        return {
            "layout": self.layout,
            "pairs": self.pairs,
            "splits": self.splits,
            "task": self.task,
            "encoding": self.encoding,
            "classes": list(self.classes),
            "void": list(self.void),
            "channels": _list_of(self.channels),
            "bit_depth": _list_of(self.bit_depth),
            "sizes": self.sizes,
            "class_frequencies": self.class_frequencies,
            "resolution": self.resolution.to_dict() if self.resolution else None,
            "findings": [finding.to_dict() for finding in self.findings],
        }

    def to_html(
        self,
        path: str | os.PathLike,  # one file, which shows pairs and the files of each finding
    ) -> Path:
        """Write the report as a page that needs nothing beside it."""
        from fastunet.checks.html import write_page

        return write_page(
            Path(path),
            f"Audit of {self.root.resolve().name}",
            self._next_step(),
            list(self._facts()),
            self.findings,
            self.class_frequencies,
            self.context,
        )

    def _next_step(self) -> str:
        """The verdict and the command to type."""
        data = f"{shlex.quote(str(self.source))} {self.options}".rstrip()
        if not self.ok:
            return f"{plural(len(self.errors), 'error')} to mend. Then: fastunet audit {data}"
        looked = "No errors in names and headers" if self.quick else "No errors"
        return f"{looked}. Next: fastunet train {data}"

    def _facts(self) -> Iterator[tuple[str, str]]:
        """What was understood, as (name, text)."""
        yield "data", str(self.source)
        yield "layout", self.layout
        parts = ", ".join(f"{count} {part}" for part, count in self.splits.items())
        yield "pairs", f"{self.pairs} ({parts or 'no split yet'})"
        if self.task:
            classes = f"{len(self.classes)} classes: {listing(self.classes, 12)}"
            yield "task", f"{self.task}, {classes}"
            void = listing(self.void, 5) if self.void else "none"
            codec = self.context.codec
            rules = "".join(f". {rule.rstrip('.')}" for rule in codec.rules()) if codec else ""
            yield "masks", f"{self.encoding}; void: {void}{rules}"
        if self.sizes:
            counted = [f"{count} of {size}" for size, count in self.sizes.items()]
            sizes = counted if len(counted) > 1 else list(self.sizes)
            yield "images", f"{listing(sizes, 4)} (height x width){self._kind_of_images()}"
        if self.mean:
            mean, std = _numbers(self.mean), _numbers(self.std)
            yield "pixels", f"mean {mean}; standard deviation {std}"
        if self.resolution and self.resolution.summary:
            yield "detail", self.resolution.summary

    def _kind_of_images(self) -> str:
        if self.channels is None:
            return ""
        channels = f"{_or(self.channels)} channel{'' if self.channels == 1 else 's'}"
        return f", {channels}, {_or(self.bit_depth)} bit"

    def _class_table(self) -> list[str]:
        """The share of each class in each part, in per cent of the pixels that count."""
        shown = self.classes[:_CLASSES]
        width = min(30, max(len("% of pixels"), *(len(name) for name in shown)))
        rows = [f"{'% of pixels':<{width}}" + "".join(f"{p:>9}" for p in self.class_frequencies)]
        for name in shown:
            shares = [100 * part[name] for part in self.class_frequencies.values()]
            rows.append(f"{name[:width]:<{width}}" + "".join(f"{s:>9.2f}" for s in shares))
        if len(self.classes) > _CLASSES:
            rows.append(f"... and {len(self.classes) - _CLASSES} more")
        return rows


def _list_of(values: int | tuple[int, ...] | None) -> int | list[int] | None:
    return list(values) if isinstance(values, tuple) else values


def _or(values: int | tuple[int, ...] | None) -> str:
    return " or ".join(map(str, values)) if isinstance(values, tuple) else str(values)


def _numbers(values: tuple[float, ...]) -> str:
    return listing([f"{value:.4g}" for value in values], 6)


_wrapped = partial(wrap, width=96, break_long_words=False, break_on_hyphens=False)
