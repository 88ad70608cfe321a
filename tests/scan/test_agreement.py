"""How well a mask's borders agree with its photo, upright and as stored."""

import numpy as np
import pytest

from fastunet.io.images import as_stored, upright_from
from fastunet.scan.agreement import Agreement, better, compare


@pytest.mark.parametrize("turn", [2, 3, 4])
@pytest.mark.parametrize("fits", ["upright", "stored"])
def test_the_orientation_that_a_mask_was_drawn_on_agrees_better(draw_blobs, turn, fits):
    agreements = []
    for seed in range(6):
        image, labels = draw_blobs(np.random.default_rng(seed), (120, 120), 2, 3)
        mask = labels if fits == "upright" else np.ascontiguousarray(as_stored(labels, turn))
        if fits == "stored":  # drawn on the pixels as they lie in the file
            stored = np.ascontiguousarray(image)
            image, mask = np.ascontiguousarray(upright_from(stored, turn)), labels
        agreements.append(compare(image, mask, turn))
    assert better(agreements) == fits


def test_what_cannot_tell_is_left_out():
    nan = float("nan")
    assert better([Agreement(nan, nan)]) is None
    assert better([]) is None
    assert better([Agreement(0.4, 0.41)] * 5) is None
    assert better([Agreement(0.2, 0.6), Agreement(nan, nan)] * 3) == "stored"
