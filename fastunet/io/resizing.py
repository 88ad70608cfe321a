"""Pixels at another size."""

import cv2
import numpy as np


def resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(H, W, C) to (*size, C): by area where it shrinks, linear where it grows."""
    height, width = size
    if image.shape[:2] == (height, width):
        return image
    shrinks = height < image.shape[0] or width < image.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    groups = [  # OpenCV resizes up to four channels at a time
        cv2.resize(image[..., i : i + 4], (width, height), interpolation=how)
        for i in range(0, image.shape[2], 4)
    ]
    return np.concatenate([g[:, :, None] if g.ndim == 2 else g for g in groups], axis=2)
