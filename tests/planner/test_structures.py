"""Four times the mean distance is a strip's width and two thirds of a disc's diameter."""

import cv2
import numpy as np
import pytest

from fastunet.labels import VOID
from fastunet.planner.structures import measure_structures


def widths(mask, classes=2):
    pixels, sums = measure_structures(mask, classes)
    return 4 * sums / pixels


@pytest.mark.parametrize("width", [8, 20, 41])
def test_a_strip_is_as_wide_as_it_was_drawn(width):
    mask = np.zeros((200, 200), np.uint8)
    mask[:, 50 : 50 + width] = 1
    assert widths(mask)[1] == pytest.approx(width, rel=0.2)


def test_a_disc_has_two_thirds_of_its_diameter():
    mask = cv2.circle(np.zeros((200, 200), np.uint8), (100, 100), 60, 1, -1)
    assert widths(mask)[1] == pytest.approx(2 / 3 * 121, rel=0.05)


def test_large_masks_are_thinned_out_and_void_is_no_border():
    mask = np.zeros((3000, 200), np.uint8)
    mask[:, 50:110] = 1
    assert widths(mask)[1] == pytest.approx(60, rel=0.2)
    mask[:, 110:] = VOID
    assert widths(mask)[1] > 100
    assert measure_structures(mask, 2)[0].tolist() == pytest.approx(
        [3000 * 50, 3000 * 60], rel=0.02
    )
