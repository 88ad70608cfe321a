"""A report as one HTML file that needs nothing beside it: text, tables and small overlays."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from fastunet._util.files import write_atomically
from fastunet._util.text import listing
from fastunet._util.threads import in_threads
from fastunet.checks.check import CheckContext
from fastunet.checks.finding import Finding
from fastunet.errors import FastunetError
from fastunet.io.images import read_image
from fastunet.labels import VOID
from fastunet.masks.codec import MaskCodec
from fastunet.masks.raw import read_mask
from fastunet.overlay import overlay, picture
from fastunet.pairs.pair import Pair

_EXAMPLES = 8  # pairs, spread over the data set
_OF_FINDING = 4  # files of a finding whose pairs are drawn
_NAMED = 50  # file names of a finding
_SIDE = 240  # pixels of a thumbnail

Drawn = tuple[str, str | None]
"""The name of an image, and its thumbnail as a data URL; None where it cannot be read."""


def write_page(
    path: Path,
    title: str,
    verdict: str,
    facts: Sequence[tuple[str, str]],  # rows of the table at the top
    findings: Sequence[Finding],
    class_frequencies: Mapping[str, Mapping[str, float]],  # part -> class -> share of the pixels
    context: CheckContext,  # the pairs to draw
) -> Path:
    """Write the page, whole or not at all."""
    templates = Environment(
        loader=PackageLoader("fastunet.checks", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    page = templates.get_template("audit.html.jinja").render(
        title=title,
        verdict=verdict,
        facts=facts,
        findings=[
            (finding, listing(finding.files, _NAMED), _of_finding(finding, context))
            for finding in findings
        ],
        class_frequencies=class_frequencies,
        colours=_colours(context.codec),
        examples=_examples(context),
    )
    write_atomically(path, page.encode("utf-8", "replace"))
    return path


def _colours(codec: MaskCodec | None) -> list[tuple[str, tuple[int, ...]]]:
    """Each class with its colour, 0..255."""
    if codec is None:
        return []
    colours = [tuple(map(int, colour)) for colour in codec.colours]
    return list(zip(codec.classes, colours, strict=True))


def _of_finding(finding: Finding, context: CheckContext) -> list[Drawn] | None:
    shown = set(finding.files[:_OF_FINDING])
    if not shown or not context.pairs:
        return None
    return _drawn(
        context,
        [
            pair
            for pair in context.pairs
            if shown.intersection(context.names([*pair.image_files, pair.mask]))
        ],
    )


def _examples(context: CheckContext) -> list[Drawn]:
    """A few pairs from all over the data set, of those that could be read."""
    pairs = [one.pair for one in context.usable]
    step = max(1, -(-len(pairs) // _EXAMPLES))
    return _drawn(context, pairs[::step])


def _drawn(context: CheckContext, pairs: Sequence[Pair]) -> list[Drawn]:
    stored = {one.pair for one in context.stats if one.fits == "stored"}

    def draw(pair: Pair) -> str | None:
        return _thumbnail(pair, context.codec, pair not in stored)

    names = context.names(pair.image for pair in pairs)
    return list(zip(names, in_threads(draw, pairs, progress=False), strict=True))


def _thumbnail(pair: Pair, codec: MaskCodec | None, upright: bool) -> str | None:
    """The image with its mask over it, where that fits, as a data URL; None: it cannot be read."""
    try:
        image = read_image(pair.image_files if pair.channels else pair.image, upright)
    except (FastunetError, cv2.error):
        return None
    height, width = image.shape[:2]
    scale = min(1.0, _SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(picture(image), size, interpolation=cv2.INTER_AREA)
    mask = _class_indices(pair, codec) if codec else None
    if codec and mask is not None and mask.shape == image.shape[:2]:
        small_mask = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST)
        small = overlay(small, small_mask, codec)
    data = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])[1]
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()


def _class_indices(pair: Pair, codec: MaskCodec) -> np.ndarray | None:  # (H, W) uint8
    """The mask, with unknown values as void; None: it cannot be read."""
    try:
        indices = codec.lookup(read_mask(pair.mask))
    except FastunetError:
        return None
    return np.where(indices < 0, VOID, indices).astype(np.uint8)
