"""What the network's size costs: the best Dice that is left when masks are resized and back.

A network learns from masks at its own size, and what it predicts is brought back to the size of the
image. Here both are done to the masks alone, as if the network made no mistake at all, and the
result is compared with the masks as they are. No network can do better than that at this size, but
for luck: what is thinner than about one pixel of the network's input is lost on the way.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from fastunet._util.text import listing
from fastunet._util.threads import in_threads
from fastunet.io.images import image_sizes
from fastunet.labels import VOID
from fastunet.preprocess import Preprocess

LIMIT = 0.8
"""A class whose best Dice is lower is lost.

Lines as wide as one pixel of the network's input come to 0.84, half as wide to 0.69. Of five public
sets at 128 and 256 pixels only the poles of CamVid at 128, with 0.72, are below; the membranes of
ISBI 2012 (0.87) and the weeds of CWFID (0.88) scored no better with patches, which keep more.
"""

VANISHED = 0.25
"""A class that is gone from a larger share of the masks that hold it is lost, whatever its Dice.

Dice is that of all pixels together: one large object hides that many small ones are gone. In the
public sets it is at most 0.01 at 128 pixels, 0.09 at 64.
"""

_MASKS = 100  # looked at, spread over the data
_PIXELS = 64_000_000  # of them, at most: they are kept while sizes are tried
_SEARCHED = 5_000_000  # pixels of masks with which sizes are tried
_STEP = 32  # pixels: sizes that are tried are multiples
_SIDES = (*range(32, 257, 32), *range(320, 513, 64), *range(640, 1025, 128))
_EQUAL = 1e-5  # weights that differ by less are rounded differently
_MODERATE = 512  # pixels: to this size it is named before the patch


@dataclass(frozen=True)
class Resolution:
    """How much of each class is left at the size at which a network looks at images."""

    preprocess: Preprocess  # its size, policy and scale
    classes: tuple[str, ...]
    best_dice: tuple[float, ...]  # of each class at the masks' own size; nan where it is in none
    holders: tuple[int, ...]  # masks that hold each class
    vanished: tuple[tuple[Path, ...], ...]  # those of them in which nothing is left of it
    masks: int  # how many were looked at
    advice: str = ""  # the options that mend a loss; empty where there is none

    @property
    def lost(self) -> tuple[int, ...]:
        """The indices of the classes of which too little is left, the worst first."""
        return tuple(i for i in self._worst_first if self._is_lost(i))

    @property
    def summary(self) -> str:
        """`resized to 128x128, masks allow a Dice of 0.72 (pole), 0.90 (sign), ... at most`.

        Empty where no class is in any of the masks.
        """
        if not self._worst_first:
            return ""
        shown = [f"{_two(self.best_dice[i])} ({self.classes[i]})" for i in self._worst_first]
        return f"{_how_seen(self.preprocess)}, masks allow a Dice of {listing(shown, 3)} at most"

    @property
    def message(self) -> str:
        """What is lost; empty where nothing is."""
        if not self.lost:
            return ""
        return (
            f"What is thin or small is lost: {_how_seen(self.preprocess)}, masks allow a Dice of "
            f"{listing([self._told(i) for i in self.lost], 5)} at most, however good the network."
        )

    def to_dict(self) -> dict:
        """Plain JSON values."""
        present = self._worst_first
        return {
            "size": list(self.preprocess.size),
            "policy": self.preprocess.policy,
            "scale": self.preprocess.scale,
            "masks": self.masks,
            "best_dice": {self.classes[i]: round(self.best_dice[i], 4) for i in sorted(present)},
            "vanished": {
                self.classes[i]: round(len(self.vanished[i]) / self.holders[i], 4)
                for i in sorted(present)
            },
        }

    @property
    def _worst_first(self) -> list[int]:
        present = [i for i, count in enumerate(self.holders) if count]
        return sorted(present, key=lambda i: self.best_dice[i])

    def _is_lost(self, i: int) -> bool:
        return self.best_dice[i] < LIMIT or len(self.vanished[i]) > VANISHED * self.holders[i]

    def _told(self, i: int) -> str:
        gone = len(self.vanished[i])
        where = f" (gone from {gone} of {self.holders[i]} masks)" if gone else ""
        return f"{_two(self.best_dice[i])} for {self.classes[i]}{where}"


def default_side(
    device: str | None = None,  # "cpu", "cuda", "mps"; None: the best that this machine has
) -> int:
    """The network's input, pixels a side, that a run in a terminal takes."""
    if device is None:
        fast = torch.cuda.is_available() or torch.backends.mps.is_available()
        return 256 if fast else 128
    return 128 if device == "cpu" else 256


