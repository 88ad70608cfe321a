"""What masks held before they were smoothed."""

import cv2
import numpy as np
import pytest

from fastunet.errors import MaskValueError
from fastunet.labels import VOID
from fastunet.masks.codec import MaskCodec
from fastunet.masks.smoothing import before_smoothing, modes_of_jpeg
from fastunet.masks.statistics import MaskSetStats


def test_masks_that_were_smoothed_are_explained_and_can_be_used(tmp_path):
    masks = []
    for i in range(3):
        truth = np.zeros((128, 128, 3), np.uint8)
        cv2.circle(truth, (40 + 5 * i, 60), 30, (0, 0, 255), -1)
        cv2.circle(truth, (90, 60), 20, (0, 255, 0), -1)
        masks.append(cv2.GaussianBlur(truth, (5, 5), 0))
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for path, mask in zip(paths, masks, strict=True):
        cv2.imwrite(str(path), mask)
    assert before_smoothing(MaskSetStats.of(paths)) == [0x000000, 0x00FF00, 0xFF0000]
    with pytest.raises(MaskValueError, match=r"#000000, #00ff00, #ff0000 make up .*smoothing"):
        MaskCodec.infer(paths)
    table = {"soil": "#000000", "weed": "#ff0000", "crop": "#00ff00"}
    indices = MaskCodec.infer(paths, table, unknown="void").read(paths[0])
    assert 0 < (indices == VOID).mean() < 0.1
    assert set(np.unique(indices)) == {0, 1, 2, VOID}


def test_the_modes_of_jpeg_masks_are_the_values_that_were_saved(tmp_path):
    mask = np.zeros((96, 96), np.uint8)
    mask[:, 32:64], mask[:, 64:] = 120, 240
    cv2.imwrite(str(tmp_path / "m.jpg"), mask, [cv2.IMWRITE_JPEG_QUALITY, 80])
    modes = modes_of_jpeg(MaskSetStats.of([tmp_path / "m.jpg"]))
    assert modes.is_mask
    assert not modes.doubtful
    np.testing.assert_allclose(modes.classes, [0, 120, 240], atol=3)
