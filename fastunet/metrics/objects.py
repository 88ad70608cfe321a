"""How many objects were found, missed, merged, split and invented, without instance labels.

Objects are what hangs together: connected components of one class, pixels that touch at a corner
included. Void belongs to none.
"""

from dataclasses import astuple, dataclass
from math import nan

import cv2
import numpy as np

from fastunet.errors import OptionError
from fastunet.metrics._class_masks import class_masks


@dataclass(frozen=True)
class ObjectCounts:
    """Objects of the truth and of the prediction. Adds up: `sum(counts, ObjectCounts())`."""

    found: int = 0  # true objects of which enough is predicted
    missed: int = 0  # the other true objects
    merged: int = 0  # predicted objects that cover more than one true object
    split: int = 0  # true objects in which more than one predicted object lies
    predicted: int = 0  # all predicted objects
    invented: int = 0  # predicted objects that touch no true object

    def __add__(self, other: "ObjectCounts") -> "ObjectCounts":
        return ObjectCounts(*map(sum, zip(astuple(self), astuple(other), strict=True)))

    @property
    def true(self) -> int:
        """All true objects."""
        return self.found + self.missed

    @property
    def found_share(self) -> float:
        """Found of all true objects; nan where there are none."""
        return self.found / self.true if self.true else nan

    @property
    def invented_share(self) -> float:
        """Invented of all predicted objects; nan where there are none."""
        return self.invented / self.predicted if self.predicted else nan


def count_objects(
    predicted: np.ndarray,  # (H, W) class indices
    truth: np.ndarray,  # (H, W) class indices or `VOID`
    index: int = 1,  # of the class whose objects are counted
    share: float = 0.5,  # how much of an object another must cover
) -> ObjectCounts:
    """Compare the objects of one class in a mask and its truth.

    - *found*: at least `share` of the true object's pixels are predicted, by whichever objects;
    - *merged*: a predicted object that covers at least `share` of each of two or more true objects;
    - *split*: a true object that covers at least `share` of each of two or more predicted objects;
    - *invented*: a predicted object without a pixel in any true object.

    Void pixels of the truth are taken out of both masks first. Raises `SizeMismatchError` where the
    masks differ in size, and `OptionError` where `share` is not above 0 and at most 1.
    """
    if not 0 < share <= 1:
        raise OptionError(f"share={share}; above 0 and at most 1 was expected.")
    ours, theirs = (_components(mask) for mask in class_masks(predicted, truth, index))
    our_area, their_area = np.bincount(ours.ravel()), np.bincount(theirs.ravel())
    both = (ours > 0) & (theirs > 0)
    n_ours, n_theirs = len(our_area), len(their_area)  # object 0 is all that is none
    meetings = ours[both].astype(np.int64) * n_theirs + theirs[both]
    met, overlap = np.unique(meetings, return_counts=True)
    our, their = np.divmod(met, n_theirs)

    covered = np.bincount(their, overlap, n_theirs)
    found = int((covered >= share * their_area)[1:].sum())
    swallowed = np.bincount(our[overlap >= share * their_area[their]], minlength=n_ours)
    pieces = np.bincount(their[overlap >= share * our_area[our]], minlength=n_theirs)
    return ObjectCounts(
        found=found,
        missed=n_theirs - 1 - found,
        merged=int((swallowed > 1).sum()),
        split=int((pieces > 1).sum()),
        predicted=n_ours - 1,
        invented=n_ours - 1 - len(np.unique(our)),
    )


def _components(mask: np.ndarray) -> np.ndarray:
    """(H, W) int32, 0 outside the mask and 1.. for its components."""
    return cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[1]
