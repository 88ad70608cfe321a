"""Checks of what the numbers in images mean, and of which way up photos are."""

from collections.abc import Iterator
from pathlib import Path

from fastunet.checks.finding import Finding, Material
from fastunet.checks.orientation import ANSWERS, better, by_size, fit, tell
from fastunet.io.pixel_values import read_values, tell_nodata


def check_values(material: Material) -> Iterator[Finding]:
    """Several types or ranges of numbers, and values that stand for no data."""
    values = [f.image.values for f in material.facts if f.image]
    if not values:
        return
    reading = read_values(values, material.scaling)
    odd = [Path(name) for name in reading.odd]
    kind = "mixed-depth" if len({one.dtype for one in values}) > 1 else "mixed-range"
    if reading.question:
        yield material.find(
            "error", kind, reading.question, "Say how the numbers are meant, as above.", odd
        )
    elif reading.warning:
        yield material.find(
            "warning", kind, reading.warning, "Export all images with one type and range.", odd
        )
    with_none = [f.pair.image for f in material.facts if f.image and f.image.values.nodata]
    if with_none:
        yield material.find(
            "note", "nodata",
            f"Some pixels stand for no data: {tell_nodata(values)} ({{files}}). They are left out "
            "of the range of values and black to the network; their class stays as the mask has "
            "it.",
            "Nothing; if their class should not count, mark them as void in the masks.", with_none,
        )  # fmt: skip
        empty = [f.pair.image for f in material.facts if f.image and _is_empty(f.image.values)]
        if empty:
            yield material.find(
                "warning", "only-nodata",
                "{n} of the images hold nothing but values that stand for no data: {files}.",
                "Take them out with their masks.", empty,
            )  # fmt: skip


def _is_empty(values) -> bool:
    return values.high != values.high  # NaN


def check_orientation(material: Material) -> Iterator[Finding]:
    """Turned photos of which the size does not tell whether their masks are turned too."""
    undecided = [f for f in material.facts if f.undecided]
    if not undecided or material.orientation:
        return
    sizes = by_size(material.facts)
    agreements = [f.agreement for f in undecided if f.agreement]
    contents = better(agreements)
    files = [f.pair.image for f in undecided]
    used = sizes or "upright"
    if contents and contents != used:
        yield material.find(
            "error", "exif-orientation", f"{tell(undecided)} {fit(contents)}",
            f"Say which is right: {ANSWERS}.", files,
        )  # fmt: skip
    elif contents or sizes:
        why = fit(contents) if contents else "The other photos say so by their sizes."
        how = "turned upright" if used == "upright" else "as stored"
        yield material.find(
            "note", "exif-orientation", f"{tell(undecided)} {why} They are read {how}.",
            "Nothing.", files,
        )  # fmt: skip
    else:
        quick = "" if agreements else " (without --quick, their contents are compared)"
        yield material.find(
            "warning", "exif-orientation",
            f"{tell(undecided)} They are read upright{quick}.", f"Say which is right: {ANSWERS}.",
            files,
        )  # fmt: skip
