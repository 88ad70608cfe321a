"""Numbers and names as the page writes them."""

import math
from collections.abc import Callable

from fastunet.evaluation.bootstrap import Interval

_PARTS = {"test": "test", "valid": "validation", "train": "training"}


def score(value: float | None) -> str:
    """Three digits."""
    return "absent" if value is None or math.isnan(value) else f"{value:.3f}"


def interval(ends: Interval) -> str:
    """`0.79–0.83`, or nothing."""
    return f"{ends[0]:.3f}–{ends[1]:.3f}" if ends else ""


def percent(share: float | None) -> str:
    """A share with as many digits as tell something."""
    if share is None or math.isnan(share):
        return "–"
    if 0 < share < 0.0005:
        return "< 0.1 %"
    return f"{100 * share:.1f} %" if share < 0.9995 else "100 %"


def cell(share: float) -> str:
    """A percentage in a narrow cell."""
    if share < 0.0005:
        return ""
    return f"{100 * share:.1f}" if share < 0.0995 else f"{100 * share:.0f}"


def part_name(name: str) -> str:
    """The part of the data, as people call it."""
    return _PARTS.get(name, name)


def duration(seconds: float) -> str:
    """A time in the unit that suits it."""
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


FILTERS: dict[str, Callable] = {f.__name__: f for f in (score, interval, percent, cell)}
"""For the template."""
