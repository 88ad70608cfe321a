"""Pictures made small."""

import numpy as np

from fastunet.scan.thumbnails import thumbnail


def test_a_thumbnail_has_full_contrast_and_one_size_whatever_the_picture():
    grey = np.linspace(100, 110, 300 * 200, dtype=np.float32).reshape(300, 200)
    small = thumbnail(grey)
    assert (small.shape, small.dtype) == ((64, 64), np.uint8)
    assert (small.min(), small.max()) == (0, 255)
    assert not thumbnail(np.full((50, 90), 7, np.float32)).any()
