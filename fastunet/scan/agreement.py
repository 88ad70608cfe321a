"""How well a mask's borders agree with the edges of its photo, upright and as it is stored."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fastunet.choices import Orientation
from fastunet.io.images import as_stored
from fastunet.scan.alignment import find_offset, grey_levels

_CLEAR = 0.05  # of a correlation, by which one orientation fits better on average


_SPREAD = 0.15  # of that difference from photo to photo, at least


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
