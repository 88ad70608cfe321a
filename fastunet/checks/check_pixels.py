"""Checks of the pixels of images: types, ranges, no data, NaN, one colour, channels."""

import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from fastunet._util.text import plural
from fastunet.checks.check import CheckContext, check
from fastunet.checks.finding import Finding, Severity
from fastunet.io.images import NOT_FINITE_HARM, NOT_FINITE_REMEDY
from fastunet.io.pixel_values import read_values, tell_nodata


@check(needs="pixels")
def check_ranges(context: CheckContext) -> Iterator[Finding]:
    """Several types or ranges of numbers."""
    values = [image.values for _, image in context.images if image.values]
    if not values:
        return
    reading = read_values(values, context.scaling)
    odd = [Path(name) for name in reading.odd]
    kind = "mixed-depth" if len({one.dtype for one in values}) > 1 else "mixed-range"
    if said := reading.question:
        remedy = "Say how the numbers are meant, as above."
        yield from context.report("error", kind, "{said}", remedy, odd, said=said)
    elif said := reading.warning:
        remedy = "Export all images with one type and range."
        yield from context.report("warning", kind, "{said}", remedy, odd, said=said)


@check(needs="pixels")
def check_nodata(context: CheckContext) -> Iterator[Finding]:
    """Values that stand for no data, and images that hold nothing else."""
    values = {file: image.values for file, image in context.images if image.values}
    files = [file for file, value in values.items() if value.nodata]
    message = (
        "Some pixels stand for no data: {which} ({files}). They are left out of the range of "
        "values and black to the network; their class stays as the mask has it."
    )
    remedy = "Nothing; if their class should not count, mark them as void in the masks."
    which = tell_nodata(list(values.values()))
    yield from context.report("note", "nodata", message, remedy, files, which=which)
    empty = [file for file in files if math.isnan(values[file].high)]
    message = "{n:image holds|images hold} nothing but values that stand for no data: {files}."
    remedy = "Take them out with their masks."
    yield from context.report("warning", "only-nodata", message, remedy, empty)


@check(needs="pixels")
def check_not_finite(context: CheckContext) -> Iterator[Finding]:
    """Pixels that are NaN or infinite."""
    bad = {file: image.not_finite for file, image in context.images if image.not_finite}
    message = (
        "{n:image holds|images hold} NaN or infinity, in "
        f"{plural(sum(bad.values()), 'pixel')}: {{files}}. {NOT_FINITE_HARM}"
    )
    yield from context.report("error", "not-finite", message, NOT_FINITE_REMEDY, bad)


@check(needs="pixels")
def check_one_colour(context: CheckContext) -> Iterator[Finding]:
    """Images of one colour."""
    flat = [file for file, image in context.images if not image.std.any() and not image.not_finite]
    message = (
        "{n:image has|images have} one colour all over: {files}. There is nothing to see on them."
    )
    remedy = "Take them out with their masks, or export them again."
    yield from context.report("warning", "constant-image", message, remedy, flat)


@check(needs="pixels")
def check_channels(context: CheckContext) -> Iterator[Finding]:
    """Images with different numbers of channels, and grey images stored as colour."""
    channels = {file: image.channels for file, image in context.images}
    kinds = Counter(channels.values()).most_common()
    if len(kinds) > 1:
        counted = ", ".join(f"{count} with {kind}" for kind, count in kinds)
        odd = [file for file, number in channels.items() if number != kinds[0][0]]
        message = (
            f"The images have different numbers of channels ({counted}); {{files}} differ from "
            "the most."
        )
        severity: Severity = "error"
        remedy = "Export all images with the same channels, or take these out."
        if set(channels.values()) <= {1, 3}:
            severity, remedy = "note", "Nothing: grey images are read as colour."
        yield from context.report(severity, "mixed-channels", message, remedy, odd)
    grey = [file for file, image in context.images if image.channels == 3 and image.grey]
    which, remedy = "All images are", "Nothing: they are trained on as grey."
    if len(grey) < len(channels):
        which = f"{len(grey)} of {len(channels)} images are"
        remedy = (
            "Nothing: all are read as colour; if grey and colour are different kinds of "
            "pictures, see that each part of the split has both."
        )
    message = f"{which} grey pictures stored as colour."
    yield from context.report("note", "grey-as-colour", message, remedy, grey)
