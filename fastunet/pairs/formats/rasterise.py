"""Annotations that are outlines: drawn once, as masks, into the user's cache folder.

A drawn mask is an 8-bit PNG of class indices: 0 is background, 255 does not count. What was drawn
is written down beside the masks, so that a warning is given again when they are used again.
"""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2

from fastunet._util.cache_folder import cache_folder
from fastunet._util.files import explained
from fastunet._util.folders import atomic_folder
from fastunet._util.text import listing
from fastunet._util.threads import in_threads
from fastunet._util.warn import warn
from fastunet.errors import (
    FastunetError,
    FastunetWarning,
    ImageReadError,
    PairingError,
    SizeMismatchError,
)
from fastunet.io.images import image_sizes
from fastunet.labels import BACKGROUND, VOID
from fastunet.pairs.formats.polygons import Shape, Size, draw

_VERSION = 2  # of the drawing; a change of it is a change of the masks
_SUMMARY = "drawn.json"
_OUTSIDE = 0.1  # share of the outlines that may reach mostly out of the picture


class OutlineWarning(FastunetWarning):
    """A warning about outlines, which the audit reports as a finding."""


@dataclass(frozen=True)
class Outlined:
    """An image and what is outlined in it."""

    image: Path
    shapes: Callable[[Size], list[Shape]]  # of the size they were drawn on; read when drawn
    source: Path | None = None  # the annotation file
    size: Size | None = None  # as the annotation states it; None: that of the image
    scales: bool = False  # the outlines follow an image that was resized


class DrawnMask(NamedTuple):
    """What was drawn of an image."""

    image: str  # its file name
    outlines: int
    objects: int  # outlines of other classes than background and void
    outside: int  # outlines that lie mostly outside
    scaled: bool


@dataclass(frozen=True)
class DrawnMasks:
    """A folder of drawn masks."""

    folder: Path
    objects: int  # outlines of other classes than background and void


class _DrawnMask(NamedTuple):
    """What was drawn of an image."""

    image: str  # its file name
    outlines: int
    objects: int
    outside: int  # outlines that lie mostly outside
    scaled: bool


def draw_all(
    folder: Path,  # that the images lie below
    outlined: Sequence[Outlined],
    key: str,  # the fingerprint of all that the masks depend on
    label: str = "Drawing polygons",  # of the progress bar
) -> DrawnMasks:
    """A folder of masks that mirrors the images' one; drawn where it is not there yet.

    Raises `PairingError` where an outline cannot be drawn, or does not belong to its image.
    """
    done = cache_folder() / "polygons" / f"{key[:32]}-v{_VERSION}"
    masks = _read_summary(done)
    if masks is None:
        _refuse_doubles(outlined)
        masks = _draw_into(done, folder, outlined, label)
    if scaled := [mask.image for mask in masks if mask.scaled]:
        warn_of_outlines(
            f"{len(scaled)} of {len(masks)} images in {folder} have another size than when they "
            f"were labelled ({listing(scaled, 3)}); their outlines are scaled with them. If these "
            "images were cut out instead of resized, label them again."
        )
    outlines, outside, names = _outside(masks)
    if outside:
        warn_of_outlines(
            f"{outside} of {outlines} outlines lie mostly outside their picture and are cut off "
            f"({names}). Look at them."
        )
    return DrawnMasks(done, sum(mask.objects for mask in masks))


def _read_summary(done: Path) -> list[_DrawnMask] | None:
    """What was drawn earlier; None where nothing was, or files are missing."""
    try:
        masks = [_DrawnMask(*mask) for mask in json.loads((done / _SUMMARY).read_bytes())]
    except (OSError, ValueError, TypeError):
        return None
    return masks if sum(1 for _ in done.rglob("*.png")) == len(masks) else None


def _outside(masks: Sequence[_DrawnMask]) -> tuple[int, int, str]:
    """How many outlines there are, how many lie mostly outside, and the images of some of those."""
    names = listing([mask.image for mask in masks if mask.outside], 3)
    return sum(mask.outlines for mask in masks), sum(mask.outside for mask in masks), names


def _refuse_doubles(outlined: Sequence[Outlined]) -> None:
    """Two images of one name, whatever their extension, would share a mask."""
    counts = Counter(one.image.with_suffix("") for one in outlined)
    double = [one.image for one in outlined if counts[one.image.with_suffix("")] > 1]
    if double:
        raise PairingError(
            f"More than one image claims one place: {listing(double)}. Keep one of each name."
        )


