"""A prediction beside its truth: of one size, class by class, void left out of both."""

from collections.abc import Sequence

import numpy as np

from fastunet.errors import SizeMismatchError
from fastunet.labels import VOID


def check_sizes(
    predicted: Sequence[int],  # shape, (H, W) or (B, H, W)
    truth: Sequence[int],
    name: str = "",  # of the image, for the message
) -> None:
    """Raise `SizeMismatchError` unless both shapes are the same."""
    if predicted != truth:
        ours, theirs = (" x ".join(map(str, shape)) for shape in (predicted, truth))
        order = "images x height x width" if len(truth) == 3 else "height x width"
        raise SizeMismatchError(
            f"{name + ': t' if name else 'T'}he prediction is {ours} and the mask {theirs} "
            f"({order}); equal sizes were expected. Predict at the image's own size, or resize one "
            "of them."
        )


def class_masks(
    predicted: np.ndarray,  # (H, W) class indices
    truth: np.ndarray,  # (H, W) class indices or `VOID`
    index: int,  # of the class
) -> tuple[np.ndarray, np.ndarray]:  # (H, W) bool each
    """Where a class is predicted and where it is true, void pixels taken out of both.

    Raises `SizeMismatchError` where the masks differ in size.
    """
    check_sizes(predicted.shape, truth.shape)
    return (predicted == index) & (truth != VOID), truth == index
