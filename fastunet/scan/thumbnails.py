"""Pictures made small, to be compared with each other."""

import cv2
import numpy as np

_SIDE = 64


def thumbnail(
    grey: np.ndarray,  # (H, W)
) -> np.ndarray:  # (64, 64) uint8, stretched to the full scale
    """What is kept of a picture to compare it with others."""
    small = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    low, high = small.min(), small.max()
    if high - low < 1e-6:
        return np.zeros((_SIDE, _SIDE), np.uint8)
    return ((small - low) * (255 / (high - low)) + 0.5).astype(np.uint8)
