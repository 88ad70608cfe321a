"""Whether masks lie where their images say: shifted masks, and inverted ones.

The borders of a mask are looked for among the edges of its image: the offset at which they agree
best is zero, but for a pixel or two, where the mask lies right. One picture can mislead, so a set
is judged by most of its pictures and a single file only where the evidence is overwhelming. What a
mask of another picture looks like is learnt from the set itself: each mask is laid over the other
pictures, too.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

_SIDE = 320  # longer pictures are looked at by blocks of pixels
_REACH = 16  # steps either way
_MIN_REACH = 8
_SMALL = 64  # pixels a side, of what is kept to lay masks over other pictures
_OTHERS = 100  # pictures that each mask is laid over
_CLEAR = 4.0  # standard deviations above other pictures, of the usual mask; see `of_another`
_CHANCE = 2.0  # of a mask that fits no better than by chance: 1 in 50 random ones exceeds this


@dataclass(frozen=True, slots=True)
class Offset:
    """By how much a mask's borders miss the edges of the image."""

    y: int  # pixels; positive: the mask lies too high
    x: int  # pixels; positive: the mask lies too far left
    agreement: float  # correlation of borders and edges at this offset
    gain: float  # by how much that is better than no offset
    step: int  # pixels: how finely was looked
    inside: bool  # not at the limit of what was tried
    edges: np.ndarray = field(repr=False, compare=False)  # (64, 64) uint8, of the image
    borders: np.ndarray = field(repr=False, compare=False)  # (64, 64) uint8, of the mask

    @property
    def here(self) -> float:
        """Correlation of borders and edges without an offset."""
        return self.agreement - self.gain

    @property
    def distance(self) -> int:
        """Pixels, along the axis on which it is larger."""
        return max(abs(self.y), abs(self.x))


def grey_levels(
    image: np.ndarray,  # (H, W, C)
) -> np.ndarray:  # (H, W), uint8 or float32
    """The brightness of any image, for comparing structure."""
    if image.shape[2] == 3 and image.dtype == np.uint8:
        return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    if image.shape[2] == 1 and image.dtype == np.uint8:
        return image[..., 0]
    return np.nan_to_num(image[..., :3].mean(axis=2, dtype=np.float32), posinf=0, neginf=0)


