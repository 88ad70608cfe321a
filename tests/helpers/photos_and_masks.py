"""Photos, masks of a disc each, and masks of what a camera sees, in any folders."""

import cv2
import numpy as np

SIZE = 40


def photo(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (SIZE, SIZE, 3), np.uint8)


def disc(seed: int, radius: int = 8, value: int = 255) -> np.ndarray:
    mask = np.zeros((SIZE, SIZE), np.uint8)
    x, y = np.random.default_rng(seed).integers(8, SIZE - 8, 2).tolist()
    return cv2.circle(mask, (x, y), radius, value, -1)


def view(seed: int) -> np.ndarray:
    """A camera's field of view: the same of all images."""
    return cv2.circle(np.zeros((SIZE, SIZE), np.uint8), (20, 20), 18, 255, -1)


def write(root, pattern, draw, numbers=range(5)):
    for number in numbers:
        file = root / pattern.format(number)
        file.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(file), draw(number))


def masks_of(pairs):
    return {pair.mask.parent.name for pair in pairs}
