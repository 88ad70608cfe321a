"""Where a model is wrong: by the size of the object, and by the distance to an outline."""

from dataclasses import dataclass, field
from itertools import pairwise

import cv2
import numpy as np

from fastunet.labels import VOID

SIDES = (4, 8, 16, 32, 64, 128)  # pixels: objects are told apart by the root of their area
DISTANCES = (1, 2, 4, 8, 16, 32)  # pixels from the nearest outline
_ROWS = np.searchsorted(DISTANCES, np.arange(1, 257), side="left").astype(np.uint8)
"""The row of a distance in whole pixels, rounded up; the outline itself has 0."""
FOUND = 0.5  # of an object's pixels that are right, as in `metrics.objects`


def _zeros(edges: tuple[int, ...], columns: int) -> np.ndarray:
    return np.zeros((len(edges) + 1, columns), np.int64)


@dataclass
class Mistakes:
    """Counts over the images that were looked at, void left out."""

    classes: int
    images: int = 0
    sizes: np.ndarray = field(default_factory=lambda: _zeros(SIDES, 4))
    """(7, 4) by size: objects, those of them found, pixels, those of them right."""
    distances: np.ndarray = field(default_factory=lambda: _zeros(DISTANCES, 2))
    """(7, 2) by distance to an outline of the truth: pixels, those of them wrong."""

    def add(
        self,
        truth: np.ndarray,  # (H, W) class indices or `VOID`
        prediction: np.ndarray,  # (H, W) class indices
    ) -> None:
        """Count an image.

        Objects are connected components of one class, corners included: of two classes those of
        the foreground, of more those of each.
        """
        right = truth == prediction
        self.images += 1
        self._add_distances(truth, right)
        first = 1 if self.classes == 2 else 0
        for index in range(first, self.classes):
            mask = truth == index
            if mask.any():
                self._add_objects(mask, right)

    def _add_distances(self, truth: np.ndarray, right: np.ndarray) -> None:
        known = truth != VOID
        outline = np.zeros(truth.shape, bool)
        for axis in (0, 1):
            one, other = [slice(None)] * 2, [slice(None)] * 2
            one[axis], other[axis] = slice(1, None), slice(None, -1)
            before, behind = tuple(one), tuple(other)
            differ = (truth[before] != truth[behind]) & known[before] & known[behind]
            outline[before] |= differ
            outline[behind] |= differ
        place = np.full(truth.shape, len(DISTANCES), np.uint8)  # in an image of one class
        if outline.any():
            away = cv2.distanceTransform((~outline).astype(np.uint8), cv2.DIST_L2, 5)
            steps = np.minimum(np.ceil(away), len(_ROWS) - 1).astype(np.uint8)
            place = _ROWS[steps]
        rows = len(DISTANCES) + 1
        pixels = np.bincount(place[known], minlength=rows)
        wrong = np.bincount(place[known & ~right], minlength=rows)
        self.distances += np.stack([pixels, wrong], 1)

    def _add_objects(self, mask: np.ndarray, right: np.ndarray) -> None:
        x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
        box = slice(y, y + height), slice(x, x + width)
        mask, right = mask[box], right[box]
        count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
        area = stats[1:, cv2.CC_STAT_AREA]
        hit = np.bincount(labels[right & mask], minlength=count)[1:]
        place = np.searchsorted(SIDES, np.sqrt(area), side="right")
        columns = [np.ones_like(area), hit >= FOUND * area, area, hit]
        for column, values in enumerate(columns):
            counted = np.bincount(place, values, len(SIDES) + 1)
            self.sizes[:, column] += counted.astype(np.int64)

    @property
    def near_outlines(self) -> float:
        """The share of the wrong pixels that lie within 2 pixels of an outline; nan without any."""
        wrong = self.distances[:, 1]
        near = wrong[: DISTANCES.index(2) + 1].sum()
        return float(near / wrong.sum()) if wrong.sum() else float("nan")


def size_names() -> list[str]:
    """Names of the rows of `Mistakes.sizes`."""
    between = [f"{low} to {high} px" for low, high in pairwise(SIDES)]
    return [f"below {SIDES[0]} px", *between, f"{SIDES[-1]} px and more"]


def distance_names() -> list[str]:
    """Names of the rows of `Mistakes.distances`."""
    between = [f"{low} to {high} px" for low, high in pairwise(DISTANCES)]
    return ["at the outline", *between, f"beyond {DISTANCES[-1]} px"]