def _draw_into(
    done: Path, folder: Path, outlined: Sequence[Outlined], label: str
) -> list[_DrawnMask]:
    with atomic_folder(done) as partial:

        def work(one: Outlined) -> _DrawnMask | FastunetError:
            try:
                return _draw_one(one, (partial / one.image.relative_to(folder)).with_suffix(".png"))
            except (PairingError, ImageReadError, SizeMismatchError) as error:
                return error

        results = list(in_threads(work, outlined, label))
        masks = [result for result in results if isinstance(result, _DrawnMask)]
        _refuse([result for result in results if isinstance(result, Exception)], masks, outlined)
        with explained(partial):
            (partial / _SUMMARY).write_text(json.dumps(masks), "utf-8")
        if done.is_dir() and _read_summary(done) is None:
            shutil.rmtree(done)  # cut short or cleaned away in part
    return masks


def _draw_one(one: Outlined, file: Path) -> _DrawnMask:
    size = _mask_size(one, *image_sizes(one.image))
    before = one.size or size
    shapes = one.shapes(before)
    if before != size:
        shapes = [shape.scaled(before, size) for shape in shapes]
    pixels = cv2.imencode(".png", draw(shapes, size))[1].tobytes()
    with explained(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(pixels)
    objects = sum(shape.value not in (BACKGROUND, VOID) for shape in shapes)
    outside = sum(shape.share_inside(size) < 0.5 for shape in shapes)
    return _DrawnMask(one.image.name, len(shapes), objects, outside, scaled=before != size)


def _mask_size(one: Outlined, upright: Size, stored: Size) -> Size:
    """The size of the mask: that of the image as it is seen, or as it is stored.

    A photo that its EXIF tag turns may have been labelled either way, and the size that the
    annotation states tells which.
    """
    if one.size is None:
        return upright
    for size in (upright, stored):
        if size == one.size or (one.scales and _resized(one.size, size)):
            return size
    source = f"{one.source}: " if one.source else ""
    raise PairingError(
        f"{source}{one.image.name} is stated to have {one.size[0]}x{one.size[1]} pixels (height x "
        f"width), but the file {one.image} has {upright[0]}x{upright[1]}. Its outlines would lie "
        "beside what they mark: bring back the image that was labelled, or label this one."
    )


def _resized(before: Size, after: Size) -> bool:
    """Whether both sides have one scale, but for rounding to whole pixels."""
    least = max((side - 1) / was for side, was in zip(after, before, strict=True))
    most = min((side + 1) / was for side, was in zip(after, before, strict=True))
    return least < most


def _refuse(
    errors: Sequence[Exception], masks: Sequence[_DrawnMask], outlined: Sequence[Outlined]
) -> None:
    if errors:
        kind = PairingError if isinstance(errors[0], ImageReadError) else type(errors[0])
        more = len(errors) - 1
        also = f" {more} more of the {len(outlined)} images cannot be drawn either." if more else ""
        raise kind(f"{errors[0]}{also}") from errors[0]
    outlines, outside, names = _outside(masks)
    if outside > _OUTSIDE * outlines:
        sources = list(dict.fromkeys(one.source for one in outlined if one.source))
        raise PairingError(
            f"{listing(sources, 3)}: {outside} of {outlines} outlines lie mostly outside their "
            f"picture ({names}). They seem to be drawn on images of another size, or cut "
            "differently: bring those images back, or label these."
        )


def refuse_empty(masks: Sequence[DrawnMasks], source: object) -> None:
    """Raise `PairingError` where all masks of a data set are background."""
    if masks and not any(one.objects for one in masks):
        raise PairingError(
            f"{source} outlines no object on any image, so all masks are background and there is "
            "nothing to learn. Are these the right annotations for these images?"
        )


def warn_of_missing(what: str, names: Sequence[object]) -> None:
    """Warn that some things are left out, if there are any."""
    if names:
        warn_of_outlines(f"{what} are left out ({len(names)}): {listing(names)}")


def warn_of_outlines(text: str) -> None:
    """Warn of outlines: an `OutlineWarning`."""
    warn(text, OutlineWarning)
