"""Which pixels of a turned photo its mask fits: upright by its EXIF orientation, or as stored.

The sizes tell where a photo lies on its side and is not square. Where they do not, the borders of
the mask are looked for among the edges of both.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from fastunet._util.text import listing
from fastunet._util.threads import in_threads
from fastunet.checks.alignment import find_offset, grey_levels
from fastunet.choices import Orientation
from fastunet.errors import PairingError
from fastunet.io.images import as_stored
from fastunet.scan.decoded import NOTHING_KEPT, DecodedFiles

if TYPE_CHECKING:
    from fastunet.checks.examine import Facts

_PHOTOS = 64  # whose pixels are compared
_CLEAR = 0.05  # of a correlation, by which one orientation fits better on average
_SPREAD = 0.15  # of that difference from photo to photo, at least

ANSWERS = (
    'orientation="upright" if the masks were drawn on the photos as viewers show them, '
    'orientation="stored" if on their pixels without regard to EXIF'
)


@dataclass(frozen=True, slots=True)
class Agreement:
    """How well a mask's borders agree with the edges of its photo; NaN where that cannot tell."""

    upright: float
    stored: float


def compare(
    image: np.ndarray,  # (H, W, C), upright
    codes: np.ndarray,  # (H, W) of the mask
    turn: int,  # the EXIF orientation
) -> Agreement:
    """The agreement of a mask with both orientations of a photo that fit its size."""
    grey = grey_levels(image)
    both = [
        find_offset(np.ascontiguousarray(seen), codes) for seen in (grey, as_stored(grey, turn))
    ]
    return Agreement(*(offset.here if offset else float("nan") for offset in both))


def better(agreements: Sequence[Agreement]) -> Orientation | None:
    """The orientation that photos fit over all; None: the contents do not tell."""
    gains = np.array([one.stored - one.upright for one in agreements])
    gains = gains[np.isfinite(gains)]
    if not len(gains):
        return None
    spread = max(_SPREAD, float(gains.std(ddof=1)) if len(gains) > 1 else 0)
    gain = float(gains.mean())
    if abs(gain) < max(_CLEAR, 2 * spread / len(gains) ** 0.5):
        return None
    return "stored" if gain > 0 else "upright"


def by_size(facts: Sequence["Facts"]) -> Orientation | None:
    """What the sizes of the photos say that lie on their side; None: nothing, or both."""
    told = {one.fits for one in facts if one.turn != 1 and not one.undecided and one.fits != "no"}
    return told.pop() if len(told) == 1 else None


def choose_orientation(
    facts: Sequence["Facts"],  # of the headers of all pairs
    stated: Orientation | None = None,
    progress: bool = True,
    files: DecodedFiles = NOTHING_KEPT,
) -> Orientation:
    """How turned photos enter the network where their size fits both ways.

    Raises `PairingError` where the contents tell that the pixels as stored fit, and nobody has said
    so. Warns where nothing tells.
    """
    if stated is not None:
        return stated
    sizes = by_size(facts)
    undecided = [one for one in facts if one.undecided]
    if not undecided:
        return sizes or "upright"
    looked = undecided[:: -(-len(undecided) // _PHOTOS)]
    contents = better(
        list(in_threads(partial(_look, files=files), looked, "Comparing orientations", progress))
    )
    if contents and contents != (sizes or "upright"):
        raise PairingError(f"{tell(undecided)} {fit(contents)} Say which is right: {ANSWERS}.")
    if not contents and not sizes:
        warnings.warn(
            f"{tell(undecided)} Nor do their contents. They are read upright; say so, or the "
            f"other: {ANSWERS}.",
            stacklevel=4,
        )
    return sizes or "upright"


def tell(undecided: Sequence["Facts"]) -> str:
    """That the sizes of some photos do not say how they are turned."""
    names = listing([one.pair.image.name for one in undecided], 3)
    return (
        f"{len(undecided)} of the photos have an EXIF orientation of which the sizes do not tell "
        f"whether masks follow it (the photos are square, upside down or mirrored): {names}."
    )


def fit(orientation: Orientation) -> str:
    how = "upright" if orientation == "upright" else "with the pixels as stored"
    return f"By their edges, the masks fit the photos {how}."


def _look(facts: "Facts", files: DecodedFiles) -> Agreement:
    if facts.agreement is not None:
        return facts.agreement
    pair = facts.pair
    return compare(files.image(pair.image_files), files.mask(pair.mask).codes, facts.turn)