def find_offset(
    grey: np.ndarray,  # (H, W)
    codes: np.ndarray,  # (H, W), equal within a region
) -> Offset | None:
    """Where the borders of the mask agree best with the edges of the image; None: cannot tell."""
    step = max(1, -(-max(grey.shape) // _SIDE))
    height, width = (side // step for side in grey.shape)
    reach = min(_REACH, min(height, width) // 6)
    if reach < _MIN_REACH:
        return None
    borders = np.zeros(codes.shape, np.uint8)
    borders[1:] |= codes[1:] != codes[:-1]
    borders[:, 1:] |= codes[:, 1:] != codes[:, :-1]
    borders = cv2.resize(borders * np.float32(1), (width, height), interpolation=cv2.INTER_AREA)
    borders = cv2.GaussianBlur(borders, (0, 0), 1)
    template = borders[reach:-reach, reach:-reach]
    share = np.count_nonzero(template > 0.05) / template.size
    if not 0 < share < 0.6:
        return None
    edges = _edges(grey, (width, height), share)
    surface = cv2.matchTemplate(edges, template, cv2.TM_CCOEFF_NORMED)
    if not np.isfinite(surface).all():
        return None
    top, left = divmod(int(surface.argmax()), surface.shape[1])
    y, x = top - reach, left - reach
    best = float(surface[top, left])
    return Offset(
        y * step,
        x * step,
        agreement=best,
        gain=best - float(surface[reach, reach]),
        step=step,
        inside=max(abs(y), abs(x)) < reach,
        edges=_kept(edges),
        borders=_kept(borders),
    )


def _kept(levels: np.ndarray) -> np.ndarray:  # (64, 64) uint8
    small = cv2.resize(levels, (_SMALL, _SMALL), interpolation=cv2.INTER_AREA)
    return np.rint(small * (255 / max(float(small.max()), 1e-9))).astype(np.uint8)


def _edges(grey: np.ndarray, size: tuple[int, int], share: float) -> np.ndarray:
    """How steep a picture is, (H, W) float32; the steepest `share`, at most 1/20, counts alike."""
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    smooth = cv2.GaussianBlur(small, (0, 0), 1)
    steep = cv2.magnitude(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1))
    limit = np.percentile(steep[::2, ::2], 100 * (1 - min(share, 0.05)))
    return np.minimum(steep, np.float32(limit))


def common_offset(
    offsets: Sequence[Offset],
) -> tuple[int, int] | None:
    """(y, x) pixels by which the whole set is off; None where it is not, or that is not certain.

    At least 5 pictures, 7 of 10 within a step and a half of the median, which is 3 pixels and two
    steps or more, and an agreement that is clearly better there than without an offset.
    """
    if len(offsets) < 5:
        return None
    places = np.array([(o.y, o.x) for o in offsets])
    step = float(np.median([o.step for o in offsets]))
    middle = np.median(places, axis=0)
    agreed = np.abs(places - middle).max(axis=1) <= 1.5 * step
    if np.abs(middle).max() < max(3, 2 * step) or agreed.mean() < 0.7:
        return None
    clear = np.median([o.gain for o in offsets]) >= 0.03
    return (round(float(middle[0])), round(float(middle[1]))) if clear else None


def is_misplaced(
    offset: Offset,
    others: Sequence[Offset],  # of the set
) -> bool:
    """Whether one mask is off, in a set whose masks lie right, beyond any doubt."""
    if len(others) < 5:
        return False
    right = bool(np.mean([o.distance <= 2 * o.step for o in others]) >= 0.75)
    usual = float(np.median([o.agreement for o in others]))
    return (
        right
        and offset.inside
        and offset.distance >= max(5, 3 * offset.step)
        and offset.gain >= 0.15
        and offset.agreement >= max(0.25, 0.6 * usual)
    )


def fits_over_others(
    offsets: Sequence[Offset],  # of the set
) -> np.ndarray:  # (N,) standard deviations
    """By how much each mask fits its own image better than the other images of the set.

    The borders of the mask are correlated with the edges of its image and of up to 100 others: the
    difference to their mean, in units of their spread.
    """
    edges = _unit(np.array([offset.edges for offset in offsets]))
    borders = _unit(np.array([offset.borders for offset in offsets]))
    own = (edges * borders).sum(1)
    step = max(1, len(offsets) // _OTHERS)
    chosen = np.arange(0, len(offsets), step)
    others = borders @ edges[chosen].T
    others[chosen, np.arange(len(chosen))] = np.nan  # its own
    return (own - np.nanmean(others, 1)) / np.maximum(np.nanstd(others, 1), 0.02)


def _unit(maps: np.ndarray) -> np.ndarray:
    """(N, H, W) as rows of mean 0 and length 1, so that a product is a correlation."""
    flat = maps.reshape(len(maps), -1).astype(np.float32)
    flat -= flat.mean(1, keepdims=True)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)


def of_another(
    offsets: Sequence[Offset],  # of the set
) -> np.ndarray:  # (N,) bool
    """Which masks fit their image no better than other images, in a set where the rest clearly do.

    Measured on DSB2018, CWFID and ISBI 2012: right masks are 2.3 to 30 standard deviations above
    other images, the usual one 5 to 20; of masks that were exchanged 19 of 20 stay below 2. Where
    the usual mask is not clearly above (street scenes are all alike), nothing can be said.
    """
    if len(offsets) < 10:
        return np.zeros(len(offsets), bool)
    fits = fits_over_others(offsets)
    if np.median(fits) < _CLEAR:
        return np.zeros(len(offsets), bool)
    return fits < _CHANCE


def inverted(
    contrasts: np.ndarray,  # (N,) foreground minus background level, in standard deviations
    shares: np.ndarray,  # (N,) share of the foreground
) -> np.ndarray:  # (N,) bool
    """Which binary masks have foreground and background exchanged, unlike the rest of the set.

    Both the brightness of the foreground and its share must be the opposite of what 9 of 10 other
    masks have: pictures of another kind (dark cells on a bright ground) differ in one alone.
    """
    none = np.zeros(len(shares), bool)
    telling = np.isfinite(contrasts) & (np.abs(contrasts) > 0.5)
    if telling.sum() < 5:
        return none
    usual = np.sign(np.median(contrasts[telling]))
    if np.mean(np.sign(contrasts[telling]) == usual) < 0.85:
        return none
    middle = np.median(shares)
    opposite = np.abs(shares - (1 - middle)) < np.abs(shares - middle)
    return telling & (np.sign(contrasts) != usual) & opposite & (np.abs(middle - 0.5) > 0.1)
