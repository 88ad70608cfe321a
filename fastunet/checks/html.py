"""An audit as one HTML file that needs nothing beside it: text, tables and small overlays."""

import base64
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from fastunet._util.files import write_atomically
from fastunet._util.threads import in_threads
from fastunet.checks.finding import Finding
from fastunet.checks.report import facts_of, next_steps
from fastunet.errors import FastunetError
from fastunet.io.images import read_image
from fastunet.labels import VOID
from fastunet.masks.codec import MaskCodec
from fastunet.masks.raw import read_mask
from fastunet.overlay import overlay, picture
from fastunet.pairs.pair import Pair

if TYPE_CHECKING:
    from fastunet.checks.audit import Audit

_SHOWN = 8  # pairs, spread over the data set
_SHOWN_EACH = 4  # files of a finding
_NAMED = 50  # file names of a finding
_SIDE = 240  # pixels of a thumbnail

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1c2024; background: #fff;
       max-width: 70rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.5rem; overflow-wrap: anywhere; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; } td, th { padding: .15rem .8rem .15rem 0; text-align: left;
       vertical-align: top; overflow-wrap: anywhere; } td.n, th.n { text-align: right; }
.bar { display: inline-block; height: .7rem; background: #4a7ebb; border-radius: 2px; }
.pictures { display: flex; flex-wrap: wrap; gap: .8rem; } figure { margin: 0; max-width: 15rem; }
figure img { max-width: 100%; display: block; border-radius: 4px; }
figcaption, details { font-size: .85rem; overflow-wrap: anywhere; color: #555; }
article { border-left: .35rem solid; padding: .1rem 0 .1rem 1rem; margin: 1rem 0; }
.error { border-color: #c62828; } .warning { border-color: #e6a100; } 
.note { border-color: #4a7ebb; }
article h3 { margin: 0; font-size: 1rem; } article p { margin: .3rem 0; }
.remedy::before { content: "\\2192\\00a0"; } code { background: #f2f4f6; padding: .1rem .3rem; }
.swatch { display: inline-block; width: .8rem; height: .8rem; border: 1px solid #888;
          margin-right: .4rem; }
@media (prefers-color-scheme: dark) { body { color: #e6e8ea; background: #16181b; }
  code { background: #2a2e33; } figcaption, details { color: #aaa; } }
"""


def write_page(audit: "Audit", path: Path) -> Path:
    """Write the page, whole or not at all."""
    page = "\n".join(_page(audit))
    write_atomically(path, page.encode("utf-8", "replace"))
    return path


def _page(audit: "Audit") -> Iterator[str]:
    name = escape(audit.root.resolve().name)
    yield "<!doctype html>"
    yield f'<html lang="en"><head><meta charset="utf-8"><title>Audit of {name}</title>'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<style>{_STYLE}</style></head><body>"
    yield f"<h1>Audit of {name}</h1>"
    for line in next_steps(audit):
        yield f"<p><strong>{escape(line)}</strong></p>"
    yield "<table>"
    for title, text in facts_of(audit):
        yield f"<tr><th>{escape(title)}</th><td>{escape(text)}</td></tr>"
    yield "</table>"
    if audit.findings:
        yield "<h2>Findings</h2>"
        for finding in audit.findings:
            yield from _finding(audit, finding)
    if audit.class_frequencies:
        yield "<h2>Classes</h2>"
        yield from _classes(audit)
    pairs = _spread(audit)
    if pairs:
        yield "<h2>Pairs</h2>"
        yield from _pictures(audit, pairs)
    yield "</body></html>"


def _finding(audit: "Audit", finding: Finding) -> Iterator[str]:
    yield f'<article class="{finding.severity}">'
    yield f"<h3>{finding.severity.capitalize()}: <code>{escape(finding.code)}</code></h3>"
    yield f"<p>{escape(finding.message)}</p>"
    yield f'<p class="remedy">{escape(finding.remedy)}</p>'
    shown = set(finding.files[:_SHOWN_EACH])
    material = audit.material
    if shown and material:
        yield from _pictures(audit, [
            pair for pair in material.pairs
            if shown.intersection(material.names([*pair.image_files, pair.mask]))
        ])  # fmt: skip
    if len(finding.files) > 1:
        more = len(finding.files) - _NAMED
        names = ", ".join(map(escape, finding.files[:_NAMED]))
        yield f"<details><summary>{len(finding.files)} files</summary>{names}"
        yield (f" and {more} more" if more > 0 else "") + "</details>"
    yield "</article>"


def _classes(audit: "Audit") -> Iterator[str]:
    """A table of the share of each class in each part."""
    parts = list(audit.class_frequencies)
    colours = audit.material.codec.colours
    yield "<table><tr><th>class</th>"
    yield "".join(f'<th class="n">{escape(part)}</th><th></th>' for part in parts) + "</tr>"
    for name, colour in zip(audit.classes, colours, strict=True):
        swatch = f'<span class="swatch" style="background: rgb{tuple(map(int, colour))}"></span>'
        yield f"<tr><td>{swatch}{escape(name)}</td>"
        for part in parts:
            share = audit.class_frequencies[part][name]
            yield f'<td class="n">{100 * share:.2f} %</td>'
            yield f'<td><span class="bar" style="width: {6 * share:.2f}rem"></span></td>'
        yield "</tr>"
    yield "</table>"


def _spread(audit: "Audit") -> list[Pair]:
    """A few pairs from all over the data set, of those that could be read."""
    if audit.material is None:
        return []
    pairs = [facts.pair for facts in audit.material.usable]
    return pairs[:: -(-len(pairs) // _SHOWN)] if pairs else []


def _pictures(audit: "Audit", pairs: Sequence[Pair]) -> Iterator[str]:
    material = audit.material
    yield '<div class="pictures">'
    stored = {facts.pair for facts in material.facts if facts.fits == "stored"}
    drawn = in_threads(
        lambda pair: _thumbnail(pair, material.codec, pair not in stored), pairs, progress=False
    )
    for pair, image in zip(pairs, drawn, strict=True):
        name = escape(material.name(pair.image))
        yield "<figure>" + (f'<img alt="{name}" src="{image}">' if image else "")
        yield f"<figcaption>{name}</figcaption></figure>"
    yield "</div>"


def _thumbnail(pair: Pair, codec: MaskCodec | None, upright: bool) -> str | None:
    """The image with its mask over it, where that fits, as a data URL; None: it cannot be read."""
    try:
        image = read_image(pair.image_files if pair.channels else pair.image, upright)
    except (FastunetError, cv2.error):
        return None
    mask = _mask(pair, codec)
    if mask is not None and mask.shape != image.shape[:2]:
        mask = None
    height, width = image.shape[:2]
    scale = min(1.0, _SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(picture(image), size, interpolation=cv2.INTER_AREA)
    if mask is not None:
        small_mask = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST)
        small = overlay(small, small_mask, codec)
    data = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])[1]
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()


def _mask(pair: Pair, codec: MaskCodec | None) -> np.ndarray | None:
    """(H, W) class indices; what is unknown is drawn as void."""
    if codec is None:
        return None
    try:
        indices = codec.lookup(read_mask(pair.mask))
    except FastunetError:
        return None
    return np.where(indices < 0, VOID, indices).astype(np.uint8)