def measure_resolution(
    paths: Sequence[Path],  # mask files
    read: Callable[[Path], np.ndarray | None],  # (H, W) class indices; None: left out
    classes: Sequence[str],
    preprocess: Preprocess,
    progress: bool = True,  # show a progress bar
) -> Resolution:
    """Resize some of the masks and bring them back; find out what mends a loss, if there is one.

    Raises what `read` raises.
    """
    seen = list(_spread(paths))
    masks = list(in_threads(read, seen, "Measuring detail", progress))
    pairs = [(path, mask) for path, mask in zip(seen, masks, strict=True) if mask is not None]
    measured = measure(pairs, classes, preprocess)
    if not measured.lost:
        return measured
    return replace(measured, advice=_advice(preprocess, _mended(measured, pairs)))


def _spread(paths: Sequence[Path]) -> Iterator[Path]:
    """Some of the files, from all over the list: few where they are large."""
    if not paths:
        return
    some = paths[:: -(-len(paths) // 8)]
    pixels = sum(math.prod(image_sizes(path)[0]) for path in some) / len(some)
    count = min(len(paths), _MASKS, max(1, int(_PIXELS / pixels)))
    yield from (paths[i * len(paths) // count] for i in range(count))


def measure(
    masks: Sequence[tuple[Path, np.ndarray]],  # (H, W) class indices with the names of their files
    classes: Sequence[str],
    preprocess: Preprocess,
) -> Resolution:
    """What is left of all of these masks, without advice."""
    count = partial(_count, preprocess=preprocess, n=len(classes))
    counts = list(in_threads(count, [mask for _, mask in masks], progress=False))
    pixels = np.array(counts, np.int64).reshape(-1, 4, len(classes))
    truth, predicted, right = pixels[:, :3].sum(0)
    whole = truth + predicted
    dice = np.where(whole > 0, 2 * right / np.maximum(whole, 1), np.nan)
    there, left = pixels[:, 0] > 0, pixels[:, 3] > 0
    gone = [
        tuple(masks[row][0] for row in np.flatnonzero(there[:, i] & ~left[:, i]).tolist())
        for i in range(len(classes))
    ]
    return Resolution(
        preprocess,
        tuple(classes),
        best_dice=tuple(dice.tolist()),
        holders=tuple(there.sum(0).tolist()),
        vanished=tuple(gone),
        masks=len(masks),
    )


def _count(mask: np.ndarray, preprocess: Preprocess, n: int) -> np.ndarray:
    """(4, n) pixels per class: true, predicted, right, and those of the mask as it is learned."""
    small = preprocess.resize_mask(mask)
    height, width = mask.shape
    back = brought_back(small, (height, width))
    counted = np.where(back == VOID, VOID, mask)
    predicted = np.where(mask == VOID, VOID, back)
    right = np.where(counted == predicted, counted, VOID)
    each = (counted, predicted, right, small)
    return np.stack([np.bincount(pixels.ravel(), minlength=256)[:n] for pixels in each])


def brought_back(
    small: np.ndarray,  # (h, w) class indices as the network learns them
    size: tuple[int, int],  # (height, width) of the image
) -> np.ndarray:  # (height, width) class indices
    """What a network predicts for the image that gives each pixel of `small` its very class.

    As `Preprocess.restore` on one plane for each class, and the largest of them: of the four pixels
    between which a pixel lies, the class of the largest weight, the first where some are equal.
    Void where nothing but void is near: whatever is predicted there was not learned.
    """
    if small.shape == size:
        return small
    (top, bottom, down), (left, right, along) = map(_neighbours, small.shape, size)
    beside = np.pad(small[:, :-1] == small[:, 1:], ((0, 0), (0, 1)), constant_values=True)
    below = np.pad(small[:-1] == small[1:], ((0, 1), (0, 0)), constant_values=True)
    alike = beside & below & np.pad(beside[1:], ((0, 1), (0, 0)), constant_values=True)
    back = small[top][:, left]
    y, x = np.nonzero(~alike[top][:, left])  # only there is anything to decide
    near = np.stack([small[row[y], column[x]] for row in (top, bottom) for column in (left, right)])
    weights = np.stack([a * b for a in (1 - down[y], down[y]) for b in (1 - along[x], along[x])])
    sums = np.stack([np.sum(weights * (near == each), axis=0) for each in near])
    sums[near == VOID] = 0
    largest = (near != VOID) & (sums > 0) & (sums >= sums.max(0) - _EQUAL)
    back[y, x] = np.where(largest, near, VOID).min(0)
    return back


def _neighbours(own: int, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each of `size` places the two of `own` it lies between, and how far from the first."""
    at = np.maximum((np.arange(size, dtype=np.float32) + 0.5) * (own / size) - 0.5, 0)
    first = at.astype(np.intp)
    return first, np.minimum(first + 1, own - 1), at - first


# --- what mends a loss ----------------------------------------------------------------------------


def _mended(measured: Resolution, pairs: Sequence[tuple[Path, np.ndarray]]) -> Resolution | None:
    """The least change with which no class is lost; None where none does.

    From the images' own size downward, since thin lines that survive at a size by luck may be lost
    at the next larger one. Few masks are enough to search; all of them decide.
    """
    telling = [pair for pair in pairs if np.isin(pair[1], measured.lost).any()]
    few = telling[:: math.ceil(sum(mask.size for _, mask in telling) / _SEARCHED)]
    kept = []
    for larger in _larger(measured.preprocess, pairs):
        if measure(few, measured.classes, larger).lost:
            break
        kept.append(larger)
    decided = (measure(pairs, measured.classes, larger) for larger in reversed(kept))
    return next((other for other in decided if not other.lost), None)


def _larger(
    preprocess: Preprocess, pairs: Sequence[tuple[Path, np.ndarray]]
) -> Iterator[Preprocess]:
    """The same with less and less detail, from the images' own down to what it has."""
    if not preprocess.sees_whole:
        for tenth in range(10, math.floor(10 * preprocess.scale), -1):
            yield replace(preprocess, scale=tenth / 10)
        return
    own = max(max(mask.shape) for _, mask in pairs)
    whole = _STEP * math.ceil(own / _STEP)
    tried = {side for side in _SIDES if side < own} | ({whole} if whole <= _SIDES[-1] else set())
    for side in sorted(tried, reverse=True):
        if side > min(preprocess.size):
            yield replace(preprocess, size=(side, side))


def _advice(preprocess: Preprocess, mended: Resolution | None) -> str:
    """What to pass, in the options of Python."""
    if not preprocess.sees_whole:
        return f"Pass scale={mended.preprocess.scale if mended else 1:g}."
    patch = f"patch={min(preprocess.size)}"
    if mended is None:
        return f"Pass {patch}, which keeps the images' own resolution."
    side = mended.preprocess.size[0]
    worst = _two(min(dice for dice in mended.best_dice if not math.isnan(dice)))
    if side <= _MODERATE:
        return (
            f"Pass size={side}, at which each class can reach {worst}; or {patch}, which keeps the "
            "images' own resolution."
        )
    return (
        f"Pass {patch}, which keeps the images' own resolution; whole images would need "
        f"size={side}, which is slow and takes much memory."
    )


def _how_seen(preprocess: Preprocess) -> str:
    height, width = preprocess.size
    if not preprocess.sees_whole:
        if preprocess.scale == 1:
            return "at the images' own resolution"
        return f"at {preprocess.scale:g} of the images' resolution"
    return f"resized to {height}x{width}"


def _two(dice: float) -> str:
    """Two digits, never rounded up: 0.798 does not reach 0.80."""
    return f"{math.floor(100 * dice + 1e-9) / 100:.2f}"
