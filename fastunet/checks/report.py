"""An audit as text for a terminal: what was understood, what is wrong, what to type next."""

import shlex
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

from fastunet._util.text import listing

if TYPE_CHECKING:
    from fastunet.checks.audit import Audit

WIDTH = 96
_CLASSES = 40  # rows of the table
_TITLES = {"error": "Errors", "warning": "Warnings", "note": "Notes"}


def as_text(audit: "Audit") -> str:
    """The whole report."""
    lines = [f"{name:<10}{text}" for name, text in facts_of(audit)]
    lines += ["", *_class_table(audit)] if audit.class_frequencies else []
    for severity, title in _TITLES.items():
        found = [finding for finding in audit.findings if finding.severity == severity]
        if found:
            lines += ["", f"{title} ({len(found)})"]
            for finding in found:
                lines += _wrapped(f"{finding.code}: {finding.message}", "  ", "      ")
                lines += _wrapped(finding.remedy, "      -> ", "         ")
    return "\n".join([*lines, "", *next_steps(audit)])


def facts_of(audit: "Audit") -> Iterator[tuple[str, str]]:
    """What was understood, as (name, text)."""
    yield "data", str(audit.source)
    yield "layout", audit.layout
    parts = ", ".join(f"{count} {part}" for part, count in audit.splits.items())
    yield "pairs", f"{audit.pairs}" + (f" ({parts})" if parts else " (no split yet)")
    if audit.task:
        yield "task", f"{audit.task}, {len(audit.classes)} classes: {listing(audit.classes, 12)}"
        void = listing(audit.void, 5) if audit.void else "none"
        codec = audit.material and audit.material.codec
        rules = "".join(f". {rule.rstrip('.')}" for rule in codec.rules()) if codec else ""
        yield "masks", f"{audit.encoding}; void: {void}{rules}"
    if audit.sizes:
        sizes = listing([f"{count} of {size}" if len(audit.sizes) > 1 else size
                         for size, count in audit.sizes.items()], 4)  # fmt: skip
        yield "images", f"{sizes} (height x width)" + _kind(audit)
    if audit.mean:
        yield "pixels", f"mean {_numbers(audit.mean)}; standard deviation {_numbers(audit.std)}"
    if audit.resolution and audit.resolution.summary:
        yield "detail", audit.resolution.summary


def next_steps(audit: "Audit") -> list[str]:
    """The verdict and the command to type."""
    data = f"{shlex.quote(str(audit.source))} {audit.options}".rstrip()
    if not audit.ok:
        n = len(audit.errors)
        return [f"{n} error{'' if n == 1 else 's'} to mend. Then: fastunet audit {data}"]
    looked = "No errors in names and headers" if audit.quick else "No errors"
    return [f"{looked}. Next: fastunet train {data}"]


def _kind(audit: "Audit") -> str:
    if audit.channels is None:
        return ""
    channels = f"{_several(audit.channels)} channel{'' if audit.channels == 1 else 's'}"
    return f", {channels}, {_several(audit.bit_depth)} bit"


def _several(values: int | tuple[int, ...]) -> str:
    return " or ".join(map(str, values)) if isinstance(values, tuple) else str(values)


def _numbers(values: tuple[float, ...]) -> str:
    return listing([f"{value:.4g}" for value in values], 6)


def _class_table(audit: "Audit") -> list[str]:
    """The share of each class in each part, in per cent of the pixels that count."""
    parts = list(audit.class_frequencies)
    shown = audit.classes[:_CLASSES]
    width = min(30, max(len("% of pixels"), *(len(name) for name in shown)))
    rows = [f"{'% of pixels':<{width}}" + "".join(f"{part:>9}" for part in parts)]
    for name in shown:
        shares = [100 * audit.class_frequencies[part][name] for part in parts]
        rows.append(f"{name[:width]:<{width}}" + "".join(f"{share:>9.2f}" for share in shares))
    if len(audit.classes) > _CLASSES:
        rows.append(f"... and {len(audit.classes) - _CLASSES} more")
    return rows


def _wrapped(text: str, first: str, then: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=then,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
